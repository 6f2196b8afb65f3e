//! Postgres's own invalidation messages, used as the signal that grants changed: they reach every backend of
//! the server and, through WAL, of its hot standbys.

use pgrx::pg_sys::{self, Oid};
use std::cell::{Cell, RefCell};

thread_local! {
    static WATCHED: RefCell<Vec<Oid>> = const { RefCell::new(Vec::new()) };
    static ON_CHANGE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Registers this backend's one relcache callback. Every backend has room for ten, of all extensions.
pub fn on_change(listener: fn()) {
    ON_CHANGE.set(Some(listener));
    // SAFETY: the callback has static lifetime and the signature of utils/inval.h.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) }
}

/// The relations whose messages count from now on.
pub fn watch(relations: &[Oid]) {
    WATCHED.with_borrow_mut(|watched| {
        watched.clear();
        watched.extend_from_slice(relations);
    });
}

/// May run in the middle of anything that reads the queue, so it only compares and flips a counter: no
/// catalog, no allocation. If the list is being replaced just then, everything counts.
#[pgrx::pg_guard]
extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: Oid) {
    let counts = relation == Oid::INVALID
        || WATCHED.with(|watched| watched.try_borrow().map_or(true, |watched| watched.contains(&relation)));
    if counts && let Some(listener) = ON_CHANGE.get() {
        listener();
    }
}

/// Reads what other backends sent. Inside a transaction that already holds its locks Postgres would not do
/// so at a new statement.
pub fn accept() {
    // SAFETY: allowed wherever catalog lookups are, that is within a transaction (inval.c).
    unsafe { pg_sys::AcceptInvalidationMessages() }
}

/// Announces at commit, and to ourselves after this command, that a relation's dependents are stale.
pub fn signal(relation: Oid) {
    // SAFETY: looks the relation up in pg_class and raises if it is gone; nothing is held across the call.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) }
}

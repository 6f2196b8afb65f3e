//! Postgres's own invalidation messages, used as the signal that grants changed: they reach every backend of
//! the server and, through WAL, of its hot standbys.

use pgrx::pg_sys::{self, Oid};
use std::cell::{Cell, RefCell};

/// What tells the announcement's lock from any other on the relation: a subobject it does not have.
const ANNOUNCEMENT: u16 = u16::MAX;

/// Which kind of relation has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Who is a member of what with which roles.
    Grants,
    /// What a role comes to.
    Roles,
    /// What is counted, and how much of it is allowed.
    Quotas,
    /// A table itself: its definition, its indexes and triggers, perhaps its content.
    Table,
}

thread_local! {
    static WATCHED: RefCell<Vec<(Oid, Change)>> = const { RefCell::new(Vec::new()) };
    static ON_CHANGE: Cell<Option<fn(Change)>> = const { Cell::new(None) };
}

/// Registers this backend's one relcache callback. Every backend has room for ten, of all extensions.
pub fn on_change(listener: fn(Change)) {
    ON_CHANGE.set(Some(listener));
    // SAFETY: the callback has static lifetime and the signature of utils/inval.h.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::from(0)) }
}

/// The relations whose messages count from now on.
pub fn watch(relations: Vec<(Oid, Change)>) {
    WATCHED.set(relations);
}

/// May run in the middle of anything that reads the queue, so it only compares and flips a counter: no
/// catalog, no allocation. If the list is being replaced just then, everything counts.
#[pgrx::pg_guard]
extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, relation: Oid) {
    let change = if relation == Oid::INVALID {
        Some(Change::Table)
    } else {
        WATCHED.with(|watched| match watched.try_borrow() {
            Ok(watched) => watched.iter().find(|(oid, _)| *oid == relation).map(|(_, change)| *change),
            Err(_) => Some(Change::Table),
        })
    };
    if let (Some(change), Some(listener)) = (change, ON_CHANGE.get()) {
        listener(change);
    }
}

/// Reads what other backends sent. Inside a transaction that already holds its locks Postgres would not do
/// so at a new statement.
pub fn accept() {
    // SAFETY: allowed wherever catalog lookups are, that is within a transaction (inval.c).
    unsafe { pg_sys::AcceptInvalidationMessages() }
}

/// Tells whoever reads in the meantime that this transaction may change a relation's dependents: a lock of our own
/// kind, on nothing, that conflicts with no other writer and is held until after the messages are sent.
pub fn announce(relation: Oid) {
    // SAFETY: an ordinary lock until the end of the transaction (lmgr.c).
    unsafe {
        pg_sys::LockDatabaseObject(
            pg_sys::RelationRelationId,
            relation,
            ANNOUNCEMENT,
            pg_sys::RowExclusiveLock as i32,
        )
    }
}

/// Whether another transaction has announced a change and is not quite over: its changes may be visible before its
/// messages have come. On a standby nobody announces, so it may always be so.
///
/// Asking is trying to lock, for a moment, in a mode that conflicts with announcements. Reading who holds the lock
/// (GetLockConflicts) would not do: it passes over a transaction that is visible already and still sending.
pub fn announced(relation: Oid) -> bool {
    // SAFETY: a conditional lock, which never waits, and its release (lmgr.c).
    unsafe {
        if pg_sys::RecoveryInProgress() {
            return true;
        }
        let (class, mode) = (pg_sys::RelationRelationId, pg_sys::ShareLock as i32);
        let free = pg_sys::ConditionalLockDatabaseObject(class, relation, ANNOUNCEMENT, mode);
        if free {
            pg_sys::UnlockDatabaseObject(class, relation, ANNOUNCEMENT, mode);
        }
        !free
    }
}

/// Announces at commit, and to ourselves after this command, that a relation's dependents are stale.
pub fn signal(relation: Oid) {
    // SAFETY: looks the relation up in pg_class and raises if it is gone; nothing is held across the call.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) }
}

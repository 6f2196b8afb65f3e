//! This backend's memory of who may do what, and the rules by which it forgets.

pub mod clock;
mod reader;
pub mod store;

use crate::pg::execution::Execution;
use crate::pg::{invalidation, xact};
use crate::rbac::Id;
use crate::rbac::access::{AccessMap, resolve};
use crate::rbac::catalogue::Catalogue;
use crate::rbac::grants::Grants;
use crate::settings;
use clock::Clock;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use store::{Keep, Store};

/// What is asked of the tables as they are now, one's own uncommitted changes included, and not kept.
pub use reader::{
    direct_grants_of, explain, junior_edges, missing_signals, role_closure, role_tenant, roles_named,
};

/// Where grants come from: the tables, or in tests something simpler.
pub trait Loader {
    /// Reads one user's grants and the registered permissions in one snapshot.
    fn load(&self, user: &Id, clock: &Clock) -> Loaded;
}

/// What was read, when, and how long it may be believed.
pub struct Loaded {
    pub grants: Grants,
    pub catalogue: Catalogue,
    /// The generation noted before the snapshot was taken.
    pub generation: u64,
    pub keep: Option<Keep>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub hits: u64,
    pub loads: u64,
}

static CLOCK: Clock = Clock::new();

thread_local! {
    static STORE: RefCell<Store<Rc<AccessMap>>> = RefCell::new(Store::default());
    static COUNTERS: Cell<Counters> = const { Cell::new(Counters { hits: 0, loads: 0 }) };
    /// The first moment at which something kept ends by itself.
    static NEXT_EXPIRY: Cell<i64> = const { Cell::new(i64::MAX) };
    static EXECUTION: Cell<Option<Execution>> = const { Cell::new(None) };
}

/// Called once when the library loads.
pub fn start() {
    invalidation::on_change(|| CLOCK.invalidate());
}

#[inline]
pub fn epoch() -> u64 {
    CLOCK.epoch()
}

/// Some answer may have changed for another reason than the tables.
pub fn move_epoch() {
    CLOCK.move_epoch();
}

/// Reads other backends' messages, and notices what time has ended. A call site does this when it is first
/// used in an execution and when another execution has begun: not per row.
pub fn refresh() {
    invalidation::accept();
    let execution = Some(Execution::current());
    if EXECUTION.replace(execution) != execution
        && STORE.with_borrow_mut(|store| store.drop_kept(Keep::ForStatement))
    {
        move_epoch();
    }
    if xact::statement_timestamp() >= NEXT_EXPIRY.get() {
        NEXT_EXPIRY.set(i64::MAX);
        CLOCK.invalidate();
    }
}

/// A transaction or subtransaction was rolled back or prepared: whatever may have seen its changes goes. A
/// statement may go on after a rollback inside it, so what is kept for its length goes too.
pub fn forget_uncommitted() {
    let forgot = STORE.with_borrow_mut(|store| {
        [Keep::UntilAbort, Keep::ForStatement].map(|keep| store.drop_kept(keep)).contains(&true)
    });
    if forgot {
        move_epoch();
    }
}

/// What the user may do, by the tables. Errors of the read (cancel, lock timeout, memory) propagate.
pub fn access_of(user: &Id) -> Rc<AccessMap> {
    let generation = CLOCK.generation();
    let mut counters = COUNTERS.get();
    if let Some(found) = STORE.with_borrow_mut(|store| store.get(user, generation)) {
        counters.hits += 1;
        COUNTERS.set(counters);
        return found;
    }
    counters.loads += 1;
    COUNTERS.set(counters);
    load(&reader::TableReader, user)
}

fn load(loader: &impl Loader, user: &Id) -> Rc<AccessMap> {
    // No borrow is held here: a load may raise, or be interrupted by an invalidation.
    let loaded = loader.load(user, &CLOCK);
    let map = Rc::new(resolve(&loaded.grants, Rc::new(loaded.catalogue)));
    if let Some(keep) = loaded.keep
        && loaded.generation == CLOCK.generation()
    {
        if let Some(expiry) = map.next_expiry {
            NEXT_EXPIRY.set(NEXT_EXPIRY.get().min(expiry));
        }
        let budget = usize::try_from(settings::CACHE_SIZE.get()).unwrap_or(0) * 1024;
        STORE.with_borrow_mut(|store| {
            store.put(*user, Rc::clone(&map), map.bytes(), keep, loaded.generation, budget);
        });
    }
    map
}

/// The registered permissions alone, for tokens as authority. Kept like a user of no memberships.
pub fn catalogue() -> Rc<Catalogue> {
    Rc::clone(&access_of(&NOBODY).catalogue)
}

/// No user has the nil uuid: `current_user_id()` never answers it.
pub const NOBODY: Id = [0; 16];

/// The role that owns our tables, if they exist.
pub fn schema_owner() -> Option<pgrx::pg_sys::Oid> {
    reader::signal_relation().and_then(crate::pg::role::owner_of)
}

/// Announces that the tables changed.
pub fn signal_change() {
    if let Some(relation) = reader::signal_relation() {
        invalidation::signal(relation);
    }
}

pub struct Stats {
    pub entries: usize,
    pub bytes: usize,
    pub counters: Counters,
    pub invalidations: u64,
}

pub fn stats() -> Stats {
    let (entries, bytes) = STORE.with_borrow(|store| (store.entries(), store.bytes()));
    Stats { entries, bytes, counters: COUNTERS.get(), invalidations: CLOCK.invalidations() }
}

//! This backend's memory of who may do what, and the rules by which it forgets.

pub mod clock;
mod holders;
mod layout;
mod lookups;
mod reader;
pub mod store;

use crate::pg::execution::Execution;
use crate::pg::invalidation::{self, Change};
use crate::pg::{role, xact};
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::rbac::catalogue::Catalogue;
use crate::rbac::grants::Grantee;
use crate::rbac::resolution::Combinations;
use crate::settings;
use clock::Clock;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use store::{Keep, Store};

pub use holders::{Kind, reached};
pub use layout::{missing_signals, quotas_are_announced, signal_relation};
pub use lookups::{
    all_tenants, direct_grants_of, each_access, explain, junior_edges, operator_until, role_closure,
    role_tenant, roles_named, roles_of_job, tenant_for_job, tenant_key, tenants_for_job, user_of_subject,
};

/// Where everything of ours is. Administrators alone can put something there.
pub const SCHEMA: &std::ffi::CStr = c"tenancy";

/// Where grants come from: the tables, or in tests something simpler.
pub trait Loader {
    /// Reads the grants of one user or job, and of the roles and permissions what is not in `shared`, in one snapshot.
    fn load(&self, whose: &Grantee, clock: &Clock, shared: Option<Shared>) -> Loaded;
}

/// What was read, when, and how long it may be believed.
pub struct Loaded {
    pub map: AccessMap,
    /// Memory that it alone takes.
    pub bytes: usize,
    /// The generation noted before the snapshot was taken.
    pub generation: u64,
    pub keep: Option<Keep>,
    /// To be shared with the next load.
    pub shared: Option<Shared>,
}

/// What no user owns: the registered permissions, and what combinations of roles come to.
pub struct Shared {
    /// The roles' generation it is of.
    roles: u64,
    catalogue: Option<Rc<Catalogue>>,
    combinations: Combinations,
}

impl Shared {
    fn new(roles: u64, most: usize) -> Self {
        Self { roles, catalogue: None, combinations: Combinations::new(most) }
    }

    fn bytes(&self) -> usize {
        self.combinations.bytes() + self.catalogue.as_ref().map_or(0, |catalogue| catalogue.bytes())
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub hits: u64,
    pub loads: u64,
}

static CLOCK: Clock = Clock::new();

thread_local! {
    static STORE: RefCell<Store<Rc<AccessMap>>> = RefCell::new(Store::default());
    static SHARED: Cell<Option<Shared>> = const { Cell::new(None) };
    static COUNTERS: Cell<Counters> = const { Cell::new(Counters { hits: 0, loads: 0 }) };
    /// The first moment at which something kept ends by itself.
    static NEXT_EXPIRY: Cell<i64> = const { Cell::new(i64::MAX) };
    static EXECUTION: Cell<Option<Execution>> = const { Cell::new(None) };
    /// Whether a subject was looked up that this transaction itself may have written.
    static SAW_OWN_SUBJECT: Cell<bool> = const { Cell::new(false) };
}

/// Called once when the library loads.
pub fn start() {
    role::on_change(move_epoch);
    invalidation::on_change(|change| match change {
        Change::Grants => CLOCK.invalidate(),
        Change::Roles => CLOCK.invalidate_roles(),
        Change::Quotas => CLOCK.invalidate_quotas(),
        Change::Table => CLOCK.invalidate_definitions(),
    });
}

#[inline]
pub fn epoch() -> u64 {
    CLOCK.epoch()
}

fn definitions() -> u64 {
    CLOCK.definitions()
}

/// Dates what was read of meters and quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaVersion(u64, u64);

impl QuotaVersion {
    pub fn numbers(self) -> [u64; 2] {
        [self.0, self.1]
    }
}

/// The present one, other backends' messages read.
pub fn quota_version() -> QuotaVersion {
    invalidation::accept();
    known_quota_version()
}

/// By the messages read so far.
pub fn known_quota_version() -> QuotaVersion {
    QuotaVersion(CLOCK.quotas(), CLOCK.definitions())
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
    if SAW_OWN_SUBJECT.take() || forgot {
        move_epoch();
    }
}

/// What the user may do, by the tables. Errors of the read (cancel, lock timeout, memory) propagate.
pub fn access_of(user: &Id) -> Rc<AccessMap> {
    access(&Grantee::User(*user))
}

/// The same of a user or a job.
pub fn access(whose: &Grantee) -> Rc<AccessMap> {
    let generation = CLOCK.generation();
    let mut counters = COUNTERS.get();
    let found = STORE.with_borrow_mut(|store| {
        let found = store.get(whose, generation)?;
        store.trim(budget());
        Some(found)
    });
    if let Some(found) = found {
        counters.hits += 1;
        COUNTERS.set(counters);
        return found;
    }
    counters.loads += 1;
    COUNTERS.set(counters);
    load(&reader::TableReader, whose)
}

/// Bytes that all of it may take.
fn budget() -> usize {
    usize::try_from(settings::CACHE_SIZE.get()).unwrap_or(0) * 1024
}

fn load(loader: &impl Loader, whose: &Grantee) -> Rc<AccessMap> {
    // No borrow is held here: a load may raise, or be interrupted by an invalidation. What is shared goes with it
    // and comes back at the end, so that whatever unwinds leaves none.
    let loaded = loader.load(whose, &CLOCK, SHARED.take());
    let map = Rc::new(loaded.map);
    let shared = loaded.shared.filter(|shared| shared.roles == CLOCK.roles());
    let budget = budget().saturating_sub(shared.as_ref().map_or(0, Shared::bytes));
    SHARED.set(shared);
    if let Some(keep) = loaded.keep
        && loaded.generation == CLOCK.generation()
    {
        if let Some(expiry) = map.next_expiry {
            NEXT_EXPIRY.set(NEXT_EXPIRY.get().min(expiry));
        }
        STORE.with_borrow_mut(|store| {
            store.put(*whose, Rc::clone(&map), loaded.bytes, keep, loaded.generation, budget);
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
    layout::signal_relation().and_then(role::owner_of)
}

/// Announces that who holds which roles where has changed.
pub fn signal_change() {
    if let Some(relation) = layout::signal_relation() {
        invalidation::signal(relation);
    }
}

/// Announces that what roles come to is changing or has changed.
pub fn signal_role_change() {
    if let Some(relation) = layout::role_signal_relation() {
        invalidation::announce(relation);
        invalidation::signal(relation);
    }
}

/// Announces that meters or quotas have changed.
pub fn signal_quota_change() {
    if let Some(relation) = layout::quota_signal_relation() {
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
    let (entries, own) = STORE.with_borrow(|store| (store.entries(), store.bytes()));
    let shared = SHARED.take();
    let bytes = own + shared.as_ref().map_or(0, Shared::bytes);
    SHARED.set(shared);
    Stats { entries, bytes, counters: COUNTERS.get(), invalidations: CLOCK.invalidations() }
}

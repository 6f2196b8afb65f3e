//! Counting what tenants use, and stopping them at their quotas. docs/architecture.md tells the method.

pub mod amounts;
pub mod bound;
mod flush;
pub mod fold;
pub mod ledger;
pub mod limits;
mod near;
pub mod period;
mod quotas;
mod seats;
pub mod shared;
mod slots;
mod soft;
mod table;
pub mod wording;

use crate::error::Error;
use crate::pg::keyed::{Place, Use};
use crate::pg::moment_lock::{Held, MomentLock};
use crate::pg::xact::{self, Moment};
use crate::rbac::Id;
use amounts::Closed;
use ledger::{Ledger, Open};
use limits::Limit;
use period::{Micros, Period};
use slots::{Slots, Version};
use std::cell::RefCell;
use std::rc::Rc;

pub use quotas::{Meter, has_counters, meter};
pub use wording::{Crossed, Exceeded};

/// Whose usage of what.
type Key = (Id, Rc<str>);

thread_local! {
    static LEDGER: RefCell<Ledger<Key, Place>> = const { RefCell::new(Ledger::new()) };
}

/// Called once when the library loads.
pub fn start() {
    shared::start();
    xact::on_moment(|moment| match moment {
        Moment::PreCommit => settle(),
        Moment::Prepared | Moment::Committed | Moment::Aborted => {
            LEDGER.with_borrow_mut(Ledger::clear);
            if moment != Moment::Committed {
                quotas::forget_undecided();
            }
        }
        Moment::SubtransactionAborted(depth) => {
            quotas::forget_undecided();
            LEDGER.with_borrow_mut(|ledger| ledger.savepoint_rolled_back(depth));
        }
        Moment::SubtransactionCommitted(depth) => {
            LEDGER.with_borrow_mut(|ledger| ledger.savepoint_released(depth));
        }
    });
}

/// What came of recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Recorded {
    Done,
    /// There is no such tenant, or no longer.
    NoTenant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforce {
    /// Nothing beyond a hard quota.
    Hard,
    /// What has happened is counted, whatever the quota.
    Nothing,
}

/// A quota, and how far it is used: by the newest state, with what open transactions may yet add.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub limit: Limit,
    pub used: i128,
    /// How much of that open transactions of others may give back.
    pub reserved: i128,
}

/// A lock of the tenant's usage of a meter, for as long as it takes to write one's slot and to look at the others.
///
/// Whoever holds it alone looks, tests and writes. Those who share it write first and then look at all versions: of any two
/// the one that wrote later sees what the other wrote, so of any number the last sees all, and he tests too. A version that
/// another replaces meanwhile may be missed, but whoever replaced it wrote later still, and tests; and what was written before
/// cannot have been cleared away, since the statement's snapshot is older.
fn moment(tenant: &Id, meter: &str, held: Held) -> MomentLock {
    // FNV-1a (Fowler, Noll, Vo), for all backends alike.
    let bytes = tenant.iter().chain(meter.as_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    MomentLock::take(hash, held)
}

/// Adds to what a tenant has used of a meter, in the present transaction.
pub fn record(tenant: &Id, meter: &Meter, amount: i64, enforce: Enforce) -> Result<Recorded, Error> {
    if amount == 0 {
        return Ok(Recorded::Done);
    }
    let now = xact::now();
    let limits = quotas::limits_of(tenant, meter, now);
    let key = (*tenant, Rc::clone(&meter.name));
    let known = LEDGER.with_borrow(|ledger| ledger.get(&key));
    let is_new = known.is_none_or(|open| Period::Hour.start(now) > open.base.hour_start);
    if let Some(mut open) = known.filter(|open| !is_new && open.limits == limits::fingerprint(&limits)) {
        open.calls = open.calls.saturating_add(1);
        let recorded = open.recorded.checked_add(amount).ok_or(Error::UsageOverflow)?;
        open.base.plus(recorded).map_err(|_| Error::UsageOverflow)?;
        // What was written ahead of it was within these limits; and what falls may lag behind, unless somebody is told of it.
        let told = limits.iter().any(|limit| limit.soft.is_some());
        let covered = recorded <= open.written && (amount > 0 || (!told && open.may_lag(recorded)));
        if covered {
            open.recorded = recorded;
            LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
            return Ok(Recorded::Done);
        }
    }
    let slots = Slots::open(tenant, &meter.name, Use::Writing).ok_or(Error::UsageTables)?;
    let work = Work { slots, tenant, meter, amount, enforce, limits, now };
    let (mut known, mut passed_over, mut closed_before) = (known, 0, None);
    let mut held = if near::is_near(&key, now) { Held::Alone } else { Held::Shared };
    let crossed = loop {
        // The lock goes before a slot or a closed period is inserted: that may wait for whoever deletes the tenant.
        match work.write(known, passed_over, held)? {
            Written::Done { open, closed, crossed } => {
                LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
                if let Some(closed) = closed.or(closed_before) {
                    work.slots.close(closed.start, closed.amount);
                }
                break crossed;
            }
            Written::Near { open, closed } => {
                near::remember(&key, now);
                (known, closed_before, held) = (Some(open), closed, Held::Alone);
            }
            Written::NeedsLock => held = Held::Alone,
            Written::Lost(slot) => passed_over = slot,
            Written::NeedsSlot(slot) => {
                if !work.slots.insert(slot, now) {
                    return Ok(Recorded::NoTenant);
                }
            }
        }
    };
    crossed.into_iter().for_each(|crossed| Error::SoftQuota(Box::new(crossed)).notice());
    Ok(Recorded::Done)
}

enum Written {
    Done {
        open: Open<Place>,
        closed: Option<Closed>,
        crossed: Vec<Crossed>,
    },
    /// It is written, but may be more than a limit allows: only who holds the lock alone can tell.
    Near {
        open: Open<Place>,
        closed: Option<Closed>,
    },
    /// Nothing is written: it asks for the lock alone.
    NeedsLock,
    /// The slot of this number was taken meanwhile, to fold it or with its tenant.
    Lost(i64),
    /// This backend has no slot of the number yet.
    NeedsSlot(i64),
}

/// What is to be recorded.
struct Work<'w> {
    slots: Slots<'w>,
    tenant: &'w Id,
    meter: &'w Meter,
    amount: i64,
    enforce: Enforce,
    limits: Vec<Limit>,
    now: Micros,
}

impl Work<'_> {
    /// Writes the slot, and tests the limits, if there are any.
    fn write(&self, known: Option<Open<Place>>, passed_over: i64, held: Held) -> Result<Written, Error> {
        let limited = !self.limits.is_empty();
        let told = self.limits.iter().any(|limit| limit.soft.is_some());
        // What falls may end an event, and what is written ahead depends on what is left.
        let many = known.is_some_and(|open| open.is_exact_no_more());
        if limited && held == Held::Shared && ((told && self.amount < 0) || many) {
            return Ok(Written::NeedsLock);
        }
        let _moment = limited.then(|| moment(self.tenant, &self.meter.name, held));
        let alone = limited && held == Held::Alone;
        let versions = if alone { self.slots.versions() } else { Vec::new() };
        let before = match own_slot(&self.slots, &versions, alone, known, passed_over) {
            Ok(open) => open,
            Err(number) => return Ok(Written::NeedsSlot(number)),
        };
        let mut open = before;
        let recorded = open.recorded.checked_add(self.amount).ok_or(Error::UsageOverflow)?;
        open.calls = open.calls.saturating_add(1);
        open.limits = limits::fingerprint(&self.limits);
        let (base, closed) = open.base.at(self.now, self.meter.period);
        open.base = base;
        base.plus(recorded).map_err(|_| Error::UsageOverflow)?;
        let counted = if limited { shared::pending(self.tenant, &self.meter.name) } else { 0 };
        let standings = match alone {
            true => standings(&versions, &open, &self.limits, counted, self.now),
            false => Vec::new(),
        };
        if alone && self.enforce == Enforce::Hard && self.amount > 0 {
            check(self.meter, &standings, self.amount, open.recorded, self.now)?;
        }
        open.recorded = recorded;
        let ahead = open.ahead(room(&standings, recorded));
        let ahead = if base.plus(ahead).is_ok() { ahead } else { recorded };
        if !write(&self.slots, &mut open, ahead)? {
            return Ok(Written::Lost(open.slot));
        }
        if limited && !alone && self.amount > 0 && !self.is_far(&open, counted) {
            let open = Open { recorded: before.recorded, calls: before.calls, ..open };
            return Ok(Written::Near { open, closed });
        }
        let crossed = soft::note(self.tenant, self.meter, &standings, recorded, self.now)?;
        Ok(Written::Done { open, closed, crossed })
    }

    /// Whether no limit is reached, whatever becomes of what is being written by others.
    fn is_far(&self, open: &Open<Place>, counted: i64) -> bool {
        let versions = self.slots.all_versions();
        self.limits.iter().all(|limit| {
            let within = |version: &Version| (version.slot, version.amounts.within(limit.period, self.now));
            let others =
                bound::ceiling(versions.iter().filter(|version| version.slot != open.slot).map(within));
            let mine = i128::from(open.base.within(limit.period, self.now)) + i128::from(open.recorded);
            let used = others + mine + i128::from(counted);
            let hard = limit.hard.filter(|_| self.enforce == Enforce::Hard);
            hard.into_iter().chain(limit.soft).all(|most| used <= i128::from(most))
        })
    }
}

/// The slot that this transaction writes already, or else one of the backend's that no other does; else the number of the
/// one to be made.
fn own_slot(
    slots: &Slots,
    versions: &[Version],
    all_read: bool,
    known: Option<Open<Place>>,
    passed_over: i64,
) -> Result<Open<Place>, i64> {
    let of = |number: i64| -> Vec<Version> {
        match all_read {
            true => versions.iter().filter(|version| version.slot == number).copied().collect(),
            false => slots.versions_of(number),
        }
    };
    if let Some(open) = known.filter(|open| open.slot > passed_over)
        && of(open.slot).iter().any(|version| version.place == open.place)
    {
        return Ok(open);
    }
    // What the lost one lacks, or has too much of: it was deleted, or moved with its whole table, by this transaction.
    let lacking = known.map_or(0, |open| open.recorded.saturating_sub(open.written));
    for number in Slots::numbers().filter(|number| *number > passed_over) {
        match of(number).as_slice() {
            [] => return Err(number),
            [version] if !version.is_undecided() => {
                let open = Open::new(number, version.place, version.amounts);
                return Ok(Open { recorded: lacking, ..open });
            }
            _ => {}
        }
    }
    Err(0)
}

/// How much may be used before a hard limit is reached or a soft one crossed.
fn room(standings: &[Standing], recorded: i64) -> i128 {
    let left = |limit: i64, used: i128| i128::from(limit) - used - i128::from(recorded);
    let of = |standing: &Standing| {
        let hard = standing.limit.hard.map(|hard| left(hard, standing.used).max(0));
        let soft = standing.limit.soft.map(|soft| left(soft, standing.used)).filter(|left| *left >= 0);
        [hard, soft]
    };
    standings.iter().flat_map(of).flatten().min().unwrap_or(i128::MAX)
}

/// False if the slot is no longer this transaction's to write.
fn write(slots: &Slots, open: &mut Open<Place>, amount: i64) -> Result<bool, Error> {
    let amounts = open.base.plus(amount).map_err(|_| Error::UsageOverflow)?;
    let Some(place) = slots.write(open.slot, open.place, &amounts) else { return Ok(false) };
    open.place = place;
    open.written = amount;
    Ok(true)
}

/// How far the limits are used by all slots but the present transaction's, by what its slot held before it, and by what
/// is counted in shared memory.
fn standings(
    versions: &[Version],
    open: &Open<Place>,
    limits: &[Limit],
    counted: i64,
    now: Micros,
) -> Vec<Standing> {
    let others = || versions.iter().filter(|version| version.slot != open.slot);
    let mine = |limit: &Limit| open.base.within(limit.period, now).saturating_add(counted);
    limits.iter().map(|limit| standing(limit, others(), mine(limit), now)).collect()
}

fn standing<'v>(
    limit: &Limit,
    versions: impl Iterator<Item = &'v Version>,
    mine: i64,
    now: Micros,
) -> Standing {
    let bound = slots::used(versions, limit.period, now);
    Standing { limit: *limit, used: bound.most + i128::from(mine), reserved: bound.most - bound.committed }
}

/// The escrow test: a hard quota holds even if all open transactions commit.
fn check(
    meter: &Meter,
    standings: &[Standing],
    amount: i64,
    recorded: i64,
    now: Micros,
) -> Result<(), Error> {
    for standing in standings {
        let Some(hard) = standing.limit.hard else { continue };
        let used = standing.used + i128::from(recorded);
        if used + i128::from(amount) > i128::from(hard) {
            let period = standing.limit.period;
            return Err(Error::QuotaExceeded(Box::new(Exceeded {
                meter: meter.name.to_string(),
                unit: meter.unit.to_string(),
                period,
                used,
                reserved: standing.reserved.max(0),
                hard,
                asked: amount,
                resets: (period != Period::None).then(|| period.end(now)),
            })));
        }
    }
    Ok(())
}

/// Before commit: the slots hold exactly what was recorded.
fn settle() {
    if LEDGER.with_borrow(Ledger::is_empty) {
        return;
    }
    for (key, known) in LEDGER.with_borrow(Ledger::unsettled) {
        let (tenant, meter) = (&key.0, &*key.1);
        let Some(slots) = Slots::open(tenant, meter, Use::Writing) else { continue };
        let _moment = known.is_limited().then(|| moment(tenant, meter, Held::Shared));
        // If this transaction has deleted the tenant since, there is no slot any more, and nothing to settle.
        let Ok(mut open) = own_slot(&slots, &[], false, Some(known), 0) else { continue };
        let recorded = open.recorded;
        if write(&slots, &mut open, recorded).unwrap_or_else(|error| error.raise()) {
            LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
        }
    }
}

/// Writes what is recorded and lets go of the slots, for those who read or fold them in the same transaction.
pub fn let_go() {
    settle();
    for key in LEDGER.with_borrow(Ledger::keys) {
        LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), None));
    }
}

/// How the tenant's quotas of a meter stand now, with what the present transaction has recorded.
pub fn standing_of(tenant: &Id, meter: &Meter) -> Vec<Standing> {
    let now = xact::now();
    let limits = quotas::limits_of(tenant, meter, now);
    let Some(slots) = Slots::open(tenant, &meter.name, Use::Reading).filter(|_| !limits.is_empty()) else {
        return Vec::new();
    };
    let versions = slots.versions();
    let ahead = LEDGER
        .with_borrow(|ledger| ledger.get(&(*tenant, Rc::clone(&meter.name))))
        .map_or(0, |open| i128::from(open.recorded) - i128::from(open.written));
    let counted = shared::pending(tenant, &meter.name);
    let with_mine = |limit: &Limit| {
        let mut standing = standing(limit, versions.iter(), counted, now);
        standing.used += ahead;
        standing
    };
    limits.iter().map(with_mine).collect()
}

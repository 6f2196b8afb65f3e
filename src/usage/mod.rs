//! Counting what tenants use, and stopping them at their quotas. docs/architecture.md tells the method.

pub mod amounts;
pub mod bound;
mod flush;
pub mod fold;
pub mod grant;
pub mod ledger;
pub mod limits;
mod near;
mod own;
pub mod period;
mod quotas;
mod seats;
pub mod shared;
mod slots;
mod soft;
mod table;
pub mod wording;
mod work;

use crate::cache;
use crate::error::Error;
use crate::pg::keyed::{Place, Use};
use crate::pg::moment_lock::{Held, MomentLock};
use crate::pg::xact::{self, Moment};
use crate::rbac::Id;
use ledger::{Ledger, Open};
use limits::Limit;
use period::Period;
use slots::{Granted, Slots};
use std::cell::RefCell;
use std::rc::Rc;
use work::{Work, Written, own_slot, standing, terms, write};

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
            LEDGER.with_borrow_mut(|ledger| {
                match moment {
                    Moment::Committed => ledger.last().for_each(|(key, open)| own::remember(key, &open)),
                    Moment::Prepared => ledger.last().for_each(|(key, _)| own::forget(key)),
                    _ => {}
                }
                ledger.clear();
            });
            soft::forget_own();
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
fn moment((tenant, meter): &Key, held: Held) -> MomentLock {
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
    let terms = terms(&limits);
    if let Some(mut open) = known.filter(|open| !is_new && open.limits == terms.limits) {
        open.calls = open.calls.saturating_add(1);
        let recorded = open.recorded.checked_add(amount).ok_or(Error::UsageOverflow)?;
        open.base.plus(recorded).map_err(|_| Error::UsageOverflow)?;
        // What was written ahead of it was within these limits; and what falls may lag behind, unless somebody is told of it.
        let told = limits.iter().any(|limit| limit.soft.is_some());
        let covered = recorded <= open.written && (amount > 0 || (!told && open.may_lag(recorded)));
        // Unless it was deleted since, with the tenant.
        let covered = covered
            && Slots::open(tenant, &meter.name, Use::Writing)
                .is_some_and(|slots| slots.at(open.place).is_some());
        if covered {
            open.recorded = recorded;
            LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
            return Ok(Recorded::Done);
        }
    }
    let slots = Slots::open(tenant, &meter.name, Use::Writing).ok_or(Error::UsageTables)?;
    // Who changes a meter's period has writers wait for him.
    if cache::quota_version().numbers() != terms.version {
        drop(slots);
        let meter = quotas::meter(&meter.name).ok_or_else(|| Error::UnknownMeter(meter.name.to_string()))?;
        return record(tenant, &meter, amount, enforce);
    }
    let work = Work { slots, key: &key, meter, amount, enforce, limits, terms, now };
    let (mut known, mut passed_over, mut closed_before) = (known, 0, None);
    let mut held = if near::is_near(&key, now) { Held::Alone } else { Held::Shared };
    let crossed = loop {
        // The lock goes before a slot or a closed period is inserted: that may wait for whoever deletes the tenant.
        match work.write(known, passed_over, held)? {
            Written::Done { open, closed, crossed } => {
                LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
                if let Some(closed) = closed.or(closed_before) {
                    work.slots.close(closed.start, closed.amount)?;
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
                if !work.slots.insert(slot, now)? {
                    return Ok(Recorded::NoTenant);
                }
            }
        }
    };
    crossed.into_iter().for_each(|crossed| Error::SoftQuota(Box::new(crossed)).notice());
    Ok(Recorded::Done)
}

/// Before commit: the slots hold exactly what was recorded.
fn settle() {
    if LEDGER.with_borrow(Ledger::is_empty) {
        return;
    }
    let unsettled = LEDGER.with_borrow(Ledger::unsettled);
    if !unsettled.is_empty() {
        xact::with_snapshot(|| unsettled.into_iter().for_each(settle_one));
    }
}

fn settle_one((key, known): (Key, Open<Place>)) {
    let (tenant, meter) = (&key.0, &*key.1);
    let Some(slots) = Slots::open(tenant, meter, Use::Writing) else { return };
    let _moment = known.is_limited().then(|| moment(&key, Held::Shared));
    // If this transaction has deleted the tenant since, there is no slot any more, and nothing to settle.
    let Ok(mut open) = own_slot(&slots, &key, None, Some(known), 0) else { return };
    let recorded = open.recorded;
    if write(&slots, &mut open, recorded).unwrap_or_else(|error| error.raise()) {
        LEDGER.with_borrow_mut(|ledger| ledger.put(&key, xact::depth(), Some(open)));
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
    let versions = slots.versions_while_written();
    let ahead = LEDGER
        .with_borrow(|ledger| ledger.get(&(*tenant, Rc::clone(&meter.name))))
        .map_or(0, |open| i128::from(open.recorded) - i128::from(open.written));
    let counted = shared::pending(tenant, &meter.name);
    let with_mine = |limit: &Limit| {
        let mut standing = standing(limit, versions.iter(), Granted::IsFree, counted, now);
        standing.used += ahead;
        standing
    };
    limits.iter().map(with_mine).collect()
}

//! Writing one's slot, and testing the limits. Three ways, from the cheapest: spending what was granted before; writing and
//! then looking at all slots, while others may do the same; and looking, testing and then writing, alone.

use super::amounts::Closed;
use super::grant::{Terms, grant};
use super::ledger::Open;
use super::limits::{self, Limit};
use super::period::{Micros, Period};
use super::slots::{Granted, Slots, Version};
use super::{Crossed, Enforce, Exceeded, Key, Meter, Standing, bound, moment, own, shared, slots, soft};
use crate::cache;
use crate::error::Error;
use crate::pg::keyed::Place;
use crate::pg::moment_lock::Held;

/// What came of a try.
pub enum Written {
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
    /// The slot of this number was taken meanwhile, to fold it, for what is granted there, or with its tenant.
    Lost(i64),
    /// This backend has no slot of the number yet.
    NeedsSlot(i64),
}

/// What is to be recorded.
pub struct Work<'w> {
    pub slots: Slots<'w>,
    pub key: &'w Key,
    pub meter: &'w Meter,
    pub amount: i64,
    pub enforce: Enforce,
    pub limits: Vec<Limit>,
    pub terms: Terms,
    pub now: Micros,
}

impl Work<'_> {
    /// Writes the slot, and tests the limits, if there are any.
    pub fn write(&self, known: Option<Open<Place>>, passed_over: i64, held: Held) -> Result<Written, Error> {
        if self.limits.is_empty() {
            return self.write_unlimited(known, passed_over);
        }
        // What of requests is counted and not yet written.
        let counted = shared::pending(&self.key.0, &self.meter.name);
        match held {
            Held::Alone => self.write_alone(known, passed_over, counted),
            Held::Shared => {
                // What falls may end an event, and what is written ahead depends on what is left.
                let told = self.amount < 0 && self.limits.iter().any(|limit| limit.soft.is_some());
                if told || known.is_some_and(|open| open.is_exact_no_more()) {
                    return Ok(Written::NeedsLock);
                }
                self.write_beside_others(known, passed_over, counted)
            }
        }
    }

    fn write_unlimited(&self, known: Option<Open<Place>>, passed_over: i64) -> Result<Written, Error> {
        let mut open = match own_slot(&self.slots, self.key, None, known, passed_over) {
            Ok(open) => open,
            Err(number) => return Ok(Written::NeedsSlot(number)),
        };
        let closed = self.add_to(&mut open)?;
        (open.granted, open.terms) = (0, None);
        let ahead = open.ahead(i128::MAX);
        let ahead = if open.base.plus(ahead).is_ok() { ahead } else { open.recorded };
        Ok(match write(&self.slots, &mut open, ahead)? {
            true => Written::Done { open, closed, crossed: Vec::new() },
            false => Written::Lost(open.slot),
        })
    }

    /// Writes while others may write theirs, and looks at them afterwards, unless what is granted is enough.
    fn write_beside_others(
        &self,
        known: Option<Open<Place>>,
        passed_over: i64,
        counted: i64,
    ) -> Result<Written, Error> {
        let _moment = moment(self.key, Held::Shared);
        let before = match own_slot(&self.slots, self.key, None, known, passed_over) {
            Ok(open) => open,
            Err(number) => return Ok(Written::NeedsSlot(number)),
        };
        let mut open = before;
        let closed = self.add_to(&mut open)?;
        let (adds, limited) = (self.amount > 0, self.enforce == Enforce::Hard);
        // In another period a soft limit may be one again.
        let same_hour = Period::Hour.start(self.now) <= before.base.hour_start;
        let agreed = before.terms == Some(self.terms);
        // Everybody counts what is granted as used already: who looks finds the same sum before and after. But requests are
        // counted without asking, so that more may be granted than is left.
        let spends = adds && limited && agreed && same_hour && counted == 0 && before.granted >= self.amount;
        if spends {
            open.granted -= self.amount;
        } else if adds {
            // What was left when it was last looked at is a guess, which the look that follows has to bear out.
            let left = if agreed && limited { before.left } else { 0 };
            (open.granted, open.terms) = (grant(self.amount, left), Some(self.terms));
        }
        let recorded = open.recorded;
        if !write(&self.slots, &mut open, recorded)? {
            return Ok(Written::Lost(open.slot));
        }
        if adds && !spends {
            let left = self.left_below(&open, counted);
            if left < 0 {
                let open = Open { recorded: before.recorded, calls: before.calls, ..open };
                return Ok(Written::Near { open, closed });
            }
            open.left = left.saturating_add(i128::from(open.granted));
        }
        Ok(Written::Done { open, closed, crossed: Vec::new() })
    }

    /// Looks, tests and writes, while nobody else does.
    fn write_alone(
        &self,
        known: Option<Open<Place>>,
        passed_over: i64,
        counted: i64,
    ) -> Result<Written, Error> {
        let _moment = moment(self.key, Held::Alone);
        // Who has not heard of the first quota yet writes without a lock.
        let mut versions = self.slots.versions_while_written();
        let mut open = match own_slot(&self.slots, self.key, Some(&versions), known, passed_over) {
            Ok(open) => open,
            Err(number) => return Ok(Written::NeedsSlot(number)),
        };
        let closed = self.add_to(&mut open)?;
        let standings = |versions: &[Version], granted| {
            standings(versions, granted, &open, &self.limits, counted, self.now)
        };
        let mut found = standings(&versions, Granted::Counts);
        let others = |version: &&Version| version.slot != open.slot && version.granted > 0;
        // What is granted to others is not used yet, so that nobody is told of it.
        let mut free = match versions.iter().any(|version| others(&version)) {
            true => standings(&versions, Granted::IsFree),
            false => found.clone(),
        };
        if self.amount > 0 && differ(&found, &free, open.recorded) {
            self.check(&free, &open)?;
            // An open transaction keeps what it may yet spend.
            for version in versions.iter().filter(others).filter(|version| !version.is_undecided()) {
                let _taken = self.slots.write(version.slot, version.place, &version.amounts, 0);
            }
            versions = self.slots.versions_while_written();
            found = standings(&versions, Granted::Counts);
            free = standings(&versions, Granted::IsFree);
            if self.enforce == Enforce::Nothing && versions.iter().any(|v| others(&v)) {
                // More is used than those who granted it to themselves knew of.
                cache::signal_quota_change();
            }
        }
        self.check(&found, &open)?;
        (open.granted, open.terms) = (0, None);
        let ahead = open.ahead(room(&found, open.recorded));
        let ahead = if open.base.plus(ahead).is_ok() { ahead } else { open.recorded };
        if !write(&self.slots, &mut open, ahead)? {
            return Ok(Written::Lost(open.slot));
        }
        let crossed = soft::note(self, &free, open.recorded)?;
        Ok(Written::Done { open, closed, crossed })
    }

    /// With the amount recorded, in the present period.
    fn add_to(&self, open: &mut Open<Place>) -> Result<Option<Closed>, Error> {
        open.recorded = open.recorded.checked_add(self.amount).ok_or(Error::UsageOverflow)?;
        open.calls = open.calls.saturating_add(1);
        open.limits = self.terms.limits;
        let (base, closed) = open.base.at(self.now, self.meter.period);
        open.base = base;
        base.plus(open.recorded).map_err(|_| Error::UsageOverflow)?;
        Ok(closed)
    }

    /// How much is left below the lowest limit, whatever becomes of what is being written by others; negative if one may be
    /// passed.
    fn left_below(&self, open: &Open<Place>, counted: i64) -> i128 {
        let versions = self.slots.all_versions();
        let is_there = |slot| self.slots.versions_of(slot).iter().any(|version| !version.is_undecided());
        let left = |limit: &Limit| {
            let within = |version: &Version| {
                let amount = version.amounts.within(limit.period, self.now);
                (version.slot, i128::from(amount) + i128::from(version.granted))
            };
            let others = versions.iter().filter(|version| version.slot != open.slot);
            let others = bound::ceiling(others.map(within), is_there);
            let mine = [open.base.within(limit.period, self.now), open.recorded, open.granted, counted];
            let used = others + mine.into_iter().map(i128::from).sum::<i128>();
            let soft = limit.soft.filter(|soft| !soft::is_told(self.key, limit, *soft, self.now));
            limit.hard.into_iter().chain(soft).map(|most| i128::from(most) - used).min()
        };
        self.limits.iter().filter_map(left).min().unwrap_or(i128::MAX)
    }

    /// The escrow test: a hard quota holds even if all open transactions commit. `open` has the amount in it already.
    fn check(&self, standings: &[Standing], open: &Open<Place>) -> Result<(), Error> {
        if self.enforce == Enforce::Nothing || self.amount <= 0 {
            return Ok(());
        }
        for standing in standings {
            let Some(hard) = standing.limit.hard else { continue };
            let used = standing.used + i128::from(open.recorded);
            if used > i128::from(hard) {
                let period = standing.limit.period;
                return Err(Error::QuotaExceeded(Box::new(Exceeded {
                    meter: self.meter.name.to_string(),
                    unit: self.meter.unit.to_string(),
                    period,
                    used: used - i128::from(self.amount),
                    reserved: standing.reserved.max(0),
                    hard,
                    asked: self.amount,
                    resets: (period != Period::None).then(|| period.end(self.now)),
                })));
            }
        }
        Ok(())
    }
}

/// The slot that this transaction writes already, or else one of the backend's that no other does; else the number of the
/// one to be made. `all`: the versions of all slots, where these have been read.
pub fn own_slot(
    slots: &Slots,
    key: &Key,
    all: Option<&[Version]>,
    known: Option<Open<Place>>,
    passed_over: i64,
) -> Result<Open<Place>, i64> {
    let in_place = |slot: i64, place: Place| match all {
        Some(versions) => {
            versions.iter().find(|version| version.slot == slot && version.place == place).copied()
        }
        None => slots.at(place).filter(|version| version.slot == slot),
    };
    let versions_of = |number: i64| -> Vec<Version> {
        match all {
            Some(versions) => versions.iter().filter(|version| version.slot == number).copied().collect(),
            None => slots.versions_of(number),
        }
    };
    if let Some(open) = known.filter(|open| open.slot > passed_over) {
        if in_place(open.slot, open.place).is_some() {
            return Ok(open);
        }
        // This transaction has moved it with its whole table; or else deleted it, and what was recorded with it.
        let written = open.base.plus(open.written);
        if let [version] = versions_of(open.slot).as_slice()
            && Ok(version.amounts) == written
        {
            return Ok(Open { place: version.place, ..open });
        }
    }
    let of = |version: &Version| Open {
        granted: version.granted,
        ..Open::new(version.slot, version.place, version.amounts)
    };
    if let Some(own) = own::last(key).filter(|own| own.slot > passed_over)
        && let Some(version) = in_place(own.slot, own.place).filter(|version| !version.is_undecided())
    {
        return Ok(Open { terms: own.terms, left: own.left, ..of(&version) });
    }
    for number in Slots::numbers().filter(|number| *number > passed_over) {
        match versions_of(number).as_slice() {
            [] => return Err(number),
            [version] if !version.is_undecided() => return Ok(of(version)),
            _ => {}
        }
    }
    Err(0)
}

/// False if the slot is no longer this transaction's to write.
pub fn write(slots: &Slots, open: &mut Open<Place>, amount: i64) -> Result<bool, Error> {
    let amounts = open.base.plus(amount).map_err(|_| Error::UsageOverflow)?;
    let Some(place) = slots.write(open.slot, open.place, &amounts, open.granted) else { return Ok(false) };
    open.place = place;
    open.written = amount;
    Ok(true)
}

/// On what terms something may be granted now. Dated as the limits are, which were just read: what has been told since then
/// is noticed when the slots are open.
pub fn terms(limits: &[Limit]) -> Terms {
    Terms { limits: limits::fingerprint(limits), version: cache::known_quota_version().numbers() }
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

/// Whether a hard limit is passed, or a soft one is only by what is granted to others.
fn differ(found: &[Standing], free: &[Standing], recorded: i64) -> bool {
    let passes = |standing: &Standing, most: Option<i64>| {
        most.is_some_and(|most| standing.used + i128::from(recorded) > i128::from(most))
    };
    found.iter().zip(free).any(|(found, free)| {
        let limit = &found.limit;
        passes(found, limit.hard) || (passes(found, limit.soft) && !passes(free, limit.soft))
    })
}

/// How far the limits are used by all slots but the present transaction's, by what its slot held before it, and by what
/// is counted in shared memory.
fn standings(
    versions: &[Version],
    granted: Granted,
    open: &Open<Place>,
    limits: &[Limit],
    counted: i64,
    now: Micros,
) -> Vec<Standing> {
    let others = || versions.iter().filter(|version| version.slot != open.slot);
    let mine = |limit: &Limit| open.base.within(limit.period, now).saturating_add(counted);
    limits.iter().map(|limit| standing(limit, others(), granted, mine(limit), now)).collect()
}

pub fn standing<'v>(
    limit: &Limit,
    versions: impl Iterator<Item = &'v Version>,
    granted: Granted,
    mine: i64,
    now: Micros,
) -> Standing {
    let bound = slots::used(versions, granted, limit.period, now);
    Standing { limit: *limit, used: bound.most + i128::from(mine), reserved: bound.most - bound.committed }
}

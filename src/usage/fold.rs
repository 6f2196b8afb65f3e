//! Bringing slots together: what many backends have written becomes one row.

use super::amounts::Closed;
use super::bound::FOLDED;
use super::period::Micros;
use super::quotas::Meter;
use super::slots::{Slots, Version};
use super::{let_go, moment, quotas};
use crate::cache;
use crate::error::Error;
use crate::pg::keyed::{KeyedTable, Seen, Use};
use crate::pg::moment_lock::{Held, take_turn};
use crate::pg::scan;
use crate::pg::xact;
use crate::rbac::Id;
use std::collections::BTreeMap;

/// Folds what no open transaction is writing, and says how many slots it did away with: none while another transaction folds.
pub fn fold() -> Result<i64, Error> {
    // Others take it that all of it comes true or nothing (bound.rs).
    if xact::depth() > 1 {
        return Err(Error::InSubtransaction("fold_usage()"));
    }
    if !take_turn(0) {
        return Ok(0);
    }
    let_go();
    let now = xact::now();
    let mut folded = 0;
    for (meter, tenants) in slots_by_meter()? {
        let Some(meter) = quotas::meter(&meter) else { continue };
        for (tenant, count) in tenants {
            if count > 1 {
                pgrx::check_for_interrupts!();
                folded += fold_one(&tenant, &meter, now)?;
            }
        }
    }
    Ok(folded)
}

fn slots_by_meter() -> Result<BTreeMap<String, BTreeMap<Id, usize>>, Error> {
    let schema = scan::schema(cache::SCHEMA).ok_or(Error::UsageTables)?;
    let table = KeyedTable::open(schema, c"usage", None, 8, Use::Reading).ok_or(Error::UsageTables)?;
    let mut found: BTreeMap<String, BTreeMap<Id, usize>> = BTreeMap::new();
    table.scan(&Seen::Undecided, &[], |row| {
        if let Some((tenant, meter)) = row.uuid(1).zip(row.text(2)) {
            *found.entry(meter).or_default().entry(tenant).or_default() += 1;
        }
        true
    });
    Ok(found)
}

fn fold_one(tenant: &Id, meter: &Meter, now: Micros) -> Result<i64, Error> {
    let slots = Slots::open(tenant, &meter.name, Use::Writing).ok_or(Error::UsageTables)?;
    // Before the lock: it waits for whoever deletes the tenant.
    if !slots.versions().iter().any(|version| version.slot == FOLDED) && !slots.insert(FOLDED, now)? {
        return Ok(0);
    }
    let mut closed = BTreeMap::new();
    let folded;
    {
        let _moment = moment(&(*tenant, std::rc::Rc::clone(&meter.name)), Held::Alone);
        let versions = slots.versions();
        // Another transaction that folds leaves it to itself.
        let is_free = |slot| versions.iter().filter(|version| version.slot == slot).count() == 1;
        let is_target =
            |version: &&Version| version.slot == FOLDED && !version.is_undecided() && is_free(FOLDED);
        let Some(target) = versions.iter().find(is_target) else { return Ok(0) };
        // Some may have been written in a later hour than this began in.
        let now = versions.iter().map(|version| version.amounts.hour_start).fold(now, Micros::max);
        let (mut all, over) = target.amounts.at(now, meter.period);
        let mut close = |over: Option<Closed>| {
            over.into_iter()
                .for_each(|over| *closed.entry(over.start).or_insert(0_i128) += i128::from(over.amount));
        };
        close(over);
        let mut gone = Vec::new();
        for version in versions.iter().filter(|version| version.slot != FOLDED && is_free(version.slot)) {
            let (amounts, over) = version.amounts.at(now, meter.period);
            let Ok(more) = all.and(&amounts) else { continue };
            if slots.lock(version) {
                all = more;
                close(over);
                gone.push(version.place);
            }
        }
        // Another transaction that folds leaves it to itself.
        if gone.is_empty() || slots.write(FOLDED, target.place, &all, 0).is_none() {
            return Ok(0);
        }
        folded = i64::try_from(gone.len()).unwrap_or(0);
        gone.into_iter().for_each(|place| slots.delete(place));
    }
    for (start, mut amount) in closed {
        // Several rows of a period are as good as their sum, which may be more than one holds.
        while amount != 0 {
            let part = amount.clamp(i64::MIN.into(), i64::MAX.into());
            slots.close(start, i64::try_from(part).unwrap_or(0))?;
            amount -= part;
        }
    }
    Ok(folded)
}

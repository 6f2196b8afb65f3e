//! What a meter is and which quotas bind a tenant, by the newest committed state and one's own changes: a quota holds from
//! the moment its change is committed, at every isolation level.

use super::limits::{self, Limit};
use super::period::{Micros, Period};
use crate::cache;
use crate::pg::keyed::{KeyedRow, KeyedTable, Seen, Use};
use crate::pg::scan::{self, TextKey};
use crate::pg::snapshot::CatalogSnapshot;
use crate::rbac::Id;
use std::ffi::CStr;

/// What is counted.
#[derive(Clone, Debug)]
pub struct Meter {
    pub name: String,
    pub unit: String,
    pub gauge: bool,
    /// The periods of which history is kept.
    pub period: Period,
}

fn open(table: &CStr, index: Option<&CStr>, columns: usize) -> Option<KeyedTable> {
    KeyedTable::open(scan::schema(cache::SCHEMA)?, table, index, columns, Use::Reading)
}

/// The meter of this name, if there is one.
pub fn meter(name: &str) -> Option<Meter> {
    let table = open(c"meters", Some(c"meters_pkey"), 4)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let key = TextKey::new(name)?;
    let mut found = None;
    table.scan(&Seen::By(&snapshot), &[(1, &key)], |row| {
        found = read_meter(row);
        false
    });
    found
}

/// Whether anything is counted at all.
pub fn has_counters() -> bool {
    let Some(table) = open(c"meters", None, 4) else { return false };
    let snapshot = CatalogSnapshot::take(table.oid());
    let mut found = false;
    table.scan(&Seen::By(&snapshot), &[], |row| {
        found = row.text(3).is_some_and(|kind| kind == "counter");
        !found
    });
    found
}

fn read_meter(row: &KeyedRow) -> Option<Meter> {
    Some(Meter {
        name: row.text(1)?,
        unit: row.text(2)?,
        gauge: row.text(3)? == "gauge",
        period: Period::parse(&row.text(4)?)?,
    })
}

/// Whether meter_table() has tables counted by it.
pub fn is_fed_by_tables(meter: &str) -> bool {
    let Some(table) = open(c"metered_tables", Some(c"metered_tables_meter_idx"), 5) else { return false };
    let Some(key) = TextKey::new(meter) else { return false };
    let snapshot = CatalogSnapshot::take(table.oid());
    let mut found = false;
    table.scan(&Seen::By(&snapshot), &[(3, &key)], |_| {
        found = true;
        false
    });
    found
}

/// The limits that bind a tenant now.
pub fn limits_of(tenant: &Id, meter: &Meter, now: Micros) -> Vec<Limit> {
    read_limits(tenant, meter, now).unwrap_or_default()
}

fn read_limits(tenant: &Id, meter: &Meter, now: Micros) -> Option<Vec<Limit>> {
    let key = TextKey::new(&meter.name)?;
    let quotas = open(c"quotas", Some(c"quotas_pkey"), 6)?;
    let snapshot = CatalogSnapshot::take(quotas.oid());
    let seen = Seen::By(&snapshot);
    let mut own = Vec::new();
    quotas.scan(&seen, &[(1, tenant), (2, &key)], |row| {
        if limits::holds(row.number(6), now) {
            own.extend(read_limit(row));
        }
        true
    });
    let mut from_plan = Vec::new();
    if let Some(plan) = plan_of(tenant, &seen, now)? {
        let plan = TextKey::new(&plan)?;
        open(c"plan_quotas", Some(c"plan_quotas_pkey"), 5)?.scan(&seen, &[(1, &plan), (2, &key)], |row| {
            from_plan.extend(read_limit(row));
            true
        });
    }
    // A present amount has no periods.
    let mut limits = limits::effective(own, from_plan);
    limits.retain(|limit| !meter.gauge || limit.period == Period::None);
    Some(limits)
}

/// quotas and plan_quotas agree on these columns.
fn read_limit(row: &KeyedRow) -> Option<Limit> {
    Some(Limit { period: Period::parse(&row.text(3)?)?, soft: row.number(4), hard: row.number(5) })
}

/// The tenant's plan, or else the default one.
fn plan_of(tenant: &Id, seen: &Seen, now: Micros) -> Option<Option<String>> {
    let mut plan = None;
    open(c"tenant_plans", Some(c"tenant_plans_pkey"), 3)?.scan(seen, &[(1, tenant)], |row| {
        plan = if limits::holds(row.number(3), now) { row.text(2) } else { None };
        false
    });
    if plan.is_none() {
        open(c"plans", None, 3)?.scan(seen, &[], |row| {
            plan = if row.flag(3) { row.text(1) } else { None };
            plan.is_none()
        });
    }
    Some(plan)
}

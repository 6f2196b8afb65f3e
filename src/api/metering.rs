//! What the management functions of metered tables ask of the native core. Nobody but our owner may call these: they read any
//! table, and write any tenant's usage.

use crate::error::Error;
use crate::metering;
use crate::pg::scan::Table;
use crate::pg::snapshot::CatalogSnapshot;
use crate::usage::{self, Enforce, Recorded};
use pgrx::Uuid;
use pgrx::prelude::*;

/// What is there now of each tenant in the table itself, without its partitions and children, for the gauges that count it.
/// A size that is none is an error if `strict`, else 0.
#[pg_extern]
fn measure_table(
    relation: pg_sys::Oid,
    strict: bool,
) -> TableIterator<'static, (name!(tenant, Uuid), name!(meter, String), name!(amount, i64))> {
    let mut rows = Vec::new();
    if let Some(table) = Table::open(relation) {
        metering::present(&table, &CatalogSnapshot::latest(), strict, |amount| {
            rows.push((Uuid::from_bytes(amount.tenant), amount.meter.name.to_string(), amount.amount));
        })
        .unwrap_or_else(|error| error.raise());
    }
    TableIterator::new(rows)
}

/// What is wrong with these gauges.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn usage_differences(
    meters: Vec<String>,
) -> TableIterator<
    'static,
    (name!(tenant, Uuid), name!(meter, String), name!(counted, i64), name!(actual, i64)),
> {
    let found = metering::differences(&meters).unwrap_or_else(|error| error.raise());
    TableIterator::new(found.into_iter().map(|d| (Uuid::from_bytes(d.tenant), d.meter, d.counted, d.actual)))
}

/// Adds to a tenant's usage what has happened anyway, whatever the quota; of a tenant that is gone, nothing.
#[pg_extern]
fn correct_usage(tenant: Uuid, meter: &str, amount: i64) {
    let meter = usage::meter(meter).unwrap_or_else(|| Error::UnknownMeter(meter.to_owned()).raise());
    match usage::record(tenant.as_bytes(), &meter, amount, Enforce::Nothing) {
        Ok(Recorded::Done | Recorded::NoTenant) => {}
        Err(error) => error.raise(),
    }
}

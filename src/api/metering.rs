//! What the management functions of metered tables ask of the native core. Nobody but our owner may call these: they read any
//! table, and write any tenant's usage.

use crate::error::Error;
use crate::metering::{self, Tally};
use crate::pg::scan::Table;
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
    let measured = measure(relation, strict).unwrap_or_else(|error| error.raise());
    TableIterator::new(measured)
}

fn measure(relation: pg_sys::Oid, strict: bool) -> Result<Vec<(Uuid, String, i64)>, Error> {
    let (Some(metered), Some(table)) = (metering::metered(relation), Table::open(relation)) else {
        return Ok(Vec::new());
    };
    let Some(layout) = table.layout(&metered.tenant_column, &metered.wanted) else { return Ok(Vec::new()) };
    let mut tally = Tally::default();
    if let Some(mut rows) = table.present_rows() {
        let bad_size = |reason| metered.bad_size(table.name(), reason);
        tally.count(&mut rows, &layout, 1, strict).map_err(bad_size)?;
    }
    let amounts = metered.amounts(tally, true)?;
    Ok(amounts.into_iter().map(|a| (Uuid::from_bytes(a.tenant), a.meter.name.clone(), a.amount)).collect())
}

/// How much each tenant is counted to use of a gauge, by the newest committed state and one's own changes.
#[pg_extern]
fn counted_usage(meter: &str) -> TableIterator<'static, (name!(tenant, Uuid), name!(amount, i64))> {
    usage::let_go();
    let counted = metering::counted(meter).unwrap_or_else(|| Error::UsageTables.raise());
    let rows = counted.into_iter().map(|(tenant, amount)| {
        let amount = i64::try_from(amount).unwrap_or_else(|_| Error::UsageOverflow.raise());
        (Uuid::from_bytes(tenant), amount)
    });
    TableIterator::new(rows.collect::<Vec<_>>())
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

//! What tables hold, and what is counted of it. A transaction's rows and its usage are committed together, so that one
//! snapshot sees both or neither: what differs by it is wrong, however many write meanwhile.

use super::tables::{counted, fed_by};
use super::{Amount, Tally, metered};
use crate::error::Error;
use crate::pg::scan::Table;
use crate::pg::snapshot::CatalogSnapshot;
use crate::rbac::Id;
use crate::usage;
use pgrx::pg_sys::Oid;
use std::collections::BTreeMap;

/// What a tenant is counted to use of a gauge, and what there is.
pub struct Difference {
    pub tenant: Id,
    pub meter: String,
    pub counted: i64,
    pub actual: i64,
}

/// What a table itself, without its partitions and children, holds of each tenant, for the gauges that count it: `each` is
/// told. A size that is none is an error if `strict`, else 0.
pub fn present(
    table: &Table,
    snapshot: &CatalogSnapshot,
    strict: bool,
    each: impl FnMut(Amount<'_>),
) -> Result<(), Error> {
    let Some(metered) = metered(table.oid()) else { return Ok(()) };
    let Some(layout) = table.layout(&metered.tenant_column, &metered.wanted) else { return Ok(()) };
    let mut tally = Tally::default();
    if let Some(mut rows) = table.rows(snapshot) {
        let bad_size = |reason| metered.bad_size(table.name(), reason);
        tally.count(&mut rows, &layout, 1, strict).map_err(bad_size)?;
    }
    metered.amounts(tally, true)?.into_iter().for_each(each);
    Ok(())
}

/// All that is wrong with these gauges. Nobody else may be repairing them.
pub fn differences(meters: &[String]) -> Result<Vec<Difference>, Error> {
    usage::let_go();
    let (tables, snapshot) = tables_and_snapshot(meters)?;
    let mut found: BTreeMap<(Id, String), (i128, i128)> = BTreeMap::new();
    for meter in meters {
        for (tenant, amount) in counted(meter, &snapshot).ok_or(Error::UsageTables)? {
            found.entry((tenant, meter.clone())).or_default().0 = amount;
        }
    }
    for table in &tables {
        present(table, &snapshot, false, |amount| {
            if meters.iter().any(|meter| **meter == *amount.meter.name) {
                let sums = found.entry((amount.tenant, amount.meter.name.to_string())).or_default();
                sums.1 += i128::from(amount.amount);
            }
        })?;
    }
    let bigint = |amount: i128| i64::try_from(amount).map_err(|_| Error::UsageOverflow);
    found
        .into_iter()
        .filter(|(_, (counted, actual))| counted != actual)
        .map(|((tenant, meter), (counted, actual))| {
            Ok(Difference { tenant, meter, counted: bigint(counted)?, actual: bigint(actual)? })
        })
        .collect()
}

/// The tables that feed the gauges, locked against what no snapshot shows, as TRUNCATE is, and then the snapshot.
fn tables_and_snapshot(meters: &[String]) -> Result<(Vec<Table>, CatalogSnapshot), Error> {
    let mut expected = fed_by(meters, &CatalogSnapshot::latest()).ok_or(Error::UsageTables)?;
    loop {
        let tables: Vec<Table> =
            expected.iter().filter_map(|relation| Table::open(Oid::from(*relation))).collect();
        let snapshot = CatalogSnapshot::latest();
        let found = fed_by(meters, &snapshot).ok_or(Error::UsageTables)?;
        if found == expected {
            return Ok((tables, snapshot));
        }
        expected = found;
    }
}

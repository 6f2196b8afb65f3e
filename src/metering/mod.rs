//! Counting the rows of protected tables, and their bytes, by tenant.

mod recount;
mod tables;
mod tally;

use crate::error::Error;
use crate::pg::measure::{BadSize, Key, Layout};
use crate::pg::transition::Rows;
use crate::rbac::Id;
use crate::usage::{self, Enforce, Meter, Recorded};
use std::collections::BTreeMap;

pub use recount::{differences, present};
pub use tables::{Metered, metered};
pub use tally::Tally;

/// Called once when the library loads.
pub fn start() {
    // Rows that MERGE moves between partitions are in neither transition table, or in one only (x: Postgres 15).
    crate::pg::plan::on_merge(|target| {
        if metered(target).is_some() {
            Error::MergeOfPartitions(crate::pg::scan::quoted_relation(target).unwrap_or_default()).raise();
        }
    });
}

impl Tally {
    /// Adds the rows, or takes them away. Rows that are there already may have been written while nothing looked at their
    /// size: what is none is 0 then.
    pub fn count(
        &mut self,
        rows: &mut Rows<'_>,
        layout: &Layout,
        sign: i128,
        strict: bool,
    ) -> Result<(), BadSize> {
        let mut key = Key::default();
        while let Some(run) = rows.next_run(layout, &mut key) {
            let bytes = match layout.has_size_column() {
                false => run.bytes,
                true if key == Key::Nobody => 0,
                true => match rows.size(layout) {
                    Err(_) if !strict => 0,
                    size => size?,
                },
            };
            self.add(&key, sign * i128::from(run.rows), sign * i128::from(bytes));
        }
        Ok(())
    }
}

/// What a meter is to be told of a tenant.
pub struct Amount<'m> {
    pub tenant: Id,
    pub meter: &'m Meter,
    pub amount: i64,
}

impl Metered {
    pub fn bad_size(&self, table: String, reason: BadSize) -> Error {
        Error::BadSize { table, column: self.size_column.clone().unwrap_or_default(), reason }
    }

    /// By tenant and then by meter, so that no two statements meet in different orders. Of counters only what was added;
    /// with `gauges_only` nothing.
    pub fn amounts(&self, tally: Tally, gauges_only: bool) -> Result<Vec<Amount<'_>>, Error> {
        let mut by_tenant = BTreeMap::new();
        let tenants = tables::Tenants::open();
        for (key, sum) in tally.into_sums() {
            // Rows of a tenant that is gone meanwhile are nobody's.
            if let Some(tenant) = tenants.as_ref().and_then(|tenants| tenants.named(&key)) {
                by_tenant.insert(tenant, sum);
            }
        }
        let mut meters: Vec<(&Meter, bool)> = [(&self.rows, true), (&self.bytes, false)]
            .into_iter()
            .filter_map(|(meter, is_rows)| Some((meter.as_ref()?, is_rows)))
            .collect();
        meters.sort_by(|one, other| one.0.name.cmp(&other.0.name));
        let mut amounts = Vec::new();
        for (tenant, sum) in by_tenant {
            for (meter, is_rows) in &meters {
                let amount = if *is_rows { sum.rows } else { sum.bytes };
                if amount == 0 || (!meter.gauge && (amount < 0 || gauges_only)) {
                    continue;
                }
                let amount = i64::try_from(amount).map_err(|_| Error::UsageOverflow)?;
                amounts.push(Amount { tenant, meter, amount });
            }
        }
        Ok(amounts)
    }

    pub fn record(&self, tally: Tally) -> Result<(), Error> {
        for amount in self.amounts(tally, false)? {
            match usage::record(&amount.tenant, amount.meter, amount.amount, Enforce::Hard)? {
                // Its rows go with it.
                Recorded::Done | Recorded::NoTenant => {}
            }
        }
        Ok(())
    }
}

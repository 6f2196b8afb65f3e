//! The triggers that count a metered table's rows and bytes. sql/bootstrap/meter_table.sql says which a table gets.

use crate::error::Error;
use crate::metering::{Metered, Tally, metered};
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::measure::Wanted;
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::trigger::{Event, Trigger};
use pgrx::pg_sys::Datum;

export! {
    pg_finfo_tenancy_count_rows, tenancy_count_rows => nothing, count_rows;
}

const EXPECTED: &str = "of tenancy.meter_table()";

/// By its name a trigger is known to be one of ours, so that nobody has rows counted twice.
fn count_rows(call: &mut Call) -> Reply {
    let Some(trigger) = call.trigger() else { Error::NotATrigger("count_rows").raise() };
    let expected = match trigger.name().to_bytes() {
        b"~pg_tenancy_meter_insert" => trigger.is_after_statement() && trigger.event() == Event::Insert,
        b"~pg_tenancy_meter_delete" => trigger.is_after_statement() && trigger.event() == Event::Delete,
        b"~pg_tenancy_meter_update" => trigger.is_after_statement() && trigger.event() == Event::Update,
        b"~pg_tenancy_meter_move" => trigger.is_after_update_of_row(),
        b"~pg_tenancy_meter_truncate" => trigger.is_before_statement() && trigger.event() == Event::Truncate,
        // It is there to depend on the size column.
        b"~pg_tenancy_meter_size" => return Reply::Datum(Datum::from(0)),
        _ => false,
    };
    if !expected {
        Error::OtherTrigger("count_rows", EXPECTED).raise();
    }
    // Not, or not yet: a restore.
    if let Some(metered) = metered(trigger.relation()) {
        match count(&trigger, &metered) {
            Ok(()) => {}
            Err(error @ Error::QuotaExceeded(_)) => error.raise_about(c"quota"),
            Err(error) => error.raise(),
        }
    }
    Reply::Datum(Datum::from(0))
}

fn count(trigger: &Trigger, metered: &Metered) -> Result<(), Error> {
    let is_move = trigger.is_after_update_of_row();
    // Rows that only change their tenant change no bytes that are asked for here.
    let wanted = if is_move { &Wanted::Nothing } else { &metered.wanted };
    let Some(layout) = trigger.layout(&metered.tenant_column, wanted) else { return Ok(()) };
    let mut tally = Tally::default();
    if is_move {
        let (old, new) = trigger.keys(&layout);
        tally.add(&old, -1, 0);
        tally.add(&new, 1, 0);
    } else {
        let now = (trigger.event() == Event::Truncate).then(CatalogSnapshot::latest);
        let gone = match &now {
            Some(now) => trigger.rows(now),
            None => trigger.old_rows(),
        };
        for (rows, sign) in [(gone, -1), (trigger.new_rows(), 1)] {
            let Some(mut rows) = rows else { continue };
            tally
                .count(&mut rows, &layout, sign, sign > 0)
                .map_err(|reason| metered.bad_size(trigger.table(), reason))?;
        }
    }
    metered.record(tally)
}

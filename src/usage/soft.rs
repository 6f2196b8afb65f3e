//! Soft limits: a tenant is told once that it uses more, by a row of quota_events, a notification and a NOTICE.

use super::Standing;
use super::period::{Micros, Period};
use super::quotas::Meter;
use super::wording::Crossed;
use crate::cache;
use crate::error::Error;
use crate::pg::keyed::{KeyedTable, Seen, Use};
use crate::pg::scan::{self, TextKey};
use crate::rbac::Id;
use crate::rights::{self, Argument};

const INSERT_EVENT: &str = include_str!("../../sql/queries/insert_quota_event.sql");
const END_EVENTS: &str = include_str!("../../sql/queries/end_quota_events.sql");
const COLUMNS: usize = 9;

/// An event that has not ended, also of a transaction that is still open.
#[derive(PartialEq, Eq)]
struct Event {
    period: Period,
    start: Micros,
    soft: i64,
}

/// Records what is crossed and was not before, and ends what is no longer. While the tenant's usage of the meter is locked,
/// so that no two tell the same; what is to be said is said afterwards, since a client may be slow to listen.
pub fn note(
    tenant: &Id,
    meter: &Meter,
    standings: &[Standing],
    recorded: i64,
    now: Micros,
) -> Result<Vec<Crossed>, Error> {
    let mut crossed = Vec::new();
    for standing in standings {
        let Some(soft) = standing.limit.soft else { continue };
        let period = standing.limit.period;
        let used = standing.used + i128::from(recorded);
        let event = Event { period, start: period.start(now), soft };
        let exceeds = used > i128::from(soft);
        // What a counter has used of a period never falls.
        if !exceeds && !meter.gauge {
            continue;
        }
        let events = KeyedEvents::open(tenant, meter)?;
        if exceeds && !events.contains(&event) {
            let row = [
                Argument::Uuid(*tenant),
                Argument::Text(&meter.name),
                Argument::Text(period.name()),
                Argument::Moment(event.start),
                Argument::Number(soft),
                Argument::Number(i64::try_from(used).unwrap_or(i64::MAX)),
            ];
            // None is written for a tenant that is just being deleted.
            if rights::write_as_owner(events.table.oid(), INSERT_EVENT, &row) > 0 {
                let (meter, unit) = (meter.name.to_string(), meter.unit.to_string());
                crossed.push(Crossed { meter, unit, period, used, soft, hard: standing.limit.hard });
            }
        } else if !exceeds && !events.all.is_empty() {
            let which = [Argument::Uuid(*tenant), Argument::Text(&meter.name)];
            rights::write_as_owner(events.table.oid(), END_EVENTS, &which);
        }
    }
    Ok(crossed)
}

struct KeyedEvents {
    table: KeyedTable,
    all: Vec<Event>,
}

impl KeyedEvents {
    fn open(tenant: &Id, meter: &Meter) -> Result<Self, Error> {
        let schema = scan::schema(cache::SCHEMA).ok_or(Error::UsageTables)?;
        let index = c"quota_events_tenant_id_idx";
        let table = KeyedTable::open(schema, c"quota_events", Some(index), COLUMNS, Use::Reading);
        let (table, key) = table.zip(TextKey::new(&meter.name)).ok_or(Error::UsageTables)?;
        let mut all = Vec::new();
        table.scan(&Seen::Undecided, &[(2, tenant), (3, &key)], |row| {
            let event = row.number(9).is_none().then(|| {
                let period = Period::parse(&row.text(4)?)?;
                Some(Event { period, start: row.number(5)?, soft: row.number(6)? })
            });
            all.extend(event.flatten());
            true
        });
        Ok(Self { table, all })
    }

    fn contains(&self, event: &Event) -> bool {
        self.all.contains(event)
    }
}

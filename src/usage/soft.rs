//! Soft limits: a tenant is told once that it uses more, by a row of quota_events, a notification and a NOTICE.

use super::limits::Limit;
use super::period::{Micros, Period};
use super::quotas::Meter;
use super::wording::Crossed;
use super::work::Work;
use super::{Key, Standing};
use crate::cache::{self, QuotaVersion};
use crate::error::Error;
use crate::pg::keyed::{KeyedTable, Seen, Use};
use crate::pg::scan::{self, TextKey};
use crate::rbac::Id;
use crate::rights::{self, Argument};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

const INSERT_EVENT: &str = include_str!("../../sql/queries/insert_quota_event.sql");
const END_EVENTS: &str = include_str!("../../sql/queries/end_quota_events.sql");
const COLUMNS: usize = 9;

/// An event that has not ended, also of a transaction that is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Event {
    period: Period,
    start: Micros,
    soft: i64,
}

/// What was told, and the version of meters and quotas then.
struct Told {
    version: QuotaVersion,
    events: Vec<Event>,
}

/// Of so many tenants and meters it is remembered that their soft limit was told.
const KEPT: usize = 1024;

thread_local! {
    /// Events that are committed, of counters: until their period ends these limits are of no more interest.
    static TOLD: RefCell<BTreeMap<Key, Told>> = const { RefCell::new(BTreeMap::new()) };
    /// Whether this transaction has written some, which a rollback would take back.
    static WROTE: Cell<bool> = const { Cell::new(false) };
}

/// A transaction has ended.
pub fn forget_own() {
    WROTE.set(false);
}

/// Whether it is known that this soft limit was crossed and told, for good, in the present period.
pub fn is_told(key: &Key, limit: &Limit, soft: i64, now: Micros) -> bool {
    let event = Event { period: limit.period, start: limit.period.start(now), soft };
    let version = cache::quota_version();
    TOLD.with_borrow(|told| {
        told.get(key).is_some_and(|told| told.version == version && told.events.contains(&event))
    })
}

fn remember(key: &Key, event: Event) {
    let version = cache::quota_version();
    TOLD.with_borrow_mut(|all| {
        if all.len() >= KEPT {
            all.clear();
        }
        let told = all.entry(key.clone()).or_insert_with(|| Told { version, events: Vec::new() });
        // Those of periods that are over make room.
        told.events.retain(|other| told.version == version && other.period != event.period);
        told.version = version;
        told.events.push(event);
    });
}

/// Records what is crossed and was not before, and ends what is no longer. While the tenant's usage of the meter is locked,
/// so that no two tell the same; what is to be said is said afterwards, since a client may be slow to listen.
pub fn note(work: &Work, standings: &[Standing], recorded: i64) -> Result<Vec<Crossed>, Error> {
    let Work { key, meter, now, .. } = *work;
    let (tenant, mut crossed) = (&key.0, Vec::new());
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
        // A gauge may have fallen where nobody was told: while it had no soft limit, or by several at once.
        let rises = meter.gauge && exceeds && used - i128::from(work.amount) <= i128::from(soft);
        let is_known = events.contains(&event);
        if (rises && is_known) || (!exceeds && !events.all.is_empty()) {
            let which = [Argument::Uuid(*tenant), Argument::Text(&meter.name)];
            rights::write_as_owner(events.table.oid(), END_EVENTS, &which);
        }
        if exceeds && events.is_certain(&event) && !meter.gauge && !WROTE.get() {
            remember(key, event);
        }
        if exceeds && (rises || !is_known) {
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
                WROTE.set(true);
                let (meter, unit) = (meter.name.to_string(), meter.unit.to_string());
                crossed.push(Crossed { meter, unit, period, used, soft, hard: standing.limit.hard });
            }
        }
    }
    Ok(crossed)
}

struct KeyedEvents {
    table: KeyedTable,
    /// And whether they are committed.
    all: Vec<(Event, bool)>,
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
                let event = Event { period, start: row.number(5)?, soft: row.number(6)? };
                Some((event, row.written_by.is_none() && row.replaced_by.is_none()))
            });
            all.extend(event.flatten());
            true
        });
        Ok(Self { table, all })
    }

    fn contains(&self, event: &Event) -> bool {
        self.all.iter().any(|(other, _)| other == event)
    }

    fn is_certain(&self, event: &Event) -> bool {
        self.all.contains(&(*event, true))
    }
}

//! What a meter is and which quotas bind a tenant, by the newest committed state and one's own changes: a quota holds from
//! the moment its change is committed, at every isolation level. Kept until a message tells of a change.

use super::limits::{Limit, Quotas, Until};
use super::period::{Micros, Period};
use crate::cache;
use crate::pg::keyed::{KeyedRow, KeyedTable, Seen, Use};
use crate::pg::scan::{self, TextKey};
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::xact;
use crate::rbac::Id;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::rc::Rc;

/// How many meters, and quotas of tenants, are kept at most.
const KEPT: usize = 4096;

/// What is counted.
#[derive(Clone, Debug)]
pub struct Meter {
    pub name: Rc<str>,
    pub unit: Rc<str>,
    pub gauge: bool,
    /// The periods of which history is kept.
    pub period: Period,
    /// Whether meter_table() has tables counted by it.
    pub fed_by_tables: bool,
}

#[derive(Default)]
struct Book {
    /// When what follows was read.
    version: Option<cache::QuotaVersion>,
    meters: BTreeMap<String, Option<Meter>>,
    quotas: BTreeMap<(Id, Rc<str>), Rc<Quotas>>,
    /// Whether some of it may be this transaction's own change.
    undecided: bool,
}

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

/// At a rollback: what it undid may have been kept.
pub fn forget_undecided() {
    BOOK.with_borrow_mut(|book| {
        if book.undecided {
            *book = Book::default();
        }
    });
}

/// What is kept of the present version, or else what `read` says.
fn recall<T: Clone>(
    kept: impl Fn(&Book) -> Option<T>,
    read: impl FnOnce() -> T,
    keep: impl FnOnce(&mut Book, T),
) -> T {
    let version = cache::quota_version();
    let found = BOOK.with_borrow(|book| if book.version == Some(version) { kept(book) } else { None });
    if let Some(found) = found {
        return found;
    }
    let intact = cache::quotas_are_announced();
    let undecided = xact::has_written();
    // Again: looking at the tables may have read messages.
    let version = cache::quota_version();
    let answer = read();
    if intact && cache::quota_version() == version {
        BOOK.with_borrow_mut(|book| {
            if book.version != Some(version) || book.meters.len() + book.quotas.len() >= KEPT {
                *book = Book { version: Some(version), ..Book::default() };
            }
            book.undecided |= undecided;
            keep(book, answer.clone());
        });
    }
    answer
}

fn open(table: &CStr, index: Option<&'static CStr>, columns: usize) -> Option<KeyedTable> {
    KeyedTable::open(scan::schema(cache::SCHEMA)?, table, index, columns, Use::Reading)
}

/// The meter of this name, if there is one.
pub fn meter(name: &str) -> Option<Meter> {
    recall(
        |book| book.meters.get(name).cloned(),
        || read_meter(name),
        |book, meter| {
            book.meters.insert(name.to_owned(), meter);
        },
    )
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

fn read_meter(name: &str) -> Option<Meter> {
    let table = open(c"meters", Some(c"meters_pkey"), 4)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let (seen, key) = (Seen::By(&snapshot), TextKey::new(name)?);
    let mut fed_by_tables = false;
    open(c"metered_tables", Some(c"metered_tables_meter_idx"), 5)?.scan(&seen, &[(3, &key)], |_| {
        fed_by_tables = true;
        false
    });
    let mut found = None;
    table.scan(&seen, &[(1, &key)], |row| {
        let period = row.text(4).and_then(|period| Period::parse(&period));
        found = row.text(1).zip(row.text(2)).zip(row.text(3)).zip(period);
        false
    });
    found.map(|(((name, unit), kind), period)| Meter {
        name: name.into(),
        unit: unit.into(),
        gauge: kind == "gauge",
        period,
        fed_by_tables,
    })
}

/// The limits that bind a tenant now.
pub fn limits_of(tenant: &Id, meter: &Meter, now: Micros) -> Vec<Limit> {
    let key = (*tenant, Rc::clone(&meter.name));
    let quotas = recall(
        |book| book.quotas.get(&key).cloned(),
        || Rc::new(read_quotas(tenant, &meter.name).unwrap_or_default()),
        |book, quotas| {
            book.quotas.insert(key.clone(), quotas);
        },
    );
    let mut limits = quotas.at(now);
    // A present amount has no periods.
    limits.retain(|limit| !meter.gauge || limit.period == Period::None);
    limits
}

fn read_quotas(tenant: &Id, meter: &str) -> Option<Quotas> {
    let key = TextKey::new(meter)?;
    let table = open(c"quotas", Some(c"quotas_pkey"), 6)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let seen = Seen::By(&snapshot);
    let mut quotas = Quotas::default();
    table.scan(&seen, &[(1, tenant), (2, &key)], |row| {
        quotas.own.extend(read_limit(row).map(|what| Until { what, expires: row.number(6) }));
        true
    });
    let mut plan = None;
    open(c"tenant_plans", Some(c"tenant_plans_pkey"), 3)?.scan(&seen, &[(1, tenant)], |row| {
        plan = row.text(2).map(|what| Until { what, expires: row.number(3) });
        false
    });
    if let Some(Until { what, expires }) = plan {
        quotas.plan = Some(Until { what: limits_of_plan(&what, &key, &seen)?, expires });
    }
    let mut default_plan = None;
    open(c"plans", None, 3)?.scan(&seen, &[], |row| {
        default_plan = if row.flag(3) { row.text(1) } else { None };
        default_plan.is_none()
    });
    if let Some(plan) = default_plan {
        quotas.default_plan = limits_of_plan(&plan, &key, &seen)?;
    }
    Some(quotas)
}

fn limits_of_plan(plan: &str, meter: &TextKey, seen: &Seen) -> Option<Vec<Limit>> {
    let plan = TextKey::new(plan)?;
    let mut limits = Vec::new();
    open(c"plan_quotas", Some(c"plan_quotas_pkey"), 5)?.scan(seen, &[(1, &plan), (2, meter)], |row| {
        limits.extend(read_limit(row));
        true
    });
    Some(limits)
}

/// quotas and plan_quotas agree on these columns.
fn read_limit(row: &KeyedRow) -> Option<Limit> {
    Some(Limit { period: Period::parse(&row.text(3)?)?, soft: row.number(4), hard: row.number(5) })
}

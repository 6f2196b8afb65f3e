//! The rows that amounts stand in, of a table that any number of transactions write at once: each has rows of its own, its
//! slots, which no other open transaction touches. So nobody waits for another's commit.

use super::amounts::Amounts;
use super::bound::{self, Bound};
use super::period::{Micros, Period};
use super::quotas;
use crate::cache;
use crate::error::Error;
use crate::pg::keyed::{KeyedRow, KeyedTable, Place, Seen, Use, Value};
use crate::pg::scan::{self, TextKey};
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::xact;
use crate::rbac::Id;
use crate::rights::{self, Argument};
use pgrx::pg_sys::Oid;
use std::cell::Cell;
use std::collections::BTreeSet;

const COLUMNS: usize = 9;
/// Backends are numbered below this. A slot that a prepared transaction holds is passed over for the next that many on.
const STRIDE: usize = 1 << 24;

/// How often slots are read again at most.
const READINGS: usize = 4;

thread_local! {
    /// Where the table was last: its schema and itself.
    static WHERE: Cell<Option<(Oid, Oid)>> = const { Cell::new(None) };
}

const INSERT_SLOT: &str = include_str!("../../sql/queries/insert_slot.sql");
const INSERT_PERIOD: &str = include_str!("../../sql/queries/insert_period.sql");

/// The slots of one tenant and meter.
pub struct Slots<'k> {
    table: KeyedTable,
    tenant: &'k Id,
    meter: &'k str,
    key: TextKey,
}

/// A version of a slot.
#[derive(Clone, Copy)]
pub struct Version {
    pub slot: i64,
    pub place: Place,
    pub amounts: Amounts,
    /// What the backend may add without looking at other slots.
    pub granted: i64,
    pub written_by: Option<u32>,
    pub replaced_by: Option<u32>,
}

impl Version {
    fn read(row: &KeyedRow) -> Option<Self> {
        Some(Self {
            slot: row.number(3)?,
            place: row.place,
            amounts: Amounts {
                hour_start: row.number(4)?,
                hour: row.number(5)?,
                day: row.number(6)?,
                month: row.number(7)?,
                total: row.number(8)?,
            },
            granted: row.number(9)?,
            written_by: row.written_by,
            replaced_by: row.replaced_by,
        })
    }

    pub fn is_undecided(&self) -> bool {
        self.written_by.is_some() || self.replaced_by.is_some()
    }
}

impl<'k> Slots<'k> {
    /// `None` if the table or its index is not there, as where the library is newer than the SQL.
    pub fn open(tenant: &'k Id, meter: &'k str, used: Use) -> Option<Self> {
        let index = Some(c"usage_pkey");
        let open = |last: &_| KeyedTable::open_again(last, cache::SCHEMA, c"usage", index, COLUMNS, used);
        let table = WHERE.with(open)?;
        Some(Self { table, tenant, meter, key: TextKey::new(meter)? })
    }

    /// All versions that are not dead.
    pub fn versions(&self) -> Vec<Version> {
        let mut versions = Vec::new();
        self.table.scan(&Seen::Undecided, &[(1, self.tenant), (2, &self.key)], |row| {
            versions.extend(Version::read(row));
            true
        });
        versions
    }

    /// The same for who holds no lock. A slot whose new version goes to a place that the scan has passed, and commits before the
    /// scan comes to the old one, is missed: so it is read until two readings in turn find the same slots.
    pub fn versions_while_written(&self) -> Vec<Version> {
        let slots =
            |versions: &[Version]| versions.iter().map(|version| version.slot).collect::<BTreeSet<i64>>();
        let mut versions = self.versions();
        for _ in 0..READINGS {
            let again = self.versions();
            let same = slots(&again) == slots(&versions);
            versions = again;
            if same {
                break;
            }
        }
        versions
    }

    /// All versions that have not been cleared away.
    pub fn all_versions(&self) -> Vec<Version> {
        let mut versions = Vec::new();
        self.table.scan(&Seen::All, &[(1, self.tenant), (2, &self.key)], |row| {
            versions.extend(Version::read(row));
            true
        });
        versions
    }

    pub fn versions_of(&self, slot: i64) -> Vec<Version> {
        let mut versions = Vec::new();
        self.table.scan(&Seen::Undecided, &[(1, self.tenant), (2, &self.key), (3, &slot)], |row| {
            versions.extend(Version::read(row));
            true
        });
        versions
    }

    /// What is in a place that a slot of this tenant and meter was in, if one is there.
    pub fn at(&self, place: Place) -> Option<Version> {
        let mut version = None;
        self.table.at(place, |row| {
            let ours = row.uuid(1).as_ref() == Some(self.tenant) && row.is_text(2, self.meter);
            version = if ours { Version::read(row) } else { None };
        });
        version
    }

    /// The number of the slots that this backend writes: the first, and those after it while a prepared transaction has it.
    pub fn numbers() -> impl Iterator<Item = i64> {
        (i64::from(xact::backend_number()) + 1..).step_by(STRIDE)
    }

    /// A new slot with nothing in it; false if there is no such tenant.
    pub fn insert(&self, slot: i64, now: Micros) -> Result<bool, Error> {
        let hour = Argument::Moment(Period::Hour.start(now));
        let row = [Argument::Uuid(*self.tenant), Argument::Text(self.meter), Argument::Number(slot), hour];
        self.of_tenant(rights::write_as_owner(self.table.oid(), INSERT_SLOT, &row))
    }

    /// Locked by this transaction until it ends; false if another has it.
    pub fn lock(&self, version: &Version) -> bool {
        !version.is_undecided() && self.table.lock_row(version.place)
    }

    /// Where the new version is; `None` if another transaction has the slot, or it is gone.
    pub fn write(&self, slot: i64, place: Place, amounts: &Amounts, granted: i64) -> Option<Place> {
        self.table.update(
            place,
            &[
                Value::Uuid(self.tenant),
                Value::Text(&self.key),
                Value::Number(slot),
                Value::Number(amounts.hour_start),
                Value::Number(amounts.hour),
                Value::Number(amounts.day),
                Value::Number(amounts.month),
                Value::Number(amounts.total),
                Value::Number(granted),
            ],
        )
    }

    pub fn delete(&self, place: Place) {
        self.table.delete(place);
    }

    /// Whether a statement found the tenant, and the meter. Its snapshot may be older, and so may that of the foreign key's
    /// look-up above READ COMMITTED: then what is to be counted is not lost but tried again.
    fn of_tenant(&self, written: usize) -> Result<bool, Error> {
        if written > 0 || !self.tenant_exists() {
            return Ok(written > 0);
        }
        if quotas::meter(self.meter).is_none() {
            return Err(Error::UnknownMeter(self.meter.to_owned()));
        }
        if xact::has_one_snapshot() { Err(Error::TenantTooYoung) } else { Ok(false) }
    }

    /// By the newest state.
    fn tenant_exists(&self) -> bool {
        let open = |schema| KeyedTable::open(schema, c"tenants", Some(c"tenants_pkey"), 1, Use::Reading);
        let Some(tenants) = scan::schema(cache::SCHEMA).and_then(open) else { return false };
        let mut exists = false;
        tenants.scan(&Seen::By(&CatalogSnapshot::take(tenants.oid())), &[(1, self.tenant)], |_| {
            exists = true;
            false
        });
        exists
    }

    /// Keeps what a slot held of a period that is over.
    pub fn close(&self, start: Micros, amount: i64) -> Result<(), Error> {
        let (start, amount) = (Argument::Moment(start), Argument::Number(amount));
        let row = [Argument::Uuid(*self.tenant), Argument::Text(self.meter), start, amount];
        self.of_tenant(rights::write_as_owner(self.table.oid(), INSERT_PERIOD, &row)).map(|_| ())
    }
}

/// What is granted to backends that are not just spending it, and so can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    Counts,
    IsFree,
}

/// What the slots come to in the period of a moment, whichever of the open transactions commit.
pub fn used<'v>(
    versions: impl IntoIterator<Item = &'v Version>,
    granted: Granted,
    period: Period,
    now: Micros,
) -> Bound {
    let counts = |version: &Version| granted == Granted::Counts || version.is_undecided();
    bound::bound(versions.into_iter().map(|version| bound::Version {
        slot: version.slot,
        amount: version.amounts.within(period, now),
        granted: if counts(version) { version.granted } else { 0 },
        written_by: version.written_by,
        replaced_by: version.replaced_by,
    }))
}

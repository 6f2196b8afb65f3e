//! What our tables say of a metered table, by the newest committed state and one's own changes.

use crate::pg::measure::{Key, Wanted};
use crate::pg::scan::{self, Column, Table, TextKey};
use crate::pg::snapshot::CatalogSnapshot;
use crate::rbac::Id;
use crate::usage::{self, Meter};
use pgrx::pg_sys::{self, Oid};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;

const SCHEMA: &CStr = c"tenancy";

fn open(name: &CStr) -> Option<Table> {
    Table::open(scan::relation(name, scan::schema(SCHEMA)?)?)
}

/// How a table, or a partition or child of one, is counted.
pub struct Metered {
    pub tenant_column: String,
    pub rows: Option<Meter>,
    pub bytes: Option<Meter>,
    pub wanted: Wanted,
    /// As meter_table() was told.
    pub size_column: Option<String>,
}

/// `None` if it is not metered, or its meters or its protection are gone.
pub fn metered(relation: Oid) -> Option<Metered> {
    let table = open(c"metered_tables")?;
    let column = |name, type_oid| table.column(name, type_oid);
    let table_id = column(c"table_id", pg_sys::REGCLASSOID)?;
    let root_id = column(c"root_id", pg_sys::REGCLASSOID)?;
    let meter = column(c"meter", pg_sys::TEXTOID)?;
    let measure = column(c"measure", pg_sys::TEXTOID)?;
    let size = column(c"size_column", pg_sys::TEXTOID)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let (mut root, mut rows, mut bytes, mut size_column) = (None, None, None, None);
    table.read(&snapshot, Some((table_id, &relation)), |row| {
        root = row.oid(root_id);
        let name = row.text(meter).map(str::to_owned);
        match row.text(measure) {
            Some("rows") => rows = name,
            Some("bytes") => (bytes, size_column) = (name, row.text(size).map(str::to_owned)),
            _ => {}
        }
    });
    let root = root?;
    let tenant_column = tenant_column(root)?;
    let rows = rows.and_then(|name| usage::meter(&name));
    let bytes = bytes.and_then(|name| usage::meter(&name));
    let wanted = match (&bytes, &size_column) {
        (None, _) => Wanted::Nothing,
        (Some(_), None) => Wanted::Row { columns_of: (root != relation).then_some(root) },
        (Some(_), Some(path)) => {
            let mut steps = path.split('.').map(str::to_owned);
            Wanted::Column { name: steps.next()?, path: steps.collect() }
        }
    };
    (rows.is_some() || bytes.is_some()).then_some(Metered { tenant_column, rows, bytes, wanted, size_column })
}

fn tenant_column(root: Oid) -> Option<String> {
    let table = open(c"protected_tables")?;
    let table_id = table.column(c"table_id", pg_sys::REGCLASSOID)?;
    let options = table.column(c"options", pg_sys::JSONBOID)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let mut found = None;
    table.read(&snapshot, Some((table_id, &root)), |row| found = row.member(options, "tenant_column"));
    found
}

/// The tenants that keys name.
pub struct Tenants {
    table: Table,
    id: Column,
    key: Column,
    key_number: Column,
}

impl Tenants {
    pub fn open() -> Option<Self> {
        let table = open(c"tenants")?;
        let id = table.column(c"id", pg_sys::UUIDOID)?;
        let key = table.column(c"key", pg_sys::TEXTOID)?;
        let key_number = table.column(c"key_number", pg_sys::INT8OID)?;
        Some(Self { table, id, key, key_number })
    }

    /// `None` if there is none.
    pub fn named(&self, key: &Key) -> Option<Id> {
        let snapshot = CatalogSnapshot::take(self.table.oid());
        let mut found = None;
        let each = |row: &scan::Row| found = row.uuid(self.id);
        match key {
            Key::Nobody => {}
            Key::Id(id) => return Some(*id),
            Key::Number(number) => self.table.read(&snapshot, Some((self.key_number, number)), each),
            Key::Text(text) => {
                let text = TextKey::of_database(text)?;
                self.table.read(&snapshot, Some((self.key, &text)), each);
            }
        }
        found
    }
}

/// How much of a gauge each tenant is counted to use, by this snapshot.
pub fn counted(meter: &str, snapshot: &CatalogSnapshot) -> Option<BTreeMap<Id, i128>> {
    let table = open(c"usage")?;
    let tenant_id = table.column(c"tenant_id", pg_sys::UUIDOID)?;
    let name = table.column(c"meter", pg_sys::TEXTOID)?;
    let total = table.column(c"total", pg_sys::INT8OID)?;
    let mut sums = BTreeMap::new();
    let key = TextKey::new(meter)?;
    table.read(snapshot, Some((name, &key)), |row| {
        if let (Some(tenant), Some(amount)) = (row.uuid(tenant_id), row.bigint(total)) {
            *sums.entry(tenant).or_insert(0) += i128::from(amount);
        }
    });
    Some(sums)
}

/// The tables that feed a meter, by this snapshot, in order.
pub fn fed_by(meters: &[String], snapshot: &CatalogSnapshot) -> Option<BTreeSet<u32>> {
    let table = open(c"metered_tables")?;
    let table_id = table.column(c"table_id", pg_sys::REGCLASSOID)?;
    let meter = table.column(c"meter", pg_sys::TEXTOID)?;
    let mut found = BTreeSet::new();
    table.read(snapshot, None, |row| {
        if row.text(meter).is_some_and(|name| meters.iter().any(|meter| meter == name)) {
            found.extend(row.oid(table_id).map(u32::from));
        }
    });
    Some(found)
}

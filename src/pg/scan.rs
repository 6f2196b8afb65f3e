//! Reading our own tables directly: whatever the caller's privileges and row_security, without plans,
//! search_path or policies. The functions are those that read the catalogs (access/genam.h).

use super::compat;
use super::snapshot::CatalogSnapshot;
use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;

/// The schema, if it exists.
pub fn schema(name: &CStr) -> Option<Oid> {
    // SAFETY: a syscache lookup by name; missing_ok.
    Some(unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) }).filter(|oid| *oid != Oid::INVALID)
}

/// The relation of that name in a schema, if it exists.
pub fn relation(name: &CStr, schema: Oid) -> Option<Oid> {
    // SAFETY: a syscache lookup by name that returns InvalidOid for none.
    Some(unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) }).filter(|oid| *oid != Oid::INVALID)
}

/// The function of that name and those argument types in a schema, if it exists.
pub fn function(name: &CStr, arguments: &[Oid], schema: Oid) -> Option<Oid> {
    // SAFETY: a syscache lookup by name, argument types and schema, which gives InvalidOid for none.
    let found = unsafe {
        let types = pg_sys::buildoidvector(arguments.as_ptr(), i32::try_from(arguments.len()).ok()?);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as i32,
            pg_sys::Anum_pg_proc_oid as i16,
            pg_sys::Datum::from(name.as_ptr()),
            pg_sys::Datum::from(types),
            pg_sys::Datum::from(schema),
            pg_sys::Datum::from(0),
        )
    };
    Some(found).filter(|oid| *oid != Oid::INVALID)
}

/// A name as it is written in a statement.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The schema-qualified name of a relation, as it is written in a statement.
pub fn quoted_relation(relation: Oid) -> Option<String> {
    // SAFETY: each gives null or a palloc'd C string (lsyscache.c).
    let (schema, name) = unsafe {
        let name = pg_sys::get_rel_name(relation);
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        if name.is_null() || schema.is_null() {
            return None;
        }
        (CStr::from_ptr(schema).to_str().ok()?, CStr::from_ptr(name).to_str().ok()?)
    };
    Some(format!("{}.{}", quoted(schema), quoted(name)))
}

impl Column {
    pub fn index(self) -> Option<Oid> {
        self.index
    }
}

/// A table opened under AccessShareLock.
pub struct Table {
    raw: pg_sys::Relation,
}

/// What a column may be compared with. The column was found with that type.
pub trait Key {
    fn datum(&self) -> pg_sys::Datum;
    fn equality(&self) -> Oid;
}

impl Key for [u8; 16] {
    fn datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.as_ptr())
    }

    fn equality(&self) -> Oid {
        Oid::from(pg_sys::F_UUID_EQ)
    }
}

impl Key for Oid {
    fn datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(*self)
    }

    fn equality(&self) -> Oid {
        Oid::from(pg_sys::F_OIDEQ)
    }
}

/// A text in the database's encoding, as a datum in the current memory context.
pub struct TextKey(pg_sys::Datum);

impl TextKey {
    /// `None` for what is no text of a database in this encoding: one of another has ASCII only in common with UTF-8.
    pub fn new(text: &str) -> Option<Self> {
        // SAFETY: reads a static variable (mbutils.c).
        let is_utf8 = || unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32;
        let same = text.is_ascii() || is_utf8();
        if same { pgrx::IntoDatum::into_datum(text).map(Self) } else { None }
    }

    /// Of what is text of this database already. A bytea is made like a text.
    pub fn of_database(text: &[u8]) -> Option<Self> {
        pgrx::IntoDatum::into_datum(text).map(Self)
    }
}

impl Key for TextKey {
    fn datum(&self) -> pg_sys::Datum {
        self.0
    }

    fn equality(&self) -> Oid {
        Oid::from(pg_sys::F_TEXTEQ)
    }
}

/// A column, found by name, of a type checked at that time, and the index to find its values by.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// 1-based, as catalogs count.
    number: i16,
    /// What its index is ordered by, if it is text.
    collation: Oid,
    /// A usable btree index of which it is the first column; without one a scan reads the heap.
    index: Option<Oid>,
}

impl Table {
    /// `None` if it has been dropped meanwhile.
    pub fn open(oid: Oid) -> Option<Self> {
        // SAFETY: takes the lock and gives a counted reference or null (access/table.h).
        let raw = unsafe { pg_sys::try_table_open(oid, pg_sys::AccessShareLock as i32) };
        (!raw.is_null()).then(|| Self { raw })
    }

    pub(super) fn raw(&self) -> pg_sys::Relation {
        self.raw
    }

    pub fn oid(&self) -> Oid {
        // SAFETY: `raw` is an open relation for as long as self lives.
        unsafe { (*self.raw).rd_id }
    }

    /// Its name, without its schema.
    pub fn name(&self) -> String {
        // SAFETY: an open relation has a row of pg_class, whose relname ends with NUL.
        let name = unsafe { CStr::from_ptr((*(*self.raw).rd_rel).relname.data.as_ptr()) };
        name.to_string_lossy().into_owned()
    }

    /// How many rows there may be, by the room they take.
    pub fn estimated_rows(&self, bytes_per_row: usize) -> usize {
        // SAFETY: asks for the size of an open relation's main file.
        let blocks =
            unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.raw, pg_sys::ForkNumber::MAIN_FORKNUM) };
        (blocks as usize).saturating_mul(pg_sys::BLCKSZ as usize / bytes_per_row)
    }

    /// The column of this name and type.
    pub fn column(&self, name: &CStr, type_oid: Oid) -> Option<Column> {
        // SAFETY: an open relation has a tuple descriptor of `natts` attributes.
        let (descriptor, count) = unsafe { ((*self.raw).rd_att, (*(*self.raw).rd_att).natts) };
        (0..usize::try_from(count).ok()?).find_map(|index| {
            // SAFETY: index is below natts; attname is a NUL-terminated NameData.
            let (attribute, attribute_name) = unsafe {
                let attribute = &*compat::attribute(descriptor, index);
                (attribute, CStr::from_ptr(attribute.attname.data.as_ptr()))
            };
            let matches = !attribute.attisdropped && attribute_name == name && attribute.atttypid == type_oid;
            matches.then(|| Column {
                number: attribute.attnum,
                collation: attribute.attcollation,
                index: self.index_on(attribute.attnum),
            })
        })
    }

    /// Calls `test` with the name, function and enabled-state of every trigger until it says true.
    pub fn any_trigger(&self, mut test: impl FnMut(&CStr, Oid, u8) -> bool) -> bool {
        // SAFETY: `trigdesc` of an open relation is null or holds `numtriggers` triggers, each with a
        // NUL-terminated name (utils/reltrigger.h).
        let triggers = unsafe {
            let Some(descriptor) = (*self.raw).trigdesc.as_ref() else { return false };
            let count = usize::try_from(descriptor.numtriggers).unwrap_or(0);
            if count == 0 {
                return false;
            }
            std::slice::from_raw_parts(descriptor.triggers, count)
        };
        triggers.iter().any(|trigger| {
            // SAFETY: as above.
            test(unsafe { CStr::from_ptr(trigger.tgname) }, trigger.tgfoid, trigger.tgenabled as u8)
        })
    }

    fn index_on(&self, column: i16) -> Option<Oid> {
        // SAFETY: RelationGetIndexList gives a copied list of oids of an open relation.
        let indexes = unsafe {
            let list = pg_sys::RelationGetIndexList(self.raw);
            let oids: Vec<Oid> = pgrx::PgList::<pg_sys::Oid>::from_pg(list).iter_oid().collect();
            oids
        };
        indexes.into_iter().find(|oid| {
            // SAFETY: the table's lock keeps its indexes from going away; an open index has rd_index, a row
            // of pg_index whose indkey holds indnkeyatts numbers.
            unsafe {
                let index = pg_sys::index_open(*oid, pg_sys::AccessShareLock as i32);
                let form = &*(*index).rd_index;
                let usable = form.indisvalid
                    && form.indisready
                    && form.indislive
                    && !form.indcheckxmin
                    && (*(*index).rd_rel).relam == pg_sys::BTREE_AM_OID
                    && form.indkey.values.as_slice(1).first() == Some(&column)
                    && pg_sys::RelationGetIndexPredicate(index).is_null();
                pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
                usable
            }
        })
    }

    /// Reads every visible row, or those whose column equals the key, in no order.
    pub fn read(
        &self,
        snapshot: &CatalogSnapshot,
        key: Option<(Column, &dyn Key)>,
        mut each: impl FnMut(&Row),
    ) {
        self.read_while(snapshot, key, |row| {
            each(row);
            true
        });
    }

    /// The same until `each` says false.
    pub fn read_while(
        &self,
        snapshot: &CatalogSnapshot,
        key: Option<(Column, &dyn Key)>,
        mut each: impl FnMut(&Row) -> bool,
    ) {
        let index = key.and_then(|(column, _)| column.index);
        let mut scan_key = pg_sys::ScanKeyData::default();
        if let Some((column, value)) = key {
            // SAFETY: the type's own equality; the value outlives the scan.
            unsafe {
                pg_sys::ScanKeyInit(
                    &raw mut scan_key,
                    column.number,
                    pg_sys::BTEqualStrategyNumber as u16,
                    value.equality(),
                    value.datum(),
                );
            }
            // Catalogs are ordered by C; an index of ours by its column's collation, or a search would miss.
            if column.collation != Oid::INVALID {
                scan_key.sk_collation = column.collation;
            }
        }
        // SAFETY: relation, index, snapshot and key are valid until systable_endscan, and the index was seen
        // to be valid, since when no message about the table has come; each tuple is valid until the next call
        // (access/genam.h).
        unsafe {
            let scan = pg_sys::systable_beginscan(
                self.raw,
                index.unwrap_or(Oid::INVALID),
                index.is_some(),
                snapshot.raw(),
                i32::from(key.is_some()),
                &raw mut scan_key,
            );
            let width = usize::try_from((*(*self.raw).rd_att).natts).unwrap_or(0);
            let mut row = Row { values: vec![pg_sys::Datum::from(0); width], nulls: vec![true; width] };
            loop {
                pgrx::check_for_interrupts!();
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                pg_sys::heap_deform_tuple(
                    tuple,
                    (*self.raw).rd_att,
                    row.values.as_mut_ptr(),
                    row.nulls.as_mut_ptr(),
                );
                if !each(&row) {
                    break;
                }
            }
            pg_sys::systable_endscan(scan);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // An error on its way up closes relations with their resource owner.
        if !std::thread::panicking() {
            // SAFETY: opened in `open`, closed once. The lock goes too: answers are kept by invalidation
            // messages, not by locks, and a policy must not hold up DDL until the end of its transaction.
            unsafe { pg_sys::table_close(self.raw, pg_sys::AccessShareLock as i32) }
        }
    }
}

/// A row of a table being read, valid within the callback.
pub struct Row {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Row {
    fn datum(&self, column: Column) -> Option<pg_sys::Datum> {
        let index = usize::try_from(column.number - 1).ok()?;
        (!self.nulls.get(index)?).then(|| self.values.get(index).copied()).flatten()
    }

    pub fn uuid(&self, column: Column) -> Option<[u8; 16]> {
        // SAFETY: the column was found with type uuid: sixteen bytes by reference.
        self.datum(column).map(|datum| unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    pub fn oid(&self, column: Column) -> Option<Oid> {
        self.datum(column).map(|datum| Oid::from(datum.value() as u32))
    }

    pub fn timestamp(&self, column: Column) -> Option<i64> {
        self.datum(column).map(|datum| datum.value() as i64)
    }

    pub fn bigint(&self, column: Column) -> Option<i64> {
        self.datum(column).map(|datum| datum.value() as i64)
    }

    /// A member of a jsonb object, if it is a string.
    pub fn member(&self, column: Column, name: &str) -> Option<String> {
        // SAFETY: the column was found with type jsonb.
        let text = unsafe { super::jsonb::text(self.datum(column)?)? };
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        value.get(name)?.as_str().map(str::to_owned)
    }

    pub fn text(&self, column: Column) -> Option<&str> {
        // SAFETY: the column was found with type text, a varlena; detoasting has our registered snapshot, and what
        // it gives lives as long as the load.
        let bytes = self.datum(column).map(|datum| unsafe { super::function::text_bytes(datum) })?;
        std::str::from_utf8(bytes).ok()
    }
}

//! Tables of ours read and written row by row, without the executor: what usage is counted by must be quick, see what other
//! transactions have not committed yet, and be the newest at every isolation level. As Postgres treats its catalogs
//! (access/genam.h, catalog/indexing.h), so neither privileges nor policies, triggers nor foreign keys play a part.

use super::compat;
pub use super::keyed_row::KeyedRow;
use super::scan::{self, Key, TextKey};
use super::snapshot::CatalogSnapshot;
use pgrx::pg_sys::{self, Datum, Oid};
use std::cell::Cell;
use std::ffi::CStr;

mod unguarded {
    use pgrx::pg_sys;
    // SAFETY: declared so in access/genam.h, access/heapam.h, access/htup_details.h and storage/bufmgr.h. The first three are
    // called within one guard of `pg_guard_ffi_boundary` with what comes before or after them, as a guard for each costs
    // tens of nanoseconds; the others do not raise of a buffer that is pinned and a tuple that was just made.
    unsafe extern "C-unwind" {
        pub fn systable_getnext(scan: pg_sys::SysScanDesc) -> pg_sys::HeapTuple;
        pub fn RelationGetNumberOfBlocksInFork(
            table: pg_sys::Relation,
            fork: pg_sys::ForkNumber::Type,
        ) -> u32;
        pub fn heap_fetch(
            table: pg_sys::Relation,
            snapshot: pg_sys::Snapshot,
            tuple: pg_sys::HeapTuple,
            buffer: *mut pg_sys::Buffer,
            keep: bool,
        ) -> bool;
        pub fn ReleaseBuffer(buffer: pg_sys::Buffer);
        pub fn heap_freetuple(tuple: pg_sys::HeapTuple);
    }
}

/// Where a version of a row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    block: u32,
    offset: u16,
}

impl Place {
    fn of(pointer: &pg_sys::ItemPointerData) -> Self {
        let block = (u32::from(pointer.ip_blkid.bi_hi) << 16) | u32::from(pointer.ip_blkid.bi_lo);
        Self { block, offset: pointer.ip_posid }
    }

    fn pointer(self) -> pg_sys::ItemPointerData {
        pg_sys::ItemPointerData {
            ip_blkid: pg_sys::BlockIdData {
                bi_hi: (self.block >> 16) as u16,
                bi_lo: (self.block & 0xffff) as u16,
            },
            ip_posid: self.offset,
        }
    }
}

#[derive(Clone, Copy)]
pub enum Use {
    Reading,
    Writing,
}

/// Which versions a scan gives.
pub enum Seen<'s> {
    /// Those that a snapshot sees.
    By(&'s CatalogSnapshot),
    /// All that are not dead, also those that other transactions have written and not committed.
    Undecided,
    /// All that have not been cleared away yet, dead ones too: nobody asks whose they are, which takes long.
    All,
}

/// What a column of a row to be written gets.
pub enum Value<'v> {
    Uuid(&'v [u8; 16]),
    Text(&'v TextKey),
    Number(i64),
}

/// A table of ours, and the name of the index to find its rows by.
pub struct KeyedTable {
    raw: pg_sys::Relation,
    index: Option<&'static CStr>,
    lock: pg_sys::LOCKMODE,
}

impl KeyedTable {
    /// `None` if it is not there or has fewer columns than that, as with a library newer than the SQL.
    pub fn open(
        schema: Oid,
        table: &CStr,
        index: Option<&'static CStr>,
        columns: usize,
        used: Use,
    ) -> Option<Self> {
        Self::open_by_id(scan::relation(table, schema)?, index, columns, used)
    }

    /// The same of a table that is opened all the time: where it was last is tried first, which saves looking up its name.
    /// What is there must be called so still, or it is looked up.
    pub fn open_again(
        last: &Cell<Option<(Oid, Oid)>>,
        schema: &CStr,
        table: &CStr,
        index: Option<&'static CStr>,
        columns: usize,
        used: Use,
    ) -> Option<Self> {
        if let Some((schema, oid)) = last.get()
            && let Some(opened) = Self::open_by_id(oid, index, columns, used)
            && opened.is_called(schema, table)
        {
            return Some(opened);
        }
        let schema = scan::schema(schema)?;
        let opened = Self::open(schema, table, index, columns, used)?;
        last.set(Some((schema, opened.oid())));
        Some(opened)
    }

    fn open_by_id(oid: Oid, index: Option<&'static CStr>, columns: usize, used: Use) -> Option<Self> {
        let lock = match used {
            Use::Reading => pg_sys::AccessShareLock,
            Use::Writing => pg_sys::RowExclusiveLock,
        } as pg_sys::LOCKMODE;
        // SAFETY: takes the lock and gives a counted reference or null (access/table.h).
        let raw = unsafe { pg_sys::try_table_open(oid, lock) };
        if raw.is_null() {
            return None;
        }
        let opened = Self { raw, index, lock };
        (opened.width() >= columns).then_some(opened)
    }

    /// By name at each time, as REINDEX CONCURRENTLY gives the name to another index; and only where one is asked for, as
    /// most who open a table know the place of their row. Without it a scan reads the whole table.
    fn index(&self) -> Oid {
        let schema = self.of_class().relnamespace;
        self.index.and_then(|name| scan::relation(name, schema)).unwrap_or(Oid::INVALID)
    }

    fn is_called(&self, schema: Oid, name: &CStr) -> bool {
        let class = self.of_class();
        // SAFETY: a relation's name ends with NUL.
        class.relnamespace == schema && unsafe { CStr::from_ptr(class.relname.data.as_ptr()) } == name
    }

    fn of_class(&self) -> &pg_sys::FormData_pg_class {
        // SAFETY: an open relation has a row of pg_class.
        unsafe { &*(*self.raw).rd_rel }
    }

    pub fn oid(&self) -> Oid {
        // SAFETY: `raw` is an open relation for as long as self lives.
        unsafe { (*self.raw).rd_id }
    }

    fn width(&self) -> usize {
        // SAFETY: an open relation has a tuple descriptor.
        usize::try_from(unsafe { (*(*self.raw).rd_att).natts }).unwrap_or(0)
    }

    /// The rows whose columns, by number, equal the keys, until `each` says false.
    pub fn scan(&self, seen: &Seen, keys: &[(i16, &dyn Key)], mut each: impl FnMut(&KeyedRow) -> bool) {
        let mut undecided = pg_sys::SnapshotData {
            snapshot_type: pg_sys::SnapshotType::SNAPSHOT_DIRTY,
            ..Default::default()
        };
        let snapshot = match seen {
            Seen::By(snapshot) => snapshot.raw(),
            Seen::Undecided => &raw mut undecided,
            Seen::All => {
                undecided.snapshot_type = pg_sys::SnapshotType::SNAPSHOT_ANY;
                &raw mut undecided
            }
        };
        let mut scan_keys = vec![pg_sys::ScanKeyData::default(); keys.len()];
        for (scan_key, (column, key)) in scan_keys.iter_mut().zip(keys) {
            // SAFETY: the type's own equality; the value outlives the scan. Texts in keys are ordered by C, as here.
            unsafe {
                pg_sys::ScanKeyInit(
                    scan_key,
                    *column,
                    pg_sys::BTEqualStrategyNumber as u16,
                    key.equality(),
                    key.datum(),
                );
            }
        }
        let index = self.index();
        // SAFETY: relation, index, snapshot and keys are valid until systable_endscan; each tuple is valid until the next
        // call (access/genam.h). A dirty snapshot tells in xmin and xmax, of the tuple it was last asked about, which
        // transactions in progress wrote and replaced it (heapam_visibility.c: HeapTupleSatisfiesDirty).
        unsafe {
            let scan = pg_sys::systable_beginscan(
                self.raw,
                index,
                index != Oid::INVALID,
                snapshot,
                i32::try_from(keys.len()).unwrap_or(0),
                scan_keys.as_mut_ptr(),
            );
            let mut row = KeyedRow::of_width(self.width());
            loop {
                let tuple = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    let tuple = unguarded::systable_getnext(scan);
                    if !tuple.is_null() {
                        row.fill(tuple, (*self.raw).rd_att);
                    }
                    tuple
                });
                if tuple.is_null() {
                    break;
                }
                if matches!(seen, Seen::Undecided) {
                    row.written_by = transaction(undecided.xmin);
                    row.replaced_by = transaction(undecided.xmax);
                }
                row.place = Place::of(&(*tuple).t_self);
                if !each(&row) {
                    break;
                }
            }
            pg_sys::systable_endscan(scan);
        }
    }

    /// What is in a place that a row was in: a version that is not dead, perhaps of another row. Clears the page of dead ones,
    /// as a search by index would, but only when a third of it is taken: with a low fillfactor there would be something to
    /// clear at every look.
    pub fn at(&self, place: Place, read: impl FnOnce(&KeyedRow)) {
        let mut snapshot = pg_sys::SnapshotData {
            snapshot_type: pg_sys::SnapshotType::SNAPSHOT_DIRTY,
            ..Default::default()
        };
        let mut tuple = pg_sys::HeapTupleData { t_self: place.pointer(), ..Default::default() };
        let mut held = pg_sys::InvalidBuffer as pg_sys::Buffer;
        let mut row = KeyedRow::of_width(self.width());
        // SAFETY: an open table, a block that it has, and a buffer pinned until it is released, once; pruning asks for no other
        // pin than this one, and moves the tuple, which is not looked at any more then (access/heapam.h). The tuple lies in
        // the pinned page. A dirty snapshot tells as in `scan`.
        unsafe {
            let found = pg_sys::ffi::pg_guard_ffi_boundary(|| {
                let (main, tuple) = (pg_sys::ForkNumber::MAIN_FORKNUM, &raw mut tuple);
                let found = place.block < unguarded::RelationGetNumberOfBlocksInFork(self.raw, main)
                    && unguarded::heap_fetch(self.raw, &raw mut snapshot, tuple, &raw mut held, false);
                if found {
                    row.fill(tuple, (*self.raw).rd_att);
                }
                found
            });
            if found {
                row.written_by = transaction(snapshot.xmin);
                row.replaced_by = transaction(snapshot.xmax);
                row.place = place;
                read(&row);
                if is_third_full(held) {
                    pg_sys::heap_page_prune_opt(self.raw, held);
                }
                unguarded::ReleaseBuffer(held);
            }
        }
    }

    /// Writes a new version of a row, and says where it is; the command sees it from now on. `None`, without waiting, if
    /// another transaction is writing it, or has. The place must be one that a scan, or `at`, in this command has given.
    pub fn update(&self, place: Place, values: &[Value]) -> Option<Place> {
        let mut datums: Vec<Datum> = values.iter().map(Value::datum).collect();
        datums.resize(self.width(), Datum::from(0));
        let mut nulls: Vec<bool> = (0..self.width()).map(|column| column >= values.len()).collect();
        let mut pointer = place.pointer();
        // SAFETY: values of the columns' types, of which `open` has seen that there are as many; a place that a scan gave
        // in this transaction. What simple_heap_update does, but for waiting (access/heapam.h).
        unsafe {
            let tuple = pg_sys::heap_form_tuple((*self.raw).rd_att, datums.as_mut_ptr(), nulls.as_mut_ptr());
            let written = compat::update_without_waiting(self.raw, &raw mut pointer, tuple);
            let place = written.then(|| Place::of(&(*tuple).t_self));
            if written {
                if u32::from((*(*tuple).t_data).t_infomask2) & pg_sys::HEAP_ONLY_TUPLE == 0 {
                    self.index_row(tuple, &mut datums, &mut nulls);
                }
                pg_sys::CommandCounterIncrement();
            }
            unguarded::heap_freetuple(tuple);
            place
        }
    }

    /// Enters a row that has moved to another page into the table's indexes, which are plain ones over its first columns.
    ///
    /// # Safety
    /// The tuple has just been written to the table and holds these values.
    unsafe fn index_row(&self, tuple: pg_sys::HeapTuple, datums: &mut [Datum], nulls: &mut [bool]) {
        // SAFETY: as CatalogIndexInsert does it (catalog/indexing.c); FormIndexDatum's work is none, as no index has
        // expressions, and columns are taken by the numbers that the index holds.
        unsafe {
            let indexes = pg_sys::RelationGetIndexList(self.raw);
            for oid in pgrx::PgList::<Oid>::from_pg(indexes).iter_oid() {
                let index = pg_sys::index_open(oid, pg_sys::RowExclusiveLock as i32);
                let info = pg_sys::BuildIndexInfo(index);
                let numbers = (*info).ii_IndexAttrNumbers;
                let width = usize::try_from((*info).ii_NumIndexAttrs).unwrap_or(0);
                let columns =
                    numbers.iter().take(width).map(|number| usize::try_from(*number - 1).unwrap_or(0));
                let mut keys: Vec<Datum> =
                    columns.clone().map(|c| datums.get(c).copied().unwrap_or(Datum::from(0))).collect();
                let mut absent: Vec<bool> = columns.map(|c| nulls.get(c).copied().unwrap_or(true)).collect();
                let unique = match (*(*index).rd_index).indisunique {
                    true => pg_sys::IndexUniqueCheck::UNIQUE_CHECK_YES,
                    false => pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                };
                if (*info).ii_ReadyForInserts {
                    let place = &raw mut (*tuple).t_self;
                    let (keys, absent) = (keys.as_mut_ptr(), absent.as_mut_ptr());
                    pg_sys::index_insert(index, keys, absent, place, self.raw, unique, false, info);
                }
                pg_sys::index_close(index, pg_sys::RowExclusiveLock as i32);
            }
        }
    }

    /// Locks a row against all other writers until the end of the transaction. False, without waiting, if another
    /// transaction has it, or it is no longer the newest version.
    pub fn lock_row(&self, place: Place) -> bool {
        let mut tuple = pg_sys::HeapTupleData { t_self: place.pointer(), ..Default::default() };
        let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
        let mut failure = pg_sys::TM_FailureData::default();
        // SAFETY: an open table, a place a scan of it gave in this transaction; the pinned buffer is released once
        // (access/heapam.h).
        unsafe {
            let result = pg_sys::heap_lock_tuple(
                self.raw,
                &raw mut tuple,
                pg_sys::GetCurrentCommandId(true),
                pg_sys::LockTupleMode::LockTupleExclusive,
                pg_sys::LockWaitPolicy::LockWaitSkip,
                false,
                &raw mut buffer,
                &raw mut failure,
            );
            if buffer != pg_sys::InvalidBuffer as pg_sys::Buffer {
                pg_sys::ReleaseBuffer(buffer);
            }
            result == pg_sys::TM_Result::TM_Ok
        }
    }

    /// Deletes a row that this transaction has locked.
    pub fn delete(&self, place: Place) {
        let mut pointer = place.pointer();
        // SAFETY: the row is locked by this transaction, so that nothing is waited for (catalog/indexing.h).
        unsafe {
            pg_sys::CatalogTupleDelete(self.raw, &raw mut pointer);
            pg_sys::CommandCounterIncrement();
        }
    }
}

impl Drop for KeyedTable {
    fn drop(&mut self) {
        // An error on its way up closes relations with their resource owner.
        if !std::thread::panicking() {
            // What was written keeps its lock until the transaction ends, as the executor's does.
            let lock = if self.lock == pg_sys::RowExclusiveLock as pg_sys::LOCKMODE {
                pg_sys::NoLock as pg_sys::LOCKMODE
            } else {
                self.lock
            };
            // SAFETY: opened in `open`, closed once.
            unsafe { pg_sys::table_close(self.raw, lock) }
        }
    }
}

impl Value<'_> {
    fn datum(&self) -> Datum {
        match self {
            Self::Uuid(id) => id.datum(),
            Self::Text(text) => text.datum(),
            Self::Number(number) => Datum::from(*number),
        }
    }
}

impl Key for i64 {
    fn datum(&self) -> Datum {
        Datum::from(*self)
    }

    fn equality(&self) -> Oid {
        Oid::from(pg_sys::F_INT8EQ)
    }
}

/// By its header, which others may be changing just then: a guess, as it is to whoever prunes (pruneheap.c).
///
/// # Safety
/// The buffer is pinned and holds a page of a table.
unsafe fn is_third_full(buffer: pg_sys::Buffer) -> bool {
    // SAFETY: the caller's promise; each page begins with its header (storage/bufpage.h).
    let header = unsafe { &*pg_sys::BufferGetPage(buffer).cast::<pg_sys::PageHeaderData>() };
    i32::from(header.pd_upper) - i32::from(header.pd_lower) < pg_sys::BLCKSZ as i32 * 2 / 3
}

/// The transaction, and not the savepoint, that a dirty snapshot tells of.
fn transaction(xid: pg_sys::TransactionId) -> Option<u32> {
    // SAFETY: a transaction in progress was one when our snapshot was taken or has begun since, so that its parents are
    // still known (subtrans.c).
    (xid != pg_sys::InvalidTransactionId)
        .then(|| unsafe { pg_sys::SubTransGetTopmostTransaction(xid) }.into_inner())
}

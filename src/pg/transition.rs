//! Reading the rows of a statement that has ended, from its transition tables, and those of a whole table, without SQL: no
//! plan, no row security, and nothing that the table's owner had his indexes compute.

use super::measure::{BadSize, Key, Layout, Size, Wanted};
use super::scan::Table;
use super::snapshot::CatalogSnapshot;
use super::trigger::Trigger;
use pgrx::pg_sys::{self, Oid};
use std::marker::PhantomData;

mod unguarded {
    use pgrx::pg_sys;
    // SAFETY: declared so in utils/tuplestore.h and executor/tuptable.h. They may raise: they are called within
    // `pg_guard_ffi_boundary`, once for many rows, because a guard for each would cost as much as the row.
    unsafe extern "C-unwind" {
        pub fn tuplestore_gettupleslot(
            state: *mut pg_sys::Tuplestorestate,
            forward: bool,
            copy: bool,
            slot: *mut pg_sys::TupleTableSlot,
        ) -> bool;
        pub fn slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, count: std::ffi::c_int);
    }
}

/// So many rows are read before somebody looks whether to stop.
const LONGEST_RUN: i64 = 4096;

enum Source {
    Transition(*mut pg_sys::Tuplestorestate),
    Table { relation: pg_sys::Relation, scan: pg_sys::TableScanDesc },
}

/// Rows, read once from first to last.
pub struct Rows<'r> {
    during: PhantomData<&'r ()>,
    source: Source,
    slot: *mut pg_sys::TupleTableSlot,
    /// The slot holds a row that no run has counted yet.
    pending: bool,
    ended: bool,
    /// What is allocated while one row's size is read: there may be millions.
    memory: pgrx::PgMemoryContexts,
}

/// Rows of one tenant that follow one another.
#[derive(Clone, Copy)]
pub struct Run {
    pub rows: i64,
    pub bytes: i64,
}

impl<'r> Rows<'r> {
    fn over(source: Source, slot: *mut pg_sys::TupleTableSlot) -> Self {
        let memory = pgrx::PgMemoryContexts::new("pg_tenancy row size");
        Self { during: PhantomData, source, slot, pending: false, ended: false, memory }
    }

    /// The next rows of one tenant, and its key; of rows whose size is in a column, one at a time.
    pub fn next_run(&mut self, layout: &Layout, key: &mut Key) -> Option<Run> {
        if self.ended {
            return None;
        }
        pgrx::check_for_interrupts!();
        // SAFETY: what is called raises through no frame with a destructor: all that has one is borrowed from outside.
        let run = unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| self.read_run(layout, key)) };
        (run.rows > 0).then_some(run)
    }

    /// # Safety
    /// Within a guard; the layout is that of the rows.
    unsafe fn read_run(&mut self, layout: &Layout, key: &mut Key) -> Run {
        let mut run = Run { rows: 0, bytes: 0 };
        // SAFETY: the source was opened for this slot; a slot's arrays hold what was deformed (executor/tuptable.h).
        unsafe {
            loop {
                if !self.pending {
                    if !self.fetch() {
                        self.ended = true;
                        return run;
                    }
                    if i32::from((*self.slot).tts_nvalid) < layout.needed {
                        unguarded::slot_getsomeattrs_int(self.slot, layout.needed);
                    }
                }
                let (values, nulls) = ((*self.slot).tts_values, (*self.slot).tts_isnull);
                if run.rows == 0 {
                    layout.store_key(values, nulls, key);
                } else if !layout.has_key(values, nulls, key) {
                    self.pending = true;
                    return run;
                }
                self.pending = false;
                run.rows += 1;
                match &layout.size {
                    Size::Nothing => {}
                    // A row has less than 2 GB a column.
                    Size::Row(widths) => run.bytes += layout.width(values, nulls, widths),
                    Size::Column { .. } => return run,
                }
                if run.rows == LONGEST_RUN {
                    return run;
                }
            }
        }
    }

    /// # Safety
    /// Within a guard.
    unsafe fn fetch(&self) -> bool {
        // SAFETY: the caller's promise; the slot is of the kind that the source fills (table_scan_getnextslot of
        // access/tableam.h, nodeNamedtuplestorescan.c).
        unsafe {
            match &self.source {
                Source::Transition(state) => {
                    unguarded::tuplestore_gettupleslot(*state, true, false, self.slot)
                }
                Source::Table { relation, scan } => {
                    let Some(next) = (*(**relation).rd_tableam).scan_getnextslot else { return false };
                    next(*scan, pg_sys::ScanDirection::ForwardScanDirection, self.slot)
                }
            }
        }
    }

    /// The size of the row that was the last run.
    pub fn size(&mut self, layout: &Layout) -> Result<i64, BadSize> {
        let slot = self.slot;
        // SAFETY: the slot holds that row, deformed as far as the layout needs; nothing of the context is used after.
        unsafe {
            let size = self.memory.switch_to(|_| layout.column_size((*slot).tts_values, (*slot).tts_isnull));
            self.memory.reset();
            size
        }
    }

    /// All rows that the snapshot sees; `None` for what stores none. The relation is open and locked.
    fn of_table(relation: pg_sys::Relation, snapshot: &'r CatalogSnapshot) -> Option<Self> {
        // SAFETY: an open relation; only what stores rows has an access method (access/tableam.h).
        unsafe {
            let begin = (*relation).rd_tableam.as_ref()?.scan_begin?;
            let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN
                | pg_sys::ScanOptions::SO_ALLOW_STRAT
                | pg_sys::ScanOptions::SO_ALLOW_SYNC
                | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let raw = snapshot.raw();
            let none = std::ptr::null_mut();
            let scan =
                pg_sys::ffi::pg_guard_ffi_boundary(|| begin(relation, raw, 0, none, none.cast(), flags));
            Some(Self::over(Source::Table { relation, scan }, slot))
        }
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        // An error on its way up releases everything with its resource owner and memory context.
        if std::thread::panicking() {
            return;
        }
        // SAFETY: slot and scan were made by the constructor, and are given up once.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            if let Source::Table { relation, scan } = &self.source
                && let Some(end) = (*(**relation).rd_tableam).scan_end
            {
                pg_sys::ffi::pg_guard_ffi_boundary(|| end(*scan));
            }
        }
    }
}

impl Table {
    pub fn layout(&self, tenant_column: &str, wanted: &Wanted) -> Option<Layout> {
        Layout::of(self.raw(), tenant_column, wanted)
    }

    /// All rows of its own that the snapshot sees; `None` for what stores none.
    pub fn rows<'r>(&'r self, snapshot: &'r CatalogSnapshot) -> Option<Rows<'r>> {
        Rows::of_table(self.raw(), snapshot)
    }
}

impl<'c> Trigger<'c> {
    pub fn relation(&self) -> Oid {
        // SAFETY: the trigger's relation is open for the duration of the call.
        unsafe { (*self.data().tg_relation).rd_id }
    }

    pub fn layout(&self, tenant_column: &str, wanted: &Wanted) -> Option<Layout> {
        Layout::of(self.data().tg_relation, tenant_column, wanted)
    }

    /// The rows as the statement left them, if the trigger asked for them and there are any.
    pub fn new_rows(&self) -> Option<Rows<'c>> {
        self.transition(self.data().tg_newtable)
    }

    /// The rows as the statement found them.
    pub fn old_rows(&self) -> Option<Rows<'c>> {
        self.transition(self.data().tg_oldtable)
    }

    /// All the table's own rows that the snapshot sees.
    pub fn rows<'r>(&'r self, snapshot: &'r CatalogSnapshot) -> Option<Rows<'r>> {
        Rows::of_table(self.data().tg_relation, snapshot)
    }

    /// Whose the row was and is, if this is AFTER UPDATE … FOR EACH ROW.
    pub fn keys(&self, layout: &Layout) -> (Key, Key) {
        let (mut old, mut new) = (Key::default(), Key::default());
        let data = self.data();
        for (slot, key) in [(data.tg_trigslot, &mut old), (data.tg_newslot, &mut new)] {
            if slot.is_null() {
                continue;
            }
            // SAFETY: the slots hold the row before and after (commands/trigger.h); what is called raises through no frame
            // with a destructor.
            unsafe {
                pg_sys::ffi::pg_guard_ffi_boundary(|| {
                    if i32::from((*slot).tts_nvalid) < layout.needed {
                        unguarded::slot_getsomeattrs_int(slot, layout.needed);
                    }
                    layout.store_key((*slot).tts_values, (*slot).tts_isnull, key);
                });
            }
        }
        (old, new)
    }

    fn transition(&self, state: *mut pg_sys::Tuplestorestate) -> Option<Rows<'c>> {
        if state.is_null() {
            return None;
        }
        // SAFETY: a transition table holds minimal tuples of the relation's descriptor, and lives as long as the call. A
        // read pointer of our own, which begins where the first is, leaves the others' alone (nodeNamedtuplestorescan.c).
        unsafe {
            let pointer = pg_sys::tuplestore_alloc_read_pointer(state, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(state, pointer);
            pg_sys::tuplestore_rescan(state);
            let slot = pg_sys::MakeSingleTupleTableSlot(
                (*self.data().tg_relation).rd_att,
                &raw const pg_sys::TTSOpsMinimalTuple,
            );
            Some(Rows::over(Source::Transition(state), slot))
        }
    }
}

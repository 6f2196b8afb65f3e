//! What differs between the supported versions of Postgres.

use super::setting;
use pgrx::pg_sys;
use std::sync::OnceLock;

/// The attribute of a tuple descriptor, 0-based. From 18 on the array of attributes is no longer a member.
///
/// # Safety
/// `descriptor` points to a valid tuple descriptor and `index` is below its `natts`.
#[cfg(not(feature = "pg18"))]
pub unsafe fn attribute(descriptor: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's promise; `attrs` holds `natts` entries (access/tupdesc.h).
    unsafe { (*descriptor).attrs.as_ptr().add(index) }
}

/// As above.
///
/// # Safety
/// `descriptor` points to a valid tuple descriptor and `index` is below its `natts`.
#[cfg(feature = "pg18")]
pub unsafe fn attribute(descriptor: pg_sys::TupleDesc, index: usize) -> *const pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's promise; TupleDescAttr of access/tupdesc.h.
    unsafe { pg_sys::TupleDescAttr(descriptor, index as i32) }
}

/// Whether an index scan by an array on a later column keeps the order the planner takes it to have.
pub const ARRAYS_KEEP_INDEX_ORDER: bool = cfg!(any(feature = "pg17", feature = "pg18"));

/// What the server answers to a question for EXECUTE on a function. One that is gone is an error.
#[cfg(feature = "pg15")]
pub fn function_access(function: pg_sys::Oid, role: pg_sys::Oid) -> pg_sys::AclResult::Type {
    // SAFETY: syscache lookups by the two ids (utils/acl.h).
    unsafe { pg_sys::pg_proc_aclcheck(function, role, pg_sys::AclMode::from(pg_sys::ACL_EXECUTE)) }
}
#[cfg(not(feature = "pg15"))]
pub fn function_access(function: pg_sys::Oid, role: pg_sys::Oid) -> pg_sys::AclResult::Type {
    let (catalog, mode) = (pg_sys::ProcedureRelationId, pg_sys::AclMode::from(pg_sys::ACL_EXECUTE));
    // SAFETY: as above; every kind of object has one function for it now.
    unsafe { pg_sys::object_aclcheck(catalog, function, role, mode) }
}

/// See xact::backend_number. Until 16 backends are numbered from 1.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub fn backend_number() -> i32 {
    // SAFETY: reads a variable set when the process joined the server (globals.c).
    unsafe { pg_sys::MyBackendId - 1 }
}
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub fn backend_number() -> i32 {
    // SAFETY: as above.
    unsafe { pg_sys::MyProcNumber }
}

/// Whether Postgres was built with assertions.
fn asserts() -> bool {
    static ASSERTS: OnceLock<bool> = OnceLock::new();
    *ASSERTS.get_or_init(|| setting::show(c"debug_assertions").as_deref() == Some("on"))
}

/// Locks a row to write it, if that is possible without waiting.
///
/// # Safety
/// An open table and a place of it.
unsafe fn lock_without_waiting(table: pg_sys::Relation, place: pg_sys::ItemPointer) -> bool {
    let mut failure = pg_sys::TM_FailureData::default();
    let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
    // SAFETY: the caller's promise; the buffer comes back pinned, whatever the answer (access/heapam.h).
    unsafe {
        let mut tuple = pg_sys::HeapTupleData { t_self: *place, ..Default::default() };
        let result = pg_sys::heap_lock_tuple(
            table,
            &raw mut tuple,
            pg_sys::GetCurrentCommandId(true),
            pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
            pg_sys::LockWaitPolicy::LockWaitSkip,
            false,
            &raw mut buffer,
            &raw mut failure,
        );
        pg_sys::ReleaseBuffer(buffer);
        result == pg_sys::TM_Result::TM_Ok
    }
}

/// heap_update, which from 16 on also tells which indexes need the new version. False if it did not write.
///
/// It gives the right answer where it is not to wait for somebody, but asserts that nobody asks for that. So where Postgres was
/// built with assertions the row is locked first, which costs a record in the log.
///
/// # Safety
/// An open table, a place of it, and a tuple of its descriptor.
pub unsafe fn update_without_waiting(
    table: pg_sys::Relation,
    place: pg_sys::ItemPointer,
    tuple: pg_sys::HeapTuple,
) -> bool {
    // SAFETY: the caller's promise.
    if asserts() && !unsafe { lock_without_waiting(table, place) } {
        return false;
    }
    let mut failure = pg_sys::TM_FailureData::default();
    let mut lock_mode = pg_sys::LockTupleMode::LockTupleExclusive;
    #[cfg(not(feature = "pg15"))]
    let mut indexes = pg_sys::TU_UpdateIndexes::TU_None;
    // SAFETY: the caller's promise; with `wait` false it answers TM_BeingModified where it would wait (access/heapam.h).
    let result = unsafe {
        pg_sys::heap_update(
            table,
            place,
            tuple,
            pg_sys::GetCurrentCommandId(true),
            std::ptr::null_mut(),
            asserts(),
            &raw mut failure,
            &raw mut lock_mode,
            #[cfg(not(feature = "pg15"))]
            &raw mut indexes,
        )
    };
    result == pg_sys::TM_Result::TM_Ok
}

/// Has a signal handled from now on.
///
/// # Safety
/// `handler` does only what a signal handler may.
pub unsafe fn on_signal(signal: i32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: the caller's promise; the function has static lifetime and the signature of port.h.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// Makes somebody's rights and row security count for the first table of a query.
///
/// # Safety
/// `query` was just analysed, and selects from a table.
#[cfg(feature = "pg15")]
pub unsafe fn check_first_as(query: *mut pg_sys::Query, role: pg_sys::Oid) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(table) = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable).get_ptr(0) {
            (*table).checkAsUser = role;
        }
    }
}

/// As above.
///
/// # Safety
/// `query` was just analysed, and selects from a table.
#[cfg(not(feature = "pg15"))]
pub unsafe fn check_first_as(query: *mut pg_sys::Query, role: pg_sys::Oid) {
    // SAFETY: the caller's promise; from 16 on rights have a list of their own.
    unsafe {
        if let Some(table) =
            pgrx::PgList::<pg_sys::RTEPermissionInfo>::from_pg((*query).rteperminfos).get_ptr(0)
        {
            (*table).checkAsUser = role;
        }
    }
}

/// Runs a query that was started.
///
/// # Safety
/// ExecutorStart was called for it, and it has not run.
pub unsafe fn run_to_end(query: *mut pg_sys::QueryDesc) {
    let forward = pg_sys::ScanDirection::ForwardScanDirection;
    // SAFETY: the caller's promise; 0 is for all rows. From 18 on nothing is said about how often it runs.
    unsafe {
        #[cfg(feature = "pg18")]
        pg_sys::ExecutorRun(query, forward, 0);
        #[cfg(not(feature = "pg18"))]
        pg_sys::ExecutorRun(query, forward, 0, true);
    }
}

//! What differs between the supported versions of Postgres.

use pgrx::pg_sys;

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

/// Keeps RESET from a setting, where the server knows of such a flag.
#[cfg(feature = "pg15")]
pub const GUC_NO_RESET: u32 = 0;
#[cfg(not(feature = "pg15"))]
pub const GUC_NO_RESET: u32 = pg_sys::GUC_NO_RESET;

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

//! Errors with more than pgrx's reports carry. What the server raises below one of our frames loses it on the way up, so
//! such an error waits until they are gone.

use pgrx::pg_sys::{self, errcodes::PgSqlErrorCode, panic::ErrorReport};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char};

thread_local! {
    /// In the memory context of the call that prepared it.
    static WAITING: Cell<*mut pg_sys::ErrorData> = const { Cell::new(std::ptr::null_mut()) };
}

mod unguarded {
    use super::*;
    // SAFETY: declared so in utils/elog.h. It raises, which pgrx's wrapper would turn into a panic; the callers of
    // `raise_waiting` have no destructors, so that nothing need be unwound.
    unsafe extern "C-unwind" {
        pub fn ThrowErrorData(data: *mut pg_sys::ErrorData);
    }
}

fn copied(text: Option<&str>) -> *mut c_char {
    let Some(text) = text.and_then(|text| CString::new(text).ok()) else { return std::ptr::null_mut() };
    // SAFETY: copies a C string into the current memory context.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

/// The error to raise when the present call of a function returns, with the name of the constraint that it is about.
pub fn prepare(
    code: PgSqlErrorCode,
    report: &ErrorReport,
    constraint: &'static CStr,
    table: Option<(&CStr, &CStr)>,
) {
    // SAFETY: palloc0 gives that much or raises; all members of a zeroed ErrorData are absent.
    unsafe {
        let data = pg_sys::palloc0(size_of::<pg_sys::ErrorData>()).cast::<pg_sys::ErrorData>();
        (*data).elevel = pg_sys::PGERROR as i32;
        (*data).sqlerrcode = code as i32;
        (*data).message = copied(Some(report.message()));
        (*data).detail = copied(report.detail());
        (*data).hint = copied(report.hint());
        (*data).schema_name = match table {
            Some((schema, table)) => {
                (*data).table_name = pg_sys::pstrdup(table.as_ptr());
                pg_sys::pstrdup(schema.as_ptr())
            }
            None => c"tenancy".as_ptr().cast_mut(),
        };
        (*data).constraint_name = constraint.as_ptr().cast_mut();
        WAITING.set(data);
    }
}

/// Raises what was prepared. No frame from here to the function manager may have a destructor.
#[inline]
pub(super) fn raise_waiting() {
    let waiting = WAITING.replace(std::ptr::null_mut());
    if !waiting.is_null() {
        // SAFETY: prepared during this call, whose memory context is still the current one; what is not null is copied.
        unsafe { unguarded::ThrowErrorData(waiting) }
    }
}

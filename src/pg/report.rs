//! Errors with more than pgrx's reports carry.

use pgrx::pg_sys::{self, errcodes::PgSqlErrorCode, panic::ErrorReport};
use std::ffi::{CStr, CString};

/// Raises the report with the name of the constraint that it is about.
pub fn raise(code: PgSqlErrorCode, report: &ErrorReport, constraint: &CStr) {
    let text = |text: Option<&str>| CString::new(text.unwrap_or_default()).unwrap_or_default();
    let (message, detail, hint) = (text(Some(report.message())), text(report.detail()), text(report.hint()));
    let given =
        |text: &CString| if text.is_empty() { std::ptr::null_mut() } else { text.as_ptr().cast_mut() };
    // SAFETY: ThrowErrorData copies what is not null and raises (elog.c); the texts outlive the call. All members of a
    // zeroed ErrorData are absent.
    unsafe {
        let mut data: pg_sys::ErrorData = std::mem::zeroed();
        data.elevel = pg_sys::PGERROR as i32;
        data.sqlerrcode = code as i32;
        data.message = given(&message);
        data.detail = given(&detail);
        data.hint = given(&hint);
        data.schema_name = c"tenancy".as_ptr().cast_mut();
        data.constraint_name = constraint.as_ptr().cast_mut();
        pg_sys::ThrowErrorData(&raw mut data);
    }
}

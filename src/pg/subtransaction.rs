//! Work that may fail without taking its transaction with it.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use std::panic::AssertUnwindSafe;

/// What went wrong inside.
pub struct Failure {
    pub code: String,
    pub message: String,
}

const QUERY_CANCELED: &str = "57014";

/// Runs `work` in a subtransaction of its own: if it raises, what it did is undone and the error is the answer. To be
/// cancelled, or to run out of time, is nobody's failure and ends the statement, as it would in plpgsql.
pub fn attempt<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: as plpgsql's exception block does it (pl_exec.c): memory context and resource owner are put back after the
    // beginning and after either end, and nothing in the subtransaction's memory outlives it but what `work` returns,
    // which is Rust's or in the context of the caller.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        let restore = move || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let body = AssertUnwindSafe(move || {
            let answer = work();
            pg_sys::ReleaseCurrentSubTransaction();
            restore();
            Ok(answer)
        });
        pgrx::PgTryBuilder::new(body)
            .catch_others(move |error| {
                pg_sys::MemoryContextSwitchTo(context);
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
                restore();
                let failure = failure(&error);
                if failure.code == QUERY_CANCELED {
                    error.rethrow();
                }
                Err(failure)
            })
            .execute()
    }
}

/// What an error says of itself.
pub(super) fn failure(error: &CaughtError) -> Failure {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    Failure { code: sqlstate(report.sql_error_code()), message: report.message().to_owned() }
}

/// The five characters.
fn sqlstate(code: pgrx::PgSqlErrorCode) -> String {
    // SAFETY: gives a static NUL-terminated string (elog.c).
    unsafe { std::ffi::CStr::from_ptr(pg_sys::unpack_sql_state(code as i32)) }.to_string_lossy().into_owned()
}

//! Every error this library raises, and the one place that gives each its SQLSTATE, DETAIL and HINT.
//! Messages repeat no claim's value and nothing of another tenant. The management functions, written in
//! plpgsql, raise by the same table (docs/reference/errors.md).

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::PgSqlErrorCode;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("pg_tenancy cannot be loaded during a parallel operation")]
    LoadedInParallel,
    #[error("permission denied: {0} is required")]
    PermissionRequired(String),
    #[error("permission denied: {0} is required, and the request has no identity")]
    IdentityRequired(String),
    #[error("permission must not be null")]
    NullPermission,
    #[error("function {0} can only be called as a trigger")]
    NotATrigger(&'static str),
    #[error("function {0} can only be called as a trigger {1}")]
    OtherTrigger(&'static str, &'static str),
    #[error("{0}")]
    Spi(#[from] pgrx::spi::SpiError),
}

impl Error {
    /// Raises. Only an `ErrorReport` keeps its SQLSTATE through pgrx.
    #[expect(clippy::panic, reason = "pgrx turns this payload into an ordinary error")]
    pub fn raise(self) -> ! {
        std::panic::panic_any(ErrorReport::from(self))
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        use Error::*;
        let message = error.to_string();
        let (code, detail, hint) = match error {
            LoadedInParallel => (
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "PostgreSQL loses the request's settings when they are first defined in a parallel worker.",
                "Add pg_tenancy to session_preload_libraries, for example: \
                 ALTER DATABASE ... SET session_preload_libraries = 'pg_tenancy'.",
            ),
            PermissionRequired(_) => (
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "",
                "SELECT * FROM tenancy.diagnose() shows what the present identity holds and why.",
            ),
            IdentityRequired(_) => (
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "request.jwt.claims is unset, malformed or expired, or its sub is not a uuid.",
                "SELECT * FROM tenancy.diagnose() says which.",
            ),
            NullPermission => (PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "", ""),
            Spi(_) => (PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, "", ""),
            NotATrigger(_) | OtherTrigger(..) => {
                (PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "", "")
            }
        };
        let mut report = Self::new(code, message, "");
        if !detail.is_empty() {
            report = report.set_detail(detail);
        }
        if !hint.is_empty() {
            report = report.set_hint(hint);
        }
        report
    }
}

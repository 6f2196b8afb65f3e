//! Every error this library raises, and the one place that gives each its SQLSTATE, DETAIL and HINT.
//! Messages repeat no claim's value and nothing of another tenant. The management functions, written in
//! plpgsql, raise by the same table (docs/reference/errors.md).

use crate::pg::measure::BadSize;
use crate::pg::report;
use crate::usage::{Crossed, Exceeded};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::{PgLogLevel, PgSqlErrorCode};
use std::ffi::CStr;
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
    #[error("user_id must be a user's id")]
    NotAUser,
    #[error("subject must be the user's uuid")]
    SubjectNotAUuid,
    #[error("subject must have 1 to 1024 bytes")]
    SubjectLength,
    #[error("tenant must be a tenant's id or key")]
    NotATenant,
    #[error("permission denied for function {0}")]
    MayNotExecute(&'static str),
    #[error("permission denied: database role \"{0}\" may not enter tenants")]
    MayNotEnter(String),
    #[error("tenant does not exist")]
    UnknownTenant,
    #[error("tenant is {0}")]
    ClosedTenant(&'static str),
    #[error("{0} can only be used in transaction blocks")]
    NoTransactionBlock(&'static str),
    #[error("quota exceeded for meter \"{}\"", .0.meter)]
    QuotaExceeded(Box<Exceeded>),
    #[error("soft quota exceeded for meter \"{}\"", .0.meter)]
    SoftQuota(Box<Crossed>),
    #[error("usage out of range")]
    UsageOverflow,
    #[error("meter \"{0}\" does not exist")]
    UnknownMeter(String),
    #[error("meter must not be null")]
    NullMeter,
    #[error("amount must not be null")]
    NullAmount,
    #[error("amount of a counter must not be negative")]
    NegativeAmount,
    #[error("meter \"{0}\" is counted from tables")]
    FedByTables(String),
    #[error("{0} cannot run inside a subtransaction")]
    InSubtransaction(&'static str),
    #[error("could not serialize access: the tenant is younger than this transaction's snapshot")]
    TenantTooYoung,
    #[error("no tenant to record usage for")]
    NoTenantToRecord,
    #[error("permission denied to record usage for this tenant")]
    MayNotRecord,
    #[error("tenant does not exist")]
    NoSuchTenant,
    #[error("permission denied to fold usage")]
    MayNotFold,
    #[error("permission denied to act as a table's owner")]
    MayNotActAsOwner,
    #[error("cannot execute {0} in a read-only transaction")]
    ReadOnly(&'static str),
    #[error("cannot execute {0} during recovery")]
    InRecovery(&'static str),
    #[error("cannot MERGE into {0}: it is partitioned, and its rows are counted")]
    MergeOfPartitions(String),
    #[error("the tables of usage are missing or of another version")]
    UsageTables,
    #[error("amount must be positive")]
    NotPositive,
    #[error("meter \"{0}\" is a gauge")]
    CountedGauge(String),
    #[error("size in column \"{column}\" of table \"{table}\" {}", reason.what())]
    BadSize { table: String, column: String, reason: BadSize },
    #[error("a row of table \"{0}\" cannot move to another tenant")]
    ImmutableTenant(String),
    #[error("{0}")]
    Spi(#[from] pgrx::spi::SpiError),
}

impl Error {
    /// Raises. Only an `ErrorReport` keeps its SQLSTATE through pgrx.
    #[expect(clippy::panic, reason = "pgrx turns this payload into an ordinary error")]
    pub fn raise(self) -> ! {
        std::panic::panic_any(ErrorReport::from(self))
    }

    /// Raises when the present call returns, with the name of the constraint that it is about.
    pub fn raise_about(self, constraint: &'static CStr) {
        report::prepare(PgSqlErrorCode::ERRCODE_CHECK_VIOLATION, &ErrorReport::from(self), constraint, None);
    }

    /// The same of a constraint of a host's table, which schema and name tell.
    pub fn raise_about_table(self, constraint: &'static CStr, schema: &CStr, table: &CStr) {
        let (code, report) = (PgSqlErrorCode::ERRCODE_CHECK_VIOLATION, ErrorReport::from(self));
        report::prepare(code, &report, constraint, Some((schema, table)));
    }

    /// Tells the client what is nobody's fault.
    pub fn notice(self) {
        ErrorReport::from(self).report(PgLogLevel::NOTICE);
    }

    /// Tells the client, and goes on.
    pub fn warn(self) {
        ErrorReport::from(self).report(PgLogLevel::WARNING);
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        use Error::*;
        let message = error.to_string();
        let asked;
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
            NotAUser | NotATenant => (PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "", ""),
            SubjectNotAUuid => (
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "",
                "Subjects of another form are looked up in tenancy.subjects with tenancy.subject_format = mapped.",
            ),
            SubjectLength => (PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "", ""),
            // As the server itself says it.
            MayNotExecute(_) => (PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "", ""),
            MayNotEnter(role) => {
                asked = format!(
                    "An administrator can allow it: SELECT tenancy.allow_database_role('{}', '{{...}}').",
                    role.replace('\'', "''")
                );
                (PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "", asked.as_str())
            }
            UnknownTenant => (
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                "",
                "SELECT * FROM tenancy.enterable_tenants() lists the tenants there are.",
            ),
            ClosedTenant(_) => (PgSqlErrorCode::ERRCODE_CHECK_VIOLATION, "", ""),
            NoTransactionBlock(_) => (
                PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
                "The identity ended with this statement.",
                "BEGIN first, and run in that transaction what needs the identity: transaction.atomic() in Django, a transaction of \
                 the pool in other drivers.",
            ),
            NullPermission | NullMeter | NullAmount => {
                (PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "", "")
            }
            QuotaExceeded(quota) => {
                asked = quota.detail();
                (PgSqlErrorCode::ERRCODE_CHECK_VIOLATION, asked.as_str(), quota.hint())
            }
            SoftQuota(crossed) => {
                asked = crossed.detail();
                (PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, asked.as_str(), "")
            }
            UsageOverflow => (
                PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                "Amounts and their sums are of type bigint.",
                "",
            ),
            UnknownMeter(_) => (
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                "",
                "SELECT name FROM tenancy.meters lists those there are; tenancy.create_meter() makes one.",
            ),
            NegativeAmount => {
                (PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, "Counters add up; only gauges fall.", "")
            }
            FedByTables(_) => (
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "meter_table() has triggers count it.",
                "SELECT tenancy.recount_usage(...) corrects it.",
            ),
            NoTenantToRecord => (
                PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                "No tenant was given, and the request has no active one.",
                "SELECT * FROM tenancy.diagnose() says why.",
            ),
            MayNotRecord => (
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "",
                "Members may record for their own tenants, and lower gauges with the permission usage.edit.",
            ),
            NoSuchTenant => (PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT, "", ""),
            InSubtransaction(_) => (
                PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
                "",
                "Call it outside of savepoints and of blocks with an EXCEPTION clause.",
            ),
            TenantTooYoung => (
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                "",
                "The transaction might succeed if retried.",
            ),
            MayNotFold => (PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, "", "Only administrators may."),
            MayNotActAsOwner => (
                PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
                "",
                "Members of that role may; to read, administrators who have SELECT on the table too.",
            ),
            ReadOnly(_) | InRecovery(_) => (PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION, "", ""),
            MergeOfPartitions(_) => (
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "PostgreSQL does not tell triggers correctly of rows that MERGE moves to another partition.",
                "Use INSERT ... ON CONFLICT, or UPDATE and DELETE.",
            ),
            UsageTables => (
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "",
                "ALTER EXTENSION pg_tenancy UPDATE brings them to the version of the library.",
            ),
            NotPositive => (
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "",
                "What was counted stays counted: pass 1 or more.",
            ),
            CountedGauge(_) => (
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                "A gauge tells a present amount; requests are counted by counters.",
                "SELECT name FROM tenancy.meters WHERE kind = 'counter' lists those there are.",
            ),
            BadSize { reason, .. } => {
                let code = match reason {
                    crate::pg::measure::BadSize::TooLarge => {
                        PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE
                    }
                    _ => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                };
                (
                    code,
                    "The table's bytes are counted by it.",
                    "It must be a whole number of bytes, 0 or more.",
                )
            }
            ImmutableTenant(_) => (
                PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
                "",
                "An administrator may after SET LOCAL tenancy.allow_tenant_change = on.",
            ),
            Spi(_) => (PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, "", ""),
            NotATrigger(_) | OtherTrigger(..) => {
                (PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "", "")
            }
        };
        let (detail, hint) = (detail.to_owned(), hint.to_owned());
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

//! pg_tenancy: tenants, members, groups, roles and permissions as tables, and native functions that
//! row-level-security policies call. docs/architecture.md says where what lives and why.

mod api;
mod bootstrap;
mod cache;
mod claims;
mod email;
mod error;
mod metering;
mod pg;
#[cfg(test)]
pub mod pg_test;
mod planner;
mod projection;
mod rbac;
mod rights;
mod session;
mod settings;
#[cfg(any(test, feature = "pg_test"))]
mod tests;
mod triggers;
mod usage;

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

/// Runs when the library loads: at connection with session_preload_libraries, else at the first call.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // Settings first defined in a parallel worker would be lost for good.
    if pg::xact::in_parallel_mode() {
        error::Error::LoadedInParallel.raise();
    }
    session::start();
    cache::start();
    planner::start();
    usage::start();
    metering::start();
    settings::define();
}

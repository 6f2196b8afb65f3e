//! Trigger functions written in Rust. They are declared in sql/bootstrap, in sync_claims.sql and meter_table.sql.

mod claims;
mod metered;
mod profile;

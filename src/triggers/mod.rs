//! Trigger functions written in Rust. They are declared in sql/bootstrap, in sync_claims.sql, meter_table.sql and protect_structure.sql.

mod claims;
mod metered;
mod profile;
mod tenant;

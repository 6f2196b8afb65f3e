//! Trigger functions written in Rust. They are declared in sql/bootstrap/sync_claims.sql.

mod claims;
mod profile;

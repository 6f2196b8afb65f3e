//! Every function of SQL that is written in Rust: decode, call, encode. One file per topic. The functions
//! that policies call per row are C functions declared in sql/bootstrap/helpers.sql.

mod administration;
pub(crate) mod checks;
mod claims;
mod diagnosis;
mod email;
mod hook;
pub(crate) mod identity;
mod memberships;
mod metering;
mod naming;
mod profiles;
mod projection;
mod reach;
mod requests;
mod require;
mod rights;
mod statistics;
mod storage;
pub(crate) mod trusted;
mod usage;

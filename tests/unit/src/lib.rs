//! The pure modules of the extension, compiled a second time without pgrx: that they compile here shows them
//! pure. `cargo test -p pg_tenancy_unit` tests them with no server.
#![forbid(unsafe_code)]

#[path = "../../../src/claims/mod.rs"]
pub mod claims;
#[path = "../../../src/email/mod.rs"]
pub mod email;
#[path = "../../../src/rbac/mod.rs"]
pub mod rbac;

#[path = "."]
pub mod cache {
    #[path = "../../../src/cache/clock.rs"]
    pub mod clock;
    #[path = "../../../src/cache/store.rs"]
    pub mod store;
}

#[path = "."]
pub mod usage {
    #[path = "../../../src/usage/amounts.rs"]
    pub mod amounts;
    #[path = "../../../src/usage/bound.rs"]
    pub mod bound;
    #[path = "../../../src/usage/grant.rs"]
    pub mod grant;
    #[path = "../../../src/usage/ledger.rs"]
    pub mod ledger;
    #[path = "../../../src/usage/limits.rs"]
    pub mod limits;
    #[path = "../../../src/usage/period.rs"]
    pub mod period;
    #[path = "../../../src/usage/seats.rs"]
    pub mod seats;
    #[path = "../../../src/usage/table.rs"]
    pub mod table;
    #[path = "../../../src/usage/wording.rs"]
    pub mod wording;
}

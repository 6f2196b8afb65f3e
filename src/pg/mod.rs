//! The only place with `unsafe`: safe wrappers over what Postgres offers in C. Each unsafe block names the
//! guarantee of Postgres it relies on.

pub mod array;
pub mod call;
pub mod compat;
pub mod execution;
pub mod function;
pub mod invalidation;
pub mod jsonb;
pub mod keyed;
pub mod keyed_row;
pub mod measure;
pub mod moment_lock;
pub mod nodes;
pub mod plan;
pub mod policy;
pub mod report;
pub mod role;
pub mod scan;
pub mod sealed;
pub mod setting;
pub mod shmem;
pub mod snapshot;
pub mod statistics;
pub mod subtransaction;
pub mod support;
pub mod transition;
pub mod trigger;
pub mod varlena;
pub mod worker;
pub mod xact;

//! Scratch clusters, sessions and services for the scenarios in tests/. Everything a scenario starts ends with
//! its program, however that ends. What it needs comes through the environment: tools/server_env.sh.

mod application;
mod attack;
mod bouncer;
mod cluster;
pub mod counting;
mod fixtures;
mod guardian;
mod guide;
mod oracle;
mod postgrest;
mod process;
mod random;
mod session;
mod steps;
mod supabase;
mod usage;

pub use application::{Answer, Application, Browser, Server, files_below};
pub use attack::{Attack, attack};
pub use bouncer::PgBouncer;
pub use cluster::Cluster;
pub use fixtures::{bearer, tenant, user};
pub use guide::Guide;
pub use oracle::{by_functions, by_tables};
pub use postgrest::{Api, Request};
pub use process::resident_kilobytes;
pub use random::Random;
pub use session::{Row, Session, explain};
pub use steps::Steps;
pub use usage::End;

use std::time::{Duration, Instant};

/// Waits until a condition holds, which something in the background brings about.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "still not after 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What the environment must say.
pub fn required(variable: &str) -> std::path::PathBuf {
    match std::env::var_os(variable) {
        Some(value) => value.into(),
        None => panic!("{variable} is not set: run `make integration`, which sets it"),
    }
}

/// A readable copy of a directory of the repository: `tests`, `sql` or `docs`.
pub fn source(path: &str) -> std::path::PathBuf {
    required("PGT_SOURCE").join(path)
}

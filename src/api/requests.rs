//! Counting reads and requests.

use crate::error::Error;
use crate::pg::xact;
use crate::session;
use crate::usage::{has_counters, meter, shared};
use pgrx::prelude::*;

/// Counts for the active tenant, in READ ONLY transactions too. False without one, and where nothing can be counted.
#[pg_extern(volatile, parallel_restricted)]
fn count_request(meter: Option<&str>, amount: default!(Option<i64>, 1)) -> bool {
    let counted = counted(meter, amount);
    counted.unwrap_or_else(|error| error.raise())
}

fn counted(name: Option<&str>, amount: Option<i64>) -> Result<bool, Error> {
    let amount = amount.ok_or(Error::NullAmount)?;
    let amount = u64::try_from(amount).ok().filter(|amount| *amount > 0).ok_or(Error::NotPositive)?;
    let name = name.ok_or(Error::NullMeter)?;
    let meter = meter(name).ok_or_else(|| Error::UnknownMeter(name.to_owned()))?;
    if meter.gauge {
        return Err(Error::CountedGauge(meter.name.to_string()));
    }
    if meter.fed_by_tables {
        return Err(Error::FedByTables(meter.name.to_string()));
    }
    match session::fresh().tenant() {
        Some(tenant) => shared::count(tenant, &meter, amount),
        None => Ok(false),
    }
}

/// One row about the counters in shared memory; none where there are none.
#[pg_extern(volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn usage_shared_stats() -> TableIterator<
    'static,
    (
        name!(entries, i64),
        name!(capacity, i64),
        name!(dropped, i64),
        name!(pending, i64),
        name!(worker_pid, Option<i32>),
        name!(last_flush, Option<TimestampWithTimeZone>),
    ),
> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let time = |micros: u64| TimestampWithTimeZone::try_from(xact::postgres_micros(count(micros))).ok();
    TableIterator::new(shared::stats().map(|stats| {
        (
            count(stats.entries as u64),
            count(stats.capacity as u64),
            count(stats.dropped),
            count(stats.pending),
            stats.worker.and_then(|process| i32::try_from(process).ok()),
            stats.last_write.and_then(time),
        )
    }))
}

/// What diagnose() says about counting, where anything is counted, with a hint.
pub fn findings() -> Vec<(String, &'static str)> {
    if !has_counters() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    match shared::stats() {
        _ if xact::in_recovery() => {
            findings.push((
                "requests are not counted: this server is a standby".to_owned(),
                "count_request() returns false here. Send the requests that shall be counted to the primary.",
            ));
        }
        None => {
            findings.push((
                "requests are counted only where the transaction may write".to_owned(),
                "count_request() counts in READ ONLY transactions once pg_tenancy is in shared_preload_libraries, which asks \
                 for a restart of the server.",
            ));
        }
        Some(stats) => {
            let interval = shared::interval().as_millis();
            findings.push((
                format!("requests are counted in shared memory, and written every {interval} ms"),
                "",
            ));
            if stats.waits_for_worker {
                findings.push((
                    "counts of requests are not written: they wait for a background worker".to_owned(),
                    "Raise max_worker_processes and restart, or see in the server's log why the worker ends. Until then each \
                     connection that counted writes when it ends.",
                ));
            }
            if stats.cannot_write {
                findings.push((
                    "counts of requests could not be written when it was last tried, and are kept".to_owned(),
                    "The server's log says why: a lock that was held for more than five seconds, for example.",
                ));
            }
            if stats.dropped > 0 {
                findings.push((
                    format!("{} counts of requests were dropped: shared memory was full", stats.dropped),
                    "tenancy.usage_shared_entries says how many tenants and meters it has room for.",
                ));
            }
        }
    }
    findings
}

//! What this backend's cache did.

use crate::cache;
use pgrx::prelude::*;

/// One row about the cache of this backend, counted since it started.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn cache_stats() -> TableIterator<
    'static,
    (
        name!(entries, i64),
        name!(bytes, i64),
        name!(hits, i64),
        name!(misses, i64),
        name!(loads, i64),
        name!(invalidations, i64),
    ),
> {
    let stats = cache::stats();
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    TableIterator::once((
        i64::try_from(stats.entries).unwrap_or(i64::MAX),
        i64::try_from(stats.bytes).unwrap_or(i64::MAX),
        count(stats.counters.hits),
        // Every miss is a load: what is in no memory is read.
        count(stats.counters.loads),
        count(stats.counters.loads),
        count(stats.invalidations),
    ))
}

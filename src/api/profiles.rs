//! What profiles are checked by.

use pgrx::prelude::*;
use std::cell::OnceCell;
use std::collections::HashSet;

const TIME_ZONES: &str = include_str!("../../sql/queries/time_zones.sql");

thread_local! {
    /// Reading them opens some hundreds of files, and they change with the server's installation only.
    static KNOWN: OnceCell<HashSet<String>> = const { OnceCell::new() };
}

#[pg_extern(stable, parallel_restricted, strict)]
fn is_time_zone(name: &str) -> bool {
    if KNOWN.with(|known| known.get().is_none()) {
        let names = Spi::connect(|client| {
            let rows = client.select(TIME_ZONES, None, &[])?;
            rows.map(|row| Ok(row.get::<String>(1)?.unwrap_or_default())).collect::<pgrx::spi::Result<_>>()
        });
        // Another call cannot have come between: one thread, and the query calls nothing of ours.
        KNOWN.with(|known| names.ok().and_then(|names| known.set(names).ok()));
    }
    KNOWN.with(|known| known.get().is_some_and(|names| names.contains(name)))
}

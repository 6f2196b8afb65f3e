//! Counting where nothing can be written: in shared memory, from which a worker writes it (see flush). It is no part of the
//! transaction that counts, and what was not written yet is lost if a process of the server crashes.

use super::seats::Seats;
use super::table::{Added, Key, Table};
use super::{Enforce, Meter, Recorded, flush, record};
use crate::error::Error;
use crate::pg::{shmem, worker, xact};
use crate::rbac::Id;
use crate::settings;
use pgrx::prelude::*;
use std::cell::Cell;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const WORKER: &str = "pg_tenancy usage";
const MAIN: &str = "tenancy_usage_worker";

thread_local! {
    /// Whether this process has said that it cannot count.
    static TOLD: Cell<bool> = const { Cell::new(false) };
    /// Whether this process will write, when it ends, what nobody else does.
    static WILL_WRITE: Cell<bool> = const { Cell::new(false) };
    /// Whether this process is the worker, to whom what he is writing is no more pending.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Called once when the library loads.
pub fn start() {
    shmem::reserve(|| Seats::WORDS + Table::words(capacity()));
}

fn capacity() -> usize {
    usize::try_from(settings::USAGE_SHARED_ENTRIES.get()).unwrap_or(0)
}

pub fn interval() -> Duration {
    Duration::from_millis(u64::try_from(settings::USAGE_FLUSH_INTERVAL.get()).unwrap_or(1000))
}

/// Microseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

pub fn seats(words: &'static [AtomicU64]) -> Option<Seats<'static>> {
    Seats::new(words)
}

pub fn table(words: &'static [AtomicU64]) -> Option<Table<'static>> {
    Table::new(words.get(Seats::WORDS..)?, capacity())
}

/// Something done with the table, and with the seats, while others may add.
pub fn read<T>(work: impl FnOnce(Table<'static>, Seats<'static>) -> T) -> Option<T> {
    shmem::shared(|words| Some(work(table(words)?, seats(words)?))).flatten()
}

/// The same while nobody else does anything with them.
pub fn change<T>(work: impl FnOnce(Table<'static>, Seats<'static>) -> T) -> Option<T> {
    shmem::exclusive(|words| Some(work(table(words)?, seats(words)?))).flatten()
}

/// Whether there is shared memory to count in.
pub fn is_available() -> bool {
    shmem::words().is_some()
}

/// Counts what has happened, whatever the quotas are. False if it could not be counted.
pub fn count(tenant: &Id, meter: &Meter, amount: u64) -> Result<bool, Error> {
    if xact::in_recovery() {
        return Ok(false);
    }
    if !is_available() {
        let counted = count_directly(tenant, meter, amount);
        if matches!(counted, Ok(false)) && xact::is_read_only() && !TOLD.replace(true) {
            warning_in_log(
                "pg_tenancy is not in shared_preload_libraries: count_request() counts nothing in READ ONLY transactions",
            );
        }
        return counted;
    }
    let database = worker::database();
    let Some(key) = Key::new(database, tenant, &meter.name) else { return Ok(false) };
    let may_write = !xact::is_read_only();
    let known = read(|table, seats| {
        // Without a worker to be had it would wait, which only those do that cannot write it themselves.
        let added = match may_write && seats.is_refused(database, now) {
            true => Added::Full,
            false => table.add(&key, amount),
        };
        (added, seats.lacks(database, now))
    });
    let (mut added, lacks_worker) = known.unwrap_or((Added::Full, false));
    if added == Added::Absent {
        added = change(|table, _| table.insert(&key, amount)).unwrap_or(Added::Full);
    }
    if added == Added::Done && !WILL_WRITE.replace(true) {
        flush::write_at_exit();
    }
    if lacks_worker {
        ask_for_worker(database);
    }
    match added {
        Added::Done => Ok(true),
        Added::TooMuch => Err(Error::UsageOverflow),
        Added::Absent | Added::Full => {
            let counted = count_directly(tenant, meter, amount)?;
            if !counted && !may_write {
                read(|table, _| table.drop_one());
            }
            Ok(counted)
        }
    }
}

/// A row of the transaction's own, where it can write any.
fn count_directly(tenant: &Id, meter: &Meter, amount: u64) -> Result<bool, Error> {
    if xact::is_read_only() {
        return Ok(false);
    }
    let amount = i64::try_from(amount).map_err(|_| Error::UsageOverflow)?;
    Ok(matches!(record(tenant, meter, amount, Enforce::Nothing)?, Recorded::Done))
}

/// Where there are as many workers as there may be, the next count after a while asks again.
fn ask_for_worker(database: u32) {
    if change(|_, seats| seats.ask(database, now())) != Some(true) {
        return;
    }
    if worker::ask_for(WORKER, MAIN, database) {
        return;
    }
    let complaining = change(|table, seats| {
        seats.refuse(database);
        table.shall_complain()
    });
    if complaining == Some(true) {
        warning_in_log(
            "pg_tenancy: no background worker can be started to write what count_request() counted; max_worker_processes may be too low",
        );
    }
}

/// Said to whoever runs the server, and to no client.
pub fn warning_in_log(message: &str) {
    pgrx::pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        message.to_owned(),
        "",
    )
    .report(PgLogLevel::LOG_SERVER_ONLY);
}

/// Said by the worker when it starts, and by whoever does its work.
pub fn this_process_writes() {
    WRITES.set(true);
}

/// What was counted of a tenant's use and is not written yet. While it is being written it may, for a moment, be told
/// twice, here and by the table.
pub fn pending(tenant: &Id, meter: &str) -> i64 {
    if WRITES.get() {
        return 0;
    }
    let Some(key) = Key::new(worker::database(), tenant, meter) else { return 0 };
    let amount = read(|table, _| table.amount(&key)).unwrap_or(0);
    i64::try_from(amount).unwrap_or(i64::MAX)
}

pub struct Stats {
    pub entries: usize,
    pub capacity: usize,
    pub dropped: u64,
    /// Of this database; so are the next.
    pub pending: u64,
    pub worker: Option<u64>,
    /// Microseconds since 1970.
    pub last_write: Option<u64>,
    /// Whether something is pending that no worker writes, nor has been asked to lately.
    pub waits_for_worker: bool,
    /// Whether something is pending that the worker could not write.
    pub cannot_write: bool,
}

/// `None` where there is no shared memory.
pub fn stats() -> Option<Stats> {
    let database = worker::database();
    read(|table, seats| {
        let pending = table.sum(database);
        Stats {
            entries: table.used(),
            capacity: table.capacity(),
            dropped: table.dropped(),
            pending,
            worker: seats.worker(database),
            last_write: seats.last_write(database),
            waits_for_worker: pending > 0 && (seats.lacks(database, now) || seats.is_refused(database, now)),
            cannot_write: pending > 0 && seats.has_failed(database),
        }
    })
}

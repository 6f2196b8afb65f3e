//! The worker that writes what a database's backends have counted. It begins with the first count, and ends when there is
//! nothing to write: whoever is connected to a database keeps it from being dropped or copied. While there is none, because
//! the server gives none or is about to stop, a connection that counted writes what is there when it ends.

use super::seats::Seats;
use super::shared::{self, change, interval, read, warning_in_log};
use super::table::Key;
use super::{Enforce, Meter, meter, record};
use crate::cache;
use crate::pg::role::{Acting, database_exists};
use crate::pg::{scan, subtransaction, worker};
use crate::rbac::format_id;
use pgrx::pg_sys::{Datum, Oid};
use std::time::{Duration, Instant};

/// Without anything to write for that long the worker ends. DROP DATABASE waits five seconds for others to go.
const IDLE: Duration = Duration::from_secs(3);
/// Entries that were nothing for so many turns are freed.
const TURNS: u64 = 10;
/// So many places of the table are looked through while nobody can count anything new.
const AT_ONCE: usize = 4096;
/// A fast shutdown ends clients and worker at once: what the clients still count is waited for.
const LAST_WAIT: Duration = Duration::from_millis(20);
const LAST_TURNS: u32 = 25;
/// An error that comes back every turn is told that often.
const TELL_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Flusher {
    database: u32,
    /// It is no worker, but a connection that ends.
    stands_in: bool,
    /// The last turn failed as a whole: each entry is tried by itself.
    careful: bool,
    told: Option<Instant>,
}

/// What one turn came to.
enum Turn {
    Nothing,
    Wrote,
    Failed,
    /// The extension is not in this database.
    Gone,
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn tenancy_usage_worker(argument: Datum) {
    let database = argument.value() as u32;
    worker::connect(database);
    shared::this_process_writes();
    let take = || change(|_, seats| seats.take(database, worker::process())) == Some(true);
    // A connection that ends may be writing in its place for a moment.
    let mut turns = 0..LAST_TURNS;
    while !take() {
        if turns.next().is_none() || !worker::wait(LAST_WAIT) {
            return;
        }
    }
    worker::at_exit(|| at_exit(|seats| seats.leave(worker::process())));
    Flusher { database, ..Flusher::default() }.run();
}

/// Without the lock: a process that ends may not wait for it.
fn at_exit(work: impl FnOnce(Seats<'static>)) {
    if let Some(seats) = crate::pg::shmem::words().and_then(shared::seats) {
        work(seats);
    }
}

/// Called once in a process that counts.
pub fn write_at_exit() {
    worker::at_exit(|| at_exit(|seats| seats.give_back(worker::process())));
    worker::at_exit(stand_in);
}

/// What waits is written here if nobody else is there to do it. Of many that end at once one writes for all: it goes when
/// nothing is left, and whoever counted before he ended is seen by it.
fn stand_in() {
    let database = worker::database();
    let is_waiting = read(|table, seats| seats.worker(database).is_none() && table.sum(database) > 0);
    if is_waiting != Some(true) {
        return;
    }
    worker::while_ending(|| {
        if change(|_, seats| seats.stand_in(database, worker::process())) != Some(true) {
            return;
        }
        shared::this_process_writes();
        let mut flusher = Flusher { database, stands_in: true, ..Flusher::default() };
        for _ in 0..LAST_TURNS {
            match flusher.turn() {
                Turn::Gone => return flusher.give_up(),
                Turn::Failed => return,
                Turn::Wrote | Turn::Nothing if flusher.leave(0) => return,
                Turn::Wrote | Turn::Nothing => {}
            }
        }
    });
}

impl Flusher {
    fn run(&mut self) {
        self.forget_dropped_databases();
        let mut wrote = Instant::now();
        let mut began = wrote;
        loop {
            // Signals of the server's own wake it, too.
            let mut going_on = true;
            while going_on && began.elapsed() < interval() {
                going_on = worker::wait(interval().saturating_sub(began.elapsed()));
            }
            began = Instant::now();
            match self.turn() {
                Turn::Gone => return self.give_up(),
                Turn::Wrote | Turn::Failed => wrote = began,
                Turn::Nothing => {}
            }
            if !going_on {
                return self.end();
            }
            if wrote.elapsed() >= IDLE.max(interval() * 3) && self.leave(0) {
                return;
            }
        }
    }

    /// Frees what is nothing, and goes if that is all. What is added later finds no worker, and asks for one.
    fn leave(&self, turns: u64) -> bool {
        self.sweep(turns);
        let left = change(|table, seats| {
            let empty = table.sum(self.database) == 0;
            match self.stands_in {
                _ if !empty => {}
                true => seats.give_back(worker::process()),
                false => seats.leave(worker::process()),
            }
            empty
        });
        left != Some(false)
    }

    /// Others go on counting between one part of the table and the next.
    fn sweep(&self, turns: u64) {
        let places = read(|table, _| table.places()).unwrap_or(0);
        for from in (0..places).step_by(AT_ONCE) {
            change(|table, _| table.sweep(self.database, turns, from..from + AT_ONCE));
        }
    }

    /// The server shuts down, or somebody ended this worker.
    fn end(&mut self) {
        for _ in 0..LAST_TURNS {
            let clients = worker::has_clients();
            if let Turn::Failed = self.turn() {
                return;
            }
            if !clients && self.leave(0) {
                return;
            }
            std::thread::sleep(LAST_WAIT);
        }
        // Whoever counts even now writes that when he ends.
        self.turn();
    }

    /// Nothing of this can ever be written.
    fn give_up(&self) {
        change(|table, seats| {
            table.discard(self.database);
            seats.leave(worker::process());
        });
    }

    fn forget_dropped_databases(&self) {
        let databases = read(|table, _| table.databases()).unwrap_or_default();
        let gone = worker::transaction(c"looking for dropped databases", || {
            databases.into_iter().filter(|database| !database_exists(*database)).collect::<Vec<u32>>()
        });
        for database in gone.unwrap_or_default() {
            change(|table, _| table.discard(database));
        }
    }

    fn turn(&mut self) -> Turn {
        let mut amounts: Vec<(Key, u64)> = Vec::new();
        let due = read(|table, _| {
            table.turn(self.database, |key, amount| {
                if amount > 0 {
                    amounts.push((key, amount));
                }
            });
            (table.is_due(self.database, TURNS), table.shall_tell())
        });
        if let Some((true, _)) = due {
            self.sweep(TURNS);
        }
        if let Some((_, true)) = due {
            warning_in_log(
                "pg_tenancy: counts were dropped, because shared memory has no room for more tenants and meters; \
                 tenancy.usage_shared_entries can be raised",
            );
        }
        if amounts.is_empty() {
            return Turn::Nothing;
        }
        // Whoever else writes several takes them in the same order.
        amounts.sort_unstable();
        let careful = self.careful;
        let written = worker::transaction(c"writing counted usage", || write(&amounts, careful));
        match written {
            Ok(None) => Turn::Gone,
            Ok(Some(written)) => {
                read(|table, seats| {
                    written.done.iter().for_each(|(key, amount)| table.subtract(key, *amount));
                    seats.wrote(self.database, shared::now());
                });
                self.careful = written.failure.is_some();
                match written.failure {
                    None => Turn::Wrote,
                    Some(failure) => self.failed(&failure),
                }
            }
            Err(failure) => {
                self.careful = true;
                self.failed(&failure)
            }
        }
    }

    fn failed(&mut self, failure: &subtransaction::Failure) -> Turn {
        read(|_, seats| seats.failed(self.database));
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            self.told = Some(Instant::now());
            let text = format!(
                "pg_tenancy: counted usage could not be written, and is kept: {} ({})",
                failure.message, failure.code
            );
            warning_in_log(&text);
        }
        Turn::Failed
    }
}

#[derive(Default)]
struct Written {
    done: Vec<(Key, u64)>,
    failure: Option<subtransaction::Failure>,
}

/// Writes them, all or none, or carefully each by itself. `None` if there is nothing to write to.
fn write(amounts: &[(Key, u64)], careful: bool) -> Option<Written> {
    let usage: Oid = scan::relation(c"usage", scan::schema(cache::SCHEMA)?)?;
    let _owner = Acting::as_owner_of(usage)?;
    let mut written = Written::default();
    for (key, amount) in amounts {
        // What nobody counts any more is done with.
        if let Some(meter) = meter(&key.meter()).filter(|meter| !meter.gauge) {
            let attempt = match careful {
                true => subtransaction::attempt(|| write_one(key, &meter, *amount)),
                false => {
                    write_one(key, &meter, *amount);
                    Ok(())
                }
            };
            if let Err(failure) = attempt {
                written.failure = Some(failure);
                continue;
            }
        }
        written.done.push((*key, *amount));
    }
    Some(written)
}

/// A tenant that is gone is no matter. An amount that does not fit never will: it is told and lost.
fn write_one(key: &Key, meter: &Meter, amount: u64) {
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    if let Err(error) = record(&key.tenant(), meter, amount, Enforce::Nothing) {
        let text = format!(
            "pg_tenancy: {amount} of meter {} counted for tenant {} are lost: {error}",
            meter.name,
            format_id(&key.tenant())
        );
        warning_in_log(&text);
    }
}

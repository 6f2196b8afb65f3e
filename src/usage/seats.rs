//! Which worker writes what was counted in which database: one seat for each, in words that all processes share and that start
//! as zero. Pure. Whoever changes who sits where holds the exclusive lock, whoever looks either.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Words of a seat: the database, the worker's process, when it was asked for, when it last wrote, whether it was refused when
/// it was asked for, and whether the last thing that it tried to write could not be written.
const SEAT: usize = 6;
/// How many databases can have a worker at once.
const SEATS: usize = 64;
/// After so many microseconds without a worker another one is asked for.
pub const PATIENCE: u64 = 5_000_000;

pub struct Seats<'m> {
    words: &'m [AtomicU64],
}

/// Somebody's seat.
struct Seat<'m>(&'m [AtomicU64]);

impl Seat<'_> {
    fn database(&self) -> u32 {
        self.0[0].load(Relaxed) as u32
    }

    fn process(&self) -> u64 {
        self.0[1].load(Relaxed)
    }

    fn asked(&self) -> u64 {
        self.0[2].load(Relaxed)
    }

    fn is_refused(&self) -> bool {
        self.0[4].load(Relaxed) != 0
    }

    fn give_to(&self, database: u32) {
        if self.database() != database {
            self.0[0].store(database.into(), Relaxed);
            self.0[3..].iter().for_each(|word| word.store(0, Relaxed));
        }
    }

    /// Whether a worker sits there, or may be on its way at this time.
    fn is_taken(&self, now: u64) -> bool {
        self.process() != 0 || now < self.asked().saturating_add(PATIENCE)
    }
}

impl<'m> Seats<'m> {
    pub const WORDS: usize = SEAT * SEATS;

    /// `None` if there are fewer words than that.
    pub fn new(words: &'m [AtomicU64]) -> Option<Self> {
        Some(Self { words: words.get(..Self::WORDS)? })
    }

    fn each(&self) -> impl Iterator<Item = Seat<'m>> {
        self.words.chunks_exact(SEAT).map(Seat)
    }

    fn of(&self, database: u32) -> Option<Seat<'m>> {
        self.each().find(|seat| seat.database() == database)
    }

    /// The process of a database's worker.
    pub fn worker(&self, database: u32) -> Option<u64> {
        self.of(database).map(|seat| seat.process()).filter(|process| *process != 0)
    }

    /// Whether there is none, and none on its way.
    pub fn lacks(&self, database: u32, now: impl FnOnce() -> u64) -> bool {
        self.of(database).is_none_or(|seat| seat.process() == 0 && !seat.is_taken(now()))
    }

    /// Whether there is none to be had: the server gave none when it was asked last, or others have all seats.
    pub fn is_refused(&self, database: u32, now: impl FnOnce() -> u64) -> bool {
        match self.of(database) {
            Some(seat) => seat.is_refused(),
            None => {
                let now = now();
                self.each().all(|seat| seat.is_taken(now))
            }
        }
    }

    /// Whether the worker could not write what it last tried to.
    pub fn has_failed(&self, database: u32) -> bool {
        self.of(database).is_some_and(|seat| seat.0[5].load(Relaxed) != 0)
    }

    /// Whether a worker has to be asked for now, by whoever is told so.
    pub fn ask(&self, database: u32, now: u64) -> bool {
        let free = || self.each().find(|seat| !seat.is_taken(now));
        let Some(seat) = self.of(database).or_else(free) else { return false };
        let needed = !seat.is_taken(now);
        if needed {
            seat.give_to(database);
            seat.0[2].store(now, Relaxed);
        }
        needed
    }

    /// The one that was asked for is not given.
    pub fn refuse(&self, database: u32) {
        if let Some(seat) = self.of(database) {
            seat.0[4].store(1, Relaxed);
        }
    }

    /// Whether the worker may stay: there is no other.
    pub fn take(&self, database: u32, process: u64) -> bool {
        let seat = self.sit(database, process);
        if let Some(seat) = &seat {
            seat.0[4].store(0, Relaxed);
        }
        seat.is_some()
    }

    /// Whether another process may do the worker's work for now. That one may be on its way all the same.
    pub fn stand_in(&self, database: u32, process: u64) -> bool {
        self.sit(database, process).is_some()
    }

    fn sit(&self, database: u32, process: u64) -> Option<Seat<'m>> {
        let free = || self.each().find(|seat| !seat.is_taken(u64::MAX));
        let seat = self.of(database).or_else(free)?;
        if seat.process() != 0 && seat.process() != process {
            return None;
        }
        seat.give_to(database);
        seat.0[1].store(process, Relaxed);
        Some(seat)
    }

    /// The worker goes: the next one may be asked for at once. Under no lock, too, when a process ends in whatever way.
    pub fn leave(&self, process: u64) {
        for seat in self.each().filter(|seat| seat.process() == process) {
            seat.0[2].store(0, Relaxed);
            seat.0[1].store(0, Relaxed);
        }
    }

    /// Whoever stood in for it goes. Under no lock, too.
    pub fn give_back(&self, process: u64) {
        self.each().filter(|seat| seat.process() == process).for_each(|seat| seat.0[1].store(0, Relaxed));
    }

    pub fn wrote(&self, database: u32, now: u64) {
        if let Some(seat) = self.of(database) {
            seat.0[3].store(now, Relaxed);
            seat.0[5].store(0, Relaxed);
        }
    }

    /// Something could not be written.
    pub fn failed(&self, database: u32) {
        if let Some(seat) = self.of(database) {
            seat.0[5].store(1, Relaxed);
        }
    }

    /// When something was last written, in microseconds since 1970.
    pub fn last_write(&self, database: u32) -> Option<u64> {
        self.of(database).map(|seat| seat.0[3].load(Relaxed)).filter(|time| *time != 0)
    }
}

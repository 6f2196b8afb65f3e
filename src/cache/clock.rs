//! The two counters that decide whether anything remembered still counts. Pure, so that the rules can be
//! tested without a server; the one instance of a backend lives in `cache`.
//!
//! * the generation moves when the tables may have changed, and dates what was loaded from them;
//! * the epoch moves whenever any answer may have changed (generation, settings, time), and dates what a
//!   call site remembers.
//!
//! A load needs no "building" state beside them: it notes the generation before its snapshot and is kept
//! only if that still stands at the end. Whatever unwinds in between keeps nothing.

use std::cell::Cell;

#[derive(Debug)]
pub struct Clock {
    generation: Cell<u64>,
    epoch: Cell<u64>,
    invalidations: Cell<u64>,
}

impl Clock {
    /// Zero is no generation and no epoch, so that a zeroed call site is never current.
    pub const fn new() -> Self {
        Self { generation: Cell::new(1), epoch: Cell::new(1), invalidations: Cell::new(0) }
    }

    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    pub fn invalidations(&self) -> u64 {
        self.invalidations.get()
    }

    /// The answer to some question may have changed, the tables have not.
    pub fn move_epoch(&self) {
        self.epoch.set(self.epoch.get() + 1);
    }

    /// The tables may have changed.
    pub fn invalidate(&self) {
        self.generation.set(self.generation.get() + 1);
        self.invalidations.set(self.invalidations.get() + 1);
        self.move_epoch();
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

//! The counters that decide whether anything remembered still counts. Pure, so that the rules can be
//! tested without a server; the one instance of a backend lives in `cache`.
//!
//! * the generation moves when the tables may have changed, and dates what was loaded from them;
//! * the roles' generation moves when what a role comes to may have changed: roles, their permissions and
//!   inheritance, the catalogue. Much seldomer, so what users share of that outlives other changes;
//! * the quotas' generation moves when meters or quotas may have changed;
//! * the definitions move when the tables themselves may have changed: where they are is found anew then;
//! * the epoch moves whenever any answer may have changed (generation, settings, time), and dates what a
//!   call site remembers.
//!
//! A load needs no "building" state beside them: it notes the generation before its snapshot and is kept
//! only if that still stands at the end. Whatever unwinds in between keeps nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Atomic only so that it can be a plain static, which a row's check reads without a lookup: a backend has one
/// thread.
#[derive(Debug)]
pub struct Clock {
    generation: AtomicU64,
    roles: AtomicU64,
    definitions: AtomicU64,
    quotas: AtomicU64,
    epoch: AtomicU64,
    invalidations: AtomicU64,
}

impl Clock {
    /// Zero is no generation and no epoch, so that a zeroed call site is never current.
    pub const fn new() -> Self {
        Self {
            generation: AtomicU64::new(1),
            roles: AtomicU64::new(1),
            definitions: AtomicU64::new(1),
            quotas: AtomicU64::new(1),
            epoch: AtomicU64::new(1),
            invalidations: AtomicU64::new(0),
        }
    }

    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub fn roles(&self) -> u64 {
        self.roles.load(Relaxed)
    }

    pub fn definitions(&self) -> u64 {
        self.definitions.load(Relaxed)
    }

    pub fn quotas(&self) -> u64 {
        self.quotas.load(Relaxed)
    }

    /// Meters or quotas may have changed, which no answer of a policy's depends on.
    pub fn invalidate_quotas(&self) {
        self.quotas.fetch_add(1, Relaxed);
    }

    pub fn invalidations(&self) -> u64 {
        self.invalidations.load(Relaxed)
    }

    /// The answer to some question may have changed, the tables have not.
    pub fn move_epoch(&self) {
        self.epoch.fetch_add(1, Relaxed);
    }

    /// The tables may have changed.
    pub fn invalidate(&self) {
        self.generation.fetch_add(1, Relaxed);
        self.invalidations.fetch_add(1, Relaxed);
        self.move_epoch();
    }

    /// And with them what roles come to.
    pub fn invalidate_roles(&self) {
        self.roles.fetch_add(1, Relaxed);
        self.invalidate();
    }

    /// And with both the tables themselves.
    pub fn invalidate_definitions(&self) {
        self.definitions.fetch_add(1, Relaxed);
        self.invalidate_roles();
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

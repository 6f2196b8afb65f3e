//! What the present transaction has recorded, by savepoint. Pure.
//!
//! A row that one transaction updates again and again leaves a version each time, which it and all others walk over. So
//! after a few calls the slot is no longer written at each: it is written ahead of what has been recorded, and made exact
//! before commit, so that nobody ever sees less. There may be a limit tomorrow, or in another transaction already.

use super::amounts::Amounts;
use super::grant::Terms;
use std::collections::BTreeMap;

/// How many calls write each by itself, so that an ordinary transaction sees what it recorded.
const EXACT_CALLS: u32 = 32;

/// Of a set of quotas: it changes with them, and is 0 for none.
pub type Fingerprint = u64;

/// A slot that this transaction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<P> {
    pub slot: i64,
    /// Where its newest version is.
    pub place: P,
    /// What it held before this transaction.
    pub base: Amounts,
    /// What has been recorded, and how much of it the newest version has.
    pub recorded: i64,
    pub written: i64,
    pub calls: u32,
    /// The quotas that it was written under, of which one is as good as none if there are none.
    pub limits: Fingerprint,
    /// What its newest version has granted to this backend, under which terms if they are known.
    pub granted: i64,
    pub terms: Option<Terms>,
    /// What was left below the lowest limit when that was last looked at, on the same terms.
    pub left: i128,
}

impl<P> Open<P> {
    pub fn new(slot: i64, place: P, base: Amounts) -> Self {
        Self {
            slot,
            place,
            base,
            recorded: 0,
            written: 0,
            calls: 0,
            limits: 0,
            granted: 0,
            terms: None,
            left: 0,
        }
    }

    /// Whether the next call is written ahead.
    pub fn is_exact_no_more(&self) -> bool {
        self.calls >= EXACT_CALLS
    }

    /// Whether what has fallen may stay unwritten: less than half of it is.
    pub fn may_lag(&self, recorded: i64) -> bool {
        let (written, recorded) = (i128::from(self.written), i128::from(recorded));
        self.calls > EXACT_CALLS && (written - recorded) * 2 <= written.abs().max(recorded.abs())
    }

    pub fn is_limited(&self) -> bool {
        self.limits != 0
    }

    /// How much to write, where that much may be used up: more than recorded if there have been many calls, but no more than
    /// leaves the others most of the room.
    pub fn ahead(&self, room: i128) -> i64 {
        if self.calls <= EXACT_CALLS {
            return self.recorded;
        }
        let more = i128::from(self.recorded.max(0)).min(room / 16);
        self.recorded.saturating_add(i64::try_from(more).unwrap_or(0))
    }
}

struct Level<P> {
    nest: i32,
    open: Option<Open<P>>,
}

/// By tenant and meter.
pub struct Ledger<K, P> {
    entries: BTreeMap<K, Vec<Level<P>>>,
}

impl<K: Ord + Clone, P: Copy> Default for Ledger<K, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone, P: Copy> Ledger<K, P> {
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    pub fn get(&self, key: &K) -> Option<Open<P>> {
        self.entries.get(key)?.last()?.open
    }

    /// In the savepoint of this depth. `None`: what was recorded is settled, and the slot no longer ours to write.
    pub fn put(&mut self, key: &K, nest: i32, open: Option<Open<P>>) {
        let levels = self.entries.entry(key.clone()).or_default();
        match levels.last_mut() {
            Some(level) if level.nest >= nest => level.open = open,
            _ => levels.push(Level { nest, open }),
        }
    }

    pub fn savepoint_released(&mut self, nest: i32) {
        for levels in self.entries.values_mut() {
            if levels.last().is_none_or(|level| level.nest < nest) {
                continue;
            }
            let Some(mut level) = levels.pop() else { continue };
            level.nest = nest - 1;
            if levels.last().is_some_and(|below| below.nest >= level.nest) {
                levels.pop();
            }
            levels.push(level);
        }
    }

    pub fn savepoint_rolled_back(&mut self, nest: i32) {
        self.entries.retain(|_, levels| {
            levels.retain(|level| level.nest < nest);
            !levels.is_empty()
        });
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is recorded and not yet, or not exactly, written.
    pub fn unsettled(&self) -> Vec<(K, Open<P>)> {
        let open = self.last().filter(|(_, open)| open.recorded != open.written);
        open.map(|(key, open)| (key.clone(), open)).collect()
    }

    /// What each was last, of those that are still written.
    pub fn last(&self) -> impl Iterator<Item = (&K, Open<P>)> {
        self.entries.iter().filter_map(|(key, levels)| Some((key, levels.last()?.open?)))
    }

    pub fn keys(&self) -> Vec<K> {
        self.entries.keys().cloned().collect()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

//! What is kept: the access maps of those who asked last, within a budget of memory. Pure.

use crate::rbac::grants::Grantee;
use std::collections::{BTreeMap, HashMap};

/// How a loaded value may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the tables change.
    UntilChanged,
    /// As well, and it may have seen changes of a transaction that is still open: gone if that aborts.
    UntilAbort,
    /// Nothing would announce a change: gone at the next statement.
    ForStatement,
}

#[derive(Debug, Default)]
struct Kept {
    until_changed: usize,
    until_abort: usize,
    for_statement: usize,
}

impl Kept {
    fn count(&mut self, keep: Keep) -> &mut usize {
        match keep {
            Keep::UntilChanged => &mut self.until_changed,
            Keep::UntilAbort => &mut self.until_abort,
            Keep::ForStatement => &mut self.for_statement,
        }
    }
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    bytes: usize,
    used: u64,
    keep: Keep,
}

/// Values of one generation; the first access in a new one finds it empty.
#[derive(Debug)]
pub struct Store<V> {
    slots: HashMap<Grantee, Slot<V>>,
    /// Whose they are, by the tick of their last use.
    order: BTreeMap<u64, Grantee>,
    generation: u64,
    bytes: usize,
    ticks: u64,
    /// How many slots are kept in each way, so that a statement need not look for those that end with it.
    kept: Kept,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            order: BTreeMap::new(),
            generation: 0,
            bytes: 0,
            ticks: 0,
            kept: Kept::default(),
        }
    }
}

impl<V: Clone> Store<V> {
    pub fn get(&mut self, whose: &Grantee, generation: u64) -> Option<V> {
        self.enter(generation);
        self.ticks += 1;
        let slot = self.slots.get_mut(whose)?;
        self.order.remove(&slot.used);
        self.order.insert(self.ticks, *whose);
        slot.used = self.ticks;
        Some(slot.value.clone())
    }

    /// Keeps a value loaded in `generation`, dropping the least recently used beyond `budget` bytes. The
    /// newest stays whatever its size: it is asked for now.
    pub fn put(
        &mut self,
        whose: Grantee,
        value: V,
        bytes: usize,
        keep: Keep,
        generation: u64,
        budget: usize,
    ) {
        self.enter(generation);
        self.remove(&whose);
        while self.bytes + bytes > budget {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
        self.ticks += 1;
        self.bytes += bytes;
        *self.kept.count(keep) += 1;
        self.order.insert(self.ticks, whose);
        self.slots.insert(whose, Slot { value, bytes, used: self.ticks, keep });
    }

    /// Drops every value kept in one of these ways; says whether there was one.
    pub fn drop_kept(&mut self, keep: Keep) -> bool {
        if *self.kept.count(keep) == 0 {
            return false;
        }
        let gone: Vec<Grantee> =
            self.slots.iter().filter(|(_, s)| s.keep == keep).map(|(id, _)| *id).collect();
        gone.iter().for_each(|whose| self.remove(whose));
        !gone.is_empty()
    }

    pub fn entries(&self) -> usize {
        self.slots.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn enter(&mut self, generation: u64) {
        if self.generation != generation {
            self.slots.clear();
            self.order.clear();
            self.bytes = 0;
            self.kept = Kept::default();
            self.generation = generation;
        }
    }

    fn remove(&mut self, whose: &Grantee) {
        if let Some(slot) = self.slots.remove(whose) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
            *self.kept.count(slot.keep) -= 1;
        }
    }
}

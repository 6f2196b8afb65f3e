//! The registered permissions, each interned as a bit number. A name that is not in here is held by nobody.

use super::bitset::BitSet;
use super::pattern::{Pattern, Scope};

#[derive(Debug, Default)]
pub struct Catalogue {
    /// Sorted by name, so that what lies below `docs.` is one range; the position is the bit.
    entries: Vec<(Box<str>, Scope)>,
}

impl Catalogue {
    pub fn new(entries: impl IntoIterator<Item = (String, Scope)>) -> Self {
        let mut entries: Vec<_> =
            entries.into_iter().map(|(name, scope)| (name.into_boxed_str(), scope)).collect();
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|a, b| a.0 == b.0);
        Self { entries }
    }

    /// The bit of a registered permission.
    pub fn bit(&self, name: &str) -> Option<usize> {
        self.entries.binary_search_by(|(n, _)| (**n).cmp(name)).ok()
    }

    pub fn name(&self, bit: usize) -> Option<&str> {
        self.entries.get(bit).map(|(name, _)| &**name)
    }

    pub fn scope(&self, name: &str) -> Option<Scope> {
        self.bit(name).and_then(|bit| self.entries.get(bit)).map(|(_, scope)| *scope)
    }

    /// The registered permissions that any of the patterns gives.
    pub fn resolve<'a>(&self, patterns: impl IntoIterator<Item = &'a Pattern>) -> BitSet {
        let mut held = BitSet::default();
        for pattern in patterns {
            let range = match pattern {
                Pattern::All => 0..self.entries.len(),
                Pattern::Below(prefix) => {
                    let start = self.entries.partition_point(|(n, _)| **n < **prefix);
                    let below = self.entries.iter().skip(start);
                    start..start + below.take_while(|(n, _)| n.starts_with(prefix.as_str())).count()
                }
                Pattern::Exact(name) => match self.bit(name) {
                    Some(bit) => bit..bit + 1,
                    None => continue,
                },
            };
            for bit in range {
                if let Some((name, scope)) = self.entries.get(bit)
                    && pattern.matches(name, *scope)
                {
                    held.insert(bit);
                }
            }
        }
        held
    }

    /// How many permissions are registered.
    pub fn size(&self) -> usize {
        self.entries.len()
    }

    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(name, _)| name.len() + 24).sum()
    }
}

//! Adding up rows by tenant.

use crate::pg::measure::Key;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: i128,
    pub bytes: i128,
}

/// What a statement added and took away, by tenant. Rows of no tenant count for nobody.
#[derive(Default)]
pub struct Tally {
    sums: BTreeMap<Key, Sum>,
}

impl Tally {
    pub fn add(&mut self, key: &Key, rows: i128, bytes: i128) {
        let sum = match self.sums.get_mut(key) {
            Some(sum) => sum,
            None if *key == Key::Nobody => return,
            None => self.sums.entry(key.clone()).or_default(),
        };
        sum.rows += rows;
        sum.bytes += bytes;
    }

    pub fn into_sums(self) -> impl Iterator<Item = (Key, Sum)> {
        self.sums.into_iter()
    }
}

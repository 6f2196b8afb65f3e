//! Which quotas were nearly reached a moment ago: there, to look first and then to write leaves less behind.

use super::Key;
use super::period::Micros;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// For so long, in microseconds.
const WHILE: Micros = 200_000;
const KEPT: usize = 256;

thread_local! {
    static NEAR: RefCell<BTreeMap<Key, Micros>> = const { RefCell::new(BTreeMap::new()) };
}

pub fn remember(key: &Key, now: Micros) {
    NEAR.with_borrow_mut(|near| {
        if near.len() >= KEPT {
            near.clear();
        }
        near.insert(key.clone(), now);
    });
}

pub fn is_near(key: &Key, now: Micros) -> bool {
    NEAR.with_borrow(|near| near.get(key).is_some_and(|then| (0..WHILE).contains(&(now - then))))
}

//! Where this backend's slots were when it last committed, so that it need not search for them, and on what terms something
//! is granted to it there. Only a hint: what stands in that place is looked at.

use super::Key;
use super::grant::Terms;
use super::ledger::Open;
use crate::pg::keyed::Place;
use std::cell::RefCell;
use std::collections::BTreeMap;

const KEPT: usize = 1024;

#[derive(Clone, Copy)]
pub struct Own {
    pub slot: i64,
    pub place: Place,
    pub terms: Option<Terms>,
    pub left: i128,
}

thread_local! {
    static OWN: RefCell<BTreeMap<Key, Own>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a transaction that has committed made of it.
pub fn remember(key: &Key, open: &Open<Place>) {
    let own = Own { slot: open.slot, place: open.place, terms: open.terms, left: open.left };
    OWN.with_borrow_mut(|all| {
        if let Some(known) = all.get_mut(key) {
            *known = own;
            return;
        }
        if all.len() >= KEPT {
            all.clear();
        }
        all.insert(key.clone(), own);
    });
}

/// A prepared transaction has it.
pub fn forget(key: &Key) {
    OWN.with_borrow_mut(|all| all.remove(key));
}

pub fn last(key: &Key) -> Option<Own> {
    OWN.with_borrow(|all| all.get(key).copied())
}

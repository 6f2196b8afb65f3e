//! Role inheritance: reach, cycles, depth.

mod common;

use common::id;
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::hierarchy::{authorised, walk, would_cycle};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

fn edges(pairs: &[(u128, u128)]) -> HashMap<Id, Vec<Id>> {
    let mut map: HashMap<Id, Vec<Id>> = HashMap::new();
    for (senior, junior) in pairs {
        map.entry(id(*senior)).or_default().push(id(*junior));
    }
    map
}

fn reach(from: &[Id], edges: &HashMap<Id, Vec<Id>>) -> Vec<Id> {
    authorised(from, |role| edges.get(role).cloned().unwrap_or_default())
}

#[test]
fn no_role_authorises_none() {
    assert!(reach(&[], &edges(&[(1, 2)])).is_empty());
}

#[test]
fn inheritance_goes_from_senior_to_junior_only() {
    let edges = edges(&[(1, 2), (2, 3)]);
    assert_eq!(reach(&[id(2)], &edges), [id(2), id(3)]);
    assert_eq!(reach(&[id(3)], &edges), [id(3)]);
}

#[test]
fn a_role_reached_on_two_ways_counts_once() {
    let edges = edges(&[(1, 2), (1, 3), (2, 4), (3, 4), (3, 4)]);
    assert_eq!(reach(&[id(1), id(1)], &edges), [id(1), id(2), id(3), id(4)]);
}

#[test]
fn a_cycle_that_got_past_the_guards_ends() {
    assert_eq!(reach(&[id(1)], &edges(&[(1, 1)])), [id(1)]);
    let ring = edges(&[(1, 2), (2, 3), (3, 1)]);
    assert_eq!(reach(&[id(2)], &ring), [id(2), id(3), id(1)]);
}

#[test]
fn each_role_tells_the_senior_it_was_first_reached_through() {
    let edges = edges(&[(1, 2), (2, 3), (1, 3)]);
    let found = walk(&[id(1)], |role| edges.get(role).cloned().unwrap_or_default());
    assert_eq!(found, [(id(1), None), (id(2), Some(id(1))), (id(3), Some(id(1)))]);
}

#[test]
fn an_assigned_role_has_no_senior_even_if_it_is_also_inherited() {
    let edges = edges(&[(1, 2)]);
    let found = walk(&[id(1), id(2)], |role| edges.get(role).cloned().unwrap_or_default());
    assert_eq!(found, [(id(1), None), (id(2), None)]);
}

#[test]
fn a_role_may_not_be_its_own_junior() {
    assert!(would_cycle(id(1), id(1), &HashMap::new()));
}

#[test]
fn closing_a_ring_is_a_cycle_and_a_diamond_is_not() {
    let edges = edges(&[(1, 2), (2, 3), (1, 4)]);
    assert!(would_cycle(id(3), id(1), &edges));
    assert!(!would_cycle(id(4), id(3), &edges));
    assert!(!would_cycle(id(1), id(3), &edges));
}

#[test]
fn a_hundred_and_ten_thousand_levels_cost_no_stack() {
    for levels in [100u128, 10_000] {
        let walk = move || {
            let chain = edges(&(0..levels).map(|n| (n, n + 1)).collect::<Vec<_>>());
            assert_eq!(reach(&[id(0)], &chain).last(), Some(&id(levels)));
            assert!(would_cycle(id(levels), id(0), &chain));
            assert!(!would_cycle(id(0), id(levels), &chain));
        };
        // Less than a word and a return address for each of the 10,000 levels.
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(walk);
        assert!(thread.is_ok_and(|thread| thread.join().is_ok()), "{levels}");
    }
}

#[test]
fn a_senior_of_ten_thousand_juniors_reaches_them_all() {
    let star = edges(&(1..=10_000).map(|n| (0, n)).collect::<Vec<_>>());
    assert_eq!(reach(&[id(0)], &star).len(), 10_001);
}

/// Reachability by brute force: add what is one edge away until nothing is added.
fn naive(from: &[u128], pairs: &[(u128, u128)]) -> BTreeSet<Id> {
    let mut found: BTreeSet<u128> = from.iter().copied().collect();
    loop {
        let next = pairs.iter().find(|(senior, junior)| found.contains(senior) && !found.contains(junior));
        match next {
            Some((_, junior)) => found.insert(*junior),
            None => return found.into_iter().map(id).collect(),
        };
    }
}

proptest! {
    #[test]
    fn reach_agrees_with_brute_force(
        pairs in prop::collection::vec((0u128..9, 0u128..9), 0..20),
        from in prop::collection::vec(0u128..9, 0..4),
    ) {
        let ids: Vec<Id> = from.iter().copied().map(id).collect();
        let found = reach(&ids, &edges(&pairs));
        let distinct: BTreeSet<Id> = found.iter().copied().collect();
        prop_assert_eq!(found.len(), distinct.len());
        prop_assert_eq!(distinct, naive(&from, &pairs));
    }

    #[test]
    fn an_edge_is_refused_exactly_when_some_role_would_reach_itself(
        pairs in prop::collection::vec((0u128..7, 0u128..7), 0..10), senior in 0u128..7, junior in 0u128..7,
    ) {
        // What the guard keeps true: no cycle so far.
        let mut kept: Vec<(u128, u128)> = Vec::new();
        for (senior, junior) in pairs {
            if !would_cycle(id(senior), id(junior), &edges(&kept)) {
                kept.push((senior, junior));
            }
        }
        let refused = would_cycle(id(senior), id(junior), &edges(&kept));
        kept.push((senior, junior));
        let cyclic = kept.iter().any(|(senior, junior)| naive(&[*junior], &kept).contains(&id(*senior)));
        prop_assert_eq!(refused, cyclic);
    }

    #[test]
    fn the_senior_named_for_a_role_does_have_it_as_a_junior(
        pairs in prop::collection::vec((0u128..9, 0u128..9), 0..20), from in 0u128..9,
    ) {
        let edges = edges(&pairs);
        for (role, senior) in walk(&[id(from)], |role| edges.get(role).cloned().unwrap_or_default()) {
            match senior {
                None => prop_assert_eq!(role, id(from)),
                Some(senior) => prop_assert!(edges[&senior].contains(&role)),
            }
        }
    }
}

//! The cache's store, against a list in order of use.

mod common;

use common::id;
use pg_tenancy_unit::cache::store::{Keep, Store};
use pg_tenancy_unit::rbac::grants::Grantee;
use proptest::prelude::*;

const LARGE: usize = 1 << 20;

fn whose(user: u128) -> Grantee {
    Grantee::User(id(user))
}

fn filled(users: &[u128], budget: usize) -> Store<u128> {
    let mut store = Store::default();
    for user in users {
        store.put(whose(*user), *user, 10, Keep::UntilChanged, 1, budget);
    }
    store
}

#[test]
fn an_empty_store_has_nothing() {
    let mut store: Store<u128> = Store::default();
    assert!(store.entries() == 0);
    assert_eq!((store.entries(), store.bytes()), (0, 0));
    assert_eq!(store.get(&whose(1), 1), None);
    assert!(!store.drop_kept(Keep::UntilAbort));
}

#[test]
fn one_users_value_is_never_anothers() {
    let mut store = filled(&[1, 2], LARGE);
    assert_eq!(
        (store.get(&whose(1), 1), store.get(&whose(2), 1), store.get(&whose(3), 1)),
        (Some(1), Some(2), None)
    );
}

#[test]
fn a_new_generation_finds_nothing_old() {
    let mut store = filled(&[1, 2], LARGE);
    assert_eq!(store.get(&whose(1), 2), None);
    assert_eq!((store.entries(), store.bytes()), (0, 0));
    // Nor does it come back.
    assert_eq!(store.get(&whose(1), 1), None);
}

#[test]
fn a_value_kept_in_a_new_generation_pushes_out_the_old() {
    let mut store = filled(&[1], LARGE);
    store.put(whose(2), 2, 10, Keep::UntilChanged, 2, LARGE);
    assert_eq!((store.get(&whose(1), 2), store.get(&whose(2), 2), store.bytes()), (None, Some(2), 10));
}

#[test]
fn a_load_that_ends_after_a_change_does_not_answer_for_the_new_generation() {
    let mut store = filled(&[], LARGE);
    assert_eq!(store.get(&whose(1), 2), None);
    store.put(whose(1), 1, 10, Keep::UntilChanged, 1, LARGE);
    assert_eq!(store.get(&whose(1), 2), None);
}

#[test]
fn the_least_recently_asked_user_goes_first() {
    let mut store = filled(&[1, 2, 3], 30);
    assert_eq!(store.get(&whose(1), 1), Some(1));
    store.put(whose(4), 4, 10, Keep::UntilChanged, 1, 30);
    let left: Vec<_> = (1..=4).filter(|user| store.get(&whose(*user), 1).is_some()).collect();
    assert_eq!(left, [1, 3, 4]);
}

#[test]
fn a_budget_reached_exactly_evicts_nothing() {
    assert_eq!(filled(&[1, 2, 3], 30).entries(), 3);
    assert_eq!(filled(&[1, 2, 3], 29).entries(), 2);
}

#[test]
fn a_value_larger_than_the_budget_stays_alone_for_its_user_asks_now() {
    for budget in [0, 29] {
        let mut store = filled(&[1, 2], LARGE);
        store.put(whose(3), 3, 30, Keep::UntilChanged, 1, budget);
        assert_eq!((store.entries(), store.bytes(), store.get(&whose(3), 1)), (1, 30, Some(3)));
    }
}

#[test]
fn a_value_put_again_replaces_the_first_and_its_bytes() {
    let mut store = filled(&[1], LARGE);
    store.put(whose(1), 11, 25, Keep::UntilAbort, 1, LARGE);
    assert_eq!((store.entries(), store.bytes(), store.get(&whose(1), 1)), (1, 25, Some(11)));
    assert!(!store.drop_kept(Keep::UntilChanged));
    assert!(store.drop_kept(Keep::UntilAbort));
}

#[test]
fn a_value_put_again_makes_room_of_its_own_place_before_others() {
    let mut store = filled(&[1, 2, 3], 30);
    store.put(whose(2), 22, 10, Keep::UntilChanged, 1, 30);
    assert_eq!(store.entries(), 3);
}

#[test]
fn an_abort_drops_what_may_have_seen_the_transaction_and_nothing_else() {
    let mut store = filled(&[1], LARGE);
    store.put(whose(2), 2, 10, Keep::UntilAbort, 1, LARGE);
    store.put(whose(3), 3, 10, Keep::ForStatement, 1, LARGE);
    assert!(store.drop_kept(Keep::UntilAbort));
    assert!(!store.drop_kept(Keep::UntilAbort));
    assert_eq!(
        (store.get(&whose(1), 1), store.get(&whose(2), 1), store.get(&whose(3), 1)),
        (Some(1), None, Some(3))
    );
    assert_eq!(store.bytes(), 20);
}

#[derive(Clone, Debug)]
enum Step {
    Get { user: u128 },
    Put { user: u128, value: u32, bytes: usize, keep: Keep },
    Drop { keep: Keep },
    Change,
}

fn any_keep() -> impl Strategy<Value = Keep> {
    prop_oneof![4 => Just(Keep::UntilChanged), 1 => Just(Keep::UntilAbort), 1 => Just(Keep::ForStatement)]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u128..8).prop_map(|user| Step::Get { user }),
        8 => (0u128..8, any::<u32>(), 0usize..40, any_keep())
            .prop_map(|(user, value, bytes, keep)| Step::Put { user, value, bytes, keep }),
        1 => any_keep().prop_map(|keep| Step::Drop { keep }),
        1 => Just(Step::Change),
    ]
}

proptest! {
    #[test]
    fn the_store_agrees_with_a_list_in_order_of_use(
        budget in 0usize..120, steps in prop::collection::vec(any_step(), 0..80),
    ) {
        let mut store: Store<u32> = Store::default();
        // Least recently used first.
        let mut model: Vec<(u128, u32, usize, Keep)> = Vec::new();
        let mut generation = 1;
        for step in steps {
            match step {
                Step::Change => {
                    generation += 1;
                    model.clear();
                    prop_assert_eq!(store.get(&whose(99), generation), None);
                }
                Step::Get { user } => {
                    let at = model.iter().position(|(u, ..)| *u == user);
                    let expected = at.map(|at| model.remove(at));
                    model.extend(expected);
                    prop_assert_eq!(store.get(&whose(user), generation), expected.map(|(_, value, ..)| value));
                }
                Step::Put { user, value, bytes, keep } => {
                    model.retain(|(u, ..)| *u != user);
                    while !model.is_empty() && model.iter().map(|m| m.2).sum::<usize>() + bytes > budget {
                        model.remove(0);
                    }
                    model.push((user, value, bytes, keep));
                    store.put(whose(user), value, bytes, keep, generation, budget);
                }
                Step::Drop { keep } => {
                    let before = model.len();
                    model.retain(|m| m.3 != keep);
                    prop_assert_eq!(store.drop_kept(keep), model.len() < before);
                }
            }
            prop_assert_eq!(store.entries(), model.len());
            prop_assert_eq!(store.entries() == 0, model.is_empty());
            prop_assert_eq!(store.bytes(), model.iter().map(|m| m.2).sum::<usize>());
            prop_assert!(store.bytes() <= budget || store.entries() == 1);
        }
    }
}

#[test]
fn a_jobs_value_is_no_users_and_each_tenant_of_it_has_its_own() {
    let job = |role, tenant| Grantee::Job { role, tenant: id(tenant) };
    let mut store = filled(&[1], LARGE);
    store.put(job(7, 1), 71, 10, Keep::UntilChanged, 1, LARGE);
    store.put(job(7, 2), 72, 10, Keep::UntilChanged, 1, LARGE);
    let mut got = |whose| store.get(&whose, 1);
    assert_eq!((got(whose(1)), got(job(7, 1)), got(job(7, 2))), (Some(1), Some(71), Some(72)));
    assert_eq!((got(job(8, 1)), got(job(7, 3)), got(whose(2))), (None, None, None));
}

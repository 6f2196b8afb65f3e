//! Sizes that somebody will reach: thousands of tenants, permissions and levels, in bounded memory.

mod common;

use common::{catalogue, grants, id, member, pattern, role};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::access::{AccessMap, IdHasher};
use pg_tenancy_unit::rbac::catalogue::Catalogue;
use pg_tenancy_unit::rbac::grants::{Grants, Role};
use pg_tenancy_unit::rbac::pattern::Scope;
use pg_tenancy_unit::rbac::question::Question;
use pg_tenancy_unit::rbac::resolution::{Combinations, resolve, resolve_with};
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::ptr;
use std::rc::Rc;

fn catalogue_of(n: usize) -> Rc<Catalogue> {
    Rc::new(Catalogue::new((0..n).map(|n| (format!("resource_{}.action_{n}", n % 100), Scope::Tenant))))
}

/// With the combinations of roles it took.
fn resolved(grants: &Grants, catalogue: Rc<Catalogue>) -> (AccessMap, Combinations) {
    let mut combinations = Combinations::new(usize::MAX);
    let (map, _) = resolve_with(grants.clone(), catalogue, &mut combinations, |_, _| ());
    (map, combinations)
}

#[test]
fn ten_thousand_tenants_with_the_same_roles_share_one_access() {
    let roles = vec![
        (id(1), role(None, "owner", &["all"], &[id(2)])),
        (id(2), role(None, "editor", &["resource_1.*"], &[])),
    ];
    let members = |n: u128| (0..n).map(|tenant| member(id(tenant), &[id(2), id(1), id(1)])).collect();
    let map = resolve(grants(members(10_000), roles.clone()), catalogue_of(1_000));
    assert!(ptr::eq(map.member(&id(0)).unwrap(), map.member(&id(9_999)).unwrap()));
    assert_eq!(map.tenants_where(&Question::Permission(999)).len(), 10_000);
    assert_eq!(map.count_where(|access| access.permissions.contains(999)), 10_000);
    // Each tenant more costs its entry in the table, not its bitset.
    let one = resolve(grants(members(1), roles), catalogue_of(1_000)).bytes();
    assert!(map.bytes() > 10_000 * 24 && map.bytes() < one + 2 * 10_000 * 32, "{}", map.bytes());
}

#[test]
fn tenants_with_roles_of_their_own_are_counted_each() {
    let roles: Vec<(Id, Role)> =
        (0..1_000).map(|n| (id(n), role(Some(id(n)), "boss", &["all"], &[]))).collect();
    let members = (0..1_000).map(|n| member(id(n), &[id(n)])).collect();
    let (map, combinations) = resolved(&grants(members, roles), catalogue_of(10_000));
    assert!(!ptr::eq(map.member(&id(0)).unwrap(), map.member(&id(999)).unwrap()));
    assert_eq!(map.count_where(|_| true), 1_000);
    assert!(combinations.bytes() > 1_000 * 10_000 / 8, "{}", combinations.bytes());
}

#[test]
fn long_names_are_counted() {
    let long: Vec<String> = (100..200).map(|n| format!("docs.n{n}{}", "x".repeat(190))).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let (_, combinations) = resolved(
        &grants(vec![member(id(1), &[id(1)])], vec![(id(1), role(None, "r", &long, &[]))]),
        catalogue(&["docs.read"]),
    );
    assert!(combinations.bytes() > 100 * 199, "{}", combinations.bytes());
}

#[test]
fn ten_thousand_permissions_granted_one_by_one_are_all_held() {
    let catalogue = catalogue_of(10_000);
    let mut all = role(None, "owner", &[], &[]);
    all.patterns = (0..10_000).filter_map(|bit| catalogue.name(bit)).map(pattern).collect();
    let map = resolve(grants(vec![member(id(1), &[id(1)])], vec![(id(1), all)]), Rc::clone(&catalogue));
    assert!((0..10_000).all(|bit| map.holds(&id(1), bit)));
    assert!(!map.holds(&id(1), 10_000));
}

#[test]
fn the_lowest_of_many_levels_is_inherited_without_growing_the_stack() {
    for levels in [100u128, 10_000] {
        let resolve_chain = move || {
            let mut roles: Vec<(Id, Role)> =
                (0..levels).map(|n| (id(n), role(None, "rung", &[], &[id(n + 1)]))).collect();
            roles.push((id(levels), role(None, "ground", &["docs.read"], &[id(0)])));
            let map = resolve(grants(vec![member(id(1), &[id(0)])], roles), catalogue(&["docs.read"]));
            assert!(map.holds(&id(1), 0));
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(resolve_chain);
        assert!(thread.is_ok_and(|thread| thread.join().is_ok()), "{levels}");
    }
}

/// Distinct places among 16,384 buckets; 10,000 random ids would fill about 7,500.
fn buckets(ids: impl Iterator<Item = Id>) -> usize {
    let hasher = BuildHasherDefault::<IdHasher>::default();
    ids.map(|id| hasher.hash_one(id) % 16_384).collect::<HashSet<u64>>().len()
}

#[test]
fn ids_that_differ_in_few_bytes_do_not_crowd_into_one_bucket() {
    // Numbers carried over from a host's bigint keys, at either end and in the middle.
    for shift in (0..=112).step_by(8) {
        let used = buckets((0..10_000u128).map(|n| id(n << shift)));
        assert!(used > 5_000, "shift {shift}: {used}");
    }
}

#[test]
fn time_ordered_ids_do_not_crowd_into_one_bucket() {
    let uuid_v7 = |n: u128| ((1_700_000_000_000 + n) << 80) | (7 << 76) | (2 << 62) | 0x1234;
    assert!(buckets((0..10_000).map(|n| id(uuid_v7(n)))) > 5_000);
}

#[test]
fn a_combination_of_application_roles_is_read_once_for_all_users() {
    let roles = vec![
        (id(1), role(None, "reader", &["docs.read"], &[])),
        (id(2), role(Some(id(7)), "own", &["all"], &[])),
    ];
    let catalogue = catalogue(&["docs.read", "docs.write"]);
    let mut combinations = Combinations::new(usize::MAX);
    let mut reads = 0;
    for _ in 0..3 {
        for tenant in [7, 8] {
            let grants = grants(vec![member(id(tenant), &[id(1)]), member(id(9), &[id(1)])], roles.clone());
            let (map, apart) =
                resolve_with(grants, Rc::clone(&catalogue), &mut combinations, |_, _| reads += 1);
            assert_eq!(apart, 0);
            assert!(map.holds(&id(tenant), 0) && !map.holds(&id(tenant), 1));
        }
    }
    assert_eq!(reads, 1);
}

/// A tenant's own role, wherever it got to, holds in that tenant alone, whoever asked first.
#[test]
fn a_combination_with_a_tenants_own_role_serves_that_tenant_only() {
    let roles =
        vec![(id(1), role(Some(id(7)), "own", &["all"], &[])), (id(2), role(None, "senior", &[], &[id(1)]))];
    let catalogue = catalogue(&["docs.read"]);
    for assigned in [[id(1)], [id(2)]] {
        for order in [[7, 8], [8, 7]] {
            let mut combinations = Combinations::new(usize::MAX);
            for tenant in order {
                let grants = grants(vec![member(id(tenant), &assigned)], roles.clone());
                let (map, _) = resolve_with(grants, Rc::clone(&catalogue), &mut combinations, |_, _| ());
                assert_eq!(map.holds(&id(tenant), 0), tenant == 7, "{order:?}");
            }
        }
    }
}

/// What finds no room is the user's own, counted, resolved once for him all the same, and takes nothing from others.
#[test]
fn combinations_beyond_their_room_are_kept_by_their_user() {
    let roles: Vec<(Id, Role)> =
        (0..100).map(|n| (id(n), role(Some(id(n)), "boss", &["docs.read"], &[]))).collect();
    let grants = grants((0..100).map(|n| member(id(n), &[id(n)])).collect(), roles);
    let catalogue = catalogue(&["docs.read"]);
    let mut all = Combinations::new(usize::MAX);
    resolve_with(grants.clone(), Rc::clone(&catalogue), &mut all, |_, _| ());
    let mut some = Combinations::new(all.bytes() / 2);
    let (map, apart) = resolve_with(grants, catalogue, &mut some, |_, _| ());
    assert!((0..100).all(|n| map.holds(&id(n), 0)));
    assert!(some.bytes() <= all.bytes() / 2 && some.bytes() + apart == all.bytes());
}

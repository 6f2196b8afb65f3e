//! Interning, and wildcards resolved to ranges of bits.

mod common;

use common::{any_entries, any_pattern, catalogue, naively_matches, pattern};
use pg_tenancy_unit::rbac::catalogue::Catalogue;
use pg_tenancy_unit::rbac::pattern::Scope;
use proptest::prelude::*;

#[test]
fn an_empty_catalogue_knows_no_permission() {
    let none = Catalogue::default();

    assert_eq!(
        (none.size(), none.bit("docs.read"), none.name(0), none.scope("docs.read")),
        (0, None, None, None)
    );
    assert_eq!(none.resolve(&[pattern("all")]).iter().count(), 0);
}

#[test]
fn a_name_is_found_only_as_it_is_written() {
    let catalogue = catalogue(&["docs.read"]);
    assert_eq!(catalogue.bit("docs.read"), Some(0));
    for name in ["", "docs", "docs.", "docs.rea", "docs.reads", "DOCS.READ", "docs.read\0", "all", "docs.*"] {
        assert_eq!(catalogue.bit(name), None, "{name:?}");
    }
}

#[test]
fn a_name_registered_twice_has_one_bit() {
    let catalogue = catalogue(&["docs.read", "docs.read", "docs.write"]);
    assert_eq!(catalogue.size(), 2);
}

#[test]
fn a_granted_name_that_is_registered_nowhere_gives_nothing() {
    let catalogue = catalogue(&["docs.read"]);
    assert_eq!(catalogue.resolve(&[pattern("docs.fly"), pattern("zebra.*")]).iter().count(), 0);
}

#[test]
fn all_gives_every_tenant_permission_and_none_of_the_platforms() {
    let catalogue = catalogue(&["docs.read", "platform.manage", "zoo.visit"]);
    let held = catalogue.resolve(&[pattern("all"), pattern("platform.*")]);
    let names: Vec<_> = held.iter().filter_map(|bit| catalogue.name(bit)).collect();
    assert_eq!(names, ["docs.read", "zoo.visit"]);
}

#[test]
fn ten_thousand_permissions_resolve_to_the_right_ranges() {
    let names = (0..10_000).map(|n| (format!("r{}.action_{n}", n % 100), Scope::Tenant));
    let catalogue = Catalogue::new(names);
    assert_eq!(catalogue.size(), 10_000);
    assert_eq!(catalogue.resolve(&[pattern("all")]).iter().count(), 10_000);
    // r1 is a prefix of r10 … r19 as text, not as a resource.
    let held = catalogue.resolve(&[pattern("r1.*")]);
    assert_eq!(held.iter().count(), 100);
    assert!(held.iter().all(|bit| catalogue.name(bit).is_some_and(|name| name.starts_with("r1."))));
    assert!(catalogue.bytes() >= 10_000 * "r1.action_1".len() && catalogue.bytes() < 1 << 20);
}

proptest! {
    #[test]
    fn bits_and_names_correspond(entries in any_entries()) {
        let catalogue = Catalogue::new(entries.clone());
        prop_assert_eq!(catalogue.size(), entries.len());
        for (name, scope) in &entries {
            let bit = catalogue.bit(name);
            prop_assert!(bit.is_some_and(|bit| bit < entries.len()));
            prop_assert_eq!(bit.and_then(|bit| catalogue.name(bit)), Some(name.as_str()));
            prop_assert_eq!(catalogue.scope(name), Some(*scope));
        }
        prop_assert_eq!(catalogue.name(entries.len()), None);
    }

    #[test]
    fn the_order_of_registration_does_not_matter(entries in any_entries(), patterns in
        prop::collection::vec(any_pattern(), 0..4)) {
        let forwards = Catalogue::new(entries.clone()).resolve(&patterns);
        let backwards = Catalogue::new(entries.into_iter().rev()).resolve(&patterns);
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn resolving_ranges_agrees_with_trying_every_name(
        entries in any_entries(), patterns in prop::collection::vec(any_pattern(), 0..5),
    ) {
        let catalogue = Catalogue::new(entries.clone());
        let held = catalogue.resolve(&patterns);
        for (name, scope) in &entries {
            let expected = patterns.iter().any(|pattern| naively_matches(pattern, name, *scope));
            let bit = catalogue.bit(name);
            prop_assert_eq!(bit.is_some_and(|bit| held.contains(bit)), expected, "{}", name);
        }
        prop_assert!(held.iter().all(|bit| bit < entries.len()));
    }
}

//! Delegation: nobody can hand out what he does not hold.

mod common;

use common::{any_entries, any_name, any_pattern, any_scope, catalogue, grants, id, member, pattern, role};
use pg_tenancy_unit::rbac::access::AccessMap;
use pg_tenancy_unit::rbac::catalogue::Catalogue;
use pg_tenancy_unit::rbac::grants::TenantStatus;
use pg_tenancy_unit::rbac::pattern::{Pattern, Scope};
use pg_tenancy_unit::rbac::resolution::resolve;
use proptest::prelude::*;
use std::rc::Rc;

const REGISTERED: [&str; 4] = ["docs.read", "docs.write", "platform.manage", "roles.grant"];

fn holder(patterns: &[&str]) -> AccessMap {
    let roles = vec![(id(7), role(None, "r", patterns, &[]))];
    resolve(grants(vec![member(id(1), &[id(7)])], roles), catalogue(&REGISTERED))
}

#[test]
fn all_covers_every_wildcard_and_tenant_permission_but_no_platform_permission() {
    let map = holder(&["all"]);
    for text in ["all", "docs.*", "unheard.of.*", "docs.read"] {
        assert!(map.covers(&id(1), &pattern(text)), "{text}");
    }
    assert!(!map.covers(&id(1), &pattern("platform.manage")));
}

#[test]
fn a_wildcard_over_the_platforms_names_covers_no_platform_permission() {
    assert!(!holder(&["platform.*"]).covers(&id(1), &pattern("platform.manage")));
    assert!(holder(&["platform.manage"]).covers(&id(1), &pattern("platform.manage")));
}

#[test]
fn holding_every_registered_name_below_a_resource_is_not_holding_the_wildcard() {
    let map = holder(&["docs.read", "docs.write"]);
    assert!(map.covers(&id(1), &pattern("docs.read")));
    assert!(!map.covers(&id(1), &pattern("docs.*")));
    assert!(!map.covers(&id(1), &pattern("all")));
}

#[test]
fn a_resource_covers_what_lies_deeper_and_nothing_beside_or_above() {
    let map = holder(&["docs.pages.*"]);
    assert!(map.covers(&id(1), &pattern("docs.pages.drafts.*")));
    for text in ["docs.*", "docs.page.*", "docs.pages_old.*", "all"] {
        assert!(!map.covers(&id(1), &pattern(text)), "{text}");
    }
}

#[test]
fn a_name_registered_nowhere_is_covered_by_nothing() {
    for held in ["all", "docs.*", "docs.fly"] {
        assert!(!holder(&[held]).covers(&id(1), &pattern("docs.fly")), "{held}");
    }
}

#[test]
fn nothing_is_covered_in_another_tenant() {
    assert!(!holder(&["all"]).covers(&id(2), &pattern("docs.read")));
}

#[test]
fn a_suspended_member_and_a_closed_tenant_cover_nothing() {
    let closed =
        [(TenantStatus::Active, false), (TenantStatus::Suspended, true), (TenantStatus::Archived, true)];
    for (tenant_status, active) in closed {
        let mut membership = member(id(1), &[id(7)]);
        (membership.tenant_status, membership.active) = (tenant_status, active);
        let roles = vec![(id(7), role(None, "r", &["all"], &[]))];
        let map = resolve(grants(vec![membership], roles), catalogue(&REGISTERED));
        assert!(!map.covers(&id(1), &pattern("docs.read")), "{tenant_status:?} {active}");
        assert!(!map.covers(&id(1), &pattern("all")), "{tenant_status:?} {active}");
    }
}

/// The scope that `covers` must be told: that of the one permission named, tenant for a wildcard.
fn scope_of(catalogue: &Catalogue, pattern: &Pattern) -> Option<Scope> {
    match pattern {
        Pattern::Exact(name) => catalogue.scope(name),
        _ => Some(Scope::Tenant),
    }
}

proptest! {
    #[test]
    fn what_is_covered_gives_nothing_that_the_cover_does_not_give(
        held in any_pattern(), wanted in any_pattern(), entries in any_entries(),
    ) {
        let catalogue = Catalogue::new(entries.clone());
        if let Some(scope) = scope_of(&catalogue, &wanted) && held.covers(&wanted, scope) {
            for (name, scope) in &entries {
                prop_assert!(!wanted.matches(name, *scope) || held.matches(name, *scope), "{}", name);
            }
        }
    }

    #[test]
    fn what_is_not_covered_could_give_something_that_is_not_held(
        held in any_pattern(), wanted in any_pattern(), scope in any_scope(),
    ) {
        let (witness, scope) = match &wanted {
            Pattern::Exact(name) => (name.clone(), scope),
            Pattern::Below(prefix) => (format!("{prefix}zz"), Scope::Tenant),
            Pattern::All => ("zz".to_owned(), Scope::Tenant),
        };
        prop_assert!(wanted.matches(&witness, scope));
        prop_assert_eq!(held.covers(&wanted, scope), held.matches(&witness, scope));
    }

    #[test]
    fn covering_is_transitive(
        a in any_pattern(), b in any_pattern(), name in any_name(), scope in any_scope(),
    ) {
        let name = Pattern::Exact(name);
        if a.covers(&b, Scope::Tenant) && !matches!(b, Pattern::Exact(_)) && b.covers(&name, scope) {
            prop_assert!(a.covers(&name, scope));
        }
    }

    #[test]
    fn handing_out_what_is_covered_adds_no_permission_to_the_giver(
        held in prop::collection::vec(any_pattern(), 0..4), wanted in any_pattern(), entries in any_entries(),
    ) {
        let catalogue = Rc::new(Catalogue::new(entries));
        let mut giver = role(None, "giver", &[], &[]);
        giver.patterns.clone_from(&held);
        let grants = grants(vec![member(id(1), &[id(7)])], vec![(id(7), giver)]);
        let map = resolve(grants.clone(), Rc::clone(&catalogue));
        if map.covers(&id(1), &wanted) {
            let before = catalogue.resolve(&held);
            let after = catalogue.resolve(held.iter().chain([&wanted]));
            prop_assert_eq!(before, after);
        }
    }
}

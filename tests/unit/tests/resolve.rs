//! Resolving grants, against recomputing each answer naively from the same grants.

mod common;

use common::{any_entries, any_pattern, id, naively_matches};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::catalogue::Catalogue;
use pg_tenancy_unit::rbac::grants::{Assignment, Grants, Membership, Role, TenantStatus};
use pg_tenancy_unit::rbac::pattern::Scope;
use pg_tenancy_unit::rbac::question::Question;
use pg_tenancy_unit::rbac::resolution::resolve;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::rc::Rc;

const ROLES: u128 = 7;
const TENANTS: u128 = 4;

/// A role of the application or of one tenant, with juniors that may be missing, foreign or itself.
fn any_role() -> impl Strategy<Value = Role> {
    let tenant = prop_oneof![2 => Just(None), 1 => (0..TENANTS).prop_map(|n| Some(id(n)))];
    let name = prop::sample::select(vec!["owner", "editor", "viewer"]).prop_map(str::to_owned);
    let patterns = prop::collection::vec(any_pattern(), 0..3);
    let juniors = prop::collection::vec((0..=ROLES).prop_map(id), 0..3);
    (tenant, name, patterns, juniors).prop_map(|(tenant, name, patterns, juniors)| Role {
        tenant,
        name,
        patterns,
        juniors,
    })
}

fn any_membership(tenant: u128) -> impl Strategy<Value = Membership> {
    let status = prop_oneof![
        4 => Just(TenantStatus::Active),
        2 => Just(TenantStatus::ReadOnly),
        1 => Just(TenantStatus::Suspended),
        1 => Just(TenantStatus::Archived),
    ];
    let group = prop::option::of((0u128..2).prop_map(id));
    let assigned = ((0..=ROLES).prop_map(id), group).prop_map(|(role, group)| Assignment { role, group });
    (status, prop::bool::weighted(0.8), prop::collection::vec(assigned, 0..3)).prop_map(
        move |(tenant_status, active, assigned)| Membership {
            tenant: id(tenant),
            key: None,
            tenant_status,
            active,
            assigned,
        },
    )
}

fn any_grants() -> impl Strategy<Value = Grants> {
    let memberships: Vec<_> = (0..TENANTS).map(|n| any_membership(n).boxed()).collect();
    (memberships, prop::collection::vec(any_role(), 0..=ROLES as usize)).prop_map(|(memberships, roles)| {
        let roles = roles.into_iter().enumerate().map(|(n, role)| (id(n as u128), role)).collect();
        Grants { memberships, roles, operator: None, chosen: None, next_expiry: None }
    })
}

/// The roles that count for a member: those of the application and of his tenant, assigned or below one that
/// counts.
fn counting(grants: &Grants, membership: &Membership) -> Vec<Role> {
    let belongs = |id: &Id| {
        grants
            .roles
            .get(id)
            .is_some_and(|role| role.tenant.is_none() || role.tenant == Some(membership.tenant))
    };
    let mut found: BTreeSet<Id> = membership.assigned.iter().map(|a| a.role).filter(belongs).collect();
    loop {
        let juniors: BTreeSet<Id> =
            found.iter().flat_map(|id| grants.roles[id].juniors.clone()).filter(belongs).collect();
        if juniors.is_subset(&found) {
            return found.iter().map(|id| grants.roles[id].clone()).collect();
        }
        found.extend(juniors);
    }
}

fn naively_holds(membership: &Membership, roles: &[Role], name: &str, scope: Scope) -> bool {
    let status = match membership.tenant_status {
        TenantStatus::Active => true,
        TenantStatus::ReadOnly => name.split('.').count() > 1 && name.split('.').next_back() == Some("read"),
        TenantStatus::Suspended | TenantStatus::Archived => false,
    };
    status
        && membership.active
        && roles.iter().flat_map(|role| &role.patterns).any(|pattern| naively_matches(pattern, name, scope))
}

fn names(roles: &[Role], own: bool) -> BTreeSet<String> {
    roles.iter().filter(|role| role.tenant.is_some() == own).map(|role| role.name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_answer_agrees_with_recomputing_it_naively(grants in any_grants(), entries in any_entries()) {
        let map = resolve(grants.clone(), Rc::new(Catalogue::new(entries.clone())));
        for membership in &grants.memberships {
            let roles = counting(&grants, membership);
            let open = membership.active
                && [TenantStatus::Active, TenantStatus::ReadOnly].contains(&membership.tenant_status);
            prop_assert_eq!(map.open(&membership.tenant).is_some(), open);
            if let Some(access) = map.open(&membership.tenant) {
                prop_assert_eq!(&access.application_roles, &names(&roles, false));
                prop_assert_eq!(&access.tenant_roles, &names(&roles, true));
                let patterns: BTreeSet<_> = roles.iter().flat_map(|role| role.patterns.clone()).collect();
                prop_assert_eq!(access.patterns.iter().cloned().collect::<BTreeSet<_>>(), patterns);
            }
            for (name, scope) in &entries {
                let bit = map.catalogue.bit(name);
                prop_assert_eq!(
                    bit.is_some_and(|bit| map.holds(&membership.tenant, bit)),
                    naively_holds(membership, &roles, name, *scope),
                    "{} {:?}", name, membership
                );
                prop_assert_eq!(
                    bit.is_some_and(|bit| map.tenants_where(&Question::Permission(bit)).contains(&membership.tenant)),
                    naively_holds(membership, &roles, name, *scope)
                );
            }
        }
        prop_assert!(map.open(&id(99)).is_none());
    }

    #[test]
    fn the_order_of_memberships_and_grants_does_not_matter(grants in any_grants(), entries in any_entries()) {
        let mut turned = grants.clone();
        turned.memberships.reverse();
        turned.memberships.iter_mut().for_each(|membership| membership.assigned.reverse());
        let catalogue = Rc::new(Catalogue::new(entries));
        let (one, other) = (resolve(grants.clone(), Rc::clone(&catalogue)), resolve(turned, catalogue));
        for tenant in one.member_of().chain(other.member_of()) {
            prop_assert_eq!(one.member(tenant), other.member(tenant));
        }
    }
}

//! What several test files need. Each compiles its own copy and uses a part of it.
#![allow(dead_code)]

use pg_tenancy_unit::claims::{Claims, Token};
use pg_tenancy_unit::rbac::Id;
use pg_tenancy_unit::rbac::catalogue::Catalogue;
use pg_tenancy_unit::rbac::grants::{Assignment, Grants, Membership, Role, TenantStatus};
use pg_tenancy_unit::rbac::pattern::{Pattern, Scope};
use proptest::prelude::*;
use std::rc::Rc;

pub fn id(n: u128) -> Id {
    n.to_be_bytes()
}

pub fn token(json: &str) -> Token {
    match Claims::parse(json.as_bytes()) {
        Claims::Token(token) => token,
        other => panic!("{json} is {other:?}"),
    }
}

pub fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|| panic!("{text} is no pattern"))
}

/// Names of tenant scope, but for those below `platform.`.
pub fn catalogue(names: &[&str]) -> Rc<Catalogue> {
    let scope = |name: &str| if name.starts_with("platform.") { Scope::Platform } else { Scope::Tenant };
    Rc::new(Catalogue::new(names.iter().map(|name| ((*name).to_owned(), scope(name)))))
}

pub fn role(tenant: Option<Id>, name: &str, patterns: &[&str], juniors: &[Id]) -> Role {
    let patterns = patterns.iter().map(|text| pattern(text)).collect();
    Role { tenant, name: name.to_owned(), patterns, juniors: juniors.to_vec() }
}

/// An active member of an active tenant, with these roles directly.
pub fn member(tenant: Id, roles: &[Id]) -> Membership {
    let assigned = roles.iter().map(|role| Assignment { role: *role, group: None }).collect();
    Membership { tenant, key: None, tenant_status: TenantStatus::Active, active: true, assigned }
}

pub fn grants(memberships: Vec<Membership>, roles: Vec<(Id, Role)>) -> Grants {
    Grants {
        memberships,
        roles: roles.into_iter().collect(),
        operator: None,
        chosen: None,
        next_expiry: None,
    }
}

/// Names over a small alphabet, chosen so that prefixes, bytes beside the dot and look-alikes occur often.
pub fn any_name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "a0", "a_", "ab", "all", "b", "read"]);
    prop::collection::vec(part, 1..4)
        .prop_map(|parts| parts.join("."))
        .prop_filter("all is reserved", |name| name != "all")
}

pub fn any_pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        1 => Just(Pattern::All),
        4 => any_name().prop_map(|name| Pattern::Below(format!("{name}."))),
        4 => any_name().prop_map(Pattern::Exact),
    ]
}

pub fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![3 => Just(Scope::Tenant), 1 => Just(Scope::Platform)]
}

/// Distinct names, each with a scope.
pub fn any_entries() -> impl Strategy<Value = Vec<(String, Scope)>> {
    prop::collection::btree_map(any_name(), any_scope(), 0..40).prop_map(|map| map.into_iter().collect())
}

/// Wildcard matching as the documentation words it: segment by segment, no prefixes of text.
pub fn naively_matches(pattern: &Pattern, name: &str, scope: Scope) -> bool {
    let text = pattern.to_string();
    let held: Vec<&str> = text.split('.').collect();
    let asked: Vec<&str> = name.split('.').collect();
    match held.as_slice() {
        ["all"] => scope == Scope::Tenant,
        [resource @ .., "*"] => {
            scope == Scope::Tenant && asked.len() > resource.len() && &asked[..resource.len()] == resource
        }
        exact => exact == asked.as_slice(),
    }
}

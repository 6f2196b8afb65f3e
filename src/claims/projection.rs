//! What a user's grants look like in a token: for clients to read, never to authorise by (unless an administrator
//! chose so with `tenancy.authority`).

use crate::rbac::access::AccessMap;
use crate::rbac::{Id, format_id};
use serde_json::{Map, Value};

/// The keys of app metadata that are ours.
pub const KEYS: [&str; 4] = ["tenant_id", "perms", "tenants", "tenant_access"];

/// How much is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub tenants: usize,
    /// Whether a user's only membership is his tenant.
    pub sole_tenant: bool,
}

/// Those of `KEYS` that the user has.
pub fn project(access: &AccessMap, limits: Limits) -> Map<String, Value> {
    let mut claims = Map::new();
    let tenant = active_tenant(access, limits.sole_tenant);
    if let Some(tenant) = tenant {
        claims.insert("tenant_id".to_owned(), format_id(&tenant).into());
        claims.insert("perms".to_owned(), permissions(access, &tenant).into());
    }
    let tenants = tenants(access, tenant, limits.tenants);
    if !tenants.is_empty() {
        claims.insert("tenants".to_owned(), tenants.iter().map(format_id).collect::<Vec<_>>().into());
    }
    if let Some(operator) = access.operator {
        claims.insert("tenant_access".to_owned(), operator.name().into());
    }
    claims
}

/// The tenant he chose, else his only one; if it is not open to him, none.
fn active_tenant(access: &AccessMap, sole: bool) -> Option<Id> {
    let tenant = access.chosen.or_else(|| access.sole_tenant().filter(|_| sole))?;
    access.open(&tenant).map(|_| tenant)
}

/// As granted, wildcards and all, so that the list stays short; in a read-only tenant the names that still hold.
pub fn permissions(access: &AccessMap, tenant: &Id) -> Vec<String> {
    let Some(held) = access.open(tenant) else { return Vec::new() };
    let mut names: Vec<String> = if access.catalogue.resolve(&held.patterns) == held.permissions {
        held.patterns.iter().map(ToString::to_string).collect()
    } else {
        held.permissions.iter().filter_map(|bit| access.catalogue.name(bit).map(str::to_owned)).collect()
    };
    names.sort_unstable();
    names
}

/// The tenants open to him, in the order of their ids; of too many the first ones, and the active one with them.
fn tenants(access: &AccessMap, active: Option<Id>, most: usize) -> Vec<Id> {
    let mut tenants: Vec<Id> = access.member_of().filter(|id| access.open(id).is_some()).copied().collect();
    tenants.sort_unstable();
    if tenants.len() > most {
        let active = active.filter(|active| tenants.iter().position(|id| id == active) >= Some(most));
        tenants.truncate(most);
        if let (Some(active), Some(last)) = (active, tenants.last_mut()) {
            *last = active;
        }
    }
    tenants
}

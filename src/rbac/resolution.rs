//! From grants to what may be done: hierarchy, groups and wildcards resolved, so that a check is a bit test.

use super::Id;
use super::access::{Access, AccessMap, IdHasher};
use super::bitset::BitSet;
use super::catalogue::Catalogue;
use super::grants::{Grants, Membership, Role, TenantStatus};
use super::hierarchy;
use super::pattern::{Pattern, is_read};
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::rc::Rc;

pub type Roles = HashMap<Id, Role>;

/// What each combination of roles comes to. Members of thousands of tenants hold the same few in most of them, and
/// so do thousands of users: each is resolved once, and its roles are read once.
#[derive(Debug)]
pub struct Combinations {
    known: HashMap<Circumstances, ByRoles>,
    bytes: usize,
    /// Beyond so many bytes nothing is added.
    most: usize,
}

type ByRoles = HashMap<Vec<Id>, Rc<Access>, BuildHasherDefault<IdHasher>>;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Circumstances {
    /// Where a tenant's own role has a say in it; elsewhere the tenant does not matter.
    tenant: Option<Id>,
    active: bool,
    status: TenantStatus,
}

impl Circumstances {
    fn of(membership: &Membership, tenant: Option<Id>) -> Self {
        Self { tenant, active: membership.active, status: membership.tenant_status }
    }
}

impl Combinations {
    pub fn new(most: usize) -> Self {
        Self { known: HashMap::new(), bytes: 0, most }
    }

    /// What a member with these roles, in order, holds.
    fn find(&self, membership: &Membership, assigned: &[Id]) -> Option<Rc<Access>> {
        [None, Some(membership.tenant)].into_iter().find_map(|tenant| {
            self.known.get(&Circumstances::of(membership, tenant))?.get(assigned).map(Rc::clone)
        })
    }

    /// Whether there was room.
    fn add(&mut self, circumstances: Circumstances, assigned: &[Id], access: &Rc<Access>) -> bool {
        let bytes = access.bytes() + size_of::<Circumstances>() + (assigned.len() + 2) * size_of::<Id>();
        if self.bytes + bytes > self.most {
            return false;
        }
        self.bytes += bytes;
        self.known.entry(circumstances).or_default().insert(assigned.to_vec(), Rc::clone(access));
        true
    }

    /// Memory held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What the grants come to, by combinations that are known already and, for the others, by roles that `read` adds with
/// all they inherit to those of the grants. Also the memory of combinations that found no room among the known ones.
pub fn resolve_with(
    grants: Grants,
    catalogue: Rc<Catalogue>,
    known: &mut Combinations,
    mut read: impl FnMut(&[Id], &mut Roles),
) -> (AccessMap, usize) {
    let mut roles = grants.roles;
    let mut own = Combinations::new(usize::MAX);
    let mut found: Vec<(Id, Option<String>, Rc<Access>)> = Vec::with_capacity(grants.memberships.len());
    for mut membership in grants.memberships {
        let membership = &mut membership;
        let mut assigned: Vec<Id> = membership.assigned.iter().map(|a| a.role).collect();
        assigned.sort_unstable();
        assigned.dedup();
        let access = known.find(membership, &assigned).or_else(|| own.find(membership, &assigned));
        let access = access.unwrap_or_else(|| {
            read(&assigned, &mut roles);
            let (access, local) = resolve_one(membership, &assigned, &roles, &catalogue);
            let access = Rc::new(access);
            let circumstances = || Circumstances::of(membership, local.then_some(membership.tenant));
            if !known.add(circumstances(), &assigned, &access) {
                own.add(circumstances(), &assigned, &access);
            }
            access
        });
        found.push((membership.tenant, membership.key.take(), access));
    }
    (
        AccessMap::new(found.into_iter(), catalogue, grants.operator, grants.chosen, grants.next_expiry),
        own.bytes,
    )
}

/// The same of grants that come with their roles.
pub fn resolve(grants: Grants, catalogue: Rc<Catalogue>) -> AccessMap {
    resolve_with(grants, catalogue, &mut Combinations::new(usize::MAX), |_, _| ()).0
}

/// A role counts only where it belongs, whatever got into the tables.
fn usable(role: Option<&Role>, membership: &Membership) -> bool {
    role.is_some_and(|role| role.tenant.is_none_or(|tenant| tenant == membership.tenant))
}

/// The access, and whether a tenant's own role, this one's or another's, had a say in it.
fn resolve_one(
    membership: &Membership,
    assigned: &[Id],
    roles: &Roles,
    catalogue: &Catalogue,
) -> (Access, bool) {
    let open = membership.active && membership.tenant_status.is_open();
    // What is no role, or another tenant's, is passed over; but elsewhere it may be one that counts.
    let elsewhere = assigned.iter().any(|id| roles.get(id).is_none_or(|role| role.tenant.is_some()));
    let assigned: Vec<Id> =
        assigned.iter().filter(|id| usable(roles.get(*id), membership)).copied().collect();
    // Roles of other tenants are passed over in the walk, not after it: they lead to no juniors either.
    let authorised: Vec<&Role> = hierarchy::authorised(&assigned, |id| {
        let juniors = roles.get(id).into_iter().flat_map(|role| &role.juniors);
        juniors.filter(|junior| usable(roles.get(*junior), membership)).copied().collect()
    })
    .iter()
    .filter_map(|id| roles.get(id))
    .collect();
    let is_own = |role: &Role| role.tenant.is_some();
    let own = elsewhere
        || authorised
            .iter()
            .any(|role| is_own(role) || role.juniors.iter().filter_map(|id| roles.get(id)).any(is_own));
    let mut patterns: BTreeSet<Pattern> = BTreeSet::new();
    let mut application_roles = BTreeSet::new();
    let mut tenant_roles = BTreeSet::new();
    for role in authorised {
        patterns.extend(role.patterns.iter().cloned());
        // No role is nameless: one whose name is not UTF-8, in a database of another encoding, was read so.
        if role.name.is_empty() {
            continue;
        }
        match role.tenant {
            None => application_roles.insert(role.name.clone()),
            Some(_) => tenant_roles.insert(role.name.clone()),
        };
    }
    let mut permissions = if open { catalogue.resolve(&patterns) } else { BitSet::default() };
    if membership.tenant_status == TenantStatus::ReadOnly {
        permissions = permissions.iter().filter(|bit| catalogue.name(*bit).is_some_and(is_read)).collect();
    }
    let patterns = patterns.into_iter().collect();
    let visible = membership.active && membership.tenant_status != TenantStatus::Archived;
    (Access { open, visible, permissions, patterns, application_roles, tenant_roles }, own)
}

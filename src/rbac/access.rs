//! What one user may do, resolved: a bitset of permissions and two sets of role names per tenant.

use super::Id;
use super::bitset::BitSet;
use super::catalogue::Catalogue;
use super::grants::{Grants, Membership, OperatorAccess, Role, TenantStatus};
use super::hierarchy;
use super::pattern::{Pattern, Scope, is_read};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// Tenant ids are uuids, random in most of their bits or counted up from a host's numbers: folding them is
/// hash enough, and a row's check is a few multiplications. Ids are made by the server or an administrator,
/// not by those who would gain from collisions.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            // Both halves of the product: in the lower alone, a word's high bits would reach no low bit, and
            // ids that differ only there would share a bucket.
            let mixed = u128::from(self.0.rotate_left(26) ^ u64::from_be_bytes(word)) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (mixed as u64) ^ ((mixed >> 64) as u64);
        }
    }
}

pub type IdMap<V> = HashMap<Id, V, BuildHasherDefault<IdHasher>>;

/// One user in one tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Access {
    /// Member active and tenant open: without it nothing below holds.
    pub open: bool,
    /// Member active and tenant not archived: he may see the tenant's own row, to be told why he is denied.
    pub visible: bool,
    pub permissions: BitSet,
    /// As granted, for delegation: one may hand out only what one's patterns cover.
    pub patterns: Vec<Pattern>,
    /// Authorised roles of the application, and of the tenant: two sets, so that a tenant's own role never
    /// answers for an application role of the same name.
    pub application_roles: BTreeSet<String>,
    pub tenant_roles: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub struct AccessMap {
    pub tenants: IdMap<Rc<Access>>,
    pub catalogue: Rc<Catalogue>,
    pub operator: Option<OperatorAccess>,
    pub next_expiry: Option<i64>,
}

impl AccessMap {
    /// The member's access, if he is an active member of an open tenant.
    #[inline]
    pub fn open(&self, tenant: &Id) -> Option<&Access> {
        self.tenants.get(tenant).map(|access| &**access).filter(|access| access.open)
    }

    #[inline]
    pub fn holds(&self, tenant: &Id, bit: usize) -> bool {
        self.open(tenant).is_some_and(|access| access.permissions.contains(bit))
    }

    /// Whether the member may hand this pattern to others in the tenant: one of his covers it. A name that
    /// is registered nowhere is covered by nothing.
    pub fn covers(&self, tenant: &Id, wanted: &Pattern) -> bool {
        let scope = match wanted {
            Pattern::Exact(name) => match self.catalogue.scope(name) {
                Some(scope) => scope,
                None => return false,
            },
            _ => Scope::Tenant,
        };
        self.open(tenant).is_some_and(|access| access.patterns.iter().any(|held| held.covers(wanted, scope)))
    }

    /// Tenants the user may enter, in order of id.
    pub fn open_tenants(&self) -> Vec<Id> {
        self.tenants_where(|_| true)
    }

    pub fn tenants_with(&self, bit: usize) -> Vec<Id> {
        self.tenants_where(|access| access.permissions.contains(bit))
    }

    fn tenants_where(&self, test: impl Fn(&Access) -> bool) -> Vec<Id> {
        let mut ids: Vec<Id> = self
            .tenants
            .iter()
            .filter(|(_, access)| access.open && test(access))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The only membership there is, of any status.
    pub fn sole_tenant(&self) -> Option<Id> {
        match self.tenants.len() {
            1 => self.tenants.keys().next().copied(),
            _ => None,
        }
    }

    /// Memory held, roughly; what tenants share is counted once.
    pub fn bytes(&self) -> usize {
        let distinct: HashMap<*const Access, usize> =
            self.tenants.values().map(|access| (Rc::as_ptr(access), access.bytes())).collect();
        size_of::<Self>()
            + self.catalogue.bytes()
            + self.tenants.capacity() * (size_of::<Id>() + size_of::<Rc<Access>>() + 1)
            + distinct.into_values().sum::<usize>()
    }
}

impl Access {
    fn bytes(&self) -> usize {
        // What a set allocates for its first few names.
        const NODE: usize = 280;
        let sets = [&self.application_roles, &self.tenant_roles];
        size_of::<Self>()
            + self.permissions.bytes()
            + self.patterns.iter().map(|p| size_of::<Pattern>() + p.text().len()).sum::<usize>()
            + sets.iter().filter(|set| !set.is_empty()).count() * NODE
            + sets.into_iter().flatten().map(|name| name.len() + 48).sum::<usize>()
    }
}

/// Resolves hierarchy, groups and wildcards, so that a check is a bit test.
pub fn resolve(grants: &Grants, catalogue: Rc<Catalogue>) -> AccessMap {
    // Users of thousands of tenants hold the same few roles in most of them: resolve each combination once.
    let mut same: HashMap<(bool, TenantStatus, Vec<Id>), Rc<Access>> = HashMap::new();
    let mut tenants = IdMap::default();
    for membership in &grants.memberships {
        let mut assigned: Vec<Id> = membership.assigned.iter().map(|a| a.role).collect();
        assigned.retain(|role| usable(grants.roles.get(role), membership));
        assigned.sort_unstable();
        assigned.dedup();
        let key = (membership.active, membership.tenant_status, assigned);
        let access = match same.get(&key) {
            Some(access) => Rc::clone(access),
            None => {
                let (access, own) = resolve_one(membership, &key.2, &grants.roles, &catalogue);
                let access = Rc::new(access);
                // A tenant's own roles are nobody else's.
                if !own {
                    same.insert(key, Rc::clone(&access));
                }
                access
            }
        };
        tenants.insert(membership.tenant, access);
    }
    AccessMap { tenants, catalogue, operator: grants.operator, next_expiry: grants.next_expiry }
}

/// A role counts only where it belongs, whatever got into the tables.
fn usable(role: Option<&Role>, membership: &Membership) -> bool {
    role.is_some_and(|role| role.tenant.is_none_or(|tenant| tenant == membership.tenant))
}

/// The access, and whether a tenant's own role, this one's or another's, had a say in it.
fn resolve_one(
    membership: &Membership,
    assigned: &[Id],
    roles: &HashMap<Id, Role>,
    catalogue: &Catalogue,
) -> (Access, bool) {
    let open = membership.active && membership.tenant_status.is_open();
    // Roles of other tenants are passed over in the walk, not after it: they lead to no juniors either.
    let authorised: Vec<&Role> = hierarchy::authorised(assigned, |id| {
        let juniors = roles.get(id).into_iter().flat_map(|role| &role.juniors);
        juniors.filter(|junior| usable(roles.get(*junior), membership)).copied().collect()
    })
    .iter()
    .filter_map(|id| roles.get(id))
    .collect();
    let is_own = |role: &Role| role.tenant.is_some();
    let own = authorised
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

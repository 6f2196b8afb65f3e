//! Reads grants from the tables by direct scans, in one snapshot.

use super::clock::Clock;
use super::layout::{PermissionsTable, Tables};
use super::store::Keep;
use super::{Loaded, Loader, Shared};
use crate::pg::scan::Row;
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::xact;
use crate::pg::{invalidation, role};
use crate::rbac::Id;
use crate::rbac::access::{AccessMap, IdMap};
use crate::rbac::catalogue::Catalogue;
use crate::rbac::grants::{Assignment, Grantee, Grants, Membership, OperatorAccess, Role, TenantStatus};
use crate::rbac::pattern::{Pattern, Scope};
use crate::rbac::resolution::{Roles, resolve_with};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

thread_local! {
    static COMPLAINED: Cell<bool> = const { Cell::new(false) };
}

pub struct TableReader;

impl Loader for TableReader {
    fn load(&self, whose: &Grantee, clock: &Clock, shared: Option<Shared>) -> Loaded {
        let Some(tables) = Tables::open() else {
            complain_once();
            return Loaded { map: AccessMap::default(), bytes: 0, generation: 0, keep: None, shared: None };
        };
        // What was sent before now is read now; what comes later moves the generation, and this load is
        // not kept.
        invalidation::accept();
        let (generation, roles) = (clock.generation(), clock.roles());
        let snapshot = CatalogSnapshot::take(tables.members.table.oid());
        let keep = if !tables.layout.intact {
            Keep::ForStatement
        } else if xact::has_written() {
            Keep::UntilAbort
        } else {
            Keep::UntilChanged
        };
        // What others found may be used, and this load's findings by others, if nobody's change of roles can be
        // visible to this snapshot without its message having come (docs/decisions/0008).
        let sharing = keep == Keep::UntilChanged && !invalidation::announced(tables.layout.role_signal) && {
            invalidation::accept();
            clock.roles() == roles
        };
        let (mut shared, apart) = match shared.filter(|shared| shared.roles == roles) {
            Some(shared) if sharing => (shared, None),
            other => (Shared::new(roles, super::budget() / 4), other),
        };
        let grants = match whose {
            Grantee::User(user) => tables.grants_of(user, &snapshot),
            Grantee::Job { role, tenant } => tables.grants_of_job(*role, tenant, &snapshot),
        };
        let catalogue = tables.catalogue(&mut shared, &snapshot);
        let read = |assigned: &[Id], roles: &mut Roles| tables.add_roles(assigned, roles, &snapshot);
        let (map, apart_bytes) = resolve_with(grants, catalogue, &mut shared.combinations, read);
        let bytes = map.bytes() + apart_bytes + if sharing { 0 } else { shared.bytes() };
        Loaded {
            map,
            bytes,
            generation,
            keep: Some(keep),
            shared: if sharing { Some(shared) } else { apart },
        }
    }
}

/// A new library over old tables denies; the log says so once per backend.
fn complain_once() {
    if !COMPLAINED.replace(true) {
        pgrx::log!(
            "pg_tenancy: the tables of schema tenancy are missing or of another version, so every check denies; \
             CREATE EXTENSION pg_tenancy, or ALTER EXTENSION pg_tenancy UPDATE"
        );
    }
}

/// What is still in force at the statement's start, and the first moment at which something of it ends.
struct Expiry {
    now: i64,
    next: Option<i64>,
}

impl Expiry {
    fn admits(&mut self, expires_at: Option<i64>) -> bool {
        let Some(at) = expires_at else { return true };
        if at <= self.now {
            return false;
        }
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
        true
    }
}

impl Tables {
    pub(super) fn grants_of(&self, user: &Id, snapshot: &CatalogSnapshot) -> Grants {
        let mut expiry = Expiry { now: xact::statement_timestamp(), next: None };
        let mut memberships: IdMap<Membership> = IdMap::default();
        let t = &self.members;
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            let Some(tenant) = row.uuid(t.tenant_id) else { return };
            let active = row.text(t.status) == Some("active");
            let (tenant_status, assigned) = (TenantStatus::Archived, Vec::new());
            memberships.insert(tenant, Membership { tenant, key: None, tenant_status, active, assigned });
        });
        self.read_tenants(snapshot, &mut memberships);
        self.direct_grants(user, snapshot, &mut memberships, &mut expiry);
        self.group_grants(user, snapshot, &mut memberships);
        let operator = self.operator(user, snapshot, &mut expiry);
        let chosen = self.chosen(user, snapshot);
        let memberships = memberships.into_values().collect();
        Grants { memberships, roles: HashMap::new(), operator, chosen, next_expiry: expiry.next }
    }

    /// What a database role holds in a tenant while it works there: as a member with the roles it was given, in one that
    /// exists. The same in every tenant, so whether it may enter is asked elsewhere.
    pub(super) fn grants_of_job(&self, role: u32, tenant: &Id, snapshot: &CatalogSnapshot) -> Grants {
        let assigned = self.job_roles(role.into(), snapshot);
        let t = &self.tenants;
        let mut memberships = Vec::new();
        if !assigned.is_empty() {
            t.table.read(snapshot, Some((t.id, tenant)), |row| {
                let tenant_status = TenantStatus::parse(row.text(t.status).unwrap_or_default());
                let (key, assigned) = (row.text(t.key).map(str::to_owned), assigned.clone());
                memberships.push(Membership { tenant: *tenant, key, tenant_status, active: true, assigned });
            });
        }
        Grants { memberships, ..Grants::default() }
    }

    pub(super) fn job_roles(&self, role: pgrx::pg_sys::Oid, snapshot: &CatalogSnapshot) -> Vec<Assignment> {
        let t = &self.database_role_roles;
        let mut assigned = Vec::new();
        // The rows outlive the role, and a session that had taken it goes on under its id.
        if !role::exists(role) {
            return assigned;
        }
        t.table.read(snapshot, Some((t.db_role, &role)), |row| {
            assigned.extend(row.uuid(t.role_id).map(|role| Assignment { role, group: None }));
        });
        assigned
    }

    fn read_tenants(&self, snapshot: &CatalogSnapshot, memberships: &mut IdMap<Membership>) {
        // A row of tenants is rarely shorter, and to find one by its id takes as long as to read this many on.
        const BYTES_PER_ROW: usize = 120;
        const ROWS_PER_SEARCH: usize = 8;
        let t = &self.tenants;
        let read = |row: &Row, membership: &mut Membership| {
            membership.tenant_status = TenantStatus::parse(row.text(t.status).unwrap_or_default());
            membership.key = row.text(t.key).map(str::to_owned);
        };
        if memberships.len() > ROWS_PER_SEARCH
            && memberships.len() * ROWS_PER_SEARCH > t.table.estimated_rows(BYTES_PER_ROW)
        {
            t.table.read(snapshot, None, |row| {
                if let Some(membership) = row.uuid(t.id).and_then(|id| memberships.get_mut(&id)) {
                    read(row, membership);
                }
            });
            return;
        }
        for membership in memberships.values_mut() {
            let tenant = membership.tenant;
            t.table.read(snapshot, Some((t.id, &tenant)), |row| read(row, membership));
        }
    }

    fn direct_grants(
        &self,
        user: &Id,
        snapshot: &CatalogSnapshot,
        memberships: &mut IdMap<Membership>,
        expiry: &mut Expiry,
    ) {
        let t = &self.member_roles;
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            if let (Some(tenant), Some(role)) = (row.uuid(t.tenant_id), row.uuid(t.role_id))
                && let Some(membership) = memberships.get_mut(&tenant)
                && expiry.admits(row.timestamp(t.expires_at))
            {
                membership.assigned.push(Assignment { role, group: None });
            }
        });
    }

    fn group_grants(&self, user: &Id, snapshot: &CatalogSnapshot, memberships: &mut IdMap<Membership>) {
        let t = &self.group_members;
        let mut groups: Vec<(Id, Id)> = Vec::new();
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            groups.extend(row.uuid(t.tenant_id).zip(row.uuid(t.group_id)));
        });
        let t = &self.group_roles;
        for (tenant, group) in groups {
            let Some(membership) = memberships.get_mut(&tenant) else { continue };
            t.table.read(snapshot, Some((t.group_id, &group)), |row| {
                if let Some(role) = row.uuid(t.role_id) {
                    membership.assigned.push(Assignment { role, group: Some(group) });
                }
            });
        }
    }

    fn operator(&self, user: &Id, snapshot: &CatalogSnapshot, expiry: &mut Expiry) -> Option<OperatorAccess> {
        let t = &self.operators;
        let mut access = None;
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            if expiry.admits(row.timestamp(t.expires_at)) {
                access = row.text(t.access).and_then(OperatorAccess::parse);
            }
        });
        access
    }

    fn chosen(&self, user: &Id, snapshot: &CatalogSnapshot) -> Option<Id> {
        let t = &self.active_tenants;
        let mut chosen = None;
        t.table.read(snapshot, Some((t.user_id, user)), |row| chosen = row.uuid(t.tenant_id));
        chosen
    }

    /// Adds these roles and all they inherit, but for those that are there already.
    pub(super) fn add_roles(&self, wanted: &[Id], found: &mut Roles, snapshot: &CatalogSnapshot) {
        let mut wanted = wanted.to_vec();
        while let Some(id) = wanted.pop() {
            if found.contains_key(&id) {
                continue;
            }
            let Some(role) = self.role(&id, snapshot) else { continue };
            wanted.extend_from_slice(&role.juniors);
            found.insert(id, role);
        }
    }

    pub(super) fn role(&self, id: &Id, snapshot: &CatalogSnapshot) -> Option<Role> {
        let mut role = None;
        let t = &self.roles;
        t.table.read(snapshot, Some((t.id, id)), |row| {
            let (tenant, name) = (row.uuid(t.tenant_id), row.text(t.name).unwrap_or_default().to_owned());
            role = Some(Role { tenant, name, ..Role::default() });
        });
        let mut role: Role = role?;
        let t = &self.role_permissions;
        t.table.read(snapshot, Some((t.role_id, id)), |row| {
            role.patterns.extend(row.text(t.permission).and_then(Pattern::parse));
        });
        let t = &self.role_inheritance;
        t.table.read(snapshot, Some((t.senior_id, id)), |row| {
            role.juniors.extend(row.uuid(t.junior_id));
        });
        Some(role)
    }

    pub(super) fn catalogue(&self, shared: &mut Shared, snapshot: &CatalogSnapshot) -> Rc<Catalogue> {
        let read = || {
            let t = &self.permissions;
            let mut entries = Vec::new();
            t.table.read(snapshot, None, |row| entries.extend(permission(t, row)));
            Rc::new(Catalogue::new(entries))
        };
        Rc::clone(shared.catalogue.get_or_insert_with(read))
    }
}

/// A permission of unknown scope, from a newer version's tables, is out of every wildcard's reach.
fn permission(t: &PermissionsTable, row: &Row) -> Option<(String, Scope)> {
    let scope = match row.text(t.scope) {
        Some("tenant") => Scope::Tenant,
        _ => Scope::Platform,
    };
    Some((row.text(t.name)?.to_owned(), scope))
}

//! What else is asked of the tables, as they are now with one's own uncommitted changes, and not kept.

use super::layout::{GroupsTable, Tables};
use super::{SAW_OWN_SUBJECT, SCHEMA, Shared};
use crate::pg::scan::{self, Key, TextKey};
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::xact;
use crate::rbac::access::AccessMap;
use crate::rbac::grants::{Explanation, Grantee, Role, TenantStatus};
use crate::rbac::resolution::{Roles, resolve_with};
use crate::rbac::{Id, format_id, parse_id};
use pgrx::pg_sys::Oid;
use std::collections::HashMap;
use std::rc::Rc;

/// The grants of a user or a job as they are now, with names.
pub fn explain(whose: &Grantee) -> Option<Explanation> {
    let tables = Tables::open()?;
    let groups = GroupsTable::find(scan::schema(SCHEMA)?)?;
    let snapshot = CatalogSnapshot::take(tables.members.table.oid());
    let mut grants = match whose {
        Grantee::User(user) => tables.grants_of(user, &snapshot),
        Grantee::Job { role, tenant } => tables.grants_of_job(*role, tenant, &snapshot),
    };
    let assigned: Vec<Id> =
        grants.memberships.iter().flat_map(|m| m.assigned.iter().map(|a| a.role)).collect();
    tables.add_roles(&assigned, &mut grants.roles, &snapshot);
    let mut names = HashMap::new();
    for membership in &grants.memberships {
        let t = &tables.tenants;
        t.table.read(&snapshot, Some((t.id, &membership.tenant)), |row| {
            names.extend(row.uuid(t.id).zip(row.text(t.slug).map(str::to_owned)));
        });
        for group in membership.assigned.iter().filter_map(|assignment| assignment.group) {
            groups.table.read(&snapshot, Some((groups.id, &group)), |row| {
                names.extend(row.uuid(groups.id).zip(row.text(groups.name).map(str::to_owned)));
            });
        }
    }
    Some(Explanation { grants, names })
}

/// What each of these users may do as it is now, all by one snapshot.
pub fn each_access(users: &[Id], mut each: impl FnMut(&Id, &AccessMap)) {
    let Some(tables) = Tables::open() else { return };
    let snapshot = CatalogSnapshot::take(tables.members.table.oid());
    let mut shared = Shared::new(0, super::budget());
    for user in users {
        let grants = tables.grants_of(user, &snapshot);
        // Who is new is a member of nothing, and there may be many permissions.
        let catalogue = match grants.memberships.is_empty() {
            true => Rc::default(),
            false => tables.catalogue(&mut shared, &snapshot),
        };
        let read = |assigned: &[Id], roles: &mut Roles| tables.add_roles(assigned, roles, &snapshot);
        let (map, _) = resolve_with(grants, catalogue, &mut shared.combinations, read);
        each(user, &map);
    }
}

/// What the host calls the tenant.
pub fn tenant_key(tenant: &Id) -> Option<Rc<str>> {
    let tables = Tables::open()?;
    let t = &tables.tenants;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut key = None;
    t.table.read(&snapshot, Some((t.id, tenant)), |row| key = row.text(t.key).map(Rc::from));
    key
}

/// The role hierarchy, by senior role.
pub fn junior_edges() -> HashMap<Id, Vec<Id>> {
    let mut edges: HashMap<Id, Vec<Id>> = HashMap::new();
    if let Some(tables) = Tables::open() {
        let t = &tables.role_inheritance;
        let snapshot = CatalogSnapshot::take(t.table.oid());
        t.table.read(&snapshot, None, |row| {
            if let (Some(senior), Some(junior)) = (row.uuid(t.senior_id), row.uuid(t.junior_id)) {
                edges.entry(senior).or_default().push(junior);
            }
        });
    }
    edges
}

/// The tenant that owns a role, `None` inside for the application's; `None` outside if there is no such role.
pub fn role_tenant(role: &Id) -> Option<Option<Id>> {
    let tables = Tables::open()?;
    let snapshot = CatalogSnapshot::take(tables.roles.table.oid());
    tables.role(role, &snapshot).map(|role| role.tenant)
}

/// A role and all it reaches.
pub fn role_closure(role: &Id) -> Option<Vec<Role>> {
    let tables = Tables::open()?;
    let snapshot = CatalogSnapshot::take(tables.roles.table.oid());
    let mut found = HashMap::new();
    tables.add_roles(&[*role], &mut found, &snapshot);
    found.contains_key(role).then(|| found.into_values().collect())
}

/// How many roles have this name, among the application's or among the tenants' own.
pub fn roles_named(name: &str, of_application: bool) -> i64 {
    let Some(tables) = Tables::open() else { return 0 };
    let t = &tables.roles;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut count = 0;
    t.table.read(&snapshot, None, |row| {
        if row.uuid(t.tenant_id).is_none() == of_application && row.text(t.name) == Some(name) {
            count += 1;
        }
    });
    count
}

/// In how many tenants this role is granted to the user directly.
pub fn direct_grants_of(user: &Id, role: &Id) -> i64 {
    let Some(tables) = Tables::open() else { return 0 };
    let t = &tables.member_roles;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut count = 0;
    t.table.read(&snapshot, Some((t.user_id, user)), |row| {
        count += i64::from(row.uuid(t.role_id).as_ref() == Some(role))
    });
    count
}

/// Every tenant, of whatever status, and what the host calls it, in order of id.
pub fn all_tenants() -> Vec<(Id, Option<Rc<str>>)> {
    let Some(tables) = Tables::open() else { return Vec::new() };
    let t = &tables.tenants;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut tenants = Vec::new();
    t.table.read(&snapshot, None, |row| {
        tenants.extend(row.uuid(t.id).map(|id| (id, row.text(t.key).map(Rc::from))));
    });
    tenants.sort_unstable();
    tenants
}

/// When the user's write access as an operator ends, by the table: the greatest moment if never, `None` if he has none
/// now.
pub fn operator_until(user: &Id) -> Option<i64> {
    let tables = Tables::open()?;
    let t = &tables.operators;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut until = None;
    t.table.read(&snapshot, Some((t.user_id, user)), |row| {
        let ends = row.timestamp(t.expires_at).unwrap_or(i64::MAX);
        if row.text(t.access) == Some("write") && ends > xact::statement_timestamp() {
            until = Some(ends);
        }
    });
    until
}

/// The user whom the table of subjects has for a token's `sub`.
pub fn user_of_subject(subject: &str) -> Option<Id> {
    let subject = TextKey::new(subject)?;
    let tables = Tables::open()?;
    if xact::has_written() {
        SAW_OWN_SUBJECT.set(true);
    }
    let t = &tables.subjects;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut user = None;
    t.table.read(&snapshot, Some((t.subject, &subject)), |row| user = row.uuid(t.user_id));
    user.filter(|user| *user != super::NOBODY)
}

pub struct Tenant {
    pub id: Id,
    pub status: TenantStatus,
    pub key: Option<String>,
    pub slug: String,
}

/// The tenant that a job wants to enter, by its id or else by its key in the host application; `None` outside if this
/// database role may enter none.
pub fn tenant_for_job(role: Oid, name: &str) -> Option<Option<Tenant>> {
    let tables = Tables::open()?;
    let snapshot = CatalogSnapshot::take(tables.tenants.table.oid());
    if tables.job_roles(role, &snapshot).is_empty() {
        return None;
    }
    let t = &tables.tenants;
    let by_id = |id: Id| tables.tenants_where(Some((t.id, &id)), &snapshot).pop();
    let by_key = || tables.tenants_where(Some((t.key, &TextKey::new(name)?)), &snapshot).pop();
    // No tenant's key is another's id as it is written canonically; in other forms it may be.
    Some(match parse_id(name) {
        Some(id) if format_id(&id) == name => by_id(id),
        Some(id) => by_key().or_else(|| by_id(id)),
        None => by_key(),
    })
}

/// The roles that a database role was given.
pub fn roles_of_job(role: Oid) -> Vec<Id> {
    let Some(tables) = Tables::open() else { return Vec::new() };
    let snapshot = CatalogSnapshot::take(tables.tenants.table.oid());
    tables.job_roles(role, &snapshot).into_iter().map(|assigned| assigned.role).collect()
}

/// The tenants in which anything can be done, in order of id; `None` if this database role may enter none.
pub fn tenants_for_job(role: Oid) -> Option<Vec<Tenant>> {
    let tables = Tables::open()?;
    let snapshot = CatalogSnapshot::take(tables.tenants.table.oid());
    if tables.job_roles(role, &snapshot).is_empty() {
        return None;
    }
    let mut tenants = tables.tenants_where(None, &snapshot);
    tenants.retain(|tenant| tenant.status.is_open());
    tenants.sort_unstable_by_key(|tenant| tenant.id);
    Some(tenants)
}

impl Tables {
    fn tenants_where(
        &self,
        key: Option<(scan::Column, &dyn Key)>,
        snapshot: &CatalogSnapshot,
    ) -> Vec<Tenant> {
        let t = &self.tenants;
        let mut found = Vec::new();
        t.table.read(snapshot, key, |row| {
            let Some(id) = row.uuid(t.id) else { return };
            let status = TenantStatus::parse(row.text(t.status).unwrap_or_default());
            let key = row.text(t.key).map(str::to_owned);
            found.push(Tenant { id, status, key, slug: row.text(t.slug).unwrap_or_default().to_owned() });
        });
        found
    }
}

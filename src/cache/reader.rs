//! Reads grants from the tables by direct scans, in one snapshot.

use super::clock::Clock;
use super::store::Keep;
use super::{Loaded, Loader};
use crate::pg::scan::{self, Column, Row, Table};
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::{invalidation, xact};
use crate::rbac::Id;
use crate::rbac::catalogue::Catalogue;
use crate::rbac::grants::{Assignment, Explanation, Grants, Membership, OperatorAccess, Role, TenantStatus};
use crate::rbac::pattern::{Pattern, Scope};
use pgrx::pg_sys::{self, Oid};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::CStr;

const SCHEMA: &CStr = c"tenancy";
const SIGNAL: &CStr = c"cache_signal";

/// The triggers that every table read here must have, and the state that makes them fire: for ordinary and
/// replayed statements, and for rows a subscription applies.
const SIGNAL_TRIGGERS: [(&CStr, u8); 3] =
    [(c"signal_before", b'A'), (c"signal_after", b'A'), (c"signal_replicated", b'R')];

thread_local! {
    static COMPLAINED: Cell<bool> = const { Cell::new(false) };
}

pub struct TableReader;

impl Loader for TableReader {
    fn load(&self, user: &Id, clock: &Clock) -> Loaded {
        let Some(tables) = Tables::open() else {
            complain_once();
            return Loaded {
                grants: Grants::default(),
                catalogue: Catalogue::default(),
                generation: clock.generation(),
                keep: None,
            };
        };
        // What was sent before now is read now; what comes later moves the generation, and this load is
        // not kept.
        invalidation::accept();
        let generation = clock.generation();
        let snapshot = CatalogSnapshot::take(tables.members.table.oid());
        let keep = if !tables.signals_intact() {
            Keep::ForStatement
        } else if xact::has_written() {
            Keep::UntilAbort
        } else {
            Keep::UntilChanged
        };
        Loaded {
            grants: tables.grants_of(user, &snapshot),
            catalogue: tables.catalogue(&snapshot),
            generation,
            keep: Some(keep),
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

pub fn signal_relation() -> Option<Oid> {
    scan::relation(SIGNAL, scan::schema(SCHEMA)?)
}

/// Opens a table and finds columns by name, anew at each load: an update of the extension may have moved
/// them.
macro_rules! table {
    ($table:literal, $type:ident { $($column:ident: $oid:ident),* }) => {
        struct $type { table: Table, $($column: Column),* }

        impl $type {
            fn open(schema: Oid) -> Option<Self> {
                let table = Table::open(scan::relation($table, schema)?)?;
                $(let $column = table.column(column_name(stringify!($column)), pg_sys::$oid)?;)*
                Some(Self { table, $($column),* })
            }
        }
    };
}

/// The tables that decide, opened together so that one load reads them all by one snapshot.
macro_rules! tables {
    ($($name:ident, $table:literal, $type:ident { $($column:ident: $oid:ident),* };)*) => {
        $(table! { $table, $type { $($column: $oid),* } })*

        struct Tables { $($name: $type),* }

        impl Tables {
            fn open() -> Option<Self> {
                let schema = scan::schema(SCHEMA)?;
                let signal = scan::relation(SIGNAL, schema)?;
                let tables = Self { $($name: $type::open(schema)?),* };
                invalidation::watch(&[signal, $(tables.$name.table.oid()),*]);
                Some(tables)
            }

            fn all(&self) -> Vec<(&'static CStr, &Table)> {
                vec![$(($table, &self.$name.table)),*]
            }
        }
    };
}

tables! {
    tenants, c"tenants", TenantsTable { id: UUIDOID, status: TEXTOID, slug: TEXTOID };
    members, c"members", MembersTable { tenant_id: UUIDOID, user_id: UUIDOID, status: TEXTOID };
    member_roles, c"member_roles", MemberRolesTable {
        tenant_id: UUIDOID, user_id: UUIDOID, role_id: UUIDOID, expires_at: TIMESTAMPTZOID
    };
    group_members, c"group_members", GroupMembersTable { tenant_id: UUIDOID, group_id: UUIDOID, user_id: UUIDOID };
    group_roles, c"group_roles", GroupRolesTable { group_id: UUIDOID, role_id: UUIDOID };
    roles, c"roles", RolesTable { id: UUIDOID, tenant_id: UUIDOID, name: TEXTOID };
    role_permissions, c"role_permissions", RolePermissionsTable { role_id: UUIDOID, permission: TEXTOID };
    role_inheritance, c"role_inheritance", RoleInheritanceTable { senior_id: UUIDOID, junior_id: UUIDOID };
    permissions, c"permissions", PermissionsTable { name: TEXTOID, scope: TEXTOID };
    operators, c"operators", OperatorsTable { user_id: UUIDOID, access: TEXTOID, expires_at: TIMESTAMPTZOID };
}

// Read for its names only, when something is explained.
table! { c"groups", GroupsTable { id: UUIDOID, name: TEXTOID } }

/// The column names above, as C strings.
fn column_name(name: &'static str) -> &'static CStr {
    match name {
        "id" => c"id",
        "status" => c"status",
        "tenant_id" => c"tenant_id",
        "user_id" => c"user_id",
        "role_id" => c"role_id",
        "group_id" => c"group_id",
        "expires_at" => c"expires_at",
        "name" => c"name",
        "permission" => c"permission",
        "senior_id" => c"senior_id",
        "junior_id" => c"junior_id",
        "scope" => c"scope",
        "access" => c"access",
        "slug" => c"slug",
        _ => c"",
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
    fn signals_intact(&self) -> bool {
        self.all().into_iter().all(|(_, table)| has_signals(table))
    }

    fn grants_of(&self, user: &Id, snapshot: &CatalogSnapshot) -> Grants {
        let mut expiry = Expiry { now: xact::statement_timestamp(), next: None };
        let mut memberships: HashMap<Id, Membership> = HashMap::new();
        let t = &self.members;
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            let Some(tenant) = row.uuid(t.tenant_id) else { return };
            let active = row.text(t.status).as_deref() == Some("active");
            let membership =
                Membership { tenant, tenant_status: TenantStatus::Archived, active, assigned: Vec::new() };
            memberships.insert(tenant, membership);
        });
        for membership in memberships.values_mut() {
            membership.tenant_status = self.tenant_status(&membership.tenant, snapshot);
        }
        self.direct_grants(user, snapshot, &mut memberships, &mut expiry);
        self.group_grants(user, snapshot, &mut memberships);
        let assigned = memberships.values().flat_map(|m| m.assigned.iter().map(|a| a.role));
        let roles = self.roles_from(assigned.collect(), snapshot);
        let operator = self.operator(user, snapshot, &mut expiry);
        Grants { memberships: memberships.into_values().collect(), roles, operator, next_expiry: expiry.next }
    }

    fn tenant_status(&self, tenant: &Id, snapshot: &CatalogSnapshot) -> TenantStatus {
        let mut status = TenantStatus::Archived;
        let t = &self.tenants;
        t.table.read(snapshot, Some((t.id, tenant)), |row| {
            status = TenantStatus::parse(&row.text(t.status).unwrap_or_default());
        });
        status
    }

    fn direct_grants(
        &self,
        user: &Id,
        snapshot: &CatalogSnapshot,
        memberships: &mut HashMap<Id, Membership>,
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

    fn group_grants(&self, user: &Id, snapshot: &CatalogSnapshot, memberships: &mut HashMap<Id, Membership>) {
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
                access = row.text(t.access).as_deref().and_then(OperatorAccess::parse);
            }
        });
        access
    }

    /// These roles and all they inherit.
    fn roles_from(&self, wanted: Vec<Id>, snapshot: &CatalogSnapshot) -> HashMap<Id, Role> {
        let mut found: HashMap<Id, Role> = HashMap::new();
        let mut wanted = wanted;
        while let Some(id) = wanted.pop() {
            if found.contains_key(&id) {
                continue;
            }
            let Some(role) = self.role(&id, snapshot) else { continue };
            wanted.extend_from_slice(&role.juniors);
            found.insert(id, role);
        }
        found
    }

    fn role(&self, id: &Id, snapshot: &CatalogSnapshot) -> Option<Role> {
        let mut role = None;
        let t = &self.roles;
        t.table.read(snapshot, Some((t.id, id)), |row| {
            let (tenant, name) = (row.uuid(t.tenant_id), row.text(t.name).unwrap_or_default());
            role = Some(Role { tenant, name, ..Role::default() });
        });
        let mut role: Role = role?;
        let t = &self.role_permissions;
        t.table.read(snapshot, Some((t.role_id, id)), |row| {
            role.patterns.extend(row.text(t.permission).as_deref().and_then(Pattern::parse));
        });
        let t = &self.role_inheritance;
        t.table.read(snapshot, Some((t.senior_id, id)), |row| {
            role.juniors.extend(row.uuid(t.junior_id));
        });
        Some(role)
    }

    fn catalogue(&self, snapshot: &CatalogSnapshot) -> Catalogue {
        let t = &self.permissions;
        let mut entries = Vec::new();
        t.table.read(snapshot, None, |row| entries.extend(permission(t, row)));
        Catalogue::new(entries)
    }
}

/// A permission of unknown scope, from a newer version's tables, is out of every wildcard's reach.
fn permission(t: &PermissionsTable, row: &Row) -> Option<(String, Scope)> {
    let scope = match row.text(t.scope).as_deref() {
        Some("tenant") => Scope::Tenant,
        _ => Scope::Platform,
    };
    Some((row.text(t.name)?, scope))
}

fn has_signals(table: &Table) -> bool {
    SIGNAL_TRIGGERS
        .iter()
        .all(|(wanted, state)| table.any_trigger(|name, enabled| name == *wanted && enabled == *state))
}

/// The tables whose triggers that announce changes are missing or in another state than they were made: while
/// there is one, answers hold for one statement only.
pub fn missing_signals() -> Vec<String> {
    let Some(tables) = Tables::open() else { return Vec::new() };
    let damaged = tables.all().into_iter().filter(|(_, table)| !has_signals(table));
    damaged.map(|(name, _)| name.to_string_lossy().into_owned()).collect()
}

/// A user's grants as they are now, with names.
pub fn explain(user: &Id) -> Option<Explanation> {
    let tables = Tables::open()?;
    let groups = GroupsTable::open(scan::schema(SCHEMA)?)?;
    let snapshot = CatalogSnapshot::take(tables.members.table.oid());
    let grants = tables.grants_of(user, &snapshot);
    let mut names = HashMap::new();
    for membership in &grants.memberships {
        let t = &tables.tenants;
        t.table.read(&snapshot, Some((t.id, &membership.tenant)), |row| {
            names.extend(row.uuid(t.id).zip(row.text(t.slug)));
        });
        for group in membership.assigned.iter().filter_map(|assignment| assignment.group) {
            groups.table.read(&snapshot, Some((groups.id, &group)), |row| {
                names.extend(row.uuid(groups.id).zip(row.text(groups.name)));
            });
        }
    }
    Some(Explanation { grants, names })
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
    let found = tables.roles_from(vec![*role], &snapshot);
    found.contains_key(role).then(|| found.into_values().collect())
}

/// How many roles have this name, among the application's or among the tenants' own.
pub fn roles_named(name: &str, of_application: bool) -> i64 {
    let Some(tables) = Tables::open() else { return 0 };
    let t = &tables.roles;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut count = 0;
    t.table.read(&snapshot, None, |row| {
        if row.uuid(t.tenant_id).is_none() == of_application && row.text(t.name).as_deref() == Some(name) {
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

//! Reads grants from the tables by direct scans, in one snapshot.

use super::clock::Clock;
use super::store::Keep;
use super::{Loaded, Loader, SCHEMA, Shared, generation};
use crate::pg::invalidation::{self, Change};
use crate::pg::scan::{self, Column, Row, Table};
use crate::pg::snapshot::CatalogSnapshot;
use crate::pg::xact;
use crate::rbac::Id;
use crate::rbac::access::{AccessMap, IdMap};
use crate::rbac::catalogue::Catalogue;
use crate::rbac::grants::{Assignment, Explanation, Grants, Membership, OperatorAccess, Role, TenantStatus};
use crate::rbac::pattern::{Pattern, Scope};
use crate::rbac::resolution::resolve_with;
use pgrx::pg_sys::{self, Oid};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

const SIGNAL: &CStr = c"cache_signal";
const ROLE_SIGNAL: &CStr = c"role_signal";

/// The triggers that every table read here must have, and the state that makes them fire: for ordinary and
/// replayed statements, and for rows a subscription applies.
const SIGNAL_TRIGGERS: [(&CStr, u8); 3] =
    [(c"signal_before", b'A'), (c"signal_after", b'A'), (c"signal_replicated", b'R')];

thread_local! {
    /// The generation it was found in, and where everything was.
    static LAYOUT: Cell<Option<(u64, Layout)>> = const { Cell::new(None) };
    static COMPLAINED: Cell<bool> = const { Cell::new(false) };
}

pub struct TableReader;

impl Loader for TableReader {
    fn load(&self, user: &Id, clock: &Clock, shared: Option<Shared>) -> Loaded {
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
            other => (Shared::new(roles), other),
        };
        let (grants, catalogue) =
            (tables.grants_of(user, &snapshot), tables.catalogue(&mut shared, &snapshot));
        let read = |assigned: &[Id]| Cow::Owned(tables.roles_from(assigned.to_vec(), &snapshot));
        let map = resolve_with(&grants, catalogue, &mut shared.combinations, read);
        let bytes = map.bytes() + if sharing { 0 } else { shared.bytes() };
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

/// The relation whose invalidation tells of changed grants.
pub fn signal_relation() -> Option<Oid> {
    scan::relation(SIGNAL, scan::schema(SCHEMA)?)
}

/// The one whose invalidation tells that roles changed.
pub fn role_signal_relation() -> Option<Oid> {
    scan::relation(ROLE_SIGNAL, scan::schema(SCHEMA)?)
}

/// A table that is open, and where its columns are.
struct Opened<C> {
    table: Table,
    columns: C,
}

impl<C> std::ops::Deref for Opened<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.columns
    }
}

/// Where a table and its columns are, found by name.
macro_rules! table {
    ($table:literal, $type:ident { $($column:ident: $oid:ident),* }) => {
        #[derive(Clone, Copy)]
        struct $type { $($column: Column),* }

        impl $type {
            fn find(schema: Oid) -> Option<Opened<Self>> {
                let table = Table::open(scan::relation($table, schema)?)?;
                $(let $column = table.column(column_name(stringify!($column)), pg_sys::$oid)?;)*
                Some(Opened { columns: Self { $($column),* }, table })
            }
        }
    };
}

/// The tables that decide, opened together so that one load reads them all by one snapshot.
macro_rules! tables {
    ($($name:ident, $change:ident, $table:literal, $type:ident { $($column:ident: $oid:ident),* };)*) => {
        $(table! { $table, $type { $($column: $oid),* } })*

        /// Where everything is: found anew when a message about any of the tables, or from them, has come, for an
        /// update of the extension or an index rebuilt may have moved it.
        #[derive(Clone, Copy)]
        struct Layout {
            role_signal: Oid,
            /// Whether all triggers that announce changes are there and fire.
            intact: bool,
            $($name: (Oid, $type)),*
        }

        struct Tables { layout: Layout, $($name: Opened<$type>),* }

        impl Tables {
            fn find() -> Option<Self> {
                let schema = scan::schema(SCHEMA)?;
                let signal = scan::relation(SIGNAL, schema)?;
                let role_signal = scan::relation(ROLE_SIGNAL, schema)?;
                $(let $name = $type::find(schema)?;)*
                invalidation::watch(vec![
                    (signal, Change::Grants), (role_signal, Change::Roles), $(($name.table.oid(), Change::$change)),*
                ]);
                let intact = [$(&$name.table),*].into_iter().all(has_signals);
                let layout = Layout { role_signal, intact, $($name: ($name.table.oid(), $name.columns)),* };
                Some(Self { layout, $($name),* })
            }

            fn open_known(layout: Layout) -> Option<Self> {
                $(let (oid, columns) = layout.$name;
                let $name = Opened { table: Table::open(oid)?, columns };)*
                Some(Self { layout, $($name),* })
            }

            fn all(&self) -> Vec<(&'static CStr, &Table)> {
                vec![$(($table, &self.$name.table)),*]
            }
        }
    };
}

impl Tables {
    fn open() -> Option<Self> {
        let generation = generation();
        if let Some((known, layout)) = LAYOUT.get()
            && known == generation
            && let Some(tables) = Self::open_known(layout)
        {
            // Locking has read the messages: if none was about these tables, they are as they were.
            invalidation::accept();
            if self::generation() == generation {
                return Some(tables);
            }
        }
        let generation = self::generation();
        let tables = Self::find()?;
        LAYOUT.set(Some((generation, tables.layout)));
        Some(tables)
    }
}

tables! {
    tenants, Grants, c"tenants", TenantsTable { id: UUIDOID, status: TEXTOID, slug: TEXTOID, key: TEXTOID };
    members, Grants, c"members", MembersTable { tenant_id: UUIDOID, user_id: UUIDOID, status: TEXTOID };
    member_roles, Grants, c"member_roles", MemberRolesTable {
        tenant_id: UUIDOID, user_id: UUIDOID, role_id: UUIDOID, expires_at: TIMESTAMPTZOID
    };
    group_members, Grants, c"group_members", GroupMembersTable { tenant_id: UUIDOID, group_id: UUIDOID, user_id: UUIDOID };
    group_roles, Grants, c"group_roles", GroupRolesTable { group_id: UUIDOID, role_id: UUIDOID };
    roles, Roles, c"roles", RolesTable { id: UUIDOID, tenant_id: UUIDOID, name: TEXTOID };
    role_permissions, Roles, c"role_permissions", RolePermissionsTable { role_id: UUIDOID, permission: TEXTOID };
    role_inheritance, Roles, c"role_inheritance", RoleInheritanceTable { senior_id: UUIDOID, junior_id: UUIDOID };
    permissions, Roles, c"permissions", PermissionsTable { name: TEXTOID, scope: TEXTOID };
    operators, Grants, c"operators", OperatorsTable { user_id: UUIDOID, access: TEXTOID, expires_at: TIMESTAMPTZOID };
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
        "key" => c"key",
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
    fn grants_of(&self, user: &Id, snapshot: &CatalogSnapshot) -> Grants {
        let mut expiry = Expiry { now: xact::statement_timestamp(), next: None };
        let mut memberships: IdMap<Membership> = IdMap::default();
        let t = &self.members;
        t.table.read(snapshot, Some((t.user_id, user)), |row| {
            let Some(tenant) = row.uuid(t.tenant_id) else { return };
            let active = row.text(t.status) == Some("active");
            let membership =
                Membership { tenant, tenant_status: TenantStatus::Archived, active, assigned: Vec::new() };
            memberships.insert(tenant, membership);
        });
        self.tenant_statuses(snapshot, &mut memberships);
        self.direct_grants(user, snapshot, &mut memberships, &mut expiry);
        self.group_grants(user, snapshot, &mut memberships);
        let operator = self.operator(user, snapshot, &mut expiry);
        let memberships = memberships.into_values().collect();
        Grants { memberships, roles: HashMap::new(), operator, next_expiry: expiry.next }
    }

    fn tenant_statuses(&self, snapshot: &CatalogSnapshot, memberships: &mut IdMap<Membership>) {
        // A row of tenants is rarely shorter, and to find one by its id takes as long as to read this many on.
        const BYTES_PER_ROW: usize = 120;
        const ROWS_PER_SEARCH: usize = 8;
        let t = &self.tenants;
        let status = |row: &Row| TenantStatus::parse(row.text(t.status).unwrap_or_default());
        if memberships.len() > ROWS_PER_SEARCH
            && memberships.len() * ROWS_PER_SEARCH > t.table.estimated_rows(BYTES_PER_ROW)
        {
            t.table.read(snapshot, None, |row| {
                if let Some(membership) = row.uuid(t.id).and_then(|id| memberships.get_mut(&id)) {
                    membership.tenant_status = status(row);
                }
            });
            return;
        }
        for membership in memberships.values_mut() {
            let tenant = membership.tenant;
            t.table.read(snapshot, Some((t.id, &tenant)), |row| membership.tenant_status = status(row));
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

    fn catalogue(&self, shared: &mut Shared, snapshot: &CatalogSnapshot) -> Rc<Catalogue> {
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
    let groups = GroupsTable::find(scan::schema(SCHEMA)?)?;
    let snapshot = CatalogSnapshot::take(tables.members.table.oid());
    let mut grants = tables.grants_of(user, &snapshot);
    let assigned = grants.memberships.iter().flat_map(|m| m.assigned.iter().map(|a| a.role));
    grants.roles = tables.roles_from(assigned.collect(), &snapshot);
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

/// The tenant's key in the host application, if it has one.
pub fn tenant_key(tenant: &Id) -> Option<String> {
    let tables = Tables::open()?;
    let t = &tables.tenants;
    let snapshot = CatalogSnapshot::take(t.table.oid());
    let mut key = None;
    t.table.read(&snapshot, Some((t.id, tenant)), |row| key = row.text(t.key).map(str::to_owned));
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

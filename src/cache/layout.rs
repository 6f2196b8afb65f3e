//! Where the tables that decide are, their columns, indexes and triggers: found by name, and opened together.

use super::{SCHEMA, definitions};
use crate::pg::invalidation::{self, Change};
use crate::pg::scan::{self, Column, Table};
use pgrx::pg_sys::{self, Oid};
use std::cell::Cell;
use std::ffi::CStr;

const SIGNAL: &CStr = c"cache_signal";
const ROLE_SIGNAL: &CStr = c"role_signal";
const QUOTA_SIGNAL: &CStr = c"quota_signal";

/// The tables that src/usage/quotas.rs reads.
const QUOTA_TABLES: [&CStr; 6] =
    [c"meters", c"metered_tables", c"plans", c"plan_quotas", c"tenant_plans", c"quotas"];

/// The triggers that every table read here must have, and the state that makes them fire: for ordinary and replayed
/// statements, and for rows a subscription applies.
const SIGNAL_TRIGGERS: [(&CStr, u8); 3] =
    [(c"signal_before", b'A'), (c"signal_after", b'A'), (c"signal_replicated", b'R')];

thread_local! {
    /// The count of definitions it was found at, and where everything was.
    static LAYOUT: Cell<Option<(u64, Layout)>> = const { Cell::new(None) };
}

/// The relation whose invalidation tells of changed grants.
pub fn signal_relation() -> Option<Oid> {
    scan::relation(SIGNAL, scan::schema(SCHEMA)?)
}

/// The one whose invalidation tells that roles changed.
pub fn role_signal_relation() -> Option<Oid> {
    scan::relation(ROLE_SIGNAL, scan::schema(SCHEMA)?)
}

/// The one whose invalidation tells that meters or quotas changed.
pub fn quota_signal_relation() -> Option<Oid> {
    scan::relation(QUOTA_SIGNAL, scan::schema(SCHEMA)?)
}

/// A table that is open, and where its columns are.
pub struct Opened<C> {
    pub table: Table,
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
        pub struct $type { $(pub $column: Column),* }

        impl $type {
            pub fn find(schema: Oid) -> Option<Opened<Self>> {
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

        /// Where everything is: found anew when a message about any of the tables has come, for an update of the
        /// extension or an index rebuilt may have moved it.
        #[derive(Clone, Copy)]
        pub struct Layout {
            schema: Oid,
            pub role_signal: Oid,
            /// Whether all triggers that announce changes are there and fire.
            pub intact: bool,
            $($name: (Oid, $type)),*
        }

        pub struct Tables { pub layout: Layout, $(pub $name: Opened<$type>),* }

        impl Tables {
            fn find() -> Option<Self> {
                let schema = scan::schema(SCHEMA)?;
                let signal = scan::relation(SIGNAL, schema)?;
                let role_signal = scan::relation(ROLE_SIGNAL, schema)?;
                $(let $name = $type::find(schema)?;)*
                let mut watched = vec![(signal, Change::Grants), (role_signal, Change::Roles)];
                $(watched.push(($name.table.oid(), Change::Table));
                $(watched.extend($name.$column.index().map(|index| (index, Change::Table)));)*)*
                let of_quotas = QUOTA_TABLES.iter().chain([&QUOTA_SIGNAL]);
                watched.extend(of_quotas.filter_map(|name| Some((scan::relation(name, schema)?, Change::Quotas))));
                invalidation::watch(watched);
                let intact = $(has_signals(&$name.table, Change::$change, schema))&&*;
                let layout = Layout { schema, role_signal, intact, $($name: ($name.table.oid(), $name.columns)),* };
                Some(Self { layout, $($name),* })
            }

            fn open_known(layout: Layout) -> Option<Self> {
                $(let (oid, columns) = layout.$name;
                let $name = Opened { table: Table::open(oid)?, columns };)*
                Some(Self { layout, $($name),* })
            }

            fn all(&self) -> Vec<(&'static CStr, &Table, Change)> {
                vec![$(($table, &self.$name.table, Change::$change)),*]
            }
        }
    };
}

impl Tables {
    pub fn open() -> Option<Self> {
        let before = definitions();
        if let Some((known, layout)) = LAYOUT.get()
            && known == before
            && scan::schema(SCHEMA) == Some(layout.schema)
            && let Some(tables) = Self::open_known(layout)
        {
            // Locking has read the messages: if none was about these tables, they are as they were.
            invalidation::accept();
            if definitions() == before {
                return Some(tables);
            }
        }
        let before = definitions();
        let tables = Self::find()?;
        LAYOUT.set(Some((before, tables.layout)));
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
    active_tenants, Grants, c"active_tenants", ActiveTenantsTable { user_id: UUIDOID, tenant_id: UUIDOID };
    roles, Roles, c"roles", RolesTable { id: UUIDOID, tenant_id: UUIDOID, name: TEXTOID };
    role_permissions, Roles, c"role_permissions", RolePermissionsTable { role_id: UUIDOID, permission: TEXTOID };
    role_inheritance, Roles, c"role_inheritance", RoleInheritanceTable { senior_id: UUIDOID, junior_id: UUIDOID };
    permissions, Roles, c"permissions", PermissionsTable { name: TEXTOID, scope: TEXTOID };
    subjects, Grants, c"subjects", SubjectsTable { subject: TEXTOID, user_id: UUIDOID };
    database_role_roles, Grants, c"database_role_roles", DatabaseRoleRolesTable { db_role: REGROLEOID, role_id: UUIDOID };
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
        "subject" => c"subject",
        "db_role" => c"db_role",
        _ => c"",
    }
}
fn has_signals(table: &Table, change: Change, schema: Oid) -> bool {
    let function = match change {
        Change::Roles => c"signal_role_change",
        Change::Quotas => c"signal_quota_change",
        Change::Grants | Change::Table => c"signal_change",
    };
    let Some(function) = scan::function(function, &[], schema) else { return false };
    SIGNAL_TRIGGERS.iter().all(|(wanted, state)| {
        table.any_trigger(|name, called, enabled| name == *wanted && called == function && enabled == *state)
    })
}

/// The tables whose triggers that announce changes are missing or not as they were made: while there is one, answers
/// hold for one statement only.
pub fn missing_signals() -> Vec<String> {
    let Some(tables) = Tables::open() else { return Vec::new() };
    let schema = tables.layout.schema;
    let damaged = tables.all().into_iter().filter(|(_, table, change)| !has_signals(table, *change, schema));
    let of_quotas = QUOTA_TABLES.iter().filter(|name| !is_announced(name, schema)).copied();
    damaged
        .map(|(name, _, _)| name)
        .chain(of_quotas)
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn is_announced(quota_table: &CStr, schema: Oid) -> bool {
    let table = scan::relation(quota_table, schema).and_then(Table::open);
    table.is_some_and(|table| has_signals(&table, Change::Quotas, schema))
}

/// Whether all that changes meters and quotas is announced, and heard.
pub fn quotas_are_announced() -> bool {
    let Some(tables) = Tables::open() else { return false };
    QUOTA_TABLES.iter().all(|name| is_announced(name, tables.layout.schema))
}

//! Whom a change of a role, a group or a tenant reaches, by the newest committed state and one's own changes.

use super::layout::Tables;
use crate::pg::scan::{Column, Row, Table};
use crate::pg::snapshot::CatalogSnapshot;
use crate::rbac::Id;
use std::collections::{BTreeSet, HashSet};

/// What users are looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Holders of the role, or of one senior to it.
    Role,
    /// Members of the group.
    Group,
    /// Members of the tenant.
    Tenant,
}

/// A user holds a role many times, in one tenant after another: so many rows are looked at for each user wanted.
const ROWS_PER_USER: usize = 10;

/// The users found so far, how many there may be, and how many rows may still be looked at.
struct Found {
    users: BTreeSet<Id>,
    most: usize,
    rest: usize,
}

impl Found {
    /// Whether to go on.
    fn add(&mut self, user: Option<Id>) -> bool {
        self.users.extend(user);
        self.rest = self.rest.saturating_sub(1);
        !self.is_over()
    }

    fn is_over(&self) -> bool {
        self.rest == 0 || self.users.len() > self.most
    }
}

/// The users, unless they are more than `most`, or too many rows lead to them.
pub fn reached(kind: Kind, objects: &[Id], most: usize) -> Option<BTreeSet<Id>> {
    let rest = most.saturating_mul(ROWS_PER_USER).saturating_add(1);
    let mut found = Found { users: BTreeSet::new(), most, rest };
    let Some(tables) = Tables::open() else { return Some(found.users) };
    let snapshot = CatalogSnapshot::take(tables.members.table.oid());
    match kind {
        Kind::Tenant => {
            let t = &tables.members;
            users(&t.table, &snapshot, t.tenant_id, t.user_id, objects, &mut found);
        }
        Kind::Group => members_of(&tables, &snapshot, objects, &mut found),
        Kind::Role => {
            let line = tables.seniors(objects, &snapshot);
            let t = &tables.member_roles;
            users(&t.table, &snapshot, t.role_id, t.user_id, &line, &mut found);
            let t = &tables.group_roles;
            let mut groups = BTreeSet::new();
            let mut group = |row: &Row| {
                groups.extend(row.uuid(t.group_id));
                groups.len() < rest
            };
            line.iter().for_each(|role| t.table.read_while(&snapshot, Some((t.role_id, role)), &mut group));
            members_of(&tables, &snapshot, &groups.into_iter().collect::<Vec<_>>(), &mut found);
        }
    }
    (!found.is_over()).then_some(found.users)
}

fn members_of(tables: &Tables, snapshot: &CatalogSnapshot, groups: &[Id], found: &mut Found) {
    let t = &tables.group_members;
    users(&t.table, snapshot, t.group_id, t.user_id, groups, found);
}

fn users(
    table: &Table,
    snapshot: &CatalogSnapshot,
    by: Column,
    user: Column,
    keys: &[Id],
    found: &mut Found,
) {
    for key in keys {
        if found.is_over() {
            return;
        }
        table.read_while(snapshot, Some((by, key)), |row| found.add(row.uuid(user)));
    }
}

impl Tables {
    /// These roles and all that inherit them.
    fn seniors(&self, roles: &[Id], snapshot: &CatalogSnapshot) -> Vec<Id> {
        let t = &self.role_inheritance;
        let mut line: HashSet<Id> = roles.iter().copied().collect();
        let mut wanted = roles.to_vec();
        while let Some(junior) = wanted.pop() {
            t.table.read(snapshot, Some((t.junior_id, &junior)), |row| {
                wanted.extend(row.uuid(t.senior_id).filter(|senior| line.insert(*senior)));
            });
        }
        line.into_iter().collect()
    }
}

//! SQL with the rights of those whose tables it is about, for the management functions. Nobody but our owner may call these.

use crate::error::Error;
use crate::rights::{self, Privilege};
use pgrx::prelude::*;

/// The first column of what a query on the host's table gives, with the rights of the table's owner: what his indexes and
/// statistics compute runs already while the query is planned, and must not run with ours.
#[pg_extern]
fn read_as_owner(relation: pg_sys::Oid, query: &str) -> Vec<Option<String>> {
    rights::read_as_owner(relation, query).unwrap_or_else(|error| Error::Spi(error).raise())
}

/// The first column of what a query gives, with the rights of a database role that the caller is a member of, and no way
/// back to his own for the code that runs, such as policies. NULL if he is no member.
#[pg_extern]
fn read_as_role(db_role: &str, query: &str) -> Option<Vec<Option<String>>> {
    rights::read_as_role(db_role, query).unwrap_or_else(|error| Error::Spi(error).raise())
}

/// How many rows a query on a table of the host's counts, whose own rows the caller may read, with the rights of a database
/// role that he is a member of for all else, and under a search_path. Calls of a function in its condition stand for the
/// table's policies by their ids. NULL if he is no member.
#[pg_extern]
fn count_as_role(
    relation: pg_sys::Oid,
    db_role: &str,
    query: &str,
    stands_for_policy: pg_sys::Oid,
    path: &str,
) -> Option<i64> {
    let counted = rights::count_as_role(relation, db_role, query, stands_for_policy, path)
        .unwrap_or_else(|error| Error::Spi(error).raise());
    counted.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

fn privilege(name: Option<&str>) -> Option<Privilege> {
    match name {
        Some("UPDATE") => Some(Privilege::Update),
        Some("DELETE") => Some(Privilege::Delete),
        _ => None,
    }
}

/// A statement that changes rows of the host's table, with the rights of the table's owner, who gets none of the caller's by
/// his triggers, and nothing of whose is left to run later. How many rows it changed.
#[pg_extern]
fn change_as_owner(
    relation: pg_sys::Oid,
    statement: &str,
    allowed_by: default!(Option<&str>, "NULL"),
) -> Option<i64> {
    let changed = rights::change_as_owner(relation, statement, privilege(allowed_by))
        .unwrap_or_else(|error| Error::Spi(error).raise());
    changed.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

/// The same for a statement that tells something of what it changed: the first column of that.
#[pg_extern]
fn change_and_tell_as_owner(
    relation: pg_sys::Oid,
    statement: &str,
    allowed_by: default!(Option<&str>, "NULL"),
) -> Option<Vec<Option<String>>> {
    rights::change_and_tell_as_owner(relation, statement, privilege(allowed_by))
        .unwrap_or_else(|error| Error::Spi(error).raise())
}

/// A statement on the host's table, with the rights of the table's owner.
#[pg_extern]
fn execute_as_owner(relation: pg_sys::Oid, statement: &str) {
    rights::execute_as_owner(relation, statement).unwrap_or_else(|error| Error::Spi(error).raise())
}

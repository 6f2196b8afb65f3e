//! Claims as they are to stand in the users table.

use crate::cache;
use crate::claims::projection::KEYS;
use crate::error::Error;
use crate::pg::function::{export, nothing};
use crate::projection::{self, Locked};
use crate::rbac::Id;
use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};

export! {
    pg_finfo_tenancy_replace_claims, tenancy_replace_claims =>
        nothing, |call| call.replaced_keys(&KEYS);
}

/// The first column of what a query gives, with the rights of a database role that the caller is a member of, and no way
/// back to his own for the code that runs, such as policies. NULL if he is no member.
#[pg_extern]
fn read_as_role(db_role: &str, query: &str) -> Option<Vec<Option<String>>> {
    projection::read_as_role(db_role, query).unwrap_or_else(|error| Error::Spi(error).raise())
}

/// Locks the users' rows, reads their grants in one snapshot and writes the claims that are wrong; how many were.
#[pg_extern]
fn sync_users(user_ids: Vec<Option<Uuid>>) -> i64 {
    let ids: Vec<Id> = user_ids.iter().flatten().map(|id| *id.as_bytes()).collect();
    projection::sync(&ids, Locked::Wait).unwrap_or_else(|error| Error::Spi(error).raise()).wrong
}

/// Puts JSON objects, as text, into a jsonb column of these users in the attached users table, each in place of those of
/// the keys that the column has: with the rights of the table's owner, as its triggers are his. How many changed.
#[pg_extern]
fn write_metadata(column: &str, keys: Vec<String>, user_ids: Vec<Uuid>, documents: Vec<String>) -> i64 {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    projection::write_metadata(column, &keys, user_ids, documents)
        .unwrap_or_else(|error| Error::Spi(error).raise())
}

/// What these users' claims are, by the newest committed state and one's own changes.
#[pg_extern(stable)]
fn projected_claims(
    user_ids: Vec<Option<Uuid>>,
) -> TableIterator<'static, (name!(user_id, Uuid), name!(claims, JsonB))> {
    let ids: Vec<Id> = user_ids.iter().flatten().map(|id| *id.as_bytes()).collect();
    let mut rows = Vec::with_capacity(ids.len());
    cache::each_access(&ids, |user, access| {
        let claims = serde_json::Value::Object(projection::claims_of(access));
        rows.push((Uuid::from_bytes(*user), JsonB(claims)));
    });
    TableIterator::new(rows)
}

/// The first column of what a query on the host's table gives, with the rights of the table's owner: what his indexes and
/// statistics compute runs already while the query is planned, and must not run with ours.
#[pg_extern]
fn read_as_owner(relation: pg_sys::Oid, query: &str) -> Vec<Option<String>> {
    projection::read_as_owner(relation, query).unwrap_or_else(|error| Error::Spi(error).raise())
}

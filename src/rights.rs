//! Executing SQL on a host's tables with no more rights than their owners', or a database role's, have: what their indexes,
//! triggers and policies compute must not run with ours, nor change the settings that our code goes on under.

use crate::cache;
use crate::error::Error;
use crate::pg::policy::Counting;
use crate::pg::role::{self, Acting};
use crate::rbac::Id;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, Oid};
use pgrx::prelude::*;
use pgrx::spi::{Result as SpiResult, Spi, SpiClient};
use std::cell::Cell;
use std::ffi::CString;

/// With whose rights a statement on a table is executed.
enum Lent {
    Owners,
    /// The owner is a superuser, and so has nothing to gain by what the present user is; but he would by the owner.
    Own,
}

impl Lent {
    fn begin(self, owner: Oid) -> Option<Acting> {
        match self {
            Self::Owners => Some(Acting::confined_as(owner)),
            Self::Own => None,
        }
    }
}

/// To members of the owner, and to an administrator who may read the table and do that to it. The functions that end here are
/// internal, but `GRANT EXECUTE ON ALL FUNCTIONS` gives them to others, with any statement.
fn lent(table: Oid, owner: Oid, privilege: Option<Privilege>) -> Option<Lent> {
    if role::is_member(owner) {
        return Some(Lent::Owners);
    }
    let what = match privilege? {
        Privilege::Read => 0,
        Privilege::Update => pg_sys::ACL_UPDATE,
        Privilege::Delete => pg_sys::ACL_DELETE,
    };
    let may = is_administrator() && role::may_read_and(table, what);
    may.then(|| if role::is_superuser(owner) { Lent::Own } else { Lent::Owners })
}

fn is_administrator() -> bool {
    role::is_administrator(role::current(), cache::schema_owner)
}

/// The first column of what a query gives; no rows if the table is gone.
pub fn read_as_owner(table: Oid, query: &str) -> SpiResult<Vec<Option<String>>> {
    let Some(owner) = role::owner_of(table) else { return Ok(Vec::new()) };
    let lent = lent(table, owner, Some(Privilege::Read)).unwrap_or_else(|| Error::MayNotActAsOwner.raise());
    Spi::connect(|client| {
        let _owner = lent.begin(owner);
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect()
    })
}

/// `None` if the present role is no member of the other.
pub fn read_as_role(role: &str, query: &str) -> SpiResult<Option<Vec<Option<String>>>> {
    let Ok(role) = CString::new(role) else { return Ok(None) };
    Spi::connect(|client| {
        let Some(_role) = Acting::reading_as(&role) else { return Ok(None) };
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect::<SpiResult<_>>().map(Some)
    })
}

/// How many rows a query counts for a role, where calls of `stands_for_policy` are the policies of `table` with that id;
/// `None` if the present role is no member of it.
pub fn count_as_role(
    table: Oid,
    role: &str,
    query: &str,
    stands_for_policy: Oid,
    path: &str,
) -> SpiResult<Option<u64>> {
    let conditions = Spi::connect(|client| -> SpiResult<Vec<(Oid, CString)>> {
        let query = "SELECT p.oid, p.polqual::pg_catalog.text FROM pg_catalog.pg_policy p
                      WHERE p.polrelid OPERATOR(pg_catalog.=) $1 AND p.polqual IS NOT NULL";
        let mut conditions = Vec::new();
        for row in client.select(query, None, &[table.into()])? {
            if let (Some(policy), Some(condition)) = (row.get::<Oid>(1)?, row.get::<String>(2)?)
                && let Ok(condition) = CString::new(condition)
            {
                conditions.push((policy, condition));
            }
        }
        Ok(conditions)
    })?;
    let find = |policy: Oid| {
        conditions.iter().find(|(id, _)| *id == policy).map(|(_, condition)| condition.as_c_str())
    };
    let (Ok(role), Ok(query), Ok(path)) = (CString::new(role), CString::new(query), CString::new(path))
    else {
        return Ok(None);
    };
    Ok(Counting { query: &query, table, stands_for_policy, condition_of: &find }.as_role(&role, &path))
}

/// A statement that changes something, in whoever's transaction: nothing of the owner's is left to run when that ends.
pub fn execute_as_owner(table: Oid, statement: &str) -> SpiResult<()> {
    let Some(owner) = role::owner_of(table) else { return Ok(()) };
    let lent = lent(table, owner, None).unwrap_or_else(|| Error::MayNotActAsOwner.raise());
    Spi::connect_mut(|client| {
        let _owner = lent.begin(owner);
        client.update(statement, None, &[]).map(|_| ())
    })
}

thread_local! {
    /// The owner of the tables whose rows an administrator is having changed.
    static CHANGED_FOR_ADMINISTRATOR: Cell<Oid> = const { Cell::new(Oid::INVALID) };
}

/// Until it is dropped, however that comes.
struct Changing(Oid);

impl Changing {
    fn rows_of(owner: Oid) -> Self {
        Self(CHANGED_FOR_ADMINISTRATOR.replace(owner))
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        CHANGED_FOR_ADMINISTRATOR.set(self.0);
    }
}

/// What a statement does to the rows of a table, which somebody may do who is no member of its owner.
#[derive(Clone, Copy)]
pub enum Privilege {
    Read,
    Update,
    Delete,
}

/// Executes with the rights of the table's owner, or the caller's own, as `lent` says. `None` where it says nobody's, and if the
/// table is gone.
fn acting_as_owner<R>(
    table: Oid,
    privilege: Option<Privilege>,
    execute: impl FnOnce(&mut SpiClient) -> SpiResult<R>,
) -> SpiResult<Option<R>> {
    let Some(owner) = role::owner_of(table) else { return Ok(None) };
    let Some(lent) = lent(table, owner, privilege) else { return Ok(None) };
    let administers = is_administrator();
    Spi::connect_mut(|client| {
        let _owner = lent.begin(owner);
        let _changing = administers.then(|| Changing::rows_of(owner));
        execute(client).map(Some)
    })
}

/// A statement that changes rows: how many it changed.
pub fn change_as_owner(
    table: Oid,
    statement: &str,
    privilege: Option<Privilege>,
) -> SpiResult<Option<usize>> {
    acting_as_owner(table, privilege, |client| client.update(statement, None, &[]).map(|rows| rows.len()))
}

/// The same for a statement that tells something of what it changed: the first column of that.
pub fn change_and_tell_as_owner(
    table: Oid,
    statement: &str,
    privilege: Option<Privilege>,
) -> SpiResult<Option<Vec<Option<String>>>> {
    acting_as_owner(table, privilege, |client| {
        client.update(statement, None, &[])?.map(|row| row.get::<String>(1)).collect()
    })
}

/// Whether an administrator is having the rows of this table changed, by `change_as_owner`, and this is its owner at it.
pub fn is_changed_for_administrator(table: Oid) -> bool {
    let owner = CHANGED_FOR_ADMINISTRATOR.get();
    owner != Oid::INVALID && role::current() == owner && role::owner_of(table) == Some(owner)
}

/// What a parameter of a statement stands for.
pub enum Argument<'a> {
    Uuid(Id),
    Text(&'a str),
    Number(i64),
    /// Microseconds, Postgres epoch; the smallest is -infinity, the largest infinity.
    Moment(i64),
}

impl Argument<'_> {
    fn datum(&self) -> DatumWithOid<'_> {
        match self {
            Self::Uuid(id) => pgrx::Uuid::from_bytes(*id).into(),
            Self::Text(text) => (*text).into(),
            Self::Number(number) => (*number).into(),
            Self::Moment(i64::MIN) => TimestampWithTimeZone::negative_infinity().into(),
            Self::Moment(i64::MAX) => TimestampWithTimeZone::positive_infinity().into(),
            // A moment beyond what Postgres can hold is written as none.
            Self::Moment(moment) => TimestampWithTimeZone::try_from(*moment).ok().into(),
        }
    }
}

/// What a query of our own answers with the rights of the role that owns one of our tables; what goes wrong is raised. A
/// function that it calls may write, but not every call does, so that no transaction id is taken for it here.
pub fn uuid_as_owner(table: Oid, query: &str, parameter: DatumWithOid) -> Option<Id> {
    let answer = Spi::connect(|client| -> SpiResult<Option<pgrx::Uuid>> {
        let Some(_owner) = Acting::as_owner_of(table) else { return Ok(None) };
        client.select(query, Some(1), &[parameter])?.first().get_one()
    });
    answer.unwrap_or_else(|error| Error::Spi(error).raise()).map(|id| *id.as_bytes())
}

/// The same on one of our own tables, with parameters. How many rows it wrote; what goes wrong is raised.
pub fn write_as_owner(table: Oid, statement: &str, arguments: &[Argument]) -> usize {
    let written = Spi::connect_mut(|client| -> SpiResult<usize> {
        let Some(_owner) = Acting::as_owner_of(table) else { return Ok(0) };
        let arguments: Vec<DatumWithOid> = arguments.iter().map(Argument::datum).collect();
        Ok(client.update(statement, None, &arguments)?.len())
    });
    written.unwrap_or_else(|error| Error::Spi(error).raise())
}

//! Projecting what the tables say into the host's users table, for its auth server to put into tokens.
//!
//! The rows are locked first, then the grants are read in one snapshot, then the rows are written: whoever commits a
//! change that this snapshot does not see projects it himself afterwards, for he waits for these locks (threat 28).

mod affected;
mod users;

use crate::cache;
use crate::claims::projection::{self, KEYS, Limits};
use crate::pg::role::Acting;
use crate::pg::scan;
use crate::pg::subtransaction::{Failure, attempt};
use crate::pg::trigger::{Event, Trigger};
use crate::pg::xact;
use crate::rbac::access::AccessMap;
use crate::rbac::{Id, format_id};
use crate::settings::{self, ClaimsSync};
use affected::Affected;
use pgrx::Uuid;
use pgrx::spi::{Spi, SpiClient, SpiResult};
use std::cell::RefCell;
use std::collections::HashMap;
use users::UsersTable;

thread_local! {
    /// The claims being written from here, so that they need not be found again.
    static WRITING: RefCell<HashMap<Id, String>> = RefCell::default();
}

/// Stands for as long as it lives; what a trigger of the host's may write below it has its own.
struct Writing(HashMap<Id, String>);

impl Writing {
    fn begin(claims: HashMap<Id, String>) -> Self {
        Self(WRITING.replace(claims))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(std::mem::take(&mut self.0));
    }
}

/// Whether rows of other users that are locked are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    Wait,
    Skip,
}

fn limits() -> Limits {
    Limits {
        tenants: usize::try_from(settings::CLAIMS_MAX_TENANTS.get()).unwrap_or(0),
        sole_tenant: settings::SOLE_TENANT.get(),
    }
}

/// What the user's token is to say of him.
pub fn claims_of(access: &AccessMap) -> serde_json::Map<String, serde_json::Value> {
    projection::project(access, limits())
}

/// The claims of this user that are being written just now, as JSON text.
pub fn being_written(user: &Id) -> Option<String> {
    WRITING.with_borrow(|writing| writing.get(user).cloned())
}

/// What they are by the newest committed state and one's own changes, whatever is kept.
pub fn newest_claims(user: &Id) -> String {
    let mut text = String::new();
    cache::each_access(&[*user], |_, access| text = object(access));
    text
}

fn object(access: &AccessMap) -> String {
    serde_json::Value::Object(claims_of(access)).to_string()
}

/// Whether there is a column to project into, and the settings let us.
pub fn is_on() -> bool {
    settings::claims_sync() != ClaimsSync::Off
        && users::attached().is_some_and(|users| users.app_metadata.is_some())
}

/// What became of a projection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synced {
    /// How many users' claims were wrong.
    pub wrong: i64,
    /// How many users' rows were found, and locked.
    pub held: usize,
}

/// Projects the claims of these users.
pub fn sync(ids: &[Id], locked: Locked) -> SpiResult<Synced> {
    let Some(table) = users::attached() else { return Ok(Synced::default()) };
    let Some(column) = &table.app_metadata else { return Ok(Synced::default()) };
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from_bytes).collect();
    Spi::connect_mut(|client| {
        let users = lock(client, &table, ids, locked)?;
        let keys: Vec<Id> = users.iter().map(|id| *id.as_bytes()).collect();
        let mut claims: Vec<String> = Vec::with_capacity(keys.len());
        cache::each_access(&keys, |_, access| claims.push(object(access)));
        // Without our tables nobody is asked.
        if claims.is_empty() || claims.len() < users.len() {
            return Ok(Synced::default());
        }
        let _writing = Writing::begin(keys.iter().copied().zip(claims.iter().cloned()).collect());
        let held = keys.len();
        write(client, &table, column, &KEYS, users, claims).map(|wrong| Synced { wrong, held })
    })
}

/// Puts documents into a jsonb column of these users, each in place of those of the keys that it had. Answers how many
/// changed.
pub fn write_metadata(column: &str, keys: &[&str], ids: Vec<Uuid>, documents: Vec<String>) -> SpiResult<i64> {
    let Some(table) = users::attached() else { return Ok(0) };
    Spi::connect_mut(|client| write(client, &table, &scan::quoted(column), keys, ids, documents))
}

/// Those of the users whose rows are ours now.
fn lock(client: &mut SpiClient, table: &UsersTable, ids: Vec<Uuid>, locked: Locked) -> SpiResult<Vec<Uuid>> {
    let skip = if locked == Locked::Skip { " SKIP LOCKED" } else { "" };
    let (relation, id) = (&table.relation, &table.id);
    let query = format!(
        "SELECT coalesce(array_agg(l.id), '{{}}') FROM (SELECT u.{id} AS id FROM {relation} u WHERE u.{id} = ANY ($1) \
         ORDER BY u.{id} FOR NO KEY UPDATE{skip}) l"
    );
    let _owner = Acting::as_owner_of(table.oid);
    Ok(client.update(&query, None, &[ids.into()])?.first().get_one()?.unwrap_or_default())
}

/// As the table's owner, who may call nothing of ours: hence the expression, which is what `jsonb::replace` does.
fn write(
    client: &mut SpiClient,
    table: &UsersTable,
    column: &str,
    keys: &[&str],
    ids: Vec<Uuid>,
    documents: Vec<String>,
) -> SpiResult<i64> {
    let (relation, id) = (&table.relation, &table.id);
    let replaced = format!(
        "CASE coalesce(jsonb_typeof(u.{column}), 'null') \
         WHEN 'object' THEN (u.{column} - $3) || d.document \
         WHEN 'null' THEN CASE d.document WHEN '{{}}' THEN u.{column} ELSE d.document END \
         ELSE u.{column} END"
    );
    let query = format!(
        "UPDATE {relation} u SET {column} = {replaced} \
           FROM (SELECT unnest($1) AS id, unnest($2)::jsonb AS document) d \
          WHERE u.{id} = d.id AND u.{column} IS DISTINCT FROM {replaced}"
    );
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let _owner = Acting::as_owner_of(table.oid);
    let written = client.update(&query, None, &[ids.into(), documents.into(), keys.into()])?.len();
    Ok(i64::try_from(written).unwrap_or(i64::MAX))
}

/// Of a host's table: no more than its owner may read, and with nobody else's rights.
pub fn read_as_owner(table: pgrx::pg_sys::Oid, query: &str) -> SpiResult<Vec<Option<String>>> {
    Spi::connect(|client| {
        let Some(_owner) = Acting::reading_as_owner_of(table) else { return Ok(Vec::new()) };
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect()
    })
}

/// As a database role, whose policies may have been written by anybody. `None` if the present role is no member of it.
pub fn read_as_role(role: &str, query: &str) -> SpiResult<Option<Vec<Option<String>>>> {
    let Ok(role) = std::ffi::CString::new(role) else { return Ok(None) };
    Spi::connect(|client| {
        let Some(_role) = Acting::reading_as(&role) else { return Ok(None) };
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect::<SpiResult<_>>().map(Some)
    })
}

/// After a statement on a table that decides: projects the claims of the users it touched, or queues them. Never stops
/// the statement.
pub fn after_statement(trigger: &Trigger) {
    let Some(affected) = Affected::by(trigger) else { return };
    let mode = settings::claims_sync();
    if mode == ClaimsSync::Off {
        return;
    }
    let now = || if is_on() { project_now(trigger, &affected) } else { Ok(()) };
    let later = |transaction| Spi::connect_mut(|client| affected.queue(client, trigger, transaction));
    let outcome = match mode {
        ClaimsSync::On => attempt(now),
        _ => attempt(|| if is_on() { later(true) } else { Ok(()) }),
    };
    if settled("claims", None, outcome).is_none()
        && mode == ClaimsSync::On
        && let Err(failure) = attempt(|| later(false))
    {
        pgrx::log!("pg_tenancy: users could not be queued for sync_claims(): {}", failure.message);
    }
}

fn project_now(trigger: &Trigger, affected: &Affected) -> SpiResult<()> {
    let most = usize::try_from(settings::CLAIMS_SYNC_LIMIT.get()).unwrap_or(0);
    let found = match trigger.event() {
        Event::Truncate => None,
        _ => Spi::connect_mut(|client| affected.users(client, trigger, most))?,
    };
    match found {
        Some(users) if users.is_empty() => Ok(()),
        // Whoever signed up since this transaction took its one snapshot is found, but his row is not seen.
        Some(users) if sync(&users, Locked::Wait)?.held == users.len() || !xact::has_one_snapshot() => Ok(()),
        _ => Spi::connect_mut(|client| affected.queue(client, trigger, false)),
    }
}

/// What an attempt came to; if it failed, that is recorded.
pub fn settled<T>(what: &str, user: Option<&Id>, outcome: Result<SpiResult<T>, Failure>) -> Option<T> {
    let failure = match outcome {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => Failure { code: "XX000".to_owned(), message: error.to_string() },
        Err(failure) => failure,
    };
    record(what, user, &failure);
    None
}

/// Leaves a user to sync_claims().
pub fn queue_user(user: &Id) {
    let ids = vec![Uuid::from_bytes(*user)];
    let insert = "INSERT INTO tenancy.claims_queue (kind, user_ids) VALUES ('users', $1)";
    if let Err(failure) = attempt(|| Spi::run_with_args(insert, &[ids.into()])) {
        pgrx::log!("pg_tenancy: a user could not be queued for sync_claims(): {}", failure.message);
    }
}

/// Logs what failed beside a write that goes through, and keeps it for an administrator to see.
pub fn record(what: &str, user: Option<&Id>, failure: &Failure) {
    pgrx::log!(
        "pg_tenancy: {what}{} not projected: {} {}",
        user.map_or(String::new(), |user| format!(" of user {}", format_id(user))),
        failure.code,
        failure.message
    );
    let user = user.map(|user| Uuid::from_bytes(*user));
    let keep = || {
        Spi::run_with_args(
            "SELECT tenancy.record_failure($1, $2, $3, $4)",
            &[what.into(), user.into(), failure.code.as_str().into(), failure.message.as_str().into()],
        )
    };
    if let Err(failure) = attempt(keep) {
        pgrx::log!("pg_tenancy: the failure could not be recorded: {}", failure.message);
    }
}

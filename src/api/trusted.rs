//! Identities that trusted callers state for their transaction, and jobs that work in a tenant without a user.

use crate::cache;
use crate::claims::principal::LONGEST_SUBJECT;
use crate::claims::stated::Stated;
use crate::error::Error;
use crate::pg::call::{Call, LONGEST_NAME};
use crate::pg::function::{Reply, export, nothing, palloc_uuid};
use crate::pg::{role, xact};
use crate::rbac::grants::TenantStatus;
use crate::rbac::{Id, format_id, parse_id};
use crate::rights;
use crate::settings;
use pgrx::prelude::*;
use std::ffi::CString;

// Who may call the first three is asked of their privileges (trust_caller), and of the table by the others.
export! {
    pg_finfo_tenancy_set_identity, tenancy_set_identity => nothing, set_identity;
    pg_finfo_tenancy_set_identity_by_name, tenancy_set_identity_by_name => nothing, set_identity_by_name;
    pg_finfo_tenancy_map_subject, tenancy_map_subject => nothing, map_subject;
    pg_finfo_tenancy_enter_tenant, tenancy_enter_tenant => nothing, enter_tenant;
    pg_finfo_tenancy_enter_tenant_by_name, tenancy_enter_tenant_by_name => nothing, enter_tenant_by_name;
}

const USER_OF_SUBJECT: &str = "SELECT tenancy.user_of_subject($1)";

/// What functions that return void answer.
const VOID: Reply = Reply::Datum(pgrx::pg_sys::Datum::null());

/// The server asked it already, but by what it remembers of privileges and memberships, which may be as old as the transaction,
/// and a function of the caller's that has made this call before is not asked again. What is revoked by now counts.
fn require_execute(call: &Call, name: &'static str) {
    cache::refresh();
    if !role::may_execute(role::current(), call.function()) {
        Error::MayNotExecute(name).raise();
    }
}

fn set_identity(call: &mut Call) -> Reply {
    require_execute(call, "set_identity");
    let Some(id) = call.uuid(0).copied().filter(|id| *id != cache::NOBODY) else { Error::NotAUser.raise() };
    state("set_identity", &Stated::User { id, tenant: call.uuid(1).map(format_id) })
}

/// As a token names user and tenant.
fn set_identity_by_name(call: &mut Call) -> Reply {
    require_execute(call, "set_identity");
    let given = call.text(0).unwrap_or_default();
    let tenant = name(call, 1);
    let stated = if settings::subjects_are_mapped() {
        if !(1..=LONGEST_SUBJECT).contains(&given.len()) {
            Error::SubjectLength.raise();
        }
        match std::str::from_utf8(given) {
            Ok(subject) => Stated::Subject { subject: subject.to_owned(), tenant },
            // A database of another encoding: there only ASCII is mapped.
            Err(_) => Stated::Nobody,
        }
    } else {
        let id = std::str::from_utf8(given).ok().and_then(parse_id).filter(|id| *id != cache::NOBODY);
        let Some(id) = id else { Error::SubjectNotAUuid.raise() };
        Stated::User { id, tenant }
    };
    state("set_identity", &stated)
}

/// The table is written as its owner: who may call this may not write it.
fn map_subject(call: &mut Call) -> Reply {
    require_execute(call, "map_subject");
    let Some(subject) = call.text_parameter(0) else { Error::SubjectLength.raise() };
    let user =
        cache::signal_relation().and_then(|ours| rights::uuid_as_owner(ours, USER_OF_SUBJECT, subject));
    user.map_or(Reply::Null, |user| Reply::Datum(palloc_uuid(&user)))
}

/// A tenant's id or key; NULL and the empty string are none.
fn name(call: &Call, index: usize) -> Option<String> {
    let bytes = call.text(index).filter(|bytes| !bytes.is_empty())?;
    if bytes.len() > LONGEST_NAME {
        Error::NotATenant.raise();
    }
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn enter_tenant(call: &mut Call) -> Reply {
    let Some(id) = call.uuid(0) else { Error::NotATenant.raise() };
    enter(&format_id(id))
}

fn enter_tenant_by_name(call: &mut Call) -> Reply {
    let Some(name) = name(call, 0) else { Error::NotATenant.raise() };
    enter(&name)
}

fn enter(name: &str) -> Reply {
    cache::refresh();
    let role = role::current();
    let Some(found) = cache::tenant_for_job(role, name) else { Error::MayNotEnter(role::name(role)).raise() };
    let Some(tenant) = found else { Error::UnknownTenant.raise() };
    match tenant.status {
        TenantStatus::Active | TenantStatus::ReadOnly => {}
        closed => {
            Error::ClosedTenant(closed.name()).raise_about(c"tenant_status");
            return Reply::Null;
        }
    }
    state("enter_tenant", &Stated::Job { role: role.to_u32(), tenant: tenant.id })
}

fn state(function: &'static str, stated: &Stated) -> Reply {
    // JSON writes no NUL.
    settings::IDENTITY.set(&CString::new(stated.encode()).unwrap_or_default());
    if xact::ends_with_call() {
        Error::NoTransactionBlock(function).warn();
    }
    VOID
}

/// The tenants that the current database role can enter, in order of id.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn enterable_tenants()
-> TableIterator<'static, (name!(id, pgrx::Uuid), name!(key, Option<String>), name!(slug, String))> {
    cache::refresh();
    let role = role::current();
    let Some(tenants) = cache::tenants_for_job(role) else { Error::MayNotEnter(role::name(role)).raise() };
    let uuid = |id: Id| pgrx::Uuid::from_bytes(id);
    TableIterator::new(tenants.into_iter().map(move |t| (uuid(t.id), t.key, t.slug)))
}

/// The roles of the application that a database role was given, by the newest committed state and one's own changes, at
/// every isolation level.
#[pg_extern(stable, strict)]
fn roles_of_database_role(db_role: pg_sys::Oid) -> Vec<pgrx::Uuid> {
    cache::roles_of_job(db_role).into_iter().map(pgrx::Uuid::from_bytes).collect()
}

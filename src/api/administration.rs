//! What the management functions and row triggers, written in plpgsql, ask of the native core.

use crate::cache;
use crate::error::Error;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::role;
use crate::rbac::Id;
use crate::rbac::grants::Role;
use crate::rbac::hierarchy;
use crate::rbac::pattern::{Pattern, is_permission_name};
use crate::session::{self, Source};
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;

export! {
    pg_finfo_tenancy_signal_change, tenancy_signal_change =>
        nothing, |call| signal(call, "signal_change", cache::signal_change);
    pg_finfo_tenancy_signal_role_change, tenancy_signal_role_change =>
        nothing, |call| signal(call, "signal_role_change", cache::signal_role_change);
    pg_finfo_tenancy_signal_quota_change, tenancy_signal_quota_change =>
        nothing, |call| signal(call, "signal_quota_change", cache::signal_quota_change);
}

/// Trigger functions: the table they stand on has changed, so what backends remember of it is stale.
fn signal(call: &mut Call, name: &'static str, announce: fn()) -> Reply {
    if !call.is_trigger() {
        Error::NotATrigger(name).raise();
    }
    announce();
    // The null pointer, and not SQL NULL, is what statement triggers answer.
    Reply::Datum(Datum::from(0))
}

/// Whether the current database role administers: superuser, BYPASSRLS, or a member of the owner's role.
#[pg_extern(stable, parallel_safe)]
fn is_administrator() -> bool {
    role::is_administrator(role::current(), cache::schema_owner)
}

/// The same of the role that called the outermost SECURITY DEFINER function: for those that write, as their owner, what
/// only administrators may have written.
#[pg_extern(stable, parallel_restricted)]
fn caller_is_administrator() -> bool {
    caller_administers()
}

pub fn caller_administers() -> bool {
    !role::is_restricted() && role::is_administrator(role::outer(), cache::schema_owner)
}

/// Whether the caller's identity may give this role to others in the tenant: he holds, in that tenant, all
/// that the role holds by itself and by inheritance.
#[pg_extern(stable, parallel_safe, strict)]
fn can_grant_role(tenant: pgrx::Uuid, role_id: pgrx::Uuid) -> bool {
    let access = &session::fresh().access;
    let tenant = tenant.as_bytes();
    // Another tenant's role is as good as none, or the answer would tell that it exists.
    let usable = |role: &Role| role.tenant.is_none_or(|owner| owner == *tenant);
    let covered =
        |role: &Role| usable(role) && role.patterns.iter().all(|pattern| access.covers(tenant, pattern));
    // A role that gives nothing still is one, so membership is asked for too.
    access.open(tenant).is_some()
        && cache::role_closure(role_id.as_bytes()).is_some_and(|roles| roles.iter().all(covered))
}

/// Whether the caller's identity may give this permission, or wildcard, to a role of the tenant.
#[pg_extern(stable, parallel_safe, strict)]
fn can_grant_permission(tenant: pgrx::Uuid, permission: &str) -> bool {
    let access = &session::fresh().access;
    Pattern::parse(permission).is_some_and(|pattern| access.covers(tenant.as_bytes(), &pattern))
}

/// Whether a name can be registered as a permission.
#[pg_extern(immutable, parallel_safe, strict, name = "is_permission_name")]
fn is_permission_name_sql(name: &str) -> bool {
    is_permission_name(name)
}

/// Whether a text can be granted: a permission's name, `all`, or a wildcard such as `docs.*`.
#[pg_extern(immutable, parallel_safe, strict)]
fn is_permission_pattern(pattern: &str) -> bool {
    Pattern::parse(pattern).is_some()
}

/// Whether making one role inherit another would close a cycle, by the newest committed state and one's own
/// changes, at every isolation level. Of roles that the caller may not see nothing is told.
#[pg_extern(stable, strict)]
fn would_create_cycle(senior: pgrx::Uuid, junior: pgrx::Uuid) -> bool {
    let visible = |tenant: Option<Id>| match tenant {
        None => true,
        Some(tenant) => is_administrator() || session::fresh().access.open(&tenant).is_some(),
    };
    cache::role_tenant(senior.as_bytes()).is_some_and(visible)
        && cache::role_tenant(junior.as_bytes()).is_some_and(visible)
        && hierarchy::would_cycle(*senior.as_bytes(), *junior.as_bytes(), &cache::junior_edges())
}

/// How many roles have this name, of the application or of tenants, by the newest committed state and one's own
/// changes, at every isolation level.
#[pg_extern(stable, strict)]
fn count_roles_named(name: &str, of_application: bool) -> i64 {
    cache::roles_named(name, of_application)
}

/// Whether the setting or the header of this request names a tenant that its user may not work in. A stale token, or
/// nobody's request, is not refused by it: they see what they may.
#[pg_extern(stable, parallel_safe)]
fn request_is_refused() -> bool {
    let identity = session::fresh();
    matches!(identity.source, Source::Setting | Source::Header) && identity.tenant().is_none()
}

/// When the caller's own write access as an operator ends, by the newest state: infinity for never, NULL if he has none.
#[pg_extern(stable)]
fn operator_until() -> Option<TimestampWithTimeZone> {
    let until = cache::operator_until(session::fresh().user.as_ref()?)?;
    Some(
        TimestampWithTimeZone::try_from(until).unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity()),
    )
}

/// How many direct grants of a role a user has, over all tenants, by the same state.
#[pg_extern(stable, strict)]
fn count_direct_grants(user_id: pgrx::Uuid, role_id: pgrx::Uuid) -> i64 {
    cache::direct_grants_of(user_id.as_bytes(), role_id.as_bytes())
}

//! The token's content, for policies that ask for more than identity, and what else is answered as text.

use crate::pg::call::{Call, LONGEST_NAME};
use crate::pg::function::{Reply, export};
use crate::pg::role;
use crate::pg::varlena::Varlena;
use crate::rbac::format_id;
use crate::rbac::grants::Grantee;
use crate::session::identity::Identity;
use crate::session::site::Site;
use pgrx::JsonB;

export! {
    pg_finfo_tenancy_claims, tenancy_claims => recall, claims;
    pg_finfo_tenancy_claim, tenancy_claim => recall_path, claim;
    pg_finfo_tenancy_aal, tenancy_aal => recall, aal;
    pg_finfo_tenancy_operator_access, tenancy_operator_access => recall, operator_access;
    pg_finfo_tenancy_current_tenant_key, tenancy_current_tenant_key => recall, current_tenant_key;
    pg_finfo_tenancy_current_actor, tenancy_current_actor => recall, current_actor;
}

#[inline(always)]
fn recall(call: &Call) -> Option<Reply> {
    Site::<Varlena>::recall(call, None).map(Varlena::reply)
}

#[inline(always)]
fn recall_path(call: &Call) -> Option<Reply> {
    Site::<Varlena>::recall(call, Some(0)).map(Varlena::reply)
}

fn answer<T: pgrx::IntoDatum>(
    call: &mut Call,
    index: Option<usize>,
    question: impl FnOnce(&Identity) -> Option<T>,
) -> Reply {
    // Where nothing can be remembered, the datum is the caller's as pgrx made it.
    if !call.has_site() {
        let value = question(&crate::session::fresh());
        return value.and_then(T::into_datum).map_or(Reply::Null, Reply::Datum);
    }
    Site::renew(call, index, |kept: &mut Varlena, identity| kept.keep(question(identity)), Varlena::reply)
}

/// The whole token, NULL if there is none, it is malformed, or it does not count now.
fn claims(call: &mut Call) -> Reply {
    answer(call, None, |identity| identity.content().cloned().map(JsonB))
}

/// The authenticator assurance level, as GoTrue names it.
fn aal(call: &mut Call) -> Reply {
    answer(call, None, |identity| Some(identity.content()?.get("aal")?.as_str()?.to_owned()))
}

/// 'read' or 'write' for an operator of the platform, else NULL.
fn operator_access(call: &mut Call) -> Reply {
    answer(call, None, |identity| identity.access.operator.map(|access| access.name()))
}

/// What the host application calls the active tenant.
fn current_tenant_key(call: &mut Call) -> Reply {
    answer(call, None, |identity| identity.tenant_key().map(|key| key.to_string()))
}

/// Who acts, for records of what was done.
fn current_actor(call: &mut Call) -> Reply {
    answer(call, None, |identity| match identity.whose? {
        Grantee::User(user) => Some(format!("user:{}", format_id(&user))),
        Grantee::Job { role, .. } => Some(format!("role:{}", role::name(role.into()))),
    })
}

/// The value at a path such as `app_metadata.tenant_id`.
fn claim(call: &mut Call) -> Reply {
    let argument = call.copy();
    // A path that long is no path, and looking for it would take long enough, uninterrupted, to be an attack.
    let path = argument.text(0).filter(|path| path.len() <= LONGEST_NAME);
    let Some(path) = path.and_then(|path| std::str::from_utf8(path).ok()) else { return Reply::Null };
    answer(call, Some(0), |identity| crate::claims::path::find(identity.content()?, path).cloned().map(JsonB))
}

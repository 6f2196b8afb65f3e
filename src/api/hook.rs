//! The access-token hook of GoTrue, Supabase's auth server.

use crate::cache;
use crate::claims::event::{Event, Unusable};
use crate::claims::projection::{KEYS, permissions};
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::subtransaction::attempt;
use crate::pg::{jsonb, xact};
use crate::projection::{self, Locked};
use crate::rbac::{Id, parse_id};
use crate::settings;

export! {
    pg_finfo_tenancy_custom_access_token_hook, tenancy_custom_access_token_hook => nothing, hook;
}

fn hook(call: &mut Call) -> Reply {
    if call.is_null(0) || !settings::TOKEN_HOOK.get() {
        return call.same(0);
    }
    let outcome = attempt(|| {
        let answer = amended(call)?;
        Ok::<_, Unusable>(jsonb::parse(&answer))
    });
    match outcome {
        Ok(Ok(Some(event))) => Reply::Datum(event),
        Ok(Ok(None)) => call.same(0),
        Ok(Err(unusable)) => {
            pgrx::log!("pg_tenancy: custom_access_token_hook adds nothing to the token: {unusable}");
            call.same(0)
        }
        Err(failure) => {
            pgrx::log!(
                "pg_tenancy: custom_access_token_hook adds nothing to the token: {} {}",
                failure.code,
                failure.message
            );
            call.same(0)
        }
    }
}

/// The event with what the tables say of its user.
fn amended(call: &Call) -> Result<String, Unusable> {
    let event = Event::parse(&call.json(0).ok_or(Unusable::Shape)?)?;
    let user = *event.user();
    cache::refresh();
    let access = cache::access_of(&user);
    let claims = projection::claims_of(&access);
    let tenant = claims.get("tenant_id").and_then(|id| id.as_str()).and_then(parse_id);
    let listed = settings::TOKEN_USER_PERMISSIONS
        .get()
        .then(|| tenant.map(|tenant| permissions(&access, &tenant)).unwrap_or_default());
    if event.is_stale(&KEYS, &claims)? {
        mend(&user);
    }
    event.with(&KEYS, claims, listed)
}

/// A user whose row is stale, because he is queued, a projection failed or a grant has ended by itself, is projected when he
/// logs in: his row is his auth server's at that moment, so one that somebody else has locked is left to him.
fn mend(user: &Id) {
    if xact::is_read_only() {
        return;
    }
    // What is known of him goes into the token, whatever becomes of this.
    let mending = attempt(|| match projection::is_on() {
        true => projection::sync(&[*user], Locked::Skip).map(|_| ()),
        false => Ok(()),
    });
    projection::settled("claims", Some(user), mending);
}

//! The token's content, for policies that ask for more than identity.

use crate::pg::call::{Call, LONGEST_NAME};
use crate::pg::function::{Reply, export, nothing};
use crate::session;
use pgrx::JsonB;
use pgrx::prelude::*;

export! {
    pg_finfo_tenancy_claim, tenancy_claim => nothing, claim;
}

/// The whole token, NULL if there is none, it is malformed, or it does not count now.
#[pg_extern(stable, parallel_safe)]
fn claims() -> Option<JsonB> {
    session::fresh().content().cloned().map(JsonB)
}

/// The authenticator assurance level, as GoTrue names it.
#[pg_extern(stable, parallel_safe)]
fn aal() -> Option<String> {
    session::fresh().content()?.get("aal")?.as_str().map(str::to_owned)
}

/// The value at a path such as `app_metadata.tenant_id`.
fn claim(call: &mut Call) -> Reply {
    // A path that long is no path, and looking for it would take long enough, uninterrupted, to be an attack.
    let Some(path) = call.text(0).filter(|path| path.len() <= LONGEST_NAME) else { return Reply::Null };
    let identity = session::fresh();
    let found = std::str::from_utf8(path)
        .ok()
        .and_then(|path| crate::claims::path::find(identity.content()?, path))
        .cloned()
        .and_then(|value| JsonB(value).into_datum());
    found.map_or(Reply::Null, Reply::Datum)
}

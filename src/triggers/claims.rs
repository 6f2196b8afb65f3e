//! The triggers that keep the users table's claims equal to the tables.

use crate::claims::projection::KEYS;
use crate::error::Error;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::subtransaction::{Failure, attempt};
use crate::projection;
use pgrx::pg_sys::Datum;

export! {
    pg_finfo_tenancy_project_claims, tenancy_project_claims => nothing, project_claims;
    pg_finfo_tenancy_keep_claims, tenancy_keep_claims => nothing, keep_claims;
}

/// AFTER … FOR EACH STATEMENT on the tables that decide.
fn project_claims(call: &mut Call) -> Reply {
    let Some(trigger) = call.trigger() else { Error::NotATrigger("project_claims").raise() };
    if !trigger.is_after_statement() {
        Error::OtherTrigger("project_claims", "AFTER ... FOR EACH STATEMENT").raise();
    }
    projection::after_statement(&trigger);
    Reply::Datum(Datum::from(0))
}

/// BEFORE INSERT OR UPDATE … FOR EACH ROW on the users table: whoever writes the metadata, from however old a copy, our
/// keys are what the tables say. The row is locked by now, so what is read here is newer than what its last writer read.
/// If that cannot be found out they stay as they were, and the user is queued.
fn keep_claims(call: &mut Call) -> Reply {
    let Some(trigger) = call.trigger() else { Error::NotATrigger("keep_claims").raise() };
    let Some(row) = trigger.new_row() else {
        Error::OtherTrigger("keep_claims", "BEFORE INSERT OR UPDATE ... FOR EACH ROW").raise()
    };
    let (Some(id), Some(column)) = (trigger.argument(0), trigger.argument(1)) else {
        return Reply::Datum(row.unchanged());
    };
    let user = row.uuid(id);
    if let Some(claims) = user.as_ref().and_then(projection::being_written) {
        return Reply::Datum(row.with_keys(column, &KEYS, &claims));
    }
    let kept = attempt(|| {
        if !projection::is_on() {
            return Ok(row.unchanged());
        }
        if !row.has_claims(id, column) {
            // Renamed, or of another type, since it was attached: forged keys would stand there without a word.
            let message = "the users table's columns are not what they were when it was attached".to_owned();
            projection::record("claims", None, &Failure { code: "42703".to_owned(), message });
        }
        let claims = user.as_ref().map(projection::newest_claims);
        Ok(claims.map_or_else(|| row.unchanged(), |claims| row.with_keys(column, &KEYS, &claims)))
    });
    let kept = projection::settled("claims", user.as_ref(), kept);
    Reply::Datum(kept.unwrap_or_else(|| {
        if let Some(user) = &user {
            projection::queue_user(user);
        }
        row.with_old_keys(column, &KEYS)
    }))
}

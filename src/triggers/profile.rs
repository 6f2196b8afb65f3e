//! The trigger that keeps profiles in the users' metadata.

use crate::error::Error;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::subtransaction::attempt;
use crate::projection;
use crate::rbac::Id;
use pgrx::Uuid;
use pgrx::spi::{Spi, SpiResult};

export! {
    pg_finfo_tenancy_keep_profile, tenancy_keep_profile => nothing, keep_profile;
}

/// BEFORE UPDATE … FOR EACH ROW on the users table: our keys of the user metadata are what the profile says. Native, because
/// plpgsql would build the row anew, with the checks of whatever domains the host's columns have, and our rights.
fn keep_profile(call: &mut Call) -> Reply {
    let Some(trigger) = call.trigger() else { Error::NotATrigger("keep_profile").raise() };
    let Some(row) = trigger.new_row() else {
        Error::OtherTrigger("keep_profile", "BEFORE UPDATE ... FOR EACH ROW").raise()
    };
    let (Some(id), Some(column)) = (trigger.argument(0), trigger.argument(1)) else {
        return Reply::Datum(row.unchanged());
    };
    let Some(user) = row.uuid(id) else { return Reply::Datum(row.unchanged()) };
    let kept = attempt(|| {
        let Some((document, keys)) = document_of(&user)? else { return Ok(row.unchanged()) };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        SpiResult::Ok(row.with_keys(column, &keys, &document))
    });
    Reply::Datum(projection::settled("profile", Some(&user), kept).unwrap_or_else(|| row.unchanged()))
}

/// The profile as it stands in the metadata, and the keys it owns there; none if the user has no profile.
fn document_of(user: &Id) -> SpiResult<Option<(String, Vec<String>)>> {
    // As if it wrote: what only reads has the snapshot of the statement, which is older than the row's lock.
    Spi::connect_mut(|client| {
        let found = client.update(
            "SELECT tenancy.profile_document(p)::text, tenancy.profile_keys() FROM tenancy.user_profiles p WHERE p.user_id = $1",
            Some(1),
            &[Uuid::from_bytes(*user).into()],
        )?;
        if found.is_empty() {
            return Ok(None);
        }
        let (document, keys) = found.first().get_two::<String, Vec<String>>()?;
        Ok(document.zip(keys))
    })
}

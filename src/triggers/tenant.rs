//! The trigger that keeps the rows of protected tables in their tenants.

use crate::cache;
use crate::error::Error;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::role;
use crate::rights;
use crate::settings;

export! {
    pg_finfo_tenancy_keep_tenant, tenancy_keep_tenant => nothing, keep_tenant;
}

/// BEFORE UPDATE … FOR EACH ROW, when the tenant changes. Native, because whoever writes runs it, such as an owner who may
/// call nothing of ours.
fn keep_tenant(call: &mut Call) -> Reply {
    let Some(trigger) = call.trigger() else { Error::NotATrigger("keep_tenant").raise() };
    let Some(row) = trigger.new_row() else {
        Error::OtherTrigger("keep_tenant", "BEFORE UPDATE ... FOR EACH ROW").raise()
    };
    // A backfill is an administrator's, although the owner writes.
    let by_administrator = || {
        role::is_administrator(role::current(), cache::schema_owner)
            || rights::is_changed_for_administrator(trigger.relation())
    };
    if !(settings::ALLOW_TENANT_CHANGE.get() && by_administrator()) {
        let (schema, table) = trigger.qualified_table();
        Error::ImmutableTenant(trigger.table()).raise_about_table(c"immutable_tenant", schema, table);
    }
    Reply::Datum(row.unchanged())
}

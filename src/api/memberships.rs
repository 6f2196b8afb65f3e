//! The caller's tenants as arrays, and his access as an operator.

use crate::pg::array;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export};
use crate::session;
use pgrx::prelude::*;

export! {
    pg_finfo_tenancy_tenant_ids, tenancy_tenant_ids => tenant_ids;
    pg_finfo_tenancy_tenant_ids_with, tenancy_tenant_ids_with => tenant_ids_with;
}

fn tenant_ids(_call: &mut Call) -> Reply {
    Reply::Datum(array::of_uuids(&session::fresh().access.open_tenants()))
}

fn tenant_ids_with(call: &mut Call) -> Reply {
    let Some(name) = call.text(0) else { return Reply::Null };
    let access = &session::fresh().access;
    let bit = std::str::from_utf8(name).ok().and_then(|name| access.catalogue.bit(name));
    Reply::Datum(array::of_uuids(&bit.map(|bit| access.tenants_with(bit)).unwrap_or_default()))
}

/// 'read' or 'write' for an operator of the platform, else NULL.
#[pg_extern(stable, parallel_safe)]
fn operator_access() -> Option<&'static str> {
    session::fresh().access.operator.map(|access| access.name())
}

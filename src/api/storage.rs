//! Objects whose path begins with their tenant, as in Supabase's storage.

use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing, palloc_uuid};
use crate::rbac::parse_id;

export! {
    pg_finfo_tenancy_storage_tenant, tenancy_storage_tenant => nothing, storage_tenant;
}

fn storage_tenant(call: &mut Call) -> Reply {
    // No uuid is written longer.
    const LONGEST: usize = 50;
    let name = call.text(0).unwrap_or_default();
    let first = name.split(|byte| *byte == b'/').next().filter(|first| first.len() <= LONGEST);
    let tenant = first.and_then(|first| std::str::from_utf8(first).ok()).and_then(parse_id);
    tenant.map_or(Reply::Null, |id| Reply::Datum(palloc_uuid(&id)))
}

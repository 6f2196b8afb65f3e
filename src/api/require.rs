//! Checks that raise, for functions rather than policies. They raise themselves: what pgrx makes of a returned
//! error has SQLSTATE 22000.

use crate::error::Error;
use crate::pg::call::LONGEST_NAME;
use crate::session;
use pgrx::prelude::*;

#[pg_extern(stable, parallel_safe)]
fn require_permission(permission: Option<&str>) {
    require(None, permission).unwrap_or_else(|error| error.raise());
}

#[pg_extern(stable, parallel_safe, name = "require_permission")]
fn require_permission_in(tenant: Option<pgrx::Uuid>, permission: Option<&str>) {
    require(Some(tenant), permission).unwrap_or_else(|error| error.raise());
}

/// As much of a name as any has: what is asked for may be of any length.
fn shown(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

/// `tenant` is absent for the active tenant; a NULL tenant is nobody's.
fn require(tenant: Option<Option<pgrx::Uuid>>, permission: Option<&str>) -> Result<(), Error> {
    let name = permission.ok_or(Error::NullPermission)?;
    let identity = session::fresh();
    let tenant = match tenant {
        None => identity.tenant().copied(),
        Some(given) => given.map(|uuid| *uuid.as_bytes()),
    };
    let bit = identity.access.catalogue.bit(name);
    match tenant.zip(bit) {
        Some((tenant, bit)) if identity.access.holds(&tenant, bit) => Ok(()),
        _ if identity.whose.is_none() => Err(Error::IdentityRequired(shown(name))),
        _ => Err(Error::PermissionRequired(shown(name))),
    }
}

//! Executing SQL on a host's tables with no more rights than their owners', or a database role's, have: what their indexes,
//! triggers and policies compute must not run with ours, nor change the settings that our code goes on under.

use crate::pg::role::Acting;
use pgrx::pg_sys::Oid;
use pgrx::spi::{Result as SpiResult, Spi};
use std::ffi::CString;

/// The first column of what a query gives; no rows if the table is gone.
pub fn read_as_owner(table: Oid, query: &str) -> SpiResult<Vec<Option<String>>> {
    Spi::connect(|client| {
        let Some(_owner) = Acting::reading_as_owner_of(table) else { return Ok(Vec::new()) };
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect()
    })
}

/// `None` if the present role is no member of the other.
pub fn read_as_role(role: &str, query: &str) -> SpiResult<Option<Vec<Option<String>>>> {
    let Ok(role) = CString::new(role) else { return Ok(None) };
    Spi::connect(|client| {
        let Some(_role) = Acting::reading_as(&role) else { return Ok(None) };
        client.select(query, None, &[])?.map(|row| row.get::<String>(1)).collect::<SpiResult<_>>().map(Some)
    })
}

/// A statement that changes something.
pub fn execute_as_owner(table: Oid, statement: &str) -> SpiResult<()> {
    Spi::connect_mut(|client| {
        let Some(_owner) = Acting::as_owner_of(table) else { return Ok(()) };
        client.update(statement, None, &[]).map(|_| ())
    })
}

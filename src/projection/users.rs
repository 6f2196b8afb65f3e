//! Where the host's users table is.

use crate::cache::SCHEMA;
use crate::pg::scan::{self, Table};
use crate::pg::snapshot::CatalogSnapshot;
use pgrx::pg_sys;

/// Names as they are written in a statement.
#[derive(Clone, Debug)]
pub struct UsersTable {
    pub oid: pg_sys::Oid,
    pub relation: String,
    pub id: String,
    pub app_metadata: Option<String>,
}

/// Read anew each time: one row of a small table, and the answer depends on nothing but it.
pub fn attached() -> Option<UsersTable> {
    let table = Table::open(scan::relation(c"users_table", scan::schema(SCHEMA)?)?)?;
    let relation = table.column(c"relation", pg_sys::REGCLASSOID)?;
    let id = table.column(c"id_column", pg_sys::TEXTOID)?;
    let app_metadata = table.column(c"app_metadata_column", pg_sys::TEXTOID)?;
    let snapshot = CatalogSnapshot::take(table.oid());
    let mut found = None;
    table.read(&snapshot, None, |row| {
        let text = |column| row.text(column).map(scan::quoted);
        let place = row.oid(relation).and_then(|oid| Some((oid, scan::quoted_relation(oid)?)));
        found = place.zip(text(id)).map(|((oid, relation), id)| UsersTable {
            oid,
            relation,
            id,
            app_metadata: text(app_metadata),
        });
    });
    found
}

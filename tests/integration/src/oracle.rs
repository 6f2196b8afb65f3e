//! What a user may do, said twice: by plain SQL over the tables, and by the functions that policies call. The
//! rows are (kind, tenant, name), and must be the same.

use crate::{Row, Session};
use uuid::Uuid;

const TABLES: &str = include_str!("oracle.sql");
const FUNCTIONS: &str = include_str!("helpers.sql");

impl Session {
    /// Prepares what `by_functions` asks. It asks about what stands in the table `probes (kind, id, name)`, of
    /// the kinds tenant, permission and role.
    pub fn prepare_helpers(&mut self) {
        self.run(FUNCTIONS);
    }
}

/// By the functions, as this user with this tenant active, and at which moment: one statement, in the
/// session's transaction or one of its own.
#[track_caller]
pub fn by_functions(session: &mut Session, user: Uuid, active: Uuid) -> (Vec<Row>, String) {
    let rows = session.rows(&format!(
        "SELECT set_config('request.jwt.claims', '{{\"sub\": \"{user}\"}}', true),
                set_config('tenancy.tenant_id', '{active}', true);
         EXECUTE helpers"
    ));
    let (at, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row[0].as_deref() == Some("at"));
    (rows, at[0][2].clone().expect("now is not null"))
}

/// By the tables, as they are to this session at that moment.
#[track_caller]
pub fn by_tables(session: &mut Session, user: Uuid, active: Uuid, at: &str) -> Vec<Row> {
    session.rows(
        &TABLES
            .replace(":user", &user.to_string())
            .replace(":tenant", &active.to_string())
            .replace(":at", at),
    )
}

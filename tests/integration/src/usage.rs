//! Usage in scenarios: a meter with a limit, writers that count what they insert, and what came of it.

use crate::{Random, Session, explain, tenant};

/// What a transaction can end in, as far as a scenario goes on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Committed,
    /// By itself.
    RolledBack,
    /// A hard quota would have been exceeded.
    Refused,
    /// The server, or the connection, is gone; whether it was committed is not known.
    Lost,
}

impl Session {
    /// Meter `rows`, which counts table `done`: a row for each that is recorded, by whoever.
    #[track_caller]
    pub fn add_metered_rows(&mut self, kind: &str) {
        self.run(&format!(
            "SELECT tenancy.create_meter('rows', 'rows', '{kind}', period => 'hour');
             CREATE TABLE done (writer int NOT NULL, tenant uuid NOT NULL DEFAULT tenancy.current_tenant_id());
             GRANT SELECT, INSERT, DELETE ON done TO authenticated"
        ));
    }

    #[track_caller]
    pub fn set_limit(&mut self, hard: i64) {
        self.run(&format!(
            "SELECT tenancy.set_quota('{}', 'rows', hard => {hard}, period => 'none')",
            tenant(1)
        ));
    }

    /// How many rows there are, and what was counted of them, at one moment.
    #[track_caller]
    pub fn rows_and_usage(&mut self) -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM done), (SELECT coalesce(sum(total), 0) FROM tenancy.usage WHERE meter = 'rows')";
        let row = self.rows(sql).remove(0);
        let number =
            |index: usize| row[index].as_deref().and_then(|text| text.parse().ok()).expect("a number");
        (number(0), number(1))
    }

    /// One statement of a writer's. What it fails with beside 23514 fails the scenario, a deadlock foremost.
    fn step(&mut self, sql: &str) -> Result<(), End> {
        let Err(error) = self.try_rows(sql) else { return Ok(()) };
        match error.as_db_error().map(|error| (error.code().code(), error.constraint())) {
            Some(("23514", Some("quota"))) => Err(End::Refused),
            // Shut down, or torn down because another process died.
            Some((code, _)) if code.starts_with("57") => Err(End::Lost),
            Some(_) => panic!("{sql}: {}", explain(&error)),
            None => Err(End::Lost),
        }
    }

    /// Inserts and counts some rows in one transaction, the way an application may: at once or row by row, within
    /// savepoints that it keeps or takes back, or all for nothing. Begins with `begin`.
    pub fn count_rows(&mut self, random: &mut Random, writer: u64, begin: &str) -> End {
        let end = self.try_to_count(random, writer, begin).unwrap_or_else(|end| end);
        if end == End::Refused {
            self.run("ROLLBACK");
        }
        end
    }

    fn try_to_count(&mut self, random: &mut Random, writer: u64, begin: &str) -> Result<End, End> {
        let at = tenant(1);
        let insert = |rows: u64, amount: u64| {
            format!(
                "WITH new AS (INSERT INTO done SELECT {writer}, '{at}' FROM generate_series(1, {rows}) RETURNING 1)
                 SELECT tenancy.record_usage('rows', {amount}, '{at}') FROM new"
            )
        };
        self.step(begin)?;
        match random.below(6) {
            // Some at once.
            0 => {
                let rows = 2 + random.below(3);
                self.step(&format!(
                    "INSERT INTO done SELECT {writer}, '{at}' FROM generate_series(1, {rows})"
                ))?;
                self.step(&format!("SELECT tenancy.record_usage('rows', {rows}, '{at}')"))?;
            }
            // Many calls, of which not each is written.
            1 => self.step(&insert(12 + random.below(20), 1))?,
            // A savepoint whose rows are taken back, within one that stays.
            2 => {
                self.step(&insert(1, 1))?;
                self.step("SAVEPOINT a")?;
                self.step(&insert(1, 1))?;
                self.step("SAVEPOINT b")?;
                self.step(&insert(2, 1))?;
                self.step("ROLLBACK TO b")?;
                self.step("RELEASE a")?;
            }
            // A refused savepoint does not end the transaction.
            3 => {
                self.step("SAVEPOINT a")?;
                if self.step(&insert(2, 1)).is_err_and(|end| end == End::Refused) {
                    self.step("ROLLBACK TO a")?;
                    self.step(&insert(1, 1))?;
                }
            }
            _ => self.step(&insert(1, 1))?,
        }
        if random.once_in(5) {
            self.step("ROLLBACK")?;
            return Ok(End::RolledBack);
        }
        self.step("COMMIT")?;
        Ok(End::Committed)
    }
}

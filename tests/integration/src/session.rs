//! One connection. Statements go by the simple protocol unless a test says otherwise, so that a transaction
//! pooler may stand in between, and values come as text.

use postgres::{Client, NoTls, SimpleQueryMessage};
use std::path::Path;

pub struct Session {
    client: Client,
}

pub type Row = Vec<Option<String>>;

impl Session {
    pub(crate) fn open(
        host: &Path,
        port: u16,
        database: &str,
        role: &str,
        options: &str,
    ) -> Result<Self, postgres::Error> {
        let mut config = postgres::Config::new();
        config.host_path(host).port(port).dbname(database).user(role);
        if !options.is_empty() {
            config.options(options);
        }
        Ok(Self { client: config.connect(NoTls)? })
    }

    /// The rows of the last statement that answered any.
    pub fn try_rows(&mut self, sql: &str) -> Result<Vec<Row>, postgres::Error> {
        let mut rows = Vec::new();
        for message in self.client.simple_query(sql)? {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows.clear(),
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{sql}\n{}", explain(&error)))
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.rows(sql);
    }

    /// The first value of the first row; `None` for NULL and for no row.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> Option<String> {
        self.rows(sql).into_iter().next()?.into_iter().next()?
    }

    #[track_caller]
    pub fn text(&mut self, sql: &str) -> String {
        self.value(sql).unwrap_or_else(|| panic!("no value: {sql}"))
    }

    #[track_caller]
    pub fn number(&mut self, sql: &str) -> i64 {
        self.text(sql).parse().unwrap_or_else(|_| panic!("no number: {sql}"))
    }

    /// Whether an expression is true; NULL is not.
    #[track_caller]
    pub fn holds(&mut self, expression: &str) -> bool {
        self.value(&format!("SELECT {expression}")).as_deref() == Some("t")
    }

    /// The SQLSTATE that the statement fails with; 00000 if it does not.
    pub fn code(&mut self, sql: &str) -> String {
        match self.try_rows(sql) {
            Ok(_) => "00000".to_owned(),
            Err(error) => error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()),
        }
    }

    /// The connection itself, for the extended protocol.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    pub fn pid(&mut self) -> u32 {
        self.text("SELECT pg_backend_pid()").parse().expect("a process has a number")
    }
}

/// The server's whole message, which `postgres::Error` shows little of.
pub fn explain(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {} {:?} {:?}", db.code().code(), db.message(), db.detail(), db.hint()),
        None => format!("{error:?}"),
    }
}

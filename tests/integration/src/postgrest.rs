//! Requests as PostgREST makes them, over a connection that logged in as `authenticator`: one transaction, READ
//! ONLY for GET; one query of set_config() calls; the pre-request function as the impersonated role; then the
//! request's own query, its rows put together as JSON by the server.

use crate::{Session, bearer};
use postgres::types::{ToSql, Type};
use serde_json::{Map, Value};
use std::collections::HashMap;
use uuid::Uuid;

const SETTINGS: &str = "select set_config('search_path', $1, true), set_config('role', $2, true), \
    set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true), \
    set_config('request.path', $5, true), set_config('request.headers', $6, true), \
    set_config('request.cookies', $7, true)";

#[derive(Clone)]
pub struct Request {
    method: &'static str,
    role: String,
    claims: String,
    headers: Map<String, Value>,
    search_path: String,
}

impl Request {
    /// With a token of this user's.
    pub fn get(user: Uuid) -> Self {
        Self {
            method: "GET",
            role: "authenticated".to_owned(),
            claims: bearer(user).to_string(),
            headers: Map::new(),
            search_path: r#""public", "extensions""#.to_owned(),
        }
    }

    pub fn post(user: Uuid) -> Self {
        Self { method: "POST", ..Self::get(user) }
    }

    /// Without a token: PostgREST then makes claims of the role alone.
    pub fn anonymous() -> Self {
        Self { role: "anon".to_owned(), claims: r#"{"role":"anon"}"#.to_owned(), ..Self::get(Uuid::nil()) }
    }

    /// As the application's own server, which holds the key of that role.
    pub fn service() -> Self {
        let claims = r#"{"role":"service_role","iss":"supabase"}"#.to_owned();
        Self { role: "service_role".to_owned(), claims, ..Self::post(Uuid::nil()) }
    }

    /// Other claims, as they stand.
    pub fn claims(mut self, claims: &str) -> Self {
        claims.clone_into(&mut self.claims);
        self
    }

    /// PostgREST hands header names over in lower case.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_lowercase(), Value::from(value));
        self
    }

    pub fn search_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.search_path);
        self
    }

    fn values(&self) -> [String; 7] {
        [
            self.search_path.clone(),
            self.role.clone(),
            self.claims.clone(),
            self.method.to_owned(),
            "/docs".to_owned(),
            Value::Object(self.headers.clone()).to_string(),
            "{}".to_owned(),
        ]
    }
}

/// A connection of PostgREST's pool.
pub struct Api {
    session: Session,
    pre_request: Option<String>,
    /// `db-prepared-statements`: off for poolers that hand server connections around.
    prepared: Option<HashMap<String, postgres::Statement>>,
}

impl Api {
    pub fn new(session: Session) -> Self {
        Self { session, pre_request: None, prepared: Some(HashMap::new()) }
    }

    /// Nothing is prepared by name, so that a transaction pooler may stand in between.
    pub fn unprepared(session: Session) -> Self {
        Self { session, pre_request: None, prepared: None }
    }

    /// `db-pre-request`
    pub fn with_pre_request(mut self, function: &str) -> Self {
        self.pre_request = Some(function.to_owned());
        self
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Begins a request; what follows is in its transaction.
    pub fn begin(&mut self, request: &Request) -> Result<(), postgres::Error> {
        let mode = if request.method == "GET" { "READ ONLY" } else { "READ WRITE" };
        self.session.try_rows(&format!("BEGIN ISOLATION LEVEL READ COMMITTED {mode}"))?;
        let values = request.values();
        self.query(SETTINGS, &values)?;
        if let Some(function) = self.pre_request.clone() {
            self.query(&format!("select {function}()"), &[])?;
        }
        Ok(())
    }

    /// The rows of a query inside a request, as a JSON array of objects.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Value>, postgres::Error> {
        let sql = format!(
            "WITH pgrst_source AS ({sql}) SELECT coalesce(json_agg(row_to_json(t)), '[]')::text FROM pgrst_source t"
        );
        let rows = self.query(&sql, &[])?;
        let body: String = rows[0].try_get(0)?;
        Ok(serde_json::from_str(&body).expect("json_agg makes an array"))
    }

    /// A whole request; an error rolls it back, and is the answer.
    pub fn answer(&mut self, request: &Request, sql: &str) -> Result<Vec<Value>, postgres::Error> {
        let answer = self.begin(request).and_then(|()| self.rows(sql));
        self.session.run(if answer.is_ok() { "COMMIT" } else { "ROLLBACK" });
        answer
    }

    /// The rows of a request that must succeed.
    #[track_caller]
    pub fn ask(&mut self, request: &Request, sql: &str) -> Vec<Value> {
        self.answer(request, sql).unwrap_or_else(|error| panic!("{sql}\n{}", crate::explain(&error)))
    }

    /// The value of an expression.
    #[track_caller]
    pub fn value(&mut self, request: &Request, expression: &str) -> Value {
        self.ask(request, &format!("SELECT {expression} AS value")).remove(0)["value"].take()
    }

    /// The SQLSTATE a request fails with; 00000 if it does not.
    pub fn code(&mut self, request: &Request, sql: &str) -> String {
        match self.answer(request, sql) {
            Ok(_) => "00000".to_owned(),
            Err(error) => error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned()),
        }
    }

    fn query(&mut self, sql: &str, values: &[String]) -> Result<Vec<postgres::Row>, postgres::Error> {
        let client = self.session.client();
        let Some(prepared) = &mut self.prepared else {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> =
                values.iter().map(|v| (v as &(dyn ToSql + Sync), Type::TEXT)).collect();
            return client.query_typed(sql, &typed);
        };
        let statement = match prepared.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = client.prepare(sql)?;
                prepared.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        client.query(&statement, &values)
    }
}

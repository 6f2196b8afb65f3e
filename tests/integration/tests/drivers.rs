//! psycopg and node-postgres make the requests that PostgREST would make, with prepared statements and without,
//! directly and through PgBouncer in transaction mode between two clients.

use pg_tenancy_integration::{Cluster, PgBouncer, bearer, required, source, tenant, user};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

static CLUSTER: LazyLock<(Cluster, PgBouncer)> = LazyLock::new(|| {
    let cluster = Cluster::start_supabase("drivers", "");
    let bouncer = PgBouncer::start(&cluster);
    (cluster, bouncer)
});

const COUNT: &str = "SELECT count(*)::text FROM docs";

/// What a driver is to do, and what must come of it.
#[derive(Default)]
struct Script {
    requests: Vec<Value>,
    expected: Vec<Value>,
}

impl Script {
    fn step(
        &mut self,
        client: u32,
        settings: Value,
        method: &str,
        sql: &str,
        values: &[&str],
        expected: Value,
    ) {
        self.requests.push(json!({
            "client": client, "settings": settings, "read_only": method == "GET", "sql": sql, "values": values,
        }));
        self.expected.push(expected);
    }

    /// A request; `expected` is one value, or the SQLSTATE of an error.
    fn request(&mut self, client: u32, who: &Who, sql: &str, values: &[&str], expected: Result<&str, &str>) {
        let settings = json!([
            "\"public\", \"extensions\"",
            who.role,
            who.claims,
            who.method,
            "/docs",
            who.headers.to_string(),
            "{}"
        ]);
        let expected = match expected {
            Ok(value) => json!({ "rows": [[value]] }),
            Err(code) => json!({ "code": code }),
        };
        self.step(client, settings, who.method, sql, values, expected);
    }

    /// A statement outside of any request.
    fn statement(&mut self, client: u32, sql: &str, expected: Value) {
        self.step(client, Value::Null, "", sql, &[], json!({ "rows": expected }));
    }
}

struct Who {
    role: &'static str,
    claims: String,
    method: &'static str,
    headers: Value,
}

impl Who {
    fn user(n: u32) -> Self {
        Self { role: "authenticated", claims: bearer(user(n)).to_string(), method: "GET", headers: json!({}) }
    }

    fn posting(n: u32) -> Self {
        Self { method: "POST", ..Self::user(n) }
    }

    fn with_claims(claims: &str) -> Self {
        Self { claims: claims.to_owned(), ..Self::user(1) }
    }

    fn anonymous() -> Self {
        Self { role: "anon", claims: "{\"role\":\"anon\"}".to_owned(), ..Self::user(1) }
    }

    fn in_tenant(n: u32, tenant_number: u32) -> Self {
        Self { headers: json!({ "x-tenant-id": tenant(tenant_number).to_string() }), ..Self::user(n) }
    }
}

/// Three docs of tenant 1, two of tenant 2; whatever is written is taken out again.
fn script(pre_request: bool) -> Script {
    let mut script = Script::default();
    let insert = "INSERT INTO docs (title) VALUES ($1) RETURNING tenant_id::text";
    let delete = "DELETE FROM docs WHERE title = $1 RETURNING title";
    let by_permission = "SELECT tenancy.has_permission($1)::text";
    // More than five rounds, after which a prepared statement gets a generic plan.
    for _ in 0..8 {
        script.request(0, &Who::user(1), COUNT, &[], Ok("3"));
        script.request(1, &Who::user(3), COUNT, &[], Ok("2"));
        script.request(0, &Who::anonymous(), COUNT, &[], Ok("0"));
        script.request(1, &Who::user(9), COUNT, &[], Ok("0"));
        script.request(0, &Who::user(1), by_permission, &["docs.update"], Ok("false"));
        script.request(1, &Who::user(2), by_permission, &["docs.update"], Ok("true"));
        script.request(0, &Who::posting(2), insert, &["new"], Ok(&tenant(1).to_string()));
        script.request(1, &Who::user(1), COUNT, &[], Ok("4"));
        script.request(1, &Who::posting(1), delete, &["new"], Ok("nothing"));
        *script.expected.last_mut().expect("just pushed") = json!({ "rows": [] });
        script.request(0, &Who::posting(2), delete, &["new"], Ok("new"));
        script.request(1, &Who::posting(1), insert, &["new"], Err("42501"));
        script.request(0, &Who { method: "GET", ..Who::posting(2) }, insert, &["new"], Err("25006"));
        for hostile in ["", "{", "[]", "{\"sub\": 7}", "{\"sub\": \"x\"}"] {
            script.request(1, &Who::with_claims(hostile), COUNT, &[], Ok("0"));
        }
        script.request(0, &Who::in_tenant(1, 1), COUNT, &[], Ok("3"));
        // Who names a tenant in vain sees nothing, or is told so by the pre-request.
        let refused = if pre_request { Err("42501") } else { Ok("0") };
        script.request(1, &Who::in_tenant(1, 2), COUNT, &[], refused);
        script.request(0, &Who::in_tenant(3, 2), COUNT, &[], Ok("2"));
        // What a client leaves behind is nobody else's, nor his own.
        let nobody = "SELECT tenancy.current_user_id()::text, tenancy.current_tenant_id()::text";
        script.statement(0, &format!("SET request.jwt.claims = '{}'", bearer(user(1))), json!([]));
        script.statement(1, nobody, json!([[null, null]]));
        script.statement(0, nobody, json!([[null, null]]));
        script.request(1, &Who::user(3), COUNT, &[], Ok("2"));
    }
    script
}

/// Both clients of a driver's run, over this socket; with statements prepared there is a pre-request, too.
fn run(driver: &str, host: &std::path::Path, port: u16, prepared: bool) {
    let pre_request = prepared.then_some("tenancy.pre_request");
    let script = script(pre_request.is_some());
    let program = match driver {
        "requests.py" => "PGT_PYTHON",
        _ => "PGT_NODE",
    };
    let work = json!({
        "host": host.display().to_string(), "port": port, "database": "drivers", "user": "authenticator",
        "prepared": prepared, "pre_request": pre_request, "requests": script.requests,
    });
    let mut child = Command::new(required(program))
        .arg(source("tests/integration/drivers").join(driver))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(work.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{driver}: {said}");
    let answers: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert_eq!(answers.len(), script.expected.len(), "{driver}: {said}");
    for (step, (answer, expected)) in answers.iter().zip(&script.expected).enumerate() {
        assert_eq!(answer, expected, "{driver}, prepared {prepared}, step {step}: {}", script.requests[step]);
    }
}

/// The scripts write the same rows, and the pool has one connection.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    static PREPARED: LazyLock<()> = LazyLock::new(|| {
        let mut admin = CLUSTER.0.supabase_database("drivers");
        admin.add_docs();
        admin.run("GRANT USAGE ON SCHEMA tenancy TO authenticator");
        admin.run("ALTER DATABASE drivers SET tenancy.tenant_header = 'x-tenant-id'");
    });
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    LazyLock::force(&PREPARED);
    guard
}

#[test]
fn psycopg_directly() {
    let _alone = alone();
    run("requests.py", CLUSTER.0.host(), 5432, true);
    run("requests.py", CLUSTER.0.host(), 5432, false);
}

#[test]
fn node_postgres_directly() {
    let _alone = alone();
    run("requests.js", CLUSTER.0.host(), 5432, true);
    run("requests.js", CLUSTER.0.host(), 5432, false);
}

/// psycopg gives its statements the same names in each client, so that none may be prepared behind this PgBouncer.
#[test]
fn psycopg_through_the_pooler() {
    let _alone = alone();
    run("requests.py", CLUSTER.1.host(), 6432, false);
}

#[test]
fn node_postgres_through_the_pooler() {
    let _alone = alone();
    run("requests.js", CLUSTER.1.host(), 6432, true);
    run("requests.js", CLUSTER.1.host(), 6432, false);
}

//! A Node service with bigint accounts, behind PgBouncer: first as it was, then with the guide's set-up and its pool in
//! a wrapper, and not a line of its handlers, jobs or tests changed.

use pg_tenancy_integration::{
    Application, Attack, Browser, Cluster, Guide, PgBouncer, Row, Server, Session, attack, files_below,
    source,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

static CLUSTER: LazyLock<(Cluster, PgBouncer)> = LazyLock::new(|| {
    let cluster = Cluster::start_bare("node", &Guide::settings("node_postgres.md"));
    cluster.connect("postgres").run("CREATE ROLE orders_owner LOGIN; CREATE ROLE orders_app LOGIN");
    let bouncer = PgBouncer::start_for(&cluster, &["orders_app"]);
    (cluster, bouncer)
});

const SECRET: &str = "bee secret";

/// By Ann of account 1, on account 2.
const ATTACKS: &[Attack] = &[
    ("GET", "/customers", "", 200, 200),
    ("GET", "/customers/2", "", 200, 404),
    ("GET", "/orders/3", "", 200, 404),
    // The text of the query is the attacker's.
    ("GET", "/orders?fields=(SELECT+max(name)+FROM+customers+WHERE+account_id=2)", "", 200, 200),
    ("GET", "/orders?fields=(SELECT+1/(id-2)+FROM+customers+WHERE+account_id=2)", "", 500, 200),
    ("PATCH", "/customers/2", r#"{"name": "stolen"}"#, 200, 404),
    ("POST", "/customers", r#"{"name": "planted", "account": 2}"#, 201, 500),
    ("POST", "/orders", r#"{"customer": 2, "items": []}"#, 201, 500),
    ("POST", "/orders/3/items", r#"{"sku": "planted", "cents": 1}"#, 201, 500),
    ("POST", "/orders/cancel", "", 200, 200),
    ("DELETE", "/customers/2", "", 500, 404),
];

fn environment(project: &Application, database: &str) -> Application {
    let text = |path: &std::path::Path| path.to_str().expect("paths are text").to_owned();
    project.with(&[
        ("PGHOST", &text(CLUSTER.1.host())),
        ("PGPORT", "6432"),
        ("PGDATABASE", database),
        ("PGUSER", "orders_app"),
        ("PORT", "0"),
        ("WEBHOOK_SECRET", "secret"),
        ("OWNER", "orders_owner"),
        ("OWNER_HOST", &text(CLUSTER.0.host())),
    ])
}

/// A database with the service's tables and, in the second file, the rows of two accounts.
fn existing_database(name: &str, files: &[&str]) -> Session {
    let mut admin = CLUSTER.0.database(name);
    admin.run("GRANT CREATE ON SCHEMA public TO orders_owner");
    for file in files {
        let path = source("tests/integration/applications/orders").join(file);
        let mut owner = CLUSTER.0.connect_as(name, "orders_owner");
        owner.run(&std::fs::read_to_string(path).expect("it is there"));
    }
    admin.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO orders_app");
    admin
}

const FILES: &[&str] = &["schema.sql", "two_accounts.sql"];

fn existing(name: &str) -> Application {
    environment(&Application::assemble(&CLUSTER.0, name, &["orders"]), name)
}

/// An existing database and its service under tenancy, as the guide says.
fn adopted(name: &str) -> (Application, Session) {
    let admin = existing_database(name, FILES);
    Guide::read("node_postgres.md").run(&CLUSTER.0, name, "");
    let project = Application::assemble(&CLUSTER.0, name, &["orders", "orders_tenancy"]);
    (environment(&project, name), admin)
}

fn client(server: &Server, token: &str, account: u32) -> Browser {
    server.client(&[("Authorization", &format!("Bearer {token}")), ("X-Account", &account.to_string())])
}

/// Everything that is Bee's.
fn bees(admin: &mut Session) -> Vec<Row> {
    admin.rows(
        "SELECT c::text FROM customers c WHERE account_id = 2 UNION ALL
         SELECT o::text FROM orders o WHERE account_id = 2 UNION ALL
         SELECT i::text FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.account_id = 2 ORDER BY 1",
    )
}

fn run_own_tests(project: &Application) -> (bool, String) {
    project.attempt("PGT_NODE", &["--test-reporter=tap", "test.js"])
}

#[test]
fn nothing_but_pool_middleware_and_job_runner_is_added() {
    let applications = source("tests/integration/applications");
    let added = files_below(&applications.join("orders_tenancy"));
    assert_eq!(added, ["db.js", "each_account.js", "steps.js", "tenancy.js"]);
    // What takes the place of a file of the service: where its pool and the steps of a request are put together.
    let existing = files_below(&applications.join("orders"));
    let replaced: Vec<&String> = added.iter().filter(|file| existing.contains(file)).collect();
    assert_eq!(replaced, ["db.js", "steps.js"]);
}

#[test]
fn as_it_was_its_own_tests_pass_and_the_attacks_succeed() {
    // Its tests want a database of their own, since one of them cancels everybody's orders.
    existing_database("orders_before_tests", &FILES[..1]);
    let (passed, said) = run_own_tests(&existing("orders_before_tests"));
    assert!(passed && said.contains("# pass 7"), "{said}");

    let project = existing("orders_before");
    let mut admin = existing_database("orders_before", FILES);
    let before = bees(&mut admin);
    let server = project.serve("PGT_NODE", &["server.js"]);
    attack(&mut client(&server, "ann", 1), ATTACKS, false, SECRET);
    assert_ne!(bees(&mut admin), before);
}

#[test]
fn under_tenancy_its_own_tests_pass_isolated() {
    let (project, _admin) = adopted("orders_tests");
    let (passed, said) = run_own_tests(&project);
    assert!(passed && said.contains("# pass 7"), "{said}");
    // They do run isolated, beside the orders of two accounts; without an identity nothing can be written.
    project.write("steps.js", "module.exports = [require('./authenticate')];\n");
    let (passed, said) = run_own_tests(&project);
    assert!(!passed && said.contains("row-level security"), "{said}");
}

#[test]
fn under_tenancy_the_attacks_fail_and_requests_are_each_their_own() {
    let (project, mut admin) = adopted("orders");
    let before = bees(&mut admin);
    let server = project.serve("PGT_NODE", &["server.js"]);
    let mut ann = client(&server, "ann", 1);
    attack(&mut ann, ATTACKS, true, SECRET);
    // By the header of the account instead.
    attack(
        &mut client(&server, "ann", 2),
        &[
            ("GET", "/customers", "", 200, 200),
            ("GET", "/customers/2", "", 200, 404),
            ("POST", "/customers", r#"{"name": "planted"}"#, 201, 500),
        ],
        true,
        SECRET,
    );
    assert_eq!(bees(&mut admin), before, "the attacks changed something");
    let refused = ann.send("POST", "/customers", r#"{"name": "planted", "account": 2}"#).json();
    assert_eq!(refused["code"], "42501", "{refused}");

    // Who is nobody, and who may only look.
    assert_eq!(client(&server, "nobody", 1).get("/orders").status, 401);
    let mut vic = client(&server, "vic", 1);
    assert_eq!(vic.get("/customers").json(), json!([{ "id": "1", "name": "Amy" }]));
    assert_eq!(vic.send("PATCH", "/customers/1", r#"{"name": "x"}"#).status, 404);

    // Many requests at once, over one server connection; Cat is in both accounts.
    let list = |answer: Value| answer.as_array().expect("a list").len();
    std::thread::scope(|scope| {
        for (token, account, name) in
            [("ann", 1, "Amy"), ("bob", 2, "bee secret Ben"), ("cat", 1, "Amy"), ("cat", 2, "bee secret Ben")]
        {
            let mut browser = client(&server, token, account);
            scope.spawn(move || {
                for _ in 0..25 {
                    let customers = browser.get("/customers").json();
                    assert_eq!(customers, json!([{ "id": account.to_string(), "name": name }]));
                    assert_eq!(list(browser.get("/orders").json()), 2);
                }
            });
        }
    });

    // The payment provider names account and order, and reaches no order of another account.
    let mut provider = server.client(&[("X-Secret", "secret")]);
    let mut pay = |body: Value| provider.send("POST", "/webhooks/payments", &body.to_string()).status;
    assert_eq!(pay(json!({ "account": 1, "order": 4 })), 404);
    assert_eq!(pay(json!({ "account": 77, "order": 4 })), 500);
    assert_eq!(pay(json!({ "order": 4 })), 500);
    assert_eq!(pay(json!({ "account": "2", "order": 4 })), 200);

    // Ann leaves.
    admin.run("DELETE FROM account_users WHERE user_id = 1");
    assert_eq!(ann.get("/orders").json(), json!([]));
    assert_eq!(ann.get("/customers/1").status, 404);

    // The fence taken down: everything is seen.
    admin.run("SELECT tenancy.unprotect_table('customers')");
    assert!(vic.get("/customers/2").body.contains(SECRET));
}

#[test]
fn the_nightly_job_runs_in_every_account_and_nowhere_else() {
    let (project, mut admin) = adopted("orders_job");
    assert_eq!(project.run("PGT_NODE", &["jobs.js"]), "cancelled 0\n");
    assert_eq!(project.run("PGT_NODE", &["each_account.js", "cancelStale"]), "account 1: 1\naccount 2: 1\n");
    assert_eq!(admin.number("SELECT count(*) FROM orders WHERE status = 'cancelled'"), 2);
    // One account's failure is no other's.
    let failing = "SELECT count(*) / (SELECT count(*) FROM orders WHERE id > 2) AS n FROM orders";
    project.write(
        "jobs.js",
        &format!("const db = require('./db');\nexports.fail = async () => (await db.query('{failing}')).rows[0].n;\n"),
    );
    let (done, said) = project.attempt("PGT_NODE", &["each_account.js", "fail"]);
    assert!(!done && said.contains("account 1: error: division by zero"), "{said}");
    assert!(said.contains("account 2: 1\n"), "{said}");
}

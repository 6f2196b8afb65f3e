//! The recipes of docs/guides/drivers.md, as they stand there, by their drivers and through PgBouncer in transaction mode
//! with one server connection: whose rows each sees. And what each driver does wrong by default: no rows are seen, and
//! diagnose() says why.

mod sqlx_tenancy;

use pg_tenancy_integration::{Cluster, PgBouncer, Steps, source};
use serde_json::json;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx_tenancy::{begin_as, begin_with_claims, pool};
use std::path::Path;
use std::process::Command;
use std::sync::{LazyLock, Mutex, MutexGuard};

static CLUSTER: LazyLock<(Cluster, PgBouncer)> = LazyLock::new(|| {
    let settings = "session_preload_libraries = 'pg_tenancy'\ntenancy.subject_format = 'mapped'";
    let cluster = Cluster::start_bare("recipes", settings);
    cluster
        .connect("postgres")
        .run("CREATE ROLE app LOGIN; CREATE ROLE migrator LOGIN; ALTER ROLE migrator SET row_security = off");
    cluster.database("recipes").run(
        "CREATE EXTENSION pg_tenancy;
         SELECT tenancy.enable_role('app'), tenancy.trust_caller('app');
         SELECT tenancy.create_tenant('one', 'One', key => '1'), tenancy.create_tenant('two', 'Two', key => '2');
         CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, org_id bigint, body text);
         INSERT INTO notes (org_id, body) VALUES (1, 'one'), (1, 'one more'), (1, 'and more'), (2, 'two');
         SELECT tenancy.protect_table('notes', tenant_column => 'org_id');
         ALTER TABLE notes OWNER TO migrator;
         GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO app;
         SELECT tenancy.create_role('writer', '{notes.*}');
         SELECT tenancy.add_member(t.id, tenancy.map_subject(m.subject), '{writer}')
           FROM (VALUES ('ann', '1'), ('bob', '2')) m (subject, key) JOIN tenancy.tenants t USING (key)",
    );
    let bouncer = PgBouncer::start_for(&cluster, &["app"]);
    (cluster, bouncer)
});

/// They write, and what is prepared stays behind.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs a program of tests/integration/drivers/recipes to its end.
fn run(program: &str, file: &str) -> Steps {
    Steps::of(
        Command::new(pg_tenancy_integration::required(program))
            .arg(source("tests/integration/drivers/recipes").join(file))
            .env("PGT_TENANCY", source("tests/integration/applications/orders_tenancy/tenancy.js"))
            .env("PGHOST", CLUSTER.1.host())
            .envs([("PGPORT", "6432"), ("PGDATABASE", "recipes"), ("PGUSER", "app")]),
    )
}

const NONE_OPEN: (&str, &str) = ("transaction", "this statement is one of its own");
const NONE_IN_IT: (&str, &str) = ("transaction", "no identity was set in it");

#[test]
fn psycopg() {
    let _alone = alone();
    let steps = run("PGT_PYTHON", "psycopg_steps.py");
    steps.all("ann", 4, 3);
    steps.all("bob", 4, 1);
    steps.all("ann by claims", 4, 3);
    steps.all("ann in bob's", 1, 0);
    steps.mistake("committed in between", NONE_IN_IT);
    steps.mistake("autocommit", NONE_OPEN);
    steps.mistake("plain SET", NONE_OPEN);
    steps.mistake("after the block", NONE_IN_IT);
    let refused = "a transaction is open: commit() or rollback() first";
    steps.all("in an open transaction", 2, refused);
    steps.mistakes("after an open transaction", 2, NONE_IN_IT);
    steps.all("in another block", 1, refused);
    steps.all("after the inner block", 1, 3);
    steps.all("numbers", 1, "42883");
    steps.all("another's row", 1, "42501");
    steps.all("after the error", 1, 3);
    steps.all("own row", 1, 1);
    steps.all("prepared", 1, "42P05");
}

#[test]
fn sqlalchemy() {
    let _alone = alone();
    let steps = run("PGT_PYTHON", "sqlalchemy_steps.py");
    steps.all("ann", 3, 3);
    steps.all("bob", 3, 1);
    steps.all("ann by claims", 3, 3);
    steps.all("another's row", 1, "42501");
    steps.all("read again", 1, "mine");
    steps.all("in a savepoint", 1, 3);
    steps.all("after a savepoint", 1, 3);
    steps.all("on a connection", 1, "RuntimeError");
    steps.mistake("the connection's transaction", NONE_IN_IT);
    steps.mistake("committed in between", NONE_IN_IT);
    steps.mistake("beside the session", NONE_IN_IT);
    steps.mistake("autocommit", NONE_OPEN);
}

#[test]
fn node_postgres() {
    let _alone = alone();
    let steps = run("PGT_NODE", "node_steps.js");
    steps.mistake("by the pool", NONE_OPEN);
    steps.mistake("plain SET", NONE_OPEN);
    // The application's own affair, as the guide says: whose transaction it is, no database can know.
    steps.all("left open", 1, 3);
    steps.all("ann", 4, 3);
    steps.all("bob", 4, 1);
    steps.all("ann by claims", 4, 3);
    steps.all("ann in bob's", 1, 0);
    steps.mistake("nobody", NONE_OPEN);
    steps.all("in a transaction", 1, 3);
    steps.all("after its end", 1, 0);
    steps.mistake("left open, with the wrapper", NONE_OPEN);
    steps.all("listening", 1, json!([true, true]));
    for begun in ["not awaited", "after a comment", "with options", "chained", "back to a savepoint"] {
        steps.all(begun, 1, 3);
    }
    steps.all("left open, behind a comment", 1, 0);
    steps.all("quoted", 1, "no error");
    steps.all("by callbacks", 1, json!([1, 1, 1]));
    steps.all("an error by callback", 1, "42601");
    steps.all("refused, not awaited", 1, "25P02");
    steps.all("lost", 1, "57P01");
    steps.all("after the loss", 1, 3);
    steps.all("in an event", 1, "nobody");
    steps.all("several, by the pool", 1, "transactions, cursors and streams need a client: connect()");
    let one_by_one = "BEGIN and what ends it must be queries of their own: an identity follows BEGIN";
    steps.all("several, by a client", 1, one_by_one);
    steps.all("in another's transaction", 3, "this transaction was begun by somebody else");
    steps.all("in his own", 1, 3);
    steps.all("after its release", 1, "the client was released");
    let twice = "Release called on client which has already been released to the pool.";
    steps.all("released twice", 1, twice);
    steps.all("on a kept client", 1, 1);
    steps.all("another's row", 1, "42501");
    steps.all("own row", 1, "1");
    steps.all("after the error", 1, 3);
    steps.all("prepared", 1, "42P05");
}

const COUNT: &str = "SELECT count(*) FROM notes";

async fn count<'c>(executor: impl Executor<'c, Database = sqlx::Postgres>) -> i64 {
    sqlx::query_scalar(COUNT).fetch_one(executor).await.expect("it is allowed")
}

async fn explained<'c>(executor: impl Executor<'c, Database = sqlx::Postgres>, expected: (&str, &str)) {
    let rows: Vec<(String, String)> = sqlx::query_as("SELECT topic, finding FROM tenancy.diagnose()")
        .fetch_all(executor)
        .await
        .expect("it is allowed");
    assert!(
        rows.iter().any(|(topic, finding)| topic == expected.0 && finding.contains(expected.1)),
        "{rows:?}"
    );
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths are text")
}

fn options(host: &Path) -> PgConnectOptions {
    PgConnectOptions::new().host(text(host)).port(6432).database("recipes").username("app")
}

#[test]
fn sqlx() {
    let _alone = alone();
    // Not inside of the runtime: the cluster starts by a client that blocks.
    LazyLock::force(&CLUSTER);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    runtime.block_on(sqlx_by_its_recipe_and_without());
}

async fn sqlx_by_its_recipe_and_without() {
    let pool = pool(options(CLUSTER.1.host())).await.expect("PgBouncer lets app in");
    for _ in 0..4 {
        let mut ann = begin_as(&pool, "ann", Some("1")).await.expect("app is trusted");
        assert_eq!(count(&mut *ann).await, 3);
        ann.commit().await.expect("nothing failed");
        let mut bob = begin_as(&pool, "bob", None).await.expect("app is trusted");
        assert_eq!(count(&mut *bob).await, 1);
        // Dropped, which rolls it back.
        drop(bob);
        let mut claims =
            begin_with_claims(&pool, r#"{"sub": "ann", "tenant_id": 1}"#).await.expect("anybody may");
        assert_eq!(count(&mut *claims).await, 3);
    }
    let mut ann = begin_as(&pool, "ann", Some("1")).await.expect("app is trusted");
    let error =
        sqlx::query("INSERT INTO notes (org_id, body) VALUES (2, 'planted')").execute(&mut *ann).await;
    assert_eq!(code(&error.expect_err("it is another's")), "42501");
    drop(ann);

    pool.close().await;

    // One client, whose statements have new names each time: what follows is about transactions.
    let plain = options(CLUSTER.1.host()).extra_float_digits(None);
    let pool =
        PgPoolOptions::new().max_connections(1).connect_with(plain.clone()).await.expect("it lets app in");
    sqlx::raw_sql("DEALLOCATE ALL").execute(&pool).await.expect("anybody may");
    sqlx::query("SELECT tenancy.set_identity('ann', '1')").execute(&pool).await.expect("app is trusted");
    assert_eq!(count(&pool).await, 0);
    explained(&pool, NONE_OPEN).await;
    let mut connection = pool.acquire().await.expect("there is one");
    sqlx::query("SELECT tenancy.set_identity('ann', '1')").execute(&mut *connection).await.expect("trusted");
    assert_eq!(count(&mut *connection).await, 0, "one connection is not one transaction");
    drop(connection);
    let mut transaction = pool.begin().await.expect("there is one");
    assert_eq!(count(&mut *transaction).await, 0);
    explained(&mut *transaction, NONE_IN_IT).await;
    transaction.rollback().await.expect("nothing failed");

    // What query!() asks at compile time: as the application, and as a migrator with row_security = off.
    let described = pool.describe(COUNT).await;
    assert_eq!(described.expect("it is allowed").columns().len(), 1);
    let owner =
        PgPool::connect_with(plain.clone().host(text(CLUSTER.0.host())).port(5432).username("migrator"))
            .await;
    let described = owner.expect("there is one").describe(COUNT).await;
    assert_eq!(described.map_or_else(|error| code(&error), |_| String::new()), "42501");

    // With the cache of statements as it is by default.
    sqlx::raw_sql("DEALLOCATE ALL").execute(&pool).await.expect("anybody may");
    pool.close().await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let preparing = PgPool::connect_with(plain.clone()).await.expect("PgBouncer lets app in");
        let answer = sqlx::query(COUNT).fetch_one(&preparing).await;
        codes.push(answer.map_or_else(|error| code(&error), |_| String::new()));
    }
    assert_eq!(codes, ["", "42P05"]);
}

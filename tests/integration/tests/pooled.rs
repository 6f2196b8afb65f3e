//! Threat 5: two clients over one server connection, PgBouncer in transaction mode. Nothing of the first is
//! seen by the second.

use pg_tenancy_integration::{Cluster, PgBouncer, Session, bearer, tenant, user};
use std::sync::{LazyLock, Mutex};

static CLUSTER: LazyLock<(Cluster, PgBouncer)> = LazyLock::new(|| {
    let cluster = Cluster::start("pooled", "max_prepared_transactions = 2");
    let bouncer = PgBouncer::start(&cluster);
    (cluster, bouncer)
});

/// Every way to leave something behind in a session: what the first client sends, as separate messages. `{}` is
/// the setting's name and value as SET takes them, `[]` as set_config does.
const ATTACKS: &[(&str, &[&str])] = &[
    ("SET LOCAL", &["BEGIN", "SET LOCAL {}", "COMMIT"]),
    ("plain SET in autocommit", &["SET {}"]),
    ("SET SESSION in autocommit", &["SET SESSION {}"]),
    ("SET beside a query in one message", &["SET {}; SELECT 1"]),
    ("SET in a committed transaction", &["BEGIN", "SET {}", "COMMIT"]),
    ("SET in a committed read-only transaction", &["BEGIN READ ONLY", "SET {}", "SELECT 1", "COMMIT"]),
    ("set_config(..., false) in autocommit", &["SELECT set_config([], false)"]),
    ("set_config(..., false) in a transaction", &["BEGIN", "SELECT set_config([], false)", "COMMIT"]),
    ("SET hidden below SET LOCAL", &["BEGIN", "SET {}", "SET LOCAL @ = ''", "COMMIT"]),
    (
        "SET hidden below SET LOCAL in a savepoint",
        &["BEGIN", "SET {}", "SAVEPOINT s", "SET LOCAL @ = ''", "COMMIT"],
    ),
    ("SET above SET LOCAL", &["BEGIN", "SET LOCAL @ = ''", "SET {}", "COMMIT"]),
    ("SET in a released savepoint", &["BEGIN", "SAVEPOINT s", "SET {}", "RELEASE s", "COMMIT"]),
    (
        "SET before a savepoint rolled back to",
        &["BEGIN", "SET {}", "SAVEPOINT s", "SELECT 1", "ROLLBACK TO s", "COMMIT"],
    ),
    ("SET in a rolled back transaction", &["BEGIN", "SET {}", "ROLLBACK"]),
    ("SET and COMMIT AND CHAIN", &["BEGIN", "SET {}", "COMMIT AND CHAIN", "COMMIT"]),
    ("SET in a DO block", &["DO $$ BEGIN SET {}; END $$"]),
    ("SET before a COMMIT inside a DO block", &["DO $$ BEGIN PERFORM set_config([], false); COMMIT; END $$"]),
    ("SET after a COMMIT inside a DO block", &["DO $$ BEGIN COMMIT; PERFORM set_config([], false); END $$"]),
    ("UPDATE of pg_settings", &["UPDATE pg_settings SET setting = & WHERE name = '@'"]),
    ("SET in a prepared transaction", &["BEGIN", "SET {}", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'"]),
    (
        "SET, then a failed commit",
        &["BEGIN", "SET {}", "INSERT INTO deferred VALUES (1), (1)", "COMMIT", "DELETE FROM deferred"],
    ),
];

const VICTIM: u32 = 1;

fn prepare(name: &str) -> Session {
    let mut admin = CLUSTER.0.database(name);
    admin.add_docs_application();
    let other = admin.add_tenant(2);
    admin.add_member(other, user(VICTIM), "'viewer'");
    admin.run(
        "CREATE TABLE deferred (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
         GRANT ALL ON deferred TO authenticator;
         GRANT USAGE ON SCHEMA tenancy TO authenticator;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenancy TO authenticator",
    );
    admin
}

/// PgBouncer waits for its one server connection, so that the clients take turns.
fn clients(database: &str) -> (Session, Session) {
    let (mut first, mut second) = (CLUSTER.1.connect(database), CLUSTER.1.connect(database));
    assert_eq!(first.pid(), second.pid(), "both clients are on one server connection");
    (first, second)
}

fn send(client: &mut Session, messages: &[&str], setting: &str, value: &str) {
    for message in messages {
        let message = message
            .replace("{}", &format!("{setting} = '{value}'"))
            .replace("[]", &format!("'{setting}', '{value}'"))
            .replace('&', &format!("'{value}'"))
            .replace('@', setting);
        // A COMMIT may fail on purpose, and an UPDATE of pg_settings for a placeholder finds no row.
        let _ = client.try_rows(&message);
    }
}

fn identity(client: &mut Session) -> Vec<Option<String>> {
    client
        .rows(
            "SELECT tenancy.current_user_id(), tenancy.current_tenant_id(), nullif(tenancy.tenant_ids(), '{}'),
                    tenancy.claims(), nullif(current_setting('request.jwt.claims', true), ''),
                    nullif(current_setting('tenancy.tenant_id', true), '')",
        )
        .remove(0)
}

const NOBODY: [Option<String>; 6] = [const { None }; 6];

/// The attacks after which the second client is somebody.
fn claims_that_leak(database: &str) -> Vec<&'static str> {
    let (mut first, mut second) = clients(database);
    let claims = bearer(user(VICTIM)).to_string();
    let leaks = |attack: &(&'static str, &[&str])| {
        send(&mut first, attack.1, "request.jwt.claims", &claims);
        let seen = identity(&mut second);
        let leaked = seen != NOBODY || second.request_holds(user(9), "cardinality(tenancy.tenant_ids()) > 0");
        // Clean up, for the next attack is not to be blamed for this one.
        first.run("SET request.jwt.claims = ''");
        leaked.then_some(attack.0)
    };
    ATTACKS.iter().filter_map(leaks).collect()
}

/// The attacks after which the second client works in the tenant that the first one chose.
fn tenants_that_leak(database: &str) -> Vec<&'static str> {
    let (mut first, mut second) = clients(database);
    let leaks = |attack: &(&'static str, &[&str])| {
        send(&mut first, attack.1, "tenancy.tenant_id", &tenant(2).to_string());
        let leaked = second.request(user(VICTIM), "SELECT tenancy.current_tenant_id()").is_some();
        first.run("SET tenancy.tenant_id = ''");
        leaked.then_some(attack.0)
    };
    ATTACKS.iter().filter_map(leaks).collect()
}

/// The pool has one connection a database, and clients of several tests would wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn the_next_client_has_no_identity_whatever_the_first_left() {
    let _alone = alone();
    prepare("claims");
    assert_eq!(claims_that_leak("claims"), [""; 0]);
}

#[test]
fn the_next_client_works_in_no_tenant_that_the_first_chose() {
    let _alone = alone();
    prepare("tenants");
    assert_eq!(tenants_that_leak("tenants"), [""; 0]);
}

#[test]
fn nothing_leaks_either_where_the_claims_setting_is_not_ours() {
    let _alone = alone();
    prepare("compared").run("ALTER DATABASE compared SET tenancy.own_claims_setting = off");
    let (mut first, _) = clients("compared");
    let finding =
        "EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'claims' AND finding LIKE '%is compared%')";
    assert!(first.holds(finding), "the library compares here");
    assert_eq!(claims_that_leak("compared"), [""; 0]);
    assert_eq!(tenants_that_leak("compared"), [""; 0]);
}

#[test]
fn with_claims_scope_session_they_do_leak_so_these_tests_bite() {
    let _alone = alone();
    prepare("leaking").run("ALTER DATABASE leaking SET tenancy.claims_scope = 'session'");
    // Postgres's own rules end what was local or rolled back, and nothing else.
    let harmless = |name: &&str| {
        name.starts_with("SET LOCAL")
            || name.contains("rolled back trans")
            || name.contains("failed")
            || name.contains("chain")
    };
    let expected: Vec<&str> = ATTACKS.iter().map(|attack| attack.0).filter(|name| !harmless(name)).collect();
    assert_eq!(claims_that_leak("leaking"), expected);
    assert_eq!(tenants_that_leak("leaking"), expected);
}

#[test]
fn a_statement_prepared_by_one_client_answers_for_the_client_that_executes_it() {
    let _alone = alone();
    prepare("prepared");
    let (mut first, mut second) = clients("prepared");
    first.run("PREPARE mine AS SELECT tenancy.has_permission('docs.update'), tenancy.current_user_id()");
    let ask = |client: &mut Session, who| {
        client.begin_request(&bearer(user(who)), "READ COMMITTED");
        let row = client.rows("EXECUTE mine").remove(0);
        client.run("COMMIT");
        row
    };
    for _ in 0..7 {
        assert_eq!(ask(&mut first, 2), [Some("t".to_owned()), Some(user(2).to_string())]);
        assert_eq!(ask(&mut second, 1), [Some("f".to_owned()), Some(user(1).to_string())]);
        assert_eq!(second.rows("EXECUTE mine"), [[Some("f".to_owned()), None]]);
    }
}

#[test]
fn within_its_transaction_a_plain_set_counts() {
    let _alone = alone();
    prepare("within");
    let (mut first, mut second) = clients("within");
    first.run(&format!(
        "BEGIN; SET request.jwt.claims = '{}'; SET tenancy.tenant_id = '{}'",
        bearer(user(1)),
        tenant(2)
    ));
    for _ in 0..3 {
        assert_eq!(first.text("SELECT tenancy.current_user_id()"), user(1).to_string());
        assert_eq!(first.text("SELECT tenancy.current_tenant_id()"), tenant(2).to_string());
    }
    first.run("COMMIT");
    assert_eq!(identity(&mut second), NOBODY);
    assert_eq!(identity(&mut first), NOBODY, "nor does the first keep it");
}

/// Every way to call `set_identity` or `enter_tenant` and end the transaction; `{}` is the call.
const CALLS: &[(&str, &[&str])] = &[
    ("in a transaction", &["BEGIN", "SELECT {}", "COMMIT"]),
    ("in autocommit", &["SELECT {}"]),
    ("beside a query in one message", &["SELECT {}; SELECT 1"]),
    ("in a read-only transaction", &["BEGIN READ ONLY", "SELECT {}", "COMMIT"]),
    ("twice", &["BEGIN", "SELECT {}", "SELECT {}", "COMMIT"]),
    ("in a released savepoint", &["BEGIN", "SAVEPOINT s", "SELECT {}", "RELEASE s", "COMMIT"]),
    (
        "before a savepoint rolled back to",
        &["BEGIN", "SELECT {}", "SAVEPOINT s", "SELECT 1", "ROLLBACK TO s", "COMMIT"],
    ),
    ("in a rolled back transaction", &["BEGIN", "SELECT {}", "ROLLBACK"]),
    ("and COMMIT AND CHAIN", &["BEGIN", "SELECT {}", "COMMIT AND CHAIN", "COMMIT"]),
    ("in a DO block", &["DO $$ BEGIN PERFORM {}; END $$"]),
    ("before a COMMIT inside a DO block", &["DO $$ BEGIN PERFORM {}; COMMIT; END $$"]),
    ("after a COMMIT inside a DO block", &["DO $$ BEGIN COMMIT; PERFORM {}; END $$"]),
    (
        "in a prepared transaction",
        &[
            "BEGIN",
            "SELECT {}",
            "SELECT pg_current_xact_id()",
            "PREPARE TRANSACTION 'x'",
            "COMMIT PREPARED 'x'",
        ],
    ),
    ("then a failed commit", &["BEGIN", "SELECT {}", "INSERT INTO deferred VALUES (1), (1)", "COMMIT"]),
    ("then an error", &["BEGIN", "SELECT {}", "SELECT 1 / 0", "COMMIT"]),
    (
        "with a cursor held",
        &["BEGIN", "SELECT {}", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "COMMIT", "CLOSE c"],
    ),
    ("by a prepared statement", &["PREPARE p AS SELECT {}", "BEGIN", "EXECUTE p", "COMMIT", "DEALLOCATE p"]),
];

#[test]
fn an_identity_that_one_client_stated_is_nobodys_for_the_next() {
    let _alone = alone();
    let mut admin = prepare("stated");
    admin.run(
        "SELECT tenancy.trust_caller('authenticator'), tenancy.allow_database_role('authenticator', '{viewer}')",
    );
    let (mut first, mut second) = clients("stated");
    let stated = format!("tenancy.set_identity('{}', '{}')", user(VICTIM), tenant(2));
    for call in [stated, format!("tenancy.enter_tenant('{}')", tenant(2))] {
        first.run("BEGIN");
        first.run(&format!("SELECT {call}"));
        assert_eq!(first.text("SELECT tenancy.current_tenant_id()"), tenant(2).to_string(), "{call} works");
        first.run("COMMIT");
        for (name, messages) in CALLS {
            for message in *messages {
                let _ = first.try_rows(&message.replace("{}", &call));
            }
            for client in [&mut second, &mut first] {
                assert_eq!(identity(client), NOBODY, "{call} {name}");
                assert_eq!(client.value("SELECT tenancy.current_actor()"), None, "{call} {name}");
            }
        }
    }
    // The second client's own identity is not the first's, and a claim beside a stated identity is not read.
    first.run(&format!("BEGIN; SELECT tenancy.set_identity('{}')", user(VICTIM)));
    first.run("COMMIT");
    assert_eq!(second.request(user(2), "SELECT tenancy.current_user_id()"), Some(user(2).to_string()));
}

#[test]
fn a_statement_prepared_under_one_stated_identity_answers_for_the_next() {
    let _alone = alone();
    prepare("restated").run("SELECT tenancy.trust_caller('authenticator')");
    let (mut first, mut second) = clients("restated");
    first.run("PREPARE mine AS SELECT tenancy.has_permission('docs.update'), tenancy.current_user_id()");
    let ask = |client: &mut Session, who| {
        client.run("BEGIN");
        client.run(&format!("SELECT tenancy.set_identity('{}')", user(who)));
        let row = client.rows("EXECUTE mine").remove(0);
        client.run("COMMIT");
        row
    };
    for _ in 0..7 {
        assert_eq!(ask(&mut first, 2)[1], Some(user(2).to_string()));
        assert_eq!(ask(&mut second, 1)[1], Some(user(1).to_string()));
        assert_eq!(second.rows("EXECUTE mine"), [[Some("f".to_owned()), None]]);
    }
}

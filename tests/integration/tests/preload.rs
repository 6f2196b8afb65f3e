//! Threat 13: when and how the library is loaded, and the mode in which it does not own request.jwt.claims.

use pg_tenancy_integration::{Cluster, Session, bearer, explain, tenant, user};
use std::sync::LazyLock;

const UNLOADED: &str = "max_worker_processes = 16";

static NOT_PRELOADED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_bare("not", UNLOADED));
static BY_SESSION: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start_bare("session", &format!("{UNLOADED}\nsession_preload_libraries = 'pg_tenancy'"))
});
static SHARED: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start_bare("shared", &format!("{UNLOADED}\nshared_preload_libraries = 'pg_tenancy'"))
});

/// Big enough for workers, and a function that hides the library from the leader's plan.
fn prepare(cluster: &Cluster, database: &str) -> Session {
    let mut admin = cluster.database(database);
    admin.run(
        "CREATE EXTENSION pg_tenancy; SELECT tenancy.enable_role('anon'), tenancy.enable_role('authenticated')",
    );
    admin.add_docs_application();
    let (mine, other) = (tenant(1), admin.add_tenant(2));
    admin.run(&format!(
        "CREATE TABLE docs AS SELECT n, CASE WHEN n % 4 = 0 THEN '{mine}'::uuid ELSE '{other}'::uuid END AS tenant_id
           FROM generate_series(1, 20000) n;
         ANALYZE docs;
         GRANT SELECT ON docs TO authenticated;
         CREATE FUNCTION may_read(tenant uuid) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE
             AS 'BEGIN RETURN tenancy.has_permission(tenant, ''docs.read''); END'"
    ));
    admin
}

/// A request of the first user, for whom everything runs in workers.
fn in_parallel(cluster: &Cluster, database: &str) -> Session {
    let mut session = cluster.connect_as(database, "authenticator");
    session.begin_request(&bearer(user(1)), "READ COMMITTED");
    session.run(
        "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
         SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_leader_participation = off",
    );
    session
}

const DIRECT: &str = "SELECT count(*) FROM docs WHERE tenancy.has_permission(tenant_id, 'docs.read')";
const HIDDEN: &str = "SELECT count(*) FROM docs WHERE may_read(tenant_id)";

fn assert_in_workers(session: &mut Session, query: &str) {
    let plan = session.rows(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {query}"));
    let launched = plan
        .iter()
        .flatten()
        .flatten()
        .any(|line| line.contains("Workers Launched: ") && !line.ends_with(": 0"));
    assert!(launched, "{plan:?}");
}

#[test]
fn the_first_load_inside_a_parallel_plan_is_refused_with_the_way_out() {
    prepare(&NOT_PRELOADED, "hidden");
    let mut session = in_parallel(&NOT_PRELOADED, "hidden");
    let error = session.try_rows(HIDDEN).expect_err("a worker loads the library");
    assert_eq!(error.code().map(|code| code.code()), Some("55000"), "{}", explain(&error));
    let hint = error.as_db_error().and_then(|db| db.hint()).unwrap_or_default();
    assert!(hint.contains("session_preload_libraries"), "{hint}");
    session.run("ROLLBACK");
    // The session is none the worse, and once it has loaded the library itself all is well.
    let mut session = in_parallel(&NOT_PRELOADED, "hidden");
    assert!(session.holds("tenancy.has_permission('docs.read')"));
    assert_eq!(session.number(HIDDEN), 5000);
    assert_in_workers(&mut session, HIDDEN);
}

#[test]
fn a_plan_that_names_the_function_loads_the_library_before_its_workers_start() {
    prepare(&NOT_PRELOADED, "direct");
    let mut session = in_parallel(&NOT_PRELOADED, "direct");
    assert_eq!(session.number(DIRECT), 5000);
    assert_in_workers(&mut session, DIRECT);
    assert!(
        session.holds("EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'library' AND hint IS NOT NULL)")
    );
}

#[test]
fn preloaded_either_way_workers_answer_as_the_leader_does() {
    for (cluster, database) in [(&*BY_SESSION, "workers"), (&*SHARED, "workers")] {
        let mut admin = prepare(cluster, database);
        let mut session = in_parallel(cluster, database);
        for query in [HIDDEN, DIRECT] {
            assert_eq!(session.number(query), 5000);
            assert_in_workers(&mut session, query);
        }
        assert!(
            session.holds("EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'library' AND hint IS NULL)")
        );
        // Neither staler nor wider: others' revokes, and claims set since.
        admin.run("SELECT tenancy.revoke_permission('viewer', 'docs.read')");
        assert_eq!(session.number(HIDDEN), 0);
        admin.run("SELECT tenancy.grant_permission('viewer', 'docs.read')");
        assert_eq!(session.number(HIDDEN), 5000);
        session.run("SET LOCAL request.jwt.claims = ''");
        assert_eq!(session.number(HIDDEN), 0);
        session.run(&format!("SET LOCAL request.jwt.claims = '{}'", bearer(user(2))));
        assert_eq!(session.number(HIDDEN), 5000);
        session.run("ROLLBACK");
        assert_eq!(session.value("SELECT nullif(current_setting('request.jwt.claims', true), '')"), None);
    }
}

#[test]
fn an_unset_claims_setting_reads_empty_once_the_library_owns_it() {
    prepare(&NOT_PRELOADED, "unset");
    let unset = "SELECT current_setting('request.jwt.claims', true)";
    let mut session = NOT_PRELOADED.connect("unset");
    assert_eq!(session.value(unset), None);
    session.run("SELECT tenancy.current_user_id()");
    assert_eq!(session.value(unset).as_deref(), Some(""), "and no longer NULL");
    let mut compared = NOT_PRELOADED
        .try_connect("unset", "postgres", "-c tenancy.own_claims_setting=off")
        .expect("connects");
    compared.run("SELECT tenancy.current_user_id()");
    assert_eq!(compared.value(unset), None, "which it stays where the setting is not ours");
}

/// Settings that decide whom to trust, and what nobody but a superuser may make of them.
const TRUST: [(&str, &str); 9] = [
    ("tenancy.authority", "claims"),
    ("tenancy.claims_scope", "session"),
    ("tenancy.own_claims_setting", "off"),
    ("tenancy.tenant_header", "x-tenant"),
    ("tenancy.tenant_claim", "mine"),
    ("tenancy.permission_claim", "mine"),
    ("tenancy.self_service", "on"),
    ("tenancy.max_owned_tenants", "9999"),
    ("tenancy.cache_size", "64"),
];

#[test]
fn settings_of_trust_made_up_before_the_library_loads_do_not_take() {
    prepare(&NOT_PRELOADED, "trust");
    let mut honest = NOT_PRELOADED.connect("trust");
    honest.run("SELECT tenancy.current_user_id()");
    let values = |session: &mut Session| TRUST.map(|(name, _)| session.text(&format!("SHOW {name}")));
    let defaults = values(&mut honest);
    // By SET, in the session.
    let mut session = NOT_PRELOADED.connect_as("trust", "authenticator");
    for (name, value) in TRUST {
        session.run(&format!("SET {name} = '{value}'"));
    }
    session.run(&format!(
        "BEGIN; SET LOCAL ROLE authenticated; SET LOCAL request.jwt.claims = '{}'",
        claimant()
    ));
    assert!(!session.holds("tenancy.has_permission('docs.update')"));
    assert_eq!(values(&mut session), defaults);
    // By SET LOCAL, in the transaction that loads it.
    let mut session = NOT_PRELOADED.connect_as("trust", "authenticator");
    session.run(&format!(
        "BEGIN; SET LOCAL ROLE authenticated; SET LOCAL request.jwt.claims = '{}'",
        claimant()
    ));
    for (name, value) in TRUST {
        session.run(&format!("SET LOCAL {name} = '{value}'"));
    }
    assert!(!session.holds("tenancy.has_permission('docs.update')"));
    assert_eq!(values(&mut session), defaults);
    session.run("ROLLBACK");
    assert_eq!(values(&mut session), defaults);
}

/// A token that claims more than the tables give.
fn claimant() -> serde_json::Value {
    let mut claims = bearer(user(1));
    claims["app_metadata"] =
        serde_json::json!({ "tenant_id": tenant(1).to_string(), "perms": ["docs.update"] });
    claims
}

#[test]
fn settings_of_trust_in_connection_options_do_not_take() {
    let options: Vec<String> = TRUST.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
    for (cluster, database) in
        [(&*NOT_PRELOADED, "options"), (&*BY_SESSION, "options"), (&*SHARED, "options")]
    {
        let mut honest = prepare(cluster, database);
        let values = |session: &mut Session| TRUST.map(|(name, _)| session.text(&format!("SHOW {name}")));
        let defaults = values(&mut honest);
        match cluster.try_connect(database, "authenticator", &options.join(" ")) {
            // Where the library is there already, Postgres refuses the connection.
            Err(error) => {
                assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{}", explain(&error))
            }
            Ok(mut session) => {
                session.begin_request(&claimant(), "READ COMMITTED");
                assert!(!session.holds("tenancy.has_permission('docs.update')"));
                assert_eq!(values(&mut session), defaults);
            }
        }
    }
}

#[test]
fn a_role_cannot_give_itself_settings_of_trust() {
    for (cluster, database) in [(&*NOT_PRELOADED, "itself"), (&*SHARED, "itself")] {
        let mut honest = prepare(cluster, database);
        let default = honest.text("SHOW tenancy.authority");
        for whose in ["ROLE authenticator", "ROLE authenticator IN DATABASE itself"] {
            let mut session = cluster.connect_as(database, "authenticator");
            // Refused, or accepted by a server that does not know the setting yet, and then without effect.
            let _ = session.try_rows(&format!("ALTER {whose} SET tenancy.authority = 'claims'"));
            let mut session = cluster.connect_as(database, "authenticator");
            session.begin_request(&claimant(), "READ COMMITTED");
            assert!(!session.holds("tenancy.has_permission('docs.update')"), "{whose}");
            assert_eq!(session.text("SHOW tenancy.authority"), default, "{whose}");
        }
    }
}

#[test]
fn claims_set_before_the_library_loads_end_as_all_others_do() {
    prepare(&NOT_PRELOADED, "early");
    for set in ["SET LOCAL", "SET"] {
        let mut session = NOT_PRELOADED.connect_as("early", "authenticator");
        session.run(&format!(
            "BEGIN; {set} request.jwt.claims = '{}'; {set} tenancy.tenant_id = '{}'",
            bearer(user(1)),
            tenant(1)
        ));
        session.run("SET LOCAL ROLE authenticated");
        assert!(session.holds("tenancy.has_permission('docs.read')"), "{set}");
        session.run("SAVEPOINT s; SET LOCAL request.jwt.claims = ''");
        assert!(!session.holds("tenancy.has_permission('docs.read')"), "{set}");
        session.run("ROLLBACK TO s");
        assert!(session.holds("tenancy.has_permission('docs.read')"), "{set}");
        session.run("COMMIT");
        session.run("SET ROLE authenticated");
        assert_eq!(session.value("SELECT tenancy.current_user_id()"), None, "{set}");
        assert_eq!(session.text("SHOW tenancy.tenant_id"), "", "{set}");
    }
}

/// Messages of one connection whose answers must not depend on who owns the claims setting. `:1` and so on are
/// claims of users.
const CONVERSATION: &[&str] = &[
    ":ask",
    "SET request.jwt.claims = ':1'; :ask",
    ":ask",
    "BEGIN",
    "SET LOCAL request.jwt.claims = ':1'",
    ":ask",
    "SET LOCAL request.jwt.claims = ':2'",
    ":ask",
    ":ask",
    "SAVEPOINT s",
    "SET LOCAL request.jwt.claims = 'nonsense'",
    ":ask",
    "ROLLBACK TO s",
    ":ask",
    "SELECT set_config('request.jwt.claims', ':1', false)",
    ":ask",
    "RELEASE s",
    ":ask",
    "COMMIT",
    ":ask",
    // Twice within one statement, and within one function.
    "BEGIN; SET LOCAL request.jwt.claims = ':1'",
    "SELECT tenancy.current_user_id(), set_config('request.jwt.claims', ':2', true) IS NOT NULL, tenancy.current_user_id()",
    "SELECT twice(':1', ':2')",
    "SELECT twice(':2', '')",
    ":ask",
    // A prepared statement, often enough for a generic plan.
    "PREPARE ask AS :ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "EXECUTE ask",
    "SET LOCAL request.jwt.claims = ':1'",
    "EXECUTE ask",
    "SET LOCAL request.jwt.claims = ''",
    "EXECUTE ask",
    "RESET request.jwt.claims",
    "EXECUTE ask",
    "ROLLBACK",
    "EXECUTE ask",
    "SET request.jwt.claims = ':1'",
    "EXECUTE ask",
    "BEGIN; SET request.jwt.claims = ':2'",
    "EXECUTE ask",
    "ROLLBACK",
    "EXECUTE ask",
    // A setting of a function's own.
    "SELECT as_first(), tenancy.current_user_id()",
    "BEGIN; SET LOCAL request.jwt.claims = ':2'; SELECT as_first(), tenancy.current_user_id(); COMMIT",
    "BEGIN; SET LOCAL request.jwt.claims = ':expired'; :ask",
    "SET LOCAL request.jwt.claims = ':1'; SELECT count(*) FROM docs WHERE tenancy.has_permission(tenant_id, 'docs.read'); COMMIT",
    "DISCARD ALL",
    ":ask",
];

const ASK: &str = "SELECT tenancy.current_user_id(), tenancy.current_tenant_id(), tenancy.has_permission('docs.read'),
                   tenancy.has_permission('docs.update'), tenancy.tenant_ids_with('docs.read'), tenancy.claims(),
                   nullif(current_setting('request.jwt.claims', true), '')";

/// What a connection answers to all of it.
fn converse(cluster: &Cluster, database: &str) -> Vec<String> {
    let mut session = cluster.connect(database);
    let answer = |message: &&str| {
        let sql = message
            .replace(":ask", ASK)
            .replace(":1", &bearer(user(1)).to_string())
            .replace(":2", &bearer(user(2)).to_string())
            .replace(":expired", &format!(r#"{{"sub": "{}", "exp": 1}}"#, user(1)));
        match session.try_rows(&sql) {
            Ok(rows) => format!("{message}: {rows:?}"),
            Err(error) => format!("{message}: {:?}", error.code()),
        }
    };
    CONVERSATION.iter().map(answer).collect()
}

#[test]
fn comparing_the_claims_gives_the_answers_that_owning_them_gives() {
    for (cluster, database) in [(&*NOT_PRELOADED, "modes"), (&*BY_SESSION, "modes")] {
        let mut admin = prepare(cluster, database);
        admin.run(&format!(
            "CREATE FUNCTION twice(first text, second text) RETURNS text LANGUAGE plpgsql AS $$
             DECLARE answer text := '';
             BEGIN
                 FOR i IN 1..2 LOOP
                     PERFORM set_config('request.jwt.claims', first, true);
                     answer := answer || coalesce(tenancy.current_user_id()::text, '-') || tenancy.has_permission('docs.update');
                     PERFORM set_config('request.jwt.claims', second, true);
                     answer := answer || coalesce(tenancy.current_user_id()::text, '-') || tenancy.has_permission('docs.update');
                 END LOOP;
                 RETURN answer;
             END $$;
             CREATE FUNCTION as_first() RETURNS uuid LANGUAGE sql SET request.jwt.claims = '{}'
                 AS 'SELECT tenancy.current_user_id()'",
            bearer(user(1))
        ));
        let owned = converse(cluster, database);
        admin.run("ALTER DATABASE modes SET tenancy.own_claims_setting = off");
        let compared = converse(cluster, database);
        let finding =
            "EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'claims' AND finding LIKE '%is compared%')";
        assert!(cluster.connect(database).holds(finding), "the second conversation was in the other mode");
        for (one, other) in owned.iter().zip(&compared) {
            assert_eq!(one, other);
        }
        assert!(owned.iter().any(|line| line.contains(&user(2).to_string())), "somebody was somebody");
    }
}

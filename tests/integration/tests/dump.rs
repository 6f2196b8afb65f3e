//! Threats 15 and 23: pg_dump and its restores into fresh databases. Every row of the tables is there and no
//! built-in row twice, protection is in force, privileges are those of before, and guards and event triggers
//! let the restore through.

use pg_tenancy_integration::{Cluster, Row, Session, bearer, by_functions, by_tables, tenant, user};
use std::path::PathBuf;
use std::sync::LazyLock;

const SCHEMA_OF_THE_APPLICATION: &str = "CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid, title text);
     CREATE TABLE events (at date, tenant_id uuid, who uuid, note text) PARTITION BY RANGE (at);
     CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
     CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2025-01-01') TO (MAXVALUE);
     CREATE TABLE plain (n int);
     CREATE TABLE marks (id int PRIMARY KEY, doc_id int REFERENCES docs);
     CREATE TABLE \"Price list\" (id int, tenant_id text);
     GRANT SELECT, INSERT, UPDATE, DELETE ON docs, events, plain, marks, \"Price list\" TO authenticated";

const PROTECTION: [&str; 4] = [
    "SELECT tenancy.protect_table('docs')",
    "SELECT tenancy.protect_table('events', mode => 'membership', owner_column => 'who')",
    "SELECT tenancy.protect_table('marks', add_column => true, backfill_from => 'docs(doc_id)')",
    "SELECT tenancy.protect_table('\"Price list\"', resource => 'prices', shared => 'read')",
];

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start("dump", "");
    populate(&mut cluster.database("origin"));
    cluster
});

/// Something in every table, and everything that a column may hold.
fn populate(admin: &mut Session) {
    admin.add_docs_application();
    let (one, two) = (tenant(1), admin.add_tenant(2));
    admin.run(SCHEMA_OF_THE_APPLICATION);
    admin.run(&PROTECTION.join("; "));
    admin.run(&format!(
        "SELECT tenancy.create_permission('audit.see', 'See ''all''', 'platform');
         SELECT tenancy.create_role('chief', '{{all,audit.see}}', description => E'tab\\t and \"quotes\"');
         SELECT tenancy.create_role('clerk', '{{docs.read,members.*}}', tenant => '{two}');
         SELECT tenancy.add_inheritance('chief', 'editor'), tenancy.add_inheritance('editor', 'viewer');
         SELECT tenancy.add_inheritance('clerk', 'viewer', tenant => '{two}');
         UPDATE tenancy.tenants SET key = '2-two', metadata = '{{\"plan\": \"pro\"}}', status = 'read_only' WHERE id = '{two}';
         SELECT tenancy.add_member('{two}', '{u3}', '{{clerk}}'), tenancy.add_member('{two}', '{u1}'),
                tenancy.add_member('{two}', '{u4}', '{{owner}}'), tenancy.set_member_status('{two}', '{u4}', 'suspended');
         SELECT tenancy.create_group('{one}', 'staff'), tenancy.grant_role_to_group('{one}', 'staff', 'chief'),
                tenancy.add_group_member('{one}', 'staff', '{u1}');
         SELECT tenancy.create_group('{two}', 'staff'), tenancy.grant_role_to_group('{two}', 'staff', 'clerk'),
                tenancy.add_group_member('{two}', 'staff', '{u1}');
         SELECT tenancy.grant_role('{one}', '{u2}', 'chief', now() + interval '1 day');
         UPDATE tenancy.member_roles SET granted_by = '{u1}' WHERE user_id = '{u2}';
         CREATE ROLE nightly NOLOGIN;
         SELECT tenancy.enable_role('nightly'), tenancy.trust_caller('nightly');
         SELECT tenancy.allow_database_role('nightly', '{{chief,viewer}}'), tenancy.map_subject(E'auth0|\t1');
         INSERT INTO tenancy.operators (user_id, access, reason) VALUES ('{u9}', 'write', 'on call');
         SELECT tenancy.set_auto_assignment('{one}', '{{one.example}}', '.*@x\\.one\\.example', '{{viewer}}');
         INSERT INTO tenancy.user_profiles (user_id, first_name, time_zone) VALUES ('{u1}', 'Ann', 'Europe/London');
         -- As on a server that knows other time zones.
         SET session_replication_role = replica;
         INSERT INTO tenancy.user_profiles (user_id, time_zone, created_at, updated_at)
         VALUES ('{u2}', 'Gone/Away', '2020-01-01', '2020-01-02');
         RESET session_replication_role;
         INSERT INTO docs SELECT n, CASE WHEN n % 2 = 0 THEN '{one}' ELSE '{two}' END::uuid, 'Doc ' || n
           FROM generate_series(1, 100) n;
         INSERT INTO events SELECT date '2024-12-01' + n, CASE WHEN n % 2 = 0 THEN '{one}' ELSE '{two}' END::uuid, '{u1}', 'n'
           FROM generate_series(1, 60) n;
         INSERT INTO plain SELECT generate_series(1, 10);
         INSERT INTO marks SELECT n, n FROM generate_series(1, 100) n;
         INSERT INTO \"Price list\" VALUES (1, '2-two'), (2, NULL);
         SELECT tenancy.declare_reference_table('plain');
         -- Usage, history and limits; in tables whose names come before and after those they refer to.
         SELECT tenancy.create_meter('api.calls', 'calls', 'counter', 'Calls ''all'''), tenancy.create_meter('docs.rows', 'rows', 'gauge', period => 'none');
         SELECT tenancy.create_plan('a plan', is_default => true), tenancy.create_plan('z'), tenancy.set_plan_quota('z', 'api.calls', 1, 2),
                tenancy.set_plan_quota('a plan', 'docs.rows', hard => 9), tenancy.set_tenant_plan('{one}', 'z', 'infinity'),
                tenancy.set_quota('{one}', 'docs.rows', 5, 6), tenancy.set_quota('{two}', 'api.calls', expires_at => '2999-01-01');
         UPDATE tenancy.quotas SET expires_at = '2020-01-01' WHERE tenant_id = '{two}';
         INSERT INTO tenancy.usage VALUES ('{one}', 'api.calls', 0, '2026-01-01 UTC', 1, 2, 3, 9223372036854775807), ('{two}', 'docs.rows', 7, '2026-01-01 UTC', 0, 0, -3, 4);
         INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES ('{one}', 'api.calls', '2025-12-31 UTC', 5), ('{two}', 'docs.rows', '2025-12-31 UTC', -5);
         INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) VALUES ('{one}', 'docs.rows', 'none', '-infinity', 5, 6);
         INSERT INTO tenancy.metered_tables VALUES ('docs', 'docs', 'docs.rows', 'rows');
         -- The host's own tenants and members, in a schema whose data comes last.
         CREATE SCHEMA zoo;
         CREATE TABLE zoo.orgs (id bigint PRIMARY KEY, name text);
         CREATE TABLE zoo.crew (org bigint REFERENCES zoo.orgs ON DELETE CASCADE, who uuid, role text, active boolean);
         SELECT tenancy.attach_tenants('zoo.orgs', name_column => 'name');
         SELECT tenancy.attach_members('zoo.crew', 'org', 'who', '{{viewer}}', 'role', 'active');
         INSERT INTO zoo.orgs VALUES (11, 'Lions'), (12, 'Bears'), (13, 'Bears');
         INSERT INTO zoo.crew VALUES (11, '{u7}', 'editor', true), (11, '{u7}', NULL, true), (12, '{u7}', 'chief', false), (12, '{u8}', NULL, true);
         SELECT tenancy.grant_role(id, '{u8}', 'chief') FROM tenancy.tenants WHERE key = '12';
         SELECT tenancy.revoke_role(id, '{u7}', 'viewer') FROM tenancy.tenants WHERE key = '11';
         CREATE TABLE probes AS SELECT 'tenant' AS kind, id, NULL AS name FROM tenancy.tenants
         UNION ALL SELECT 'permission', NULL, name FROM tenancy.permissions
         UNION ALL SELECT 'role', NULL, name FROM tenancy.roles",
        u1 = user(1),
        u2 = user(2),
        u3 = user(3),
        u4 = user(4),
        u7 = user(7),
        u8 = user(8),
        u9 = user(9),
    ));
}

/// A database with nothing in it, not even the extension.
fn empty_database(name: &str) {
    CLUSTER.connect("postgres").run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
}

fn dump(name: &str, options: &[&str]) -> PathBuf {
    let path = CLUSTER.host().join(format!("{name}.dump"));
    CLUSTER.succeed(CLUSTER.program("pg_dump").args(options).arg("-f").arg(&path).arg("origin"));
    path
}

fn restore(database: &str, options: &[&str], dump: &PathBuf) {
    CLUSTER.succeed(
        CLUSTER.program("pg_restore").args(["--exit-on-error", "-d", database]).args(options).arg(dump),
    );
}

fn run_script(database: &str, dump: &std::path::Path) {
    CLUSTER.psql(database, &["-f", dump.to_str().expect("the path is text")]);
}

/// Every row of every table, all of its columns. Built-in rows are made by CREATE EXTENSION, at its own time.
fn contents(session: &mut Session) -> Vec<(String, Vec<Row>)> {
    let tables = session.rows(
        "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
          ORDER BY oid::regclass::text",
    );
    let rows = |table: String| {
        let rows = session.rows(&format!(
            "SELECT to_jsonb(t) - CASE WHEN to_jsonb(t) ->> 'builtin' = 'true' OR tableoid = 'tenancy.role_permissions'::regclass
                                             AND to_jsonb(t) ->> 'role_id' = '00000000-0000-0000-0000-00000000a001'
                                       THEN '{{created_at,granted_at}}'::text[] ELSE '{{}}' END
               FROM {table} t ORDER BY 1"
        ));
        (table, rows)
    };
    tables.into_iter().flatten().flatten().map(rows).collect()
}

/// What protects tables and who may do what, as the catalogs have it.
fn defences(session: &mut Session) -> Vec<Row> {
    session.rows(
        "SELECT 'policy', format('%s %s %s %s %s %s %s %s', tablename, policyname, permissive, roles, cmd, qual, with_check, schemaname)
           FROM pg_policies
         UNION ALL
         SELECT 'row security', format('%s %s %s', oid::regclass, relrowsecurity, relforcerowsecurity) FROM pg_class
          WHERE relkind IN ('r', 'p') AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
         UNION ALL
         SELECT 'trigger', format('%s %s', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
         UNION ALL
         SELECT 'event trigger', format('%s %s', evtname, evtenabled) FROM pg_event_trigger
         UNION ALL
         SELECT 'constraint', format('%s %s %s', conrelid::regclass, pg_get_constraintdef(oid), convalidated) FROM pg_constraint WHERE conrelid <> 0
            AND connamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
         UNION ALL
         SELECT 'index', pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
          WHERE c.relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
         UNION ALL
         SELECT 'column', format('%s %s %s %s', attrelid::regclass, attname, attnotnull, pg_get_expr(adbin, adrelid))
           FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
          WHERE attnum > 0 AND relkind IN ('r', 'p') AND relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
         UNION ALL
         SELECT 'on table', format('%s %s %s', c.oid::regclass, pg_get_userbyid(a.grantee), a.privilege_type)
           FROM pg_class c, aclexplode(c.relacl) a WHERE relnamespace IN ('tenancy'::regnamespace, 'public'::regnamespace)
         UNION ALL
         SELECT 'on column', format('%s.%s %s %s', attrelid::regclass, attname, pg_get_userbyid(a.grantee), a.privilege_type)
           FROM pg_attribute, aclexplode(attacl) a
         UNION ALL
         SELECT 'on function', format('%s %s %s', p.oid::regprocedure, a.grantee::regrole, a.privilege_type)
           FROM pg_proc p, aclexplode(p.proacl) a WHERE pronamespace = 'tenancy'::regnamespace
         UNION ALL
         SELECT 'on schema', format('%s %s %s', n.nspname, a.grantee::regrole, a.privilege_type)
           FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname = 'tenancy'
         ORDER BY 1, 2",
    )
}

#[track_caller]
fn assert_same(what: &str, restored: Vec<Row>, origin: Vec<Row>) {
    let lacking: Vec<&Row> = origin.iter().filter(|row| !restored.contains(row)).collect();
    let new: Vec<&Row> = restored.iter().filter(|row| !origin.contains(row)).collect();
    assert!(restored == origin, "{what}: lost {lacking:?}, added {new:?}");
}

fn assert_restored(database: &str, triggers_as_before: bool) {
    let (mut origin, mut restored) = (CLUSTER.connect("origin"), CLUSTER.connect(database));
    for (before, after) in contents(&mut origin).into_iter().zip(contents(&mut restored)) {
        assert_eq!(before.0, after.0, "the tables");
        assert_same(&before.0, after.1, before.1);
    }
    let keep =
        |row: &Row| triggers_as_before || !row[1].as_deref().is_some_and(|text| text.contains("ON tenancy."));
    let [before, after] =
        [&mut origin, &mut restored].map(|session| defences(session).into_iter().filter(keep).collect());
    assert_same("defences", after, before);
    assert_answers(&mut restored);
    let limits =
        "SELECT string_agg(concat_ws(' ', meter, period, used, hard, source), ', ' ORDER BY tenant_id, meter)
                    FROM tenancy.quota_status WHERE meter = 'docs.rows' AND used > 0";
    assert_eq!(restored.text(limits), "docs.rows none 4 9 default plan");
    assert_protected(database);
    assert_attached(&mut restored);
}

/// The host's rows go on being tenants and members, with nothing to mend; undone again.
fn assert_attached(restored: &mut Session) {
    let members = "SELECT string_agg(key || ' ' || coalesce(right(user_id::text, 1), '-'), ', ' ORDER BY key, user_id)
                     FROM tenancy.tenants t LEFT JOIN tenancy.members m ON m.tenant_id = t.id WHERE key LIKE '1_'";
    for again in [
        "SELECT tenancy.attach_tenants('zoo.orgs', name_column => 'name')",
        "SELECT tenancy.attach_members('zoo.crew', 'org', 'who', '{viewer}', 'role', 'active')",
    ] {
        assert_eq!(restored.text(again), "f", "{again}");
    }
    restored.run(&format!(
        "BEGIN; INSERT INTO zoo.orgs VALUES (14); INSERT INTO zoo.crew VALUES (14, '{}')",
        user(7)
    ));
    restored.run("DELETE FROM zoo.orgs WHERE id = 12");
    assert_eq!(restored.text(members), "11 7, 13 -, 14 7");
    restored.run("ROLLBACK");
}

/// Every user's answers are those of the tables.
fn assert_answers(restored: &mut Session) {
    restored.prepare_helpers();
    for n in [1, 2, 3, 4, 9] {
        for at in [1, 2] {
            let (answered, when) = by_functions(restored, user(n), tenant(at));
            assert_eq!(answered, by_tables(restored, user(n), tenant(at), &when), "user {n}");
            assert_eq!(answered.is_empty(), n == 4, "only the suspended one has nothing");
        }
    }
}

/// Users meet their own rows, and nobody another tenant's.
fn assert_protected(database: &str) {
    let mut session = CLUSTER.connect_as(database, "authenticator");
    let mut chosen = |n: u32, at: u32, sql: &str| {
        let mut claims = bearer(user(n));
        claims["app_metadata"] = serde_json::json!({ "tenant_id": tenant(at).to_string() });
        session.begin_request(&claims, "READ COMMITTED");
        let answer = match session.try_rows(sql) {
            Ok(rows) => rows.first().and_then(|row| row[0].clone()).unwrap_or_default(),
            Err(error) => error.code().map_or_else(String::new, |code| code.code().to_owned()),
        };
        session.run("ROLLBACK");
        answer
    };
    assert_eq!(chosen(1, 1, "SELECT count(*) || ' ' || count(DISTINCT tenant_id) FROM docs"), "50 1");
    assert_eq!(chosen(3, 2, "SELECT count(*) || ' ' || count(DISTINCT tenant_id) FROM docs"), "50 1");
    assert_eq!(chosen(3, 1, "SELECT count(*) FROM docs"), "0", "no member there");
    assert_eq!(chosen(2, 1, "SELECT count(*) FROM docs"), "50");
    assert_eq!(chosen(4, 2, "SELECT count(*) FROM docs"), "0", "suspended");
    let insert = |at| format!("INSERT INTO docs VALUES (1000, '{}', 'x') RETURNING id", tenant(at));
    assert_eq!(chosen(2, 1, &insert(1)), "1000");
    assert_eq!(chosen(2, 1, &insert(2)), "42501");
    assert_eq!(chosen(3, 2, &insert(2)), "42501", "tenant 2 is read-only");
    assert_eq!(
        chosen(1, 1, "SELECT count(DISTINCT tenant_id) FROM events"),
        "2",
        "membership, and both are his"
    );
    assert_eq!(chosen(3, 2, "SELECT count(DISTINCT tenant_id) FROM events"), "0", "no permission on events");
    let moved = format!("UPDATE docs SET tenant_id = '{}'", tenant(2));
    assert!(["42501", "23514"].contains(&chosen(1, 1, &moved).as_str()));
    assert_eq!(chosen(2, 1, "SELECT count(*) || ' ' || count(DISTINCT tenant_id) FROM marks"), "50 1");
    let mark = |doc| format!("INSERT INTO marks (id, doc_id) VALUES (1000, {doc}) RETURNING tenant_id");
    assert_eq!(chosen(2, 1, &mark(2)), tenant(1).to_string(), "the tenant of the document");
    assert_eq!(chosen(2, 1, &mark(1)), "23503", "another's document");
    assert_eq!(chosen(2, 1, "SELECT string_agg(id::text, ' ') FROM \"Price list\""), "2", "what is shared");
    assert_eq!(chosen(1, 2, "SELECT count(*) FROM \"Price list\""), "1", "and no permission for the rest");
    let mut admin = CLUSTER.connect(database);
    for statement in PROTECTION {
        assert_eq!(admin.text(statement), "f", "there is nothing left to do: {statement}");
    }
}

#[test]
fn a_plain_dump_restores_by_psql() {
    let path = dump("plain", &[]);
    empty_database("plain");
    run_script("plain", &path);
    assert_restored("plain", true);
}

#[test]
fn a_plain_dump_restores_in_one_transaction() {
    let path = dump("single", &[]);
    empty_database("single");
    CLUSTER.psql("single", &["-1", "-f", path.to_str().expect("the path is text")]);
    assert_restored("single", true);
}

#[test]
fn a_dump_of_inserts_restores() {
    let path = dump("inserts", &["--column-inserts"]);
    empty_database("inserts");
    run_script("inserts", &path);
    assert_restored("inserts", true);
}

#[test]
fn a_custom_format_dump_restores_by_pg_restore() {
    let path = dump("custom", &["-Fc"]);
    empty_database("custom");
    restore("custom", &[], &path);
    assert_restored("custom", true);
}

/// Postgres takes data of tables for independent when it loads by several jobs, and an extension's tables, whose
/// foreign keys are there already, are not: so ours go first, by one. docs/reference/protect_table.md tells.
#[test]
fn a_directory_dump_restores_by_parallel_jobs_once_our_own_tables_are_in() {
    let path = dump("jobs", &["-Fd", "-j2"]);
    empty_database("jobs");
    restore("jobs", &["--section=pre-data"], &path);
    restore("jobs", &["--section=data", "-n", "tenancy"], &path);
    restore("jobs", &["--section=data", "-N", "tenancy", "-j2"], &path);
    restore("jobs", &["--section=post-data", "-j2"], &path);
    assert_restored("jobs", true);
}

#[test]
fn data_alone_restores_where_the_schema_is_already() {
    let (schema, data) = (dump("schema", &["--schema-only"]), dump("data", &["--data-only"]));
    empty_database("data");
    run_script("data", &schema);
    run_script("data", &data);
    assert_restored("data", true);
}

/// It leaves ALWAYS and REPLICA triggers in the state ORIGIN: then nothing is remembered, and it is told.
#[test]
fn restored_with_disable_triggers_answers_are_right_and_diagnose_says_what_to_mend() {
    let (schema, data) =
        (dump("schema2", &["--schema-only"]), dump("quiet", &["--data-only", "--disable-triggers"]));
    empty_database("quiet");
    run_script("quiet", &schema);
    run_script("quiet", &data);
    assert_restored("quiet", false);
    let mut admin = CLUSTER.connect("quiet");
    let states = admin.text(
        "SELECT string_agg(DISTINCT tgenabled::text, '') FROM pg_trigger
          WHERE tgrelid = 'tenancy.member_roles'::regclass AND tgname LIKE 'signal%'",
    );
    assert_eq!(states, "O", "what this test is about");
    let damaged = "SELECT count(*) FROM tenancy.diagnose() WHERE topic = 'cache'";
    assert!(admin.number(damaged) >= 10);
    // A warm backend still sees a revoke at its next statement.
    let mut reader = CLUSTER.connect_as("quiet", "authenticator");
    reader.begin_request(&bearer(user(2)), "REPEATABLE READ");
    assert!(reader.holds("tenancy.has_permission('docs.update')"));
    let revoke = format!("DELETE FROM tenancy.member_roles WHERE user_id = '{}'", user(2));
    admin.run(&format!("SET session_replication_role = replica; {revoke}; RESET session_replication_role"));
    assert!(!reader.holds("tenancy.has_permission('docs.update')"));
    // The hints are the cure.
    let hints = admin
        .rows("SELECT substring(hint from 'ALTER TABLE.*') FROM tenancy.diagnose() WHERE topic = 'cache'");
    for hint in hints.iter().flatten().flatten() {
        admin.run(hint.trim_end_matches('.'));
    }
    assert_eq!(admin.number(damaged), 0);
    assert_same("defences", defences(&mut admin), defences(&mut CLUSTER.connect("origin")));
}

#[test]
fn the_restored_database_can_be_worked_with_and_dumped_again() {
    let path = dump("again", &["-Fc"]);
    empty_database("again");
    restore("again", &[], &path);
    let mut admin = CLUSTER.connect("again");
    assert_eq!(admin.code("SELECT tenancy.create_role('chief')"), "42710");
    assert_eq!(admin.code("DELETE FROM tenancy.roles WHERE name = 'owner'"), "42501", "built-in is built-in");
    assert_eq!(admin.code("SELECT tenancy.add_inheritance('viewer', 'chief')"), "0LP01");
    admin.run("CREATE TABLE events_more PARTITION OF events DEFAULT");
    assert!(
        admin.holds("(SELECT relforcerowsecurity FROM pg_class WHERE relname = 'events_more')"),
        "new partitions too"
    );
    admin.run("DROP TABLE events_more");
    let second = CLUSTER.host().join("second.dump");
    CLUSTER.succeed(CLUSTER.program("pg_dump").arg("-f").arg(&second).arg("again"));
    empty_database("twice");
    run_script("twice", &second);
    assert_restored("twice", true);
}

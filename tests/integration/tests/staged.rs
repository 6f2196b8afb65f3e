//! A staged rollout by real psql, while others read and write: nobody's row is lost, nobody's statement fails before the
//! last one, and a rollout that is broken off anywhere is finished by the next script.

use pg_tenancy_integration::{Cluster, Session, eventually, tenant};
use std::process::Output;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("staged", ""));

/// Rows of two organisations, which are tenants 1 and 2, and an application that knows nothing of tenants.
fn make(admin: &mut Session, name: &str, rows: u32) {
    admin.run(&format!(
        "CREATE TABLE {name} (id bigint PRIMARY KEY, org int NOT NULL, changes int NOT NULL DEFAULT 0, title text DEFAULT repeat('x', 40));
         INSERT INTO {name} SELECT n, 1 + n % 2 FROM generate_series(1, {rows}) n;
         GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO app"
    ));
}

fn database(name: &str) -> Session {
    let mut admin = CLUSTER.connect("postgres");
    admin.run("DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; WHEN unique_violation THEN NULL; END $$");
    let mut admin = CLUSTER.database(name);
    for n in [1, 2] {
        admin.run(&format!(
            "INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('{}', 't-{n}', 'T', '{n}')",
            tenant(n)
        ));
    }
    admin
}

/// By the guide's recipe: the backfill gives the host's key.
fn script(admin: &mut Session, table: &str) -> String {
    admin.text(&format!(
        "SELECT tenancy.protect_table_sql('{table}', add_column => true, resource => 'docs', backfill => 'org', staged => true)"
    ))
}

/// The statements of a script, by the comments that number them.
fn steps(script: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = script.match_indices("\n-- ").map(|(at, _)| at).collect();
    starts.retain(|&at| script[at + 4..].starts_with(|c: char| c.is_ascii_digit()));
    starts.push(script.len());
    starts.windows(2).map(|pair| &script[pair[0]..pair[1]]).collect()
}

fn psql(database: &str, sql: &str, options: &str) -> Output {
    use std::io::Write;
    let mut child = CLUSTER
        .program("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", database, "-f", "-"])
        .env("PGOPTIONS", options)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("psql starts");
    child.stdin.take().expect("it is piped").write_all(sql.as_bytes()).expect("psql reads");
    child.wait_with_output().expect("psql ends")
}

#[track_caller]
fn succeeds(database: &str, sql: &str) {
    let output = psql(database, sql, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Enforced as protect_table would have it, with every row in its own tenant and nothing of the rollout left.
#[track_caller]
fn assert_finished(admin: &mut Session, table: &str) {
    assert!(script(admin, table).contains("is protected already"));
    assert!(
        admin.holds(&format!("NOT tenancy.protect_table('{table}', resource => 'docs')")),
        "nothing left to do"
    );
    assert!(admin.holds(&format!(
        "NOT EXISTS (SELECT FROM {table} d LEFT JOIN tenancy.tenants t ON t.id = d.tenant_id WHERE t.key IS DISTINCT FROM d.org::text)"
    )));
    assert_eq!(
        admin.text(&format!("SELECT string_agg(tgname, ' ') FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal")),
        "~pg_tenancy_keep_tenant"
    );
    assert_eq!(
        admin.text(&format!(
            "SELECT string_agg(conname || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint
              WHERE conrelid = '{table}'::regclass AND contype <> 'n'"
        )),
        format!("{table}_pkey true, {table}_tenant_id_fkey true")
    );
    assert!(admin.holds(&format!(
        "(SELECT bool_and(indisvalid) AND count(*) = 2 FROM pg_index WHERE indrelid = '{table}'::regclass)"
    )));
    assert_eq!(
        CLUSTER
            .connect_as(&admin.text("SELECT current_database()"), "app")
            .number(&format!("SELECT count(*) FROM {table}")),
        0
    );
}

/// The table is an ordinary role's, who may do nothing in schema tenancy: what his own statements write is filled too.
#[test]
fn nobody_is_disturbed_and_no_row_is_lost() {
    let mut admin = database("load");
    admin.run("CREATE ROLE owner LOGIN");
    make(&mut admin, "docs", 300_000);
    admin.run("ALTER TABLE docs OWNER TO owner");
    let script = script(&mut admin, "docs");
    let done = AtomicBool::new(false);
    // What each writer says it did: rows inserted, rows changed, and how it ended.
    let work = |writer: u32| {
        let mut session = CLUSTER.connect_as("load", if writer == 0 { "owner" } else { "app" });
        let (mut inserted, mut changed) = (0, 0);
        loop {
            let id = 1_000_000 * (writer + 1) + inserted;
            match session.code(&format!("INSERT INTO docs (id, org) VALUES ({id}, {})", 1 + id % 2)).as_str()
            {
                "00000" => inserted += 1,
                code => return (inserted, changed, code.to_owned()),
            }
            let row = (id.wrapping_mul(7919)) % 300_000 + 1;
            // Rows that move into pages already filled, transactions that hold a row for a while.
            let sql = format!(
                "BEGIN; UPDATE docs SET changes = changes + 1, title = title || 'y' WHERE id = {row}; SELECT pg_sleep(0.002); COMMIT"
            );
            let before = session.code(&sql);
            assert_eq!(before, "00000");
            changed += 1;
        }
    };
    let (results, seen) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3).map(|n| scope.spawn(move || work(n))).collect();
        let reader = scope.spawn(|| {
            let mut session = CLUSTER.connect_as("load", "app");
            let mut fewest = i64::MAX;
            while !done.load(Ordering::Relaxed) {
                // As long as nothing is enforced, all is seen.
                let rows = session.number("SELECT count(*) FROM docs WHERE id <= 1000");
                if rows > 0 {
                    fewest = fewest.min(rows);
                }
            }
            fewest
        });
        succeeds("load", &script);
        let results: Vec<_> = writers.into_iter().map(|w| w.join().expect("the writer ends")).collect();
        done.store(true, Ordering::Relaxed);
        (results, reader.join().expect("the reader ends"))
    });
    assert_eq!(seen, 1000);
    let inserted: u32 = results.iter().map(|r| r.0).sum();
    assert!(inserted > 100, "the writers had no time: {results:?}");
    // What ended them is enforcement.
    assert!(results.iter().all(|r| r.2 == "42501"), "{results:?}");
    assert_eq!(admin.number("SELECT count(*) FROM docs"), i64::from(300_000 + inserted));
    // The last change of a writer may have met a table that is enforced already, and so no row.
    let changed: i64 = results.iter().map(|r| i64::from(r.1)).sum();
    let kept = admin.number("SELECT sum(changes) FROM docs");
    assert!(kept <= changed && kept >= changed - 3, "{kept} of {changed} changes");
    assert_finished(&mut admin, "docs");
}

#[test]
fn broken_off_after_any_statement_it_goes_on() {
    let mut admin = database("breaks");
    make(&mut admin, "docs", 500);
    let first = script(&mut admin, "docs");
    let count = steps(&first).len();
    assert!(count >= 10, "{count} statements");
    for broken_after in 0..count {
        for again in [false, true] {
            let table = format!("docs_{broken_after}_{again}");
            make(&mut admin, &table, 500);
            let whole = script(&mut admin, &table);
            succeeds("breaks", &steps(&whole)[..broken_after].concat());
            admin.run(&format!("INSERT INTO {table} (id, org) VALUES (501, 1), (502, 2)"));
            // The very same script from its top, or one made for what is left.
            let rest = if again { whole } else { script(&mut admin, &table) };
            succeeds("breaks", &rest);
            assert_finished(&mut admin, &table);
            assert_eq!(admin.number(&format!("SELECT count(*) FROM {table}")), 502);
        }
    }
}

/// A transaction that has the table open and does not end.
fn idle_in_transaction(database: &str, sql: &str) -> Session {
    let mut session = CLUSTER.connect(database);
    session.run(&format!("BEGIN; {sql}"));
    session
}

#[test]
fn an_index_build_that_is_cancelled_is_made_again() {
    let mut admin = database("cancelled");
    for again in [false, true] {
        let table = format!("docs_{again}");
        make(&mut admin, &table, 500);
        let whole = script(&mut admin, &table);
        let all = steps(&whole);
        let build = all
            .iter()
            .position(|step| step.contains("CREATE INDEX CONCURRENTLY"))
            .expect("it is one of the steps");
        succeeds("cancelled", &all[..build].concat());
        let rest = all[build..].concat();
        let output = std::thread::scope(|scope| {
            // In here, so that it ends before psql is waited for if this fails.
            let mut open =
                idle_in_transaction("cancelled", &format!("UPDATE {table} SET changes = 1 WHERE id = 1"));
            let run = scope.spawn(|| psql("cancelled", &rest, ""));
            eventually("the build waits for the open transaction and is cancelled", || {
                admin.holds(
                    "(SELECT count(pg_cancel_backend(pid)) > 0 FROM pg_stat_activity
                       WHERE query LIKE '%CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
                         AND datname = current_database() AND pid <> pg_backend_pid())",
                )
            });
            let output = run.join().expect("psql ends");
            open.run("COMMIT");
            output
        });
        assert!(String::from_utf8_lossy(&output.stderr).contains("57014"), "{output:?}");
        assert!(admin.holds(&format!(
            "EXISTS (SELECT FROM pg_index WHERE indrelid = '{table}'::regclass AND NOT indisvalid)"
        )));
        let rest = if again { whole.clone() } else { script(&mut admin, &table) };
        succeeds("cancelled", &rest);
        assert_finished(&mut admin, &table);
    }
}

/// A step that keeps nobody out while it waits has all the time of the world, and only such a step has.
#[test]
fn a_step_that_waits_too_long_for_its_lock_does_nothing() {
    let mut admin = database("timeouts");
    make(&mut admin, "docs", 500);
    let whole = script(&mut admin, "docs");
    let all = steps(&whole);
    let state = "SELECT (SELECT jsonb_agg(to_jsonb(a) - 'attrelid') FROM pg_attribute a WHERE a.attrelid = 'docs'::regclass)::text
        || (SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM pg_constraint c WHERE c.conrelid = 'docs'::regclass)::text
        || (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM pg_trigger t WHERE t.tgrelid = 'docs'::regclass)::text
        || (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM pg_policy p WHERE p.polrelid = 'docs'::regclass)::text
        || (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM tenancy.protected_tables p)::text";
    let (mut refused, mut patient) = (0, 0);
    for (n, &step) in all.iter().enumerate() {
        // A lock that no step gets past that wants one of the table itself.
        let mut open = idle_in_transaction(
            "timeouts",
            "LOCK TABLE docs IN SHARE UPDATE EXCLUSIVE MODE; SELECT count(*) FROM docs",
        );
        let before = admin.text(state);
        if ["CONCURRENTLY", "VALIDATE", "drop_broken_index"].iter().any(|text| step.contains(text)) {
            std::thread::scope(|scope| {
                // The build has lock_timeout put aside by the statement before it.
                let patient =
                    if step.contains("CONCURRENTLY") { all[n - 1..=n].concat() } else { step.to_owned() };
                let run = scope.spawn(move || psql("timeouts", &patient, "-c lock_timeout=100ms"));
                eventually("it waits for longer than the others may", || {
                    run.is_finished()
                        || admin.holds(
                            "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                               WHERE NOT l.granted AND a.datname = current_database() AND clock_timestamp() > l.waitstart + interval '300 ms')",
                        )
                });
                // Meanwhile others read and write.
                let mut other = CLUSTER.connect_as("timeouts", "app");
                let code =
                    other.code("SET lock_timeout = '1s'; UPDATE docs SET changes = changes + 1 WHERE id = 1");
                open.run("COMMIT");
                let output = run.join().expect("psql ends");
                assert!(output.status.success(), "{step}\n{output:?}");
                assert_eq!(code, "00000", "{step}");
            });
            patient += 1;
            continue;
        }
        let output = psql("timeouts", step, "-c lock_timeout=100ms");
        if !output.status.success() {
            assert!(String::from_utf8_lossy(&output.stderr).contains("55P03"), "{step}\n{output:?}");
            assert_eq!(admin.text(state), before, "{step}");
            refused += 1;
        }
        open.run("COMMIT");
        succeeds("timeouts", step);
    }
    assert_eq!(patient, 4);
    assert!(refused >= 4, "only {refused} of {} statements gave up", all.len());
    assert_finished(&mut admin, "docs");
}

/// One that has nothing to do with the table: it holds the build up, and does not end it.
#[test]
fn an_index_build_waits_for_any_open_transaction_whatever_lock_timeout_is() {
    let mut admin = database("patience");
    make(&mut admin, "docs", 500);
    admin.run("CREATE TABLE elsewhere (id int)");
    let whole = script(&mut admin, "docs");
    std::thread::scope(|scope| {
        let mut open = idle_in_transaction("patience", "INSERT INTO elsewhere VALUES (1)");
        open.run("SAVEPOINT s; DECLARE c CURSOR FOR SELECT * FROM docs");
        let run = scope.spawn(|| psql("patience", &whole, "-c lock_timeout=100ms"));
        // The steps before it, which the cursor holds up, have given up.
        assert!(String::from_utf8_lossy(&run.join().expect("psql ends").stderr).contains("55P03"));
        open.run("ROLLBACK TO s");
        let run = scope.spawn(|| psql("patience", &whole, "-c lock_timeout=100ms"));
        eventually("the build waits", || {
            run.is_finished()
                || admin.holds(
                    "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()
                       AND a.query LIKE '%CREATE INDEX CONCURRENTLY%' AND clock_timestamp() > l.waitstart + interval '300 ms')",
                )
        });
        open.run("COMMIT");
        let output = run.join().expect("psql ends");
        assert!(output.status.success(), "{output:?}");
    });
    assert_finished(&mut admin, "docs");
}

#[test]
fn rows_that_others_hold_are_waited_for_without_holding_any() {
    let mut admin = database("held");
    make(&mut admin, "docs", 500);
    let whole = script(&mut admin, "docs");
    let mut open = idle_in_transaction("held", "SELECT 1");
    std::thread::scope(|scope| {
        let mut open_rows = idle_in_transaction("held", "SELECT 1");
        let all = steps(&whole);
        let fill = all.iter().position(|step| step.contains("fill_pages")).expect("it is one of the steps");
        succeeds("held", &all[..fill].concat());
        open_rows.run("UPDATE docs SET changes = 5 WHERE id = 7");
        let rest = all[fill..].concat();
        let run = scope.spawn(move || psql("held", &rest, ""));
        eventually("all rows but one are filled", || {
            admin.number("SELECT count(*) FROM docs WHERE tenant_id IS NULL") == 1
        });
        // Meanwhile other rows are free.
        assert_eq!(
            open.code("SET LOCAL lock_timeout = '1s'; UPDATE docs SET changes = 6 WHERE id = 8"),
            "00000"
        );
        open.run("COMMIT");
        open_rows.run("COMMIT");
        assert!(run.join().expect("psql ends").status.success());
    });
    assert_eq!(
        admin.text("SELECT string_agg(changes::text, ',' ORDER BY id) FROM docs WHERE id IN (7, 8)"),
        "5,6"
    );
    assert_finished(&mut admin, "docs");
}

/// A minute, which is two seconds here, from the turn in which nothing was to be had any more.
#[test]
fn rows_that_others_hold_for_too_long_end_it() {
    let mut admin = database("stuck");
    make(&mut admin, "docs", 500);
    let whole = script(&mut admin, "docs");
    let all = steps(&whole);
    let fill = all.iter().position(|step| step.contains("fill_pages")).expect("it is one of the steps");
    succeeds("stuck", &all[..fill].concat());
    assert!(all[fill].contains("interval '1 minute'"));
    let mut open = idle_in_transaction("stuck", "UPDATE docs SET changes = 5 WHERE id = 7");
    let start = std::time::Instant::now();
    let output = psql("stuck", &all[fill].replace("interval '1 minute'", "interval '2 seconds'"), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("55P03"), "{output:?}");
    assert!((2..20).contains(&start.elapsed().as_secs()), "after {:?}", start.elapsed());
    assert_eq!(admin.number("SELECT count(*) FROM docs WHERE tenant_id IS NULL"), 1);
    open.run("COMMIT");
    succeeds("stuck", &whole);
    assert_finished(&mut admin, "docs");
}

#[test]
fn in_one_transaction_it_refuses_to_run() {
    let mut admin = database("one");
    make(&mut admin, "docs", 10);
    let whole = script(&mut admin, "docs");
    let output = psql("one", &format!("BEGIN;\n{whole}\nCOMMIT;"), "");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("2D000"), "{output:?}");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.protected_tables"), 0);
}

/// Where Postgres can compile queries, it would spend a hundred times as long on that as on running ours, each time with the
/// table locked.
#[test]
fn nothing_of_ours_is_compiled_while_a_table_is_locked() {
    let settings = "session_preload_libraries = 'pg_tenancy,auto_explain'\nauto_explain.log_min_duration = 0\n\
                    auto_explain.log_nested_statements = on\nauto_explain.log_analyze = on\nauto_explain.log_timing = off\njit = on";
    let cluster = Cluster::start("staged_compiled", settings);
    let mut admin = cluster.database("compiled");
    let compiled = || {
        let log = std::fs::read_to_string(cluster.host().join("log")).expect("the server's log");
        log.matches("\n\tJIT:").count()
    };
    admin.run(&format!(
        "INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('{}', 't-1', 'T', '1');
         CREATE TABLE day (id int, org int) PARTITION BY RANGE (id);
         CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM (0) TO (10);
         CREATE TABLE hour (id int, org int) PARTITION BY RANGE (id);
         CREATE TABLE hour_1 PARTITION OF hour FOR VALUES FROM (0) TO (10);
         INSERT INTO day VALUES (1, 1)",
        tenant(1)
    ));
    let script = script(&mut admin, "day");
    let file = cluster.host().join("day.sql");
    std::fs::write(&file, script).expect("a file");
    cluster.psql("compiled", &["-f", file.to_str().expect("the path is text")]);
    admin.run("SELECT tenancy.protect_table('hour', add_column => true)");
    for statement in [
        "CREATE TABLE day_2 PARTITION OF day FOR VALUES FROM (10) TO (20)",
        "ALTER TABLE day ADD CHECK (id >= 0)",
        "ALTER TABLE day DETACH PARTITION day_2",
        "DROP TABLE day_2",
        "SELECT tenancy.protect_table_sql('day', mode => 'membership', resource => 'docs')",
        "SELECT * FROM tenancy.export_tenant((SELECT id FROM tenancy.tenants))",
        "SELECT tenancy.delete_tenant_rows(id) FROM tenancy.tenants",
        "SELECT tenancy.unprotect_table('hour', drop_structure => true)",
    ] {
        admin.run(statement);
    }
    assert_eq!(compiled(), 0);
    if admin.holds("pg_jit_available()") {
        admin.run("SET jit_above_cost = 0; SELECT count(*) FROM pg_class");
        assert!(compiled() > 0, "the log says what is compiled");
    }
}

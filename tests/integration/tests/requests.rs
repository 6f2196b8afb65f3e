//! Threats 25 and 27: requests that are counted in shared memory, in READ ONLY transactions, and what becomes of the counts when
//! processes, workers, databases and servers come and go.

use pg_tenancy_integration::counting::*;
use pg_tenancy_integration::{Api, Cluster, Request, Session, bearer, eventually, tenant, user};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start(
        "requests",
        &format!("{PRELOADED}\ntenancy.usage_flush_interval = '100ms'\nmax_worker_processes = 32"),
    )
});

/// Kills a session's backend, and with it shared memory; gives a new session once the server is up again.
fn crash(cluster: &Cluster, database: &str, mut victim: Session) -> Session {
    let pid = i64::from(victim.pid());
    kill("KILL", pid);
    let mut found = None;
    eventually("the server is up again", || {
        let gone = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
        found = cluster.try_connect(database, "postgres", "").ok().and_then(|mut session| {
            let rows = session.try_rows(&gone).ok()?;
            (rows == [[Some("0".to_owned())]]).then_some(session)
        });
        found.is_some()
    });
    found.expect("it was found")
}

#[test]
fn gets_are_counted_by_a_pre_request_function_for_the_tenant_of_their_token() {
    let mut admin = prepare(&CLUSTER, "gets");
    let mut api = Api::new(CLUSTER.connect_as("gets", "authenticator")).with_pre_request("public.count_call");
    for _ in 0..5 {
        api.ask(&Request::get(user(1)), "SELECT 1");
    }
    api.ask(&Request::get(user(3)), "SELECT 1");
    api.ask(&Request::post(user(3)), "SELECT 1");
    // Nobody's tenant: neither counted nor refused.
    api.ask(&Request::anonymous(), "SELECT 1");
    becomes(&mut admin, "api.calls", 1, 5);
    becomes(&mut admin, "api.calls", 2, 2);
    // What is rolled back was a request all the same.
    assert_eq!(api.code(&Request::get(user(1)), "SELECT 1 / 0"), "22012");
    becomes(&mut admin, "api.calls", 1, 6);
    for (call, code) in [
        ("tenancy.count_request('api.none')", "42704"),
        ("tenancy.count_request(NULL)", "22023"),
        ("tenancy.count_request('docs.rows')", "22023"),
        ("tenancy.count_request('api.calls', 0)", "22023"),
        ("tenancy.count_request('api.calls', -1)", "22023"),
        ("tenancy.count_request('api.calls', NULL)", "22023"),
        ("tenancy.usage_shared_stats()", "42501"),
    ] {
        assert_eq!(api.code(&Request::get(user(1)), &format!("SELECT {call}")), code, "{call}");
    }
    eventually("no more is pending", || {
        admin.holds("(SELECT pending FROM tenancy.usage_shared_stats()) = 0")
    });
    // Each of the refused requests was counted by the pre-request function.
    assert_eq!(written(&mut admin, "api.calls", 1), 13);
    assert!(
        admin.holds("(SELECT last_flush > now() - interval '1 minute' FROM tenancy.usage_shared_stats())")
    );
    assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), 15);
}

#[test]
fn what_many_backends_count_at_once_adds_up_exactly() {
    let mut admin = prepare(&CLUSTER, "many");
    std::thread::scope(|scope| {
        for n in 0..16u32 {
            let mut session = CLUSTER.connect_as("many", "authenticator");
            scope.spawn(move || {
                for _ in 0..20 {
                    session.begin_request(&bearer(user(if n % 2 == 0 { 1 } else { 3 })), "READ COMMITTED READ ONLY");
                    session.run(
                        "SELECT tenancy.count_request('api.calls'), tenancy.count_request('api.bytes', n) FROM generate_series(1, 50) n",
                    );
                    session.run("COMMIT");
                }
            });
        }
    });
    for n in [1, 2] {
        becomes(&mut admin, "api.calls", n, 8 * 20 * 50);
        becomes(&mut admin, "api.bytes", n, 8 * 20 * 1275);
    }
    assert_eq!(workers(&mut admin, "many").len(), 1);
}

#[test]
fn each_database_has_a_worker_that_goes_when_idle_so_that_the_database_can_be_dropped_and_copied() {
    let mut admin = prepare(&CLUSTER, "first");
    prepare(&CLUSTER, "second");
    for database in ["first", "second"] {
        assert!(count(&mut CLUSTER.connect_as(database, "authenticator"), 1, 1));
    }
    becomes(&mut admin, "api.calls", 1, 1);
    becomes(&mut CLUSTER.connect("second"), "api.calls", 1, 1);
    let mut other = CLUSTER.connect("postgres");
    // Also where the connection that counted was gone before, and wrote itself.
    eventually("each has its worker", || {
        (workers(&mut other, "first").len(), workers(&mut other, "second").len()) == (1, 1)
    });
    // Waits for the worker, and longer than that it does not take to go.
    other.run("DROP DATABASE second");
    drop(admin);
    eventually("the worker is gone", || workers(&mut other, "first").is_empty());
    other.run("CREATE DATABASE third TEMPLATE first");
    // It comes back with the next count, and what it freed is not counted twice.
    let mut admin = CLUSTER.connect("first");
    assert!(count(&mut CLUSTER.connect_as("first", "authenticator"), 1, 1));
    becomes(&mut admin, "api.calls", 1, 2);
    eventually("it is there again", || {
        admin.holds("(SELECT pending = 0 AND worker_pid IS NOT NULL FROM tenancy.usage_shared_stats())")
    });
    drop(admin);
    other.run("DROP DATABASE first WITH (FORCE)");
}

#[test]
fn a_worker_that_is_ended_writes_first_and_the_next_count_starts_another() {
    let mut admin = prepare(&CLUSTER, "ended");
    let mut client = CLUSTER.connect_as("ended", "authenticator");
    let mut total = 0;
    for how in ["pg_terminate_backend", "pg_cancel_backend", "pg_terminate_backend"] {
        assert!(count(&mut client, 1, 1));
        eventually("a worker runs", || workers(&mut admin, "ended").len() == 1);
        let worker = workers(&mut admin, "ended")[0];
        assert!(count(&mut client, 1, 10));
        admin.run(&format!("SELECT {how}({worker})"));
        total += 11;
        becomes(&mut admin, "api.calls", 1, total);
        if how == "pg_terminate_backend" {
            eventually("it is gone", || workers(&mut admin, "ended") != vec![worker]);
        }
    }
}

#[test]
fn what_cannot_be_written_now_is_kept_and_what_never_can_does_not_stop_the_rest() {
    let mut admin = prepare(&CLUSTER, "kept");
    let mut client = CLUSTER.connect_as("kept", "authenticator");
    // Longer than the worker waits for a lock.
    admin.run("BEGIN; LOCK TABLE tenancy.usage");
    assert!(count(&mut client, 1, 7));
    eventually("it was said", || log_has(&CLUSTER, "counted usage could not be written, and is kept") > 0);
    assert!(is_diagnosed(&mut admin, NOT_WRITTEN) && !is_diagnosed(&mut admin, NO_WORKER));
    admin.run("COMMIT");
    becomes(&mut admin, "api.calls", 1, 7);
    eventually("all is well", || !is_diagnosed(&mut admin, NOT_WRITTEN));
    // A meter and a tenant that are gone, and an amount beyond all.
    admin.run("BEGIN; LOCK TABLE tenancy.usage");
    client.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
    client.run("SELECT tenancy.count_request('api.bytes', 5), tenancy.count_request('api.calls', 9223372036854775807)");
    assert_eq!(client.code("SELECT tenancy.count_request('api.calls')"), "22003");
    client.run("ROLLBACK");
    assert!(count(&mut client, 3, 3));
    admin.run(&format!("DELETE FROM tenancy.tenants WHERE id = '{}'; DELETE FROM tenancy.meters WHERE name = 'api.bytes'; COMMIT", tenant(2)));
    eventually("nothing is pending", || {
        admin.holds("(SELECT pending FROM tenancy.usage_shared_stats()) = 0")
    });
    assert_eq!(written(&mut admin, "api.calls", 1), 7);
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.usage WHERE total <> 7 AND total <> 0"), 0);
    assert!(count(&mut client, 1, 1));
    becomes(&mut admin, "api.calls", 1, 8);
    // The extension itself.
    assert!(count(&mut client, 1, 1));
    admin.run("DROP EXTENSION pg_tenancy CASCADE");
    eventually("the worker has given up", || workers(&mut admin, "kept").is_empty());
    admin.run("CREATE EXTENSION pg_tenancy");
    assert!(admin.holds("(SELECT pending FROM tenancy.usage_shared_stats()) = 0"));
}

/// Counts made before the crash and not within the interval before it are all written.
#[test]
fn a_crash_loses_no_more_than_one_interval_counted() {
    const INTERVAL: Duration = Duration::from_millis(500);
    // Of two cores and many tests; what is measured is printed.
    const SLACK: Duration = Duration::from_millis(1500);
    let cluster = Cluster::start("crash", &format!("{PRELOADED}\ntenancy.usage_flush_interval = '500ms'"));
    let mut admin = prepare(&cluster, "work");
    for round in 0..3 {
        let before = written(&mut admin, "api.calls", 1);
        let victim = cluster.connect("work");
        let mut client = cluster.connect_as("work", "authenticator");
        let began = Instant::now();
        let mut counted = Vec::new();
        let stop = Duration::from_millis(3000 + 130 * round);
        while began.elapsed() < stop {
            client.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
            client.run("SELECT tenancy.count_request('api.calls')");
            counted.push(began.elapsed());
            client.run("COMMIT");
        }
        let killed = began.elapsed();
        admin = crash(&cluster, "work", victim);
        let kept = written(&mut admin, "api.calls", 1) - before;
        let lost = counted.len() as i64 - kept;
        let must = counted.iter().filter(|at| **at + INTERVAL + SLACK < killed).count() as i64;
        let oldest = counted.get(usize::try_from(kept).expect("not more than were counted"));
        println!(
            "round {round}: {} counted, {kept} written, {lost} lost, the oldest of them counted {:?} before the kill",
            counted.len(),
            oldest.map(|at| killed - *at)
        );
        assert!(lost >= 0 && kept >= must, "{kept} written of {must} counted more than an interval before");
    }
}

#[test]
fn a_full_table_drops_counts_and_says_so() {
    let cluster = Cluster::start(
        "full",
        &format!("{PRELOADED}\ntenancy.usage_flush_interval = '100ms'\ntenancy.usage_shared_entries = 16"),
    );
    let mut admin = prepare(&cluster, "work");
    admin.run("INSERT INTO tenancy.meters (name, unit, kind, period) SELECT 'm.m' || n, 'calls', 'counter', 'none' FROM generate_series(1, 20) n");
    let mut client = cluster.connect_as("work", "authenticator");
    client.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
    let counted = client.number(
        "SELECT count(*) FILTER (WHERE tenancy.count_request('m.m' || n)) FROM generate_series(1, 20) n",
    );
    client.run("COMMIT");
    assert_eq!(counted, 16);
    assert_eq!(admin.number("SELECT dropped FROM tenancy.usage_shared_stats()"), 4);
    // Where it may write it needs no memory.
    client.begin_request(&bearer(user(1)), "READ COMMITTED");
    client.run("SELECT tenancy.count_request('m.m' || n) FROM generate_series(17, 20) n; COMMIT");
    eventually("all but what was dropped", || admin.number("SELECT count(*) FROM tenancy.usage") == 20);
    eventually("it was said", || log_has(&cluster, "tenancy.usage_shared_entries can be raised") == 1);
    assert!(admin.holds("EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'usage' AND finding LIKE '4 counts of requests were dropped%')"));
    // What is nothing for a while makes room.
    eventually("entries are freed", || admin.number("SELECT entries FROM tenancy.usage_shared_stats()") == 0);
    assert!(count(&mut client, 1, 1));
}

#[test]
fn a_standby_counts_nothing_says_so_and_counts_once_it_is_promoted() {
    let primary = Cluster::start(
        "counting",
        &format!("{PRELOADED}\nwal_level = replica\ntenancy.usage_flush_interval = '100ms'"),
    );
    let mut admin = prepare(&primary, "work");
    let standby = Cluster::standby_of(&primary, "reading");
    let mut client = standby.connect_as("work", "authenticator");
    assert!(!count(&mut client, 1, 1));
    assert_eq!(client.code("SELECT tenancy.count_request('api.none')"), "42501", "as authenticator itself");
    client.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
    assert!(
        client.holds(
            "EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'usage' AND finding LIKE '%standby%')"
        )
    );
    assert_eq!(client.code("SELECT tenancy.count_request('api.none')"), "42704");
    client.run("ROLLBACK");
    assert!(workers(&mut standby.connect("work"), "work").is_empty());
    assert!(count(&mut primary.connect_as("work", "authenticator"), 1, 1));
    becomes(&mut admin, "api.calls", 1, 1);
    standby.connect("work").run("SELECT pg_promote()");
    let mut promoted = standby.connect("work");
    eventually("it is promoted", || promoted.holds("NOT pg_is_in_recovery()"));
    let before = written(&mut promoted, "api.calls", 1);
    assert!(count(&mut client, 1, 1));
    becomes(&mut promoted, "api.calls", 1, before + 1);
}

#[test]
fn without_preload_only_what_may_write_is_counted_and_that_is_said() {
    let cluster = Cluster::start("loaded", "");
    let mut admin = prepare(&cluster, "work");
    let mut client = cluster.connect_as("work", "authenticator");
    for _ in 0..3 {
        assert!(!count(&mut client, 1, 1));
    }
    assert_eq!(log_has(&cluster, "is not in shared_preload_libraries: count_request()"), 1);
    client.begin_request(&bearer(user(1)), "READ COMMITTED");
    assert!(client.holds("tenancy.count_request('api.calls', 3)"));
    assert!(client.holds("EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'usage' AND hint LIKE '%shared_preload_libraries%')"));
    client.run("COMMIT");
    assert_eq!(written(&mut admin, "api.calls", 1), 3, "at once");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.usage_shared_stats()"), 0);
    // The settings are known all the same.
    assert_eq!(admin.text("SHOW tenancy.usage_flush_interval"), "1s");
    assert_eq!(admin.text("SHOW tenancy.usage_shared_entries"), "8192");
}

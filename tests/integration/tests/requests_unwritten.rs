//! Threat 25: requests that were counted in shared memory and are not written yet, when the server stops, or when there is no worker
//! to write them.

use pg_tenancy_integration::counting::*;
use pg_tenancy_integration::{Cluster, Session, bearer, eventually, tenant, user};

/// One count where a row can be written.
fn count_writing(session: &mut Session, who: u32, amount: i64) -> bool {
    session.begin_request(&bearer(user(who)), "READ COMMITTED");
    let counted = session.holds(&format!("tenancy.count_request('api.calls', {amount})"));
    session.run("COMMIT");
    counted
}

#[test]
fn a_fast_shutdown_loses_nothing_and_a_restart_goes_on() {
    let cluster = Cluster::start("shutdown", &format!("{PRELOADED}\ntenancy.usage_flush_interval = '1h'"));
    let mut admin = prepare(&cluster, "work");
    admin.run(&format!(
        "INSERT INTO tenancy.quotas (tenant_id, meter, period, hard) VALUES ('{}', 'api.calls', 'month', 1000)",
        tenant(1)
    ));
    for round in 1..=3 {
        let mut client = cluster.connect_as("work", "authenticator");
        for _ in 0..10 {
            assert!(count(&mut client, 1, 1));
        }
        eventually("a worker runs", || workers(&mut admin, "work").len() == 1);
        assert!(count(&mut client, 1, 1));
        assert_eq!(written(&mut admin, "api.calls", 1), 11 * (round - 1), "not yet");
        assert_eq!(admin.number("SELECT pending FROM tenancy.usage_shared_stats()"), 11);
        // Quotas see what is not written yet.
        let left = client.request(user(1), "SELECT tenancy.remaining('api.calls')");
        assert_eq!(left, Some((1000 - 11 * round).to_string()));
        cluster.shut_down("fast");
        cluster.boot();
        admin = cluster.connect("work");
        assert_eq!(written(&mut admin, "api.calls", 1), 11 * round);
    }
}

#[test]
fn without_a_worker_to_be_had_who_may_write_does_and_the_rest_is_written_by_connections_that_end() {
    let cluster = Cluster::start(
        "none",
        &format!("{PRELOADED}\nmax_worker_processes = 0\ntenancy.usage_flush_interval = '100ms'"),
    );
    let mut admin = prepare(&cluster, "work");
    assert!(!is_diagnosed(&mut admin, NO_WORKER));
    let mut client = cluster.connect_as("work", "authenticator");
    for _ in 0..3 {
        assert!(count(&mut client, 1, 1));
    }
    assert_eq!(pending(&mut admin), 3);
    assert_eq!(log_has(&cluster, "no background worker can be started"), 1);
    assert!(is_diagnosed(&mut admin, NO_WORKER));
    // At once, and with what waits the quotas see all.
    assert!(count_writing(&mut client, 1, 10));
    assert_eq!((written(&mut admin, "api.calls", 1), pending(&mut admin)), (10, 3));
    // In whatever state a connection is when it ends, by itself or not.
    client.run(
        "SET default_transaction_read_only = on; SET statement_timeout = 1; SET search_path = nowhere; BEGIN",
    );
    assert_eq!(client.code("SELECT 1 / 0"), "22012");
    drop(client);
    becomes(&mut admin, "api.calls", 1, 13);
    assert!(!is_diagnosed(&mut admin, NO_WORKER));
    let mut client = cluster.connect_as("work", "authenticator");
    assert!(count(&mut client, 1, 1));
    client.run("BEGIN ISOLATION LEVEL SERIALIZABLE");
    admin.run(&format!("SELECT pg_terminate_backend({})", client.pid()));
    becomes(&mut admin, "api.calls", 1, 14);
    // What is counted meanwhile is written, too, by one for all.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let mut client = cluster.connect_as("work", "authenticator");
                    assert!(count(&mut client, 1, 1) && count(&mut client, 3, 1));
                }
            });
        }
    });
    becomes(&mut admin, "api.calls", 1, 94);
    becomes(&mut admin, "api.calls", 2, 80);
    assert_eq!(pending(&mut admin), 0);
    // The remedy, with connections that stay until it is taken.
    let mut clients: Vec<Session> = (0..8).map(|_| cluster.connect_as("work", "authenticator")).collect();
    assert!(clients.iter_mut().all(|client| count(client, 1, 1)));
    assert_eq!(pending(&mut admin), 8);
    cluster.configure("max_worker_processes = 8");
    cluster.shut_down("fast");
    cluster.boot();
    let mut admin = cluster.connect("work");
    assert_eq!(written(&mut admin, "api.calls", 1), 102);
    assert!(count(&mut cluster.connect_as("work", "authenticator"), 1, 1));
    becomes(&mut admin, "api.calls", 1, 103);
}

#[test]
fn a_connection_that_ends_waits_for_a_lock_no_longer_than_a_worker_would() {
    let cluster = Cluster::start("held", &format!("{PRELOADED}\nmax_worker_processes = 0"));
    let mut admin = prepare(&cluster, "work");
    let mut client = cluster.connect_as("work", "authenticator");
    assert!(count(&mut client, 1, 1));
    let pid = client.pid();
    admin.run("BEGIN; LOCK TABLE tenancy.usage");
    drop(client);
    let is_there = format!("EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})");
    let mut other = cluster.connect("work");
    eventually("it waits", || {
        other.holds(&format!("EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND NOT granted)"))
    });
    // That it is told to end again is no reason to lose what it is about to write.
    other.run(&format!("SELECT pg_terminate_backend({pid})"));
    assert!(other.holds(&is_there));
    eventually("it is gone", || !other.holds(&is_there));
    assert_eq!(log_has(&cluster, "counted usage could not be written, and is kept"), 1);
    assert_eq!(pending(&mut other), 1);
    // By the one who has the lock.
    assert!(is_diagnosed(&mut admin, NO_WORKER) && is_diagnosed(&mut admin, NOT_WRITTEN));
    admin.run("COMMIT");
    assert!(count(&mut cluster.connect_as("work", "authenticator"), 1, 1));
    becomes(&mut admin, "api.calls", 1, 2);
    assert!(!is_diagnosed(&mut admin, NOT_WRITTEN));
}

/// The postmaster forgets a worker that it has not started yet.
#[test]
fn a_shutdown_right_after_the_first_count_loses_nothing() {
    let cluster = Cluster::start("at_once", &format!("{PRELOADED}\ntenancy.usage_flush_interval = '1h'"));
    let mut admin = prepare(&cluster, "work");
    for round in 1..=3 {
        let mut client = cluster.connect_as("work", "authenticator");
        let file = cluster.data().join("postmaster.pid");
        let postmaster = std::fs::read_to_string(&file).expect("it runs");
        let postmaster =
            postmaster.lines().next().and_then(|line| line.parse().ok()).expect("its first line");
        // It learns of the shutdown before it learns of the worker.
        kill("STOP", postmaster);
        assert!(count(&mut client, 1, 1));
        kill("INT", postmaster);
        kill("CONT", postmaster);
        eventually("it is down", || !file.exists());
        cluster.boot();
        admin = cluster.connect("work");
        assert_eq!(written(&mut admin, "api.calls", 1), round);
    }
    assert_eq!(pending(&mut admin), 0);
}

//! Threat 25 for usage: a backend, or the whole server, is killed in the middle of the load. After recovery what was counted
//! is what was committed, row by row, and the quota can still be filled to exactly its limit.

use pg_tenancy_integration::{Cluster, End, Random, Session, eventually, tenant};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

const WRITERS: u64 = 6;

/// Here a death must lose nothing.
fn cluster(name: &str) -> Cluster {
    Cluster::start(
        name,
        "fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nrestart_after_crash = on\nmax_prepared_transactions = 5",
    )
}

fn prepare(cluster: &Cluster) -> Session {
    let mut admin = cluster.database("work");
    admin.add_docs_application();
    admin.add_metered_rows("counter");
    admin.set_limit(1_000_000);
    admin
}

fn kill(pid: u32) {
    // The shell has it built in; the program is not on every machine.
    let status = Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status();
    assert!(status.expect("sh starts").success());
}

fn is_there(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn until_it_is_up(cluster: &Cluster) -> Session {
    eventually("the server is up again", || {
        cluster
            .try_connect("work", "postgres", "")
            .is_ok_and(|mut session| session.code("SELECT 1") == "00000")
    });
    cluster.connect("work")
}

/// Writers at work until they lose the server, which `strike` sees to. How many transactions were confirmed.
fn under_load(cluster: &Cluster, round: u64, strike: impl FnOnce(&[u32])) -> u64 {
    let confirmed = AtomicU64::new(0);
    let mut sessions: Vec<Session> = (0..WRITERS).map(|_| cluster.connect("work")).collect();
    let pids: Vec<u32> = sessions.iter_mut().map(Session::pid).collect();
    scope(|scope| {
        for (number, mut session) in (0..).zip(sessions) {
            let confirmed = &confirmed;
            scope.spawn(move || {
                let mut random = Random::new(round * 100 + number);
                loop {
                    match session.count_rows(&mut random, number, "BEGIN") {
                        End::Committed => confirmed.fetch_add(1, Ordering::Relaxed),
                        End::Lost => break,
                        End::RolledBack | End::Refused => 0,
                    };
                }
            });
        }
        eventually("the load is under way", || confirmed.load(Ordering::Relaxed) > 60);
        strike(&pids);
    });
    confirmed.into_inner()
}

#[track_caller]
fn assert_exact(admin: &mut Session, at_least: i64) -> i64 {
    let (rows, used) = admin.rows_and_usage();
    assert_eq!(rows, used, "what is committed is what is counted");
    assert!(rows >= at_least, "{rows} rows, but {at_least} transactions were confirmed");
    // By an index as without one: no version is lost to either.
    let by_index = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
    let sum = format!(
        "BEGIN; {by_index}; SELECT sum(total) FROM tenancy.usage WHERE tenant_id = '{}' AND meter = 'rows'",
        tenant(1)
    );
    assert_eq!(admin.number(&sum), used);
    admin.run("COMMIT");
    let slots = "SELECT count(*) FROM (SELECT FROM tenancy.usage GROUP BY tenant_id, meter, slot HAVING count(*) > 1) twice";
    assert_eq!(admin.number(slots), 0);
    used
}

/// Whoever tries again after the crash comes to exactly the limit.
fn fill(cluster: &Cluster, admin: &mut Session) {
    let hard = admin.rows_and_usage().1 + 80;
    admin.set_limit(hard);
    scope(|scope| {
        for number in 0..WRITERS {
            let mut session = cluster.connect("work");
            scope.spawn(move || {
                let mut random = Random::new(1_000 + number);
                loop {
                    match session.count_rows(&mut random, number, "BEGIN") {
                        End::Refused if session.rows_and_usage().1 == hard => break,
                        end => assert_ne!(end, End::Lost),
                    }
                }
            });
        }
    });
    assert_eq!(admin.rows_and_usage(), (hard, hard));
}

#[test]
fn a_backend_killed_under_load_leaves_what_was_committed_and_counted() {
    let cluster = cluster("backend");
    drop(prepare(&cluster));
    let mut confirmed = 0;
    for round in 0..3 {
        confirmed += under_load(&cluster, round, |pids| kill(pids[0])) as i64;
        let mut admin = until_it_is_up(&cluster);
        assert_exact(&mut admin, confirmed);
        if round == 1 {
            admin.run("SELECT tenancy.fold_usage()");
            assert_exact(&mut admin, confirmed);
        }
    }
    let mut admin = cluster.connect("work");
    fill(&cluster, &mut admin);
}

#[test]
fn a_server_killed_under_load_leaves_what_was_committed_and_counted() {
    let cluster = cluster("server");
    drop(prepare(&cluster));
    let mut confirmed = 0;
    for round in 0..3 {
        let mut admin = cluster.connect("work");
        let processes: Vec<u32> = admin
            .rows("SELECT pid FROM pg_stat_activity")
            .into_iter()
            .filter_map(|row| row[0].as_deref()?.parse().ok())
            .collect();
        let file = cluster.data().join("postmaster.pid");
        let lines = std::fs::read_to_string(&file).expect("it runs");
        let postmaster: u32 = lines.lines().next().and_then(|pid| pid.parse().ok()).expect("its number");
        confirmed += under_load(&cluster, 10 + round, |writers| {
            // All at once, so that nothing is written in good order after it.
            kill(postmaster);
            processes.iter().chain(writers).filter(|pid| is_there(**pid)).for_each(|pid| {
                let _ = Command::new("sh").args(["-c", &format!("kill -KILL {pid} 2>/dev/null")]).status();
            });
        }) as i64;
        drop(admin);
        eventually("all processes are gone", || !processes.iter().any(|pid| is_there(*pid)));
        eventually("the server is gone", || !is_there(postmaster));
        // Nobody may have collected it: then its number is still taken, as it is not on a machine that starts again.
        for left in [file, cluster.host().join(".s.PGSQL.5432.lock")] {
            std::fs::remove_file(left).expect("it died with its file in place");
        }
        cluster.boot();
        assert_exact(&mut cluster.connect("work"), confirmed);
    }
    let mut admin = cluster.connect("work");
    fill(&cluster, &mut admin);
}

/// What a prepared transaction reserved stays reserved through a crash, until it is ended.
#[test]
fn what_a_prepared_transaction_reserved_outlives_a_crash() {
    let cluster = cluster("prepared");
    let mut admin = prepare(&cluster);
    admin.set_limit(10);
    let at = tenant(1);
    let count = |n: u32| {
        format!(
            "INSERT INTO done SELECT 0, '{at}' FROM generate_series(1, {n});
             SELECT tenancy.record_usage('rows', {n}, '{at}')"
        )
    };
    for (name, n) in [("kept", 4), ("undone", 3)] {
        admin.run(&format!("BEGIN; {}; PREPARE TRANSACTION '{name}'", count(n)));
    }
    // Open when it dies: gone.
    let mut open = cluster.connect("work");
    open.run(&format!("BEGIN; {}", count(2)));
    kill(open.pid());
    let mut admin = until_it_is_up(&cluster);
    assert_eq!(admin.rows_and_usage(), (0, 0));
    assert_eq!(admin.number(&format!("SELECT tenancy.remaining('rows', '{at}')")), 3);
    assert_eq!(admin.code(&count(4)), "23514");
    admin.run("COMMIT PREPARED 'kept'");
    assert_eq!(admin.rows_and_usage(), (4, 4));
    assert_eq!(admin.code(&count(4)), "23514");
    admin.run("ROLLBACK PREPARED 'undone'");
    admin.run(&count(6));
    assert_eq!(admin.rows_and_usage(), (10, 10));
    assert_eq!(admin.code(&count(1)), "23514");
}

//! Usage through pg_dump and its restores: what was used is what was used, the quota binds where it did, and counting goes on.

use pg_tenancy_integration::{Cluster, Session, tenant};
use std::path::PathBuf;

const HARD: i64 = 100;

fn record(amount: i64) -> String {
    format!("SELECT tenancy.record_usage('rows', {amount}, '{}')", tenant(1))
}

/// Slots of several backends, one of them folded, history, and an event of a soft limit.
fn populate(cluster: &Cluster) -> Session {
    let mut admin = cluster.database("origin");
    admin.add_docs_application();
    admin.add_metered_rows("counter");
    let mut others = [cluster.connect("origin"), cluster.connect("origin"), cluster.connect("origin")];
    others.iter_mut().for_each(|other| other.run(&record(7)));
    admin.run("SELECT tenancy.fold_usage()");
    others.iter_mut().for_each(|other| other.run(&format!("BEGIN; {}; {}; COMMIT", record(2), record(3))));
    // The periods that slots close when they are written in a later one.
    admin.run("UPDATE tenancy.usage SET hour = hour - interval '3 hours'");
    others[0].run(&record(10));
    admin.set_limit(HARD);
    admin.run(&format!(
        "SELECT tenancy.set_quota('{}', 'rows', soft => 50, hard => {HARD}, period => 'none')",
        tenant(1)
    ));
    admin.run(&record(9));
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.quota_events"), 1);
    assert!(admin.number("SELECT count(*) FROM tenancy.usage_periods") > 0);
    admin
}

/// All that people see of it, but for what depends on the hour that it is.
fn seen(session: &mut Session) -> String {
    session.text(
        "SELECT json_build_array(
                    (SELECT json_agg(c.total) FROM tenancy.usage_current c),
                    (SELECT json_agg(u ORDER BY u.slot) FROM tenancy.usage u),
                    (SELECT json_agg(h ORDER BY h.period_start) FROM tenancy.usage_history h),
                    (SELECT json_agg(s) FROM tenancy.quota_status s),
                    (SELECT json_agg(e) FROM tenancy.quota_events e))",
    )
}

#[track_caller]
fn assert_goes_on(cluster: &Cluster, database: &str, before: &str) {
    let mut session = cluster.connect(database);
    assert_eq!(seen(&mut session), before, "{database}");
    let used = session.number("SELECT sum(total) FROM tenancy.usage");
    assert_eq!(used, 55);
    // Many backends, so that some have the numbers of those that wrote the dump.
    let mut others: Vec<Session> = (0..8).map(|_| cluster.connect(database)).collect();
    others.iter_mut().for_each(|other| other.run(&format!("BEGIN; {}", record(1))));
    assert_eq!(session.code(&record(HARD - used - 7)), "23514", "what is open counts");
    others.iter_mut().for_each(|other| other.run("COMMIT"));
    session.run(&record(HARD - used - 8));
    assert_eq!(session.code(&record(1)), "23514");
    session.run("SELECT tenancy.fold_usage()");
    assert_eq!(session.number("SELECT sum(total) FROM tenancy.usage"), HARD);
    assert_eq!(session.number("SELECT count(*) FROM tenancy.quota_events"), 1, "told once, before the dump");
}

#[test]
fn counting_goes_on_after_every_kind_of_restore() {
    let cluster = Cluster::start("usage_dump", "");
    let before = seen(&mut populate(&cluster));
    let dump = |name: &str, options: &[&str]| -> PathBuf {
        let path = cluster.host().join(format!("{name}.dump"));
        cluster.succeed(cluster.program("pg_dump").args(options).arg("-f").arg(&path).arg("origin"));
        path
    };
    let empty = |name: &str| {
        cluster.connect("postgres").run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
    };
    let run_script = |database: &str, path: &PathBuf| {
        cluster.psql(database, &["-f", path.to_str().expect("the path is text")]);
    };
    empty("plain");
    run_script("plain", &dump("plain", &[]));
    empty("inserts");
    run_script("inserts", &dump("inserts", &["--column-inserts"]));
    empty("custom");
    let custom = dump("custom", &["-Fc"]);
    cluster.succeed(cluster.program("pg_restore").args(["--exit-on-error", "-d", "custom"]).arg(&custom));
    empty("data");
    run_script("data", &dump("schema", &["--schema-only"]));
    run_script("data", &dump("data", &["--data-only"]));
    for database in ["plain", "inserts", "custom", "data"] {
        assert_goes_on(&cluster, database, &before);
    }
}

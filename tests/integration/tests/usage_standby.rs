//! Threat 27 for usage: where nothing can be written, recording says so and asking answers, on a standby by what was replayed.

use pg_tenancy_integration::{Cluster, Session, bearer, eventually, tenant, user};

const HARD: i64 = 10;

fn catch_up(primary: &Cluster, standby: &Cluster) {
    let mut session = primary.connect("postgres");
    // A commit of our own, so that what open transactions wrote is flushed with it and sent.
    session.run("SELECT pg_logical_emit_message(true, 'flush', '')");
    let position = session.text("SELECT pg_current_wal_flush_lsn()");
    let mut replayed = standby.connect("postgres");
    eventually("the standby has caught up", || {
        replayed.holds(&format!("pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"))
    });
}

/// What is asked is answered, and recording fails.
#[track_caller]
fn assert_asks(session: &mut Session, left: i64) {
    let at = tenant(1);
    assert_eq!(session.number("SELECT tenancy.remaining('rows')"), left);
    assert_eq!(session.number(&format!("SELECT tenancy.remaining('rows', '{at}')")), left);
    assert!(session.holds(&format!("tenancy.check_quota('rows', {left})")));
    assert!(session.holds(&format!("NOT tenancy.check_quota('rows', {})", left + 1)));
    assert!(session.holds("tenancy.check_quota('free', 1000000)"));
    assert!(session.holds("tenancy.remaining('free') IS NULL"));
    assert!(session.holds(&format!("NOT tenancy.check_quota('rows', 1, '{}')", tenant(2))), "not his");
    assert!(session.holds(&format!("tenancy.remaining('rows', '{}') IS NULL", tenant(2))));
    for sql in ["SELECT tenancy.record_usage('rows')", "SELECT tenancy.record_usage('free')"] {
        session.run("SAVEPOINT before");
        assert_eq!(session.code(sql), "25006", "{sql}");
        session.run("ROLLBACK TO before");
    }
}

fn prepare(primary: &Cluster) -> Session {
    let mut admin = primary.database("work");
    admin.add_docs_application();
    admin.add_tenant(2);
    admin.add_metered_rows("counter");
    admin.run("SELECT tenancy.create_meter('free', 'calls', 'counter')");
    admin.set_limit(HARD);
    admin.run(&format!("SELECT tenancy.record_usage('rows', 3, '{}')", tenant(1)));
    admin
}

#[test]
fn recording_says_that_nothing_can_be_written_and_asking_answers() {
    let primary = Cluster::start("primary", "wal_level = replica");
    let mut admin = prepare(&primary);
    let standby = Cluster::standby_of(&primary, "standby");
    catch_up(&primary, &standby);
    let mut readers =
        [primary.connect_as("work", "authenticator"), standby.connect_as("work", "authenticator")];
    for reader in &mut readers {
        reader.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
        assert_asks(reader, HARD - 3);
    }
    for administrator in [&primary, &standby] {
        let mut session = administrator.connect("work");
        for sql in [
            "SELECT tenancy.fold_usage()".to_owned(),
            format!("SELECT tenancy.record_usage('rows', 1, '{}')", tenant(1)),
        ] {
            assert_eq!(session.code(&format!("BEGIN READ ONLY; {sql}")), "25006", "{sql}");
            session.run("ROLLBACK");
        }
    }
    // In the same transactions: the newest of what was replayed.
    admin.run(&format!("SELECT tenancy.record_usage('rows', 2, '{}')", tenant(1)));
    catch_up(&primary, &standby);
    readers.iter_mut().for_each(|reader| assert_asks(reader, HARD - 5));
    admin.set_limit(HARD + 10);
    catch_up(&primary, &standby);
    readers.iter_mut().for_each(|reader| assert_asks(reader, HARD + 5));
    readers.iter_mut().for_each(|reader| reader.run("COMMIT"));
    assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), 5, "nothing was counted by them");
    // By one snapshot the answer is still the newest.
    for reader in &mut readers {
        reader.begin_request(&bearer(user(1)), "REPEATABLE READ READ ONLY");
        assert_asks(reader, HARD + 5);
    }
    admin.run(&format!("SELECT tenancy.record_usage('rows', 1, '{}')", tenant(1)));
    catch_up(&primary, &standby);
    readers.iter_mut().for_each(|reader| assert_asks(reader, HARD + 4));
}

/// Promoted, it counts on from what was replayed.
#[test]
fn a_promoted_standby_counts_on() {
    let primary = Cluster::start("old", "wal_level = replica");
    let mut admin = prepare(&primary);
    let standby = Cluster::standby_of(&primary, "new");
    let mut open = primary.connect("work");
    open.run(&format!("BEGIN; SELECT tenancy.record_usage('rows', 4, '{}')", tenant(1)));
    admin.run(&format!("SELECT tenancy.record_usage('rows', 2, '{}')", tenant(1)));
    catch_up(&primary, &standby);
    let mut promoted = standby.connect("work");
    let left = format!("SELECT tenancy.remaining('rows', '{}')", tenant(1));
    assert_eq!(promoted.number(&left), HARD - 9, "what is open on the primary counts");
    primary.shut_down("immediate");
    promoted.run("SELECT pg_promote()");
    assert_eq!(promoted.number(&left), HARD - 5, "it was never committed");
    promoted.run(&format!("SELECT tenancy.record_usage('rows', {}, '{}')", HARD - 5, tenant(1)));
    assert_eq!(promoted.code(&format!("SELECT tenancy.record_usage('rows', 1, '{}')", tenant(1))), "23514");
}

//! A tenant at its limit: however many try at once, and try again, it comes to exactly the limit, never above it, and nobody
//! deadlocks. What was counted is what was committed.

use pg_tenancy_integration::{Cluster, End, Random, Session, bearer, tenant, user};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

const WRITERS: u64 = 32;

fn cluster() -> Cluster {
    Cluster::start("quota", "max_connections = 60")
}

fn prepare(cluster: &Cluster, database: &str, kind: &str, hard: i64) -> Session {
    let mut admin = cluster.database(database);
    admin.add_docs_application();
    admin.add_metered_rows(kind);
    admin.set_limit(hard);
    admin
}

/// Runs writers until each is done, and watches: at no moment is there more than the limit, or are there rows that are not
/// counted. Gives how often it looked.
fn watched(cluster: &Cluster, database: &str, hard: i64, writer: impl Fn(u64, Session) + Sync) -> u32 {
    let over = AtomicBool::new(false);
    let mut watcher = cluster.connect(database);
    scope(|scope| {
        let watching = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::Relaxed) {
                let (rows, used) = watcher.rows_and_usage();
                assert_eq!(rows, used, "what is committed is what is counted");
                assert!(used <= hard, "{used} of {hard}");
                assert!(watcher.holds("coalesce((SELECT min(remaining) FROM tenancy.quota_status), 0) >= 0"));
                looks += 1;
            }
            looks
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (session, writer) = (cluster.connect(database), &writer);
                scope.spawn(move || writer(number, session))
            })
            .collect();
        let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        over.store(true, Ordering::Relaxed);
        ends.into_iter().for_each(|end| end.expect("a writer ends"));
        watching.join().expect("nothing was seen that must not be")
    })
}

/// Half of them are members by their tokens.
fn begin(number: u64) -> String {
    if number.is_multiple_of(2) {
        return "BEGIN".to_owned();
    }
    let claims = bearer(user(1 + (number / 2 % 2) as u32)).to_string();
    format!(
        "BEGIN; SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claims', '{claims}', true)"
    )
}

#[test]
fn many_writers_that_try_again_fill_a_quota_to_exactly_its_limit() {
    const HARD: i64 = 500;
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "counter", HARD);
    let looks = watched(&cluster, "work", HARD, |number, mut session| {
        let (mut random, begin) = (Random::new(number), begin(number));
        let (mut committed, mut refused) = (0, 0);
        loop {
            match session.count_rows(&mut random, number, &begin) {
                End::Committed => committed += 1,
                End::RolledBack => {}
                // Only those near the limit see that it is reached: what is open may still be given back.
                End::Refused if session.rows_and_usage().1 == HARD => break,
                End::Refused => refused += 1,
                End::Lost => panic!("the server stays"),
            }
        }
        println!("writer {number}: {committed} committed, {refused} tried again");
    });
    assert_eq!(admin.rows_and_usage(), (HARD, HARD));
    assert!(looks > 10, "the watcher looked {looks} times");
    assert_eq!(admin.number("SELECT remaining FROM tenancy.quota_status"), 0);
    let at = tenant(1);
    assert_eq!(admin.code(&format!("SELECT tenancy.record_usage('rows', 1, '{at}')")), "23514");
    assert_eq!(admin.number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'work'"), 0);
    admin.run("SELECT tenancy.fold_usage()");
    assert_eq!(admin.rows_and_usage(), (HARD, HARD));
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.usage"), 1);
}

#[test]
fn a_gauge_that_rises_and_falls_under_its_limit_is_never_above_it_and_ends_at_what_there_is() {
    const HARD: i64 = 60;
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "gauge", HARD);
    let at = tenant(1);
    let delete = format!(
        "SELECT tenancy.record_usage('rows', -gone, '{at}')
           FROM (SELECT count(*) AS gone FROM deleted) d WHERE gone > 0"
    );
    watched(&cluster, "work", HARD, |number, mut session| {
        let mut random = Random::new(100 + number);
        for _ in 0..25 {
            if random.once_in(2) {
                assert_ne!(session.count_rows(&mut random, number, "BEGIN"), End::Lost);
                continue;
            }
            let kept = random.pick(&["COMMIT", "COMMIT", "ROLLBACK"]);
            session.run(&format!(
                "BEGIN; WITH deleted AS (DELETE FROM done WHERE writer = {number} RETURNING 1) {delete}; {kept}"
            ));
        }
        session.run(&format!(
            "BEGIN; WITH deleted AS (DELETE FROM done WHERE writer = {number} RETURNING 1) {delete}; COMMIT"
        ));
    });
    assert_eq!(admin.rows_and_usage(), (0, 0));
    // What was given back can be had, to the last.
    admin.run(&format!("INSERT INTO done SELECT 0, '{at}' FROM generate_series(1, {HARD})"));
    admin.run(&format!("SELECT tenancy.record_usage('rows', {HARD}, '{at}')"));
    assert_eq!(admin.code(&format!("SELECT tenancy.record_usage('rows', 1, '{at}')")), "23514");
    assert_eq!(admin.rows_and_usage(), (HARD, HARD));
    assert_eq!(admin.number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'work'"), 0);
}

/// What is taken and given back again and again, as fast as the server can: two that look at the same moment must not both
/// find the last one free.
#[test]
fn a_limit_of_one_is_never_held_by_two() {
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "gauge", 1);
    let at = tenant(1);
    admin.run(&format!(
        "CREATE FUNCTION take() RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM tenancy.record_usage('rows', 1, '{at}');
             RETURN true;
         EXCEPTION WHEN check_violation THEN
             RETURN false;
         END $$;
         CREATE PROCEDURE take_turns(times int, INOUT taken int DEFAULT 0) LANGUAGE plpgsql AS $$
         DECLARE
             had boolean;
             held bigint;
         BEGIN
             FOR turn IN 1..times LOOP
                 had := take();
                 COMMIT;
                 IF had THEN
                     taken := taken + 1;
                     SELECT sum(total) INTO held FROM tenancy.usage;
                     IF held <> 1 THEN
                         RAISE EXCEPTION 'held by % at once', held;
                     END IF;
                     PERFORM tenancy.record_usage('rows', -1, '{at}');
                     COMMIT;
                 END IF;
             END LOOP;
         END $$"
    ));
    let taken: Vec<i64> = scope(|scope| {
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let mut session = cluster.connect("work");
                scope.spawn(move || session.number("CALL take_turns(3000)"))
            })
            .collect();
        takers.into_iter().map(|taker| taker.join().expect("it is never held by two")).collect()
    });
    println!("taken {taken:?} times");
    assert!(taken.iter().filter(|times| **times > 0).count() > 1, "they took turns");
    assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), 0);
    assert_eq!(admin.number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'work'"), 0);
}

/// Far from the limit writers spend what they are granted without looking. Under way, others fold, lower and raise the limit, and
/// at the end what idle connections were granted is had by whoever asks, to the last one.
#[test]
fn what_was_granted_to_some_is_never_too_much_nor_lost() {
    const HARD: i64 = 40_000;
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "counter", HARD);
    let at = tenant(1);
    admin.run(&format!(
        "CREATE PROCEDURE spend(times int, INOUT recorded bigint DEFAULT 0) LANGUAGE plpgsql AS $$
         DECLARE
             amount bigint;
         BEGIN
             FOR turn IN 1..times LOOP
                 amount := 1 + floor(random() * 3);
                 BEGIN
                     PERFORM tenancy.record_usage('rows', amount, '{at}');
                     IF random() < 0.1 THEN
                         RAISE division_by_zero;
                     END IF;
                     PERFORM tenancy.record_usage('rows', 1, '{at}');
                     recorded := recorded + amount + 1;
                 EXCEPTION
                     WHEN check_violation THEN EXIT;
                     WHEN division_by_zero THEN NULL;
                 END;
                 COMMIT;
             END LOOP;
         END $$"
    ));
    let over = AtomicBool::new(false);
    let (mut sessions, recorded) = scope(|scope| {
        let watching = scope.spawn(|| {
            let mut watcher = cluster.connect("work");
            let (mut looks, mut granted) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let used = watcher.number("SELECT coalesce(sum(total), 0) FROM tenancy.usage");
                assert!(used <= HARD, "{used} of {HARD}");
                granted += watcher.number("SELECT count(*) FROM tenancy.usage WHERE granted > 0");
                looks += 1;
                match looks % 3 {
                    0 => watcher.run("SELECT tenancy.fold_usage()"),
                    // What was granted under another limit ends.
                    1 => watcher.set_limit(HARD - looks % 7),
                    _ => watcher.set_limit(HARD),
                }
            }
            assert!(looks > 10 && granted > 0, "it looked {looks} times, and found {granted} grants");
        });
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let mut session = cluster.connect("work");
                scope.spawn(move || {
                    let recorded = session.number("CALL spend(6000)");
                    (session, recorded)
                })
            })
            .collect();
        let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        over.store(true, Ordering::Relaxed);
        watching.join().expect("nothing was seen that must not be");
        let ends = ends.into_iter().map(|end| end.expect("a writer ends"));
        let (sessions, recorded): (Vec<Session>, Vec<i64>) = ends.unzip();
        (sessions, recorded.iter().sum::<i64>())
    });
    admin.set_limit(HARD);
    let used = |admin: &mut Session| admin.number("SELECT sum(total) FROM tenancy.usage");
    assert_eq!(used(&mut admin), recorded, "what was recorded is what is used");
    let one = format!("SELECT tenancy.record_usage('rows', 1, '{at}')");
    for session in &mut sessions {
        // Two look, the third is granted something.
        (0..if recorded < HARD - 100 { 3 } else { 0 }).for_each(|_| session.run(&one));
    }
    let left = HARD - used(&mut admin);
    println!("{recorded} recorded by writers, {left} left");
    assert_eq!(admin.code(&format!("SELECT tenancy.record_usage('rows', {}, '{at}')", left + 1)), "23514");
    if left > 0 {
        admin.run(&format!("SELECT tenancy.record_usage('rows', {left}, '{at}')"));
    }
    for session in &mut sessions {
        assert_eq!(session.code(&one), "23514");
    }
    assert_eq!(used(&mut admin), HARD);
    assert_eq!(admin.number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'work'"), 0);
}

/// Transactions end while their versions are read: then one slot must not count as two, and nobody is refused what is there.
#[test]
fn a_slot_whose_writer_commits_while_it_is_read_counts_once() {
    const SLOTS: i64 = 8;
    const HELD: i64 = 75_000;
    const FREE: i64 = 70_000;
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "gauge", SLOTS * HELD + FREE);
    let at = tenant(1);
    admin.run(&format!(
        "SELECT tenancy.set_quota('{at}', 'rows', soft => 10, hard => {}, period => 'none');
         SET client_min_messages = error;
         CREATE PROCEDURE swing(times int) LANGUAGE plpgsql AS $$
         BEGIN
             FOR turn IN 1..times LOOP
                 PERFORM tenancy.record_usage('rows', 1, '{at}');
                 COMMIT;
                 PERFORM tenancy.record_usage('rows', -1, '{at}');
                 COMMIT;
             END LOOP;
         END $$",
        SLOTS * HELD + FREE
    ));
    let writers: Vec<_> = (0..SLOTS)
        .map(|_| {
            let mut session = cluster.connect("work");
            session.run("SET client_min_messages = error");
            session.run(&format!("SELECT tenancy.record_usage('rows', {HELD}, '{at}')"));
            session
        })
        .collect();
    let over = AtomicBool::new(false);
    scope(|scope| {
        let watching = scope.spawn(|| {
            let mut watcher = cluster.connect("work");
            let (mut looks, mut wrong) = (0, Vec::new());
            let ask = format!("SELECT tenancy.remaining('rows', '{at}')");
            while !over.load(Ordering::Relaxed) {
                let left = watcher.number(&ask);
                // Each writer may have one more, and what is undecided counts as used.
                if !(FREE - 2 * SLOTS..=FREE + 2 * SLOTS).contains(&left) {
                    wrong.push(left);
                }
                looks += 1;
            }
            assert!(
                looks > 100 && wrong.is_empty(),
                "of {looks} answers {} wrong, {:?}",
                wrong.len(),
                wrong.first()
            );
        });
        let writers: Vec<_> = writers
            .into_iter()
            .map(|mut session| scope.spawn(move || session.run("CALL swing(1500)")))
            .collect();
        let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        over.store(true, Ordering::Relaxed);
        watching.join().expect("what is left is told as it is");
        ends.into_iter().for_each(|end| end.expect("nobody is refused"));
    });
    assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), SLOTS * HELD);
}

#[test]
fn a_quota_filled_by_copy_stops_it_whole() {
    let cluster = cluster();
    let mut admin = prepare(&cluster, "work", "gauge", 10);
    let at = tenant(1);
    admin.run(&format!(
        "CREATE FUNCTION count_one() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM tenancy.record_usage('rows', 1, '{at}'); RETURN NEW; END $$;
         CREATE TRIGGER counted BEFORE INSERT ON done FOR EACH ROW EXECUTE FUNCTION count_one()"
    ));
    let copied = |rows: usize| {
        use std::io::Write;
        let mut client = cluster.connect("work");
        let mut copy = client.client().copy_in("COPY done (writer) FROM stdin").expect("COPY begins");
        copy.write_all("1\n".repeat(rows).as_bytes()).expect("the rows are sent");
        copy.finish().map_err(|error| error.code().map(|code| code.code().to_owned()))
    };
    admin.run("ALTER TABLE done ALTER tenant DROP DEFAULT, ALTER tenant DROP NOT NULL");
    assert_eq!(copied(7), Ok(7));
    assert_eq!(copied(4), Err(Some("23514".to_owned())));
    assert_eq!(admin.rows_and_usage(), (7, 7));
    assert_eq!(copied(3), Ok(3));
    assert_eq!(admin.rows_and_usage(), (10, 10));
}

//! Threat 28 at random: several sessions change grants, roles, groups, tenants and choices at once, at two isolation
//! levels, with claims projected at once, at commit, or queued; an auth server writes the metadata from copies it read
//! before, and somebody works the queue off. When all are done and the queue is drained, what stands in every user's
//! metadata is what the tables say. PGT_SEED repeats the choices, though not how the sessions interleave.

use pg_tenancy_integration::{Cluster, Random, Session, explain, tenant, user};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const TENANTS: u32 = 3;
const USERS: u32 = 8;
const TRANSACTIONS: u32 = 120;
const PERMISSIONS: &[&str] = &["docs.read", "docs.edit", "bills.read", "docs.*", "all"];
const ROLES: &[&str] = &["reader", "writer", "keeper", "auditor"];

/// Rules of the tables, and what becomes of sessions that meet: nothing else may stop a change.
const REFUSALS: &[&str] = &["23503", "23505", "23514", "42704", "0LP01", "40001", "40P01"];
/// What may keep claims from being written beside a change.
const FAILURES: &str = "'40001', '40P01', '55P03'";

const SETUP: &str = "CREATE SCHEMA auth;
    CREATE TABLE auth.users (id uuid PRIMARY KEY, raw_app_meta_data jsonb);
    SELECT tenancy.attach_users('auth.users');
    SELECT count(tenancy.create_permission(p)) FROM unnest('{docs.read,docs.edit,bills.read}'::text[]) p;
    SELECT count(tenancy.create_role(r)) FROM unnest('{reader,writer,keeper,auditor}'::text[]) r";

const WRONG: &str = "SELECT u.id, u.raw_app_meta_data, p.claims
    FROM auth.users u, tenancy.projected_claims(ARRAY[u.id]) p
   WHERE u.raw_app_meta_data IS DISTINCT FROM tenancy.replace_claims(u.raw_app_meta_data, p.claims)
      OR NOT u.raw_app_meta_data ? 'provider'";

fn change(random: &mut Random) -> String {
    let number = |random: &mut Random, most: u32| 1 + random.below(u64::from(most)) as u32;
    let (at, who) = (tenant(number(random, TENANTS)), user(number(random, USERS)));
    let (role, junior, permission) = (random.pick(ROLES), random.pick(ROLES), random.pick(PERMISSIONS));
    match random.below(26) {
        0..=3 => format!("SELECT tenancy.add_member('{at}', '{who}', '{{{role}}}')"),
        4 => format!("SELECT tenancy.remove_member('{at}', '{who}')"),
        5..=7 => format!("SELECT tenancy.grant_role('{at}', '{who}', '{role}')"),
        8 | 9 => format!("SELECT tenancy.revoke_role('{at}', '{who}', '{role}')"),
        10 => format!(
            "DELETE FROM tenancy.member_roles WHERE role_id = (SELECT id FROM tenancy.roles WHERE name = '{role}')"
        ),
        11..=13 => format!("SELECT tenancy.grant_permission('{role}', '{permission}')"),
        14 | 15 => format!("SELECT tenancy.revoke_permission('{role}', '{permission}')"),
        16 => format!("SELECT tenancy.add_inheritance('{role}', '{junior}')"),
        17 => format!("SELECT tenancy.remove_inheritance('{role}', '{junior}')"),
        18 => format!("SELECT tenancy.add_group_member('{at}', 'crew', '{who}')"),
        19 => format!("SELECT tenancy.remove_group_member('{at}', 'crew', '{who}')"),
        20 => format!("SELECT tenancy.grant_role_to_group('{at}', 'crew', '{role}')"),
        21 => format!("SELECT tenancy.revoke_role_from_group('{at}', 'crew', '{role}')"),
        22 => format!(
            "SELECT tenancy.set_tenant_status('{at}', '{}')",
            random.pick(&["active", "active", "read_only", "suspended"])
        ),
        23 => format!(
            "SELECT tenancy.set_member_status('{at}', '{who}', '{}')",
            random.pick(&["active", "suspended"])
        ),
        24 => format!(
            "INSERT INTO tenancy.active_tenants VALUES ('{who}', '{at}')
             ON CONFLICT (user_id) DO UPDATE SET tenant_id = excluded.tenant_id"
        ),
        _ => format!(
            "INSERT INTO tenancy.operators (user_id, access, reason) VALUES ('{who}', '{}', 'test')
             ON CONFLICT (user_id) DO UPDATE SET access = excluded.access",
            random.pick(&["read", "write"])
        ),
    }
}

/// Whether it succeeded; what it may not be refused for is a failure.
fn tried(session: &mut Session, sql: &str, deadlocks: &AtomicU32) -> bool {
    let Err(error) = session.try_rows(sql) else { return true };
    let code = error.code().map_or("", |code| code.code());
    assert!(REFUSALS.contains(&code), "{sql}\n{}", explain(&error));
    if code == "40P01" {
        deadlocks.fetch_add(1, Ordering::Relaxed);
    }
    false
}

/// Answers how many transactions were committed.
fn write(mut session: Session, mut random: Random, deadlocks: &AtomicU32) -> u32 {
    // Soon, so that sessions that meet are told apart before anybody gives up.
    session.run("SET deadlock_timeout = '50ms'; SET statement_timeout = '30s'");
    let mut committed = 0;
    for _ in 0..TRANSACTIONS {
        let level = random.pick(&["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ"]);
        let mode = random.pick(&["on", "on", "deferred"]);
        // Few enough that a role, a group or a tenant is often too many.
        let limit = random.pick(&["1000", "1000", "2"]);
        session.run(&format!(
            "BEGIN ISOLATION LEVEL {level}; SET LOCAL tenancy.claims_sync = {mode};
             SET LOCAL tenancy.claims_sync_limit = {limit}; SELECT count(*) FROM auth.users"
        ));
        let changes = 1 + random.below(3);
        let done = (0..changes).all(|_| tried(&mut session, &change(&mut random), deadlocks));
        let ended = match done && !random.once_in(8) {
            true => tried(&mut session, "COMMIT", deadlocks),
            false => false,
        };
        if ended {
            committed += 1;
        } else {
            session.run("ROLLBACK");
        }
    }
    committed
}

/// As GoTrue: the whole column, from a copy that is some transactions old.
fn authenticate(mut session: Session, mut random: Random, over: &AtomicBool, deadlocks: &AtomicU32) -> u32 {
    let mut copy = String::from("{}");
    let mut written = 0;
    while !over.load(Ordering::Relaxed) {
        let who = user(1 + random.below(u64::from(USERS)) as u32);
        let fresh = session.text(&format!("SELECT raw_app_meta_data FROM auth.users WHERE id = '{who}'"));
        let statement = format!(
            "UPDATE auth.users SET raw_app_meta_data = '{copy}'::jsonb || '{{\"provider\": \"email\"}}' WHERE id = '{who}'"
        );
        // Who waits in line for a row may be the victim of a deadlock of two others: the server asks again.
        if let Err(error) = session.try_rows(&statement) {
            assert_eq!(error.code().map(|code| code.code()), Some("40P01"), "{}", explain(&error));
            deadlocks.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        copy = fresh;
        written += 1;
        std::thread::sleep(std::time::Duration::from_millis(random.below(8)));
    }
    written
}

fn drain(mut session: Session, over: &AtomicBool) -> i64 {
    let mut mended = 0;
    while !over.load(Ordering::Relaxed) {
        mended += session.number("SELECT tenancy.sync_claims(batch => 3)");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    mended
}

fn world(cluster: &Cluster, seed: u64) {
    let database = format!("projection{seed}");
    let mut admin = cluster.database(&database);
    admin.run(SETUP);
    for n in 1..=USERS {
        admin.run(&format!("INSERT INTO auth.users VALUES ('{}', '{{\"provider\": \"email\"}}')", user(n)));
    }
    for n in 1..=TENANTS {
        let id = admin.add_tenant(n);
        admin.run(&format!("SELECT tenancy.create_group('{id}', 'crew')"));
    }
    let (over, deadlocks) = (AtomicBool::new(false), AtomicU32::new(0));
    let connect = || cluster.connect(&database);
    let (committed, overwritten, mended) = std::thread::scope(|scope| {
        let (over, deadlocks) = (&over, &deadlocks);
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let session = connect();
                scope.spawn(move || write(session, Random::new(seed * 31 + n), deadlocks))
            })
            .collect();
        let (auth, drainer) = (connect(), connect());
        let auth = scope.spawn(move || authenticate(auth, Random::new(seed), over, deadlocks));
        let drainer = scope.spawn(move || drain(drainer, over));
        let committed: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        over.store(true, Ordering::Relaxed);
        let committed: u32 =
            committed.into_iter().map(|count| count.expect("no writer fails otherwise")).sum();
        (
            committed,
            auth.join().expect("nobody stops the auth server"),
            drainer.join().expect("draining works"),
        )
    });
    let failures = admin.number("SELECT count(*) FROM tenancy.sync_failures");
    let others = format!(
        "SELECT what, sqlstate, message FROM tenancy.sync_failures WHERE sqlstate NOT IN ({FAILURES})"
    );
    assert!(admin.rows(&others).is_empty(), "PGT_SEED={seed}: {:?}", admin.rows(&others));
    while admin.number("SELECT tenancy.sync_claims(batch => 100)") > 0
        || admin.number("SELECT count(*) FROM tenancy.claims_queue") > 0
    {}
    let wrong = admin.rows(WRONG);
    assert!(wrong.is_empty(), "PGT_SEED={seed}: {wrong:#?}");
    let deadlocks = deadlocks.load(Ordering::Relaxed);
    println!(
        "PGT_SEED={seed}: {committed} transactions, {deadlocks} deadlocks, {overwritten} overwrites, {mended} mended from the queue, {failures} failures"
    );
    assert!(committed > 100 && overwritten > 20 && mended > 0, "they did something");
}

#[test]
fn claims_equal_the_tables_after_random_changes_by_several_sessions_at_once() {
    let cluster = Cluster::start("projection", "");
    for seed in Random::seeds(&[1, 2, 3]) {
        world(&cluster, seed);
    }
}

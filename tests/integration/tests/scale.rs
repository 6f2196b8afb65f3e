//! Threat 29: sizes that nobody should have, and what they cost. Bounds are an order of magnitude above what is
//! measured, so that only another order of growth breaks them; what is measured is printed.

use pg_tenancy_integration::{Cluster, Session, resident_kilobytes, tenant, user};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::start("scale", "autovacuum = off\nmax_wal_size = 4GB"));

/// Measuring beside each other would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    println!("{what}: {took:.2?}");
    (result, took)
}

/// Whoever asks, whether he holds docs.read in the first tenant.
fn ask(session: &mut Session, n: u32) -> bool {
    let (who, at) = (user(n), tenant(1));
    let sql = format!(
        "SELECT set_config('request.jwt.claims', '{{\"sub\": \"{who}\"}}', true);
         SELECT tenancy.has_permission('{at}', 'docs.read')"
    );
    session.value(&sql).as_deref() == Some("t")
}

/// A backend that has loaded somebody small, and its memory.
fn warm(database: &str) -> (Session, u32, u64) {
    let mut session = CLUSTER.connect(database);
    assert!(ask(&mut session, 2));
    let pid = session.pid();
    let kilobytes = resident_kilobytes(pid);
    (session, pid, kilobytes)
}

fn cached_bytes(session: &mut Session) -> i64 {
    session.number("SELECT bytes FROM tenancy.cache_stats()")
}

/// Loads the first user anew again and again: time of a load, and that memory does not grow with their number.
fn assert_bounded(database: &str, kilobytes: u64, limit: Duration) {
    let (mut session, pid, before) = warm(database);
    let (may, first) = timed("first load", || ask(&mut session, 1));
    assert!(may);
    let after = resident_kilobytes(pid);
    println!(
        "cached: {} kB, backend grew by {} kB",
        cached_bytes(&mut session) / 1024,
        after.saturating_sub(before)
    );
    let mut other = CLUSTER.connect(database);
    let (_, twelve) = timed("12 loads", || {
        for _ in 0..6 {
            other.run("INSERT INTO tenancy.operators (user_id, access) VALUES ('99999999-0000-4000-8000-000000000000', 'read')");
            assert!(ask(&mut session, 1));
            other.run("DELETE FROM tenancy.operators");
            assert!(ask(&mut session, 1));
        }
    });
    let grown = resident_kilobytes(pid).saturating_sub(before);
    println!("after 12 more loads the backend is {grown} kB larger than before");
    assert!(grown < kilobytes, "grew by {grown} kB");
    assert!(first < limit && twelve < limit * 12, "{first:?}, {twelve:?}");
    let (_, warm) = timed("500 warm requests", || (0..500).for_each(|_| assert!(ask(&mut session, 1))));
    assert!(warm < Duration::from_secs(30), "{warm:?}");
}

#[test]
fn a_user_of_ten_thousand_tenants() {
    let _alone = alone();
    let mut admin = CLUSTER.database("tenants");
    admin.add_docs_application();
    timed("made", || {
        admin.run(&format!(
            "INSERT INTO tenancy.tenants (slug, name) SELECT 'bulk-' || n, 'bulk' FROM generate_series(1, 9999) n;
             INSERT INTO tenancy.members (tenant_id, user_id) SELECT id, '{who}' FROM tenancy.tenants ON CONFLICT DO NOTHING;
             INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
             SELECT t.id, '{who}', r.id FROM tenancy.tenants t, tenancy.roles r WHERE r.name = 'viewer'
             ON CONFLICT DO NOTHING",
            who = user(1)
        ));
    });
    assert_bounded("tenants", 60_000, Duration::from_secs(10));
    let mut session = CLUSTER.connect("tenants");
    session.run(&format!("BEGIN; SET LOCAL request.jwt.claims = '{{\"sub\": \"{}\"}}'", user(1)));
    assert_eq!(session.number("SELECT cardinality(tenancy.tenant_ids_with('docs.read'))"), 10_000);
    let (found, took) = timed("has_permission for each of them", || {
        session.number("SELECT count(*) FROM tenancy.tenants WHERE tenancy.has_permission(id, 'docs.read')")
    });
    assert_eq!(found, 10_000);
    assert!(took < Duration::from_secs(5));
}

/// A role of each tenant's own: nothing can be shared between them.
#[test]
fn a_user_with_another_role_in_each_of_two_thousand_tenants() {
    let _alone = alone();
    let mut admin = CLUSTER.database("own");
    admin.add_docs_application();
    timed("made", || {
        admin.run(&format!(
            "INSERT INTO tenancy.tenants (slug, name) SELECT 'bulk-' || n, 'bulk' FROM generate_series(1, 1999) n;
             INSERT INTO tenancy.members (tenant_id, user_id) SELECT id, '{who}' FROM tenancy.tenants ON CONFLICT DO NOTHING;
             INSERT INTO tenancy.roles (tenant_id, name) SELECT id, 'clerk' FROM tenancy.tenants;
             INSERT INTO tenancy.role_permissions (role_id, permission)
             SELECT id, p FROM tenancy.roles, unnest('{{docs.read,members.*}}'::text[]) p WHERE name = 'clerk';
             INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
             SELECT tenant_id, '{who}', id FROM tenancy.roles WHERE name = 'clerk'",
            who = user(1)
        ));
    });
    assert_bounded("own", 60_000, Duration::from_secs(10));
}

/// The tenants' own roles all inherit the same long chain: each of its roles is read once in a load.
#[test]
fn own_roles_over_a_chain_of_the_applications() {
    let _alone = alone();
    let mut admin = CLUSTER.database("chain");
    admin.add_docs_application();
    timed("made", || {
        admin.run(&format!(
            "SELECT tenancy.create_role('level' || n) FROM generate_series(0, 20) n;
             SELECT tenancy.add_inheritance('level' || n, 'level' || n + 1) FROM generate_series(0, 19) n;
             SELECT tenancy.grant_permission('level20', 'docs.read');
             INSERT INTO tenancy.tenants (slug, name) SELECT 'bulk-' || n, 'bulk' FROM generate_series(1, 1999) n;
             INSERT INTO tenancy.members (tenant_id, user_id) SELECT id, '{who}' FROM tenancy.tenants ON CONFLICT DO NOTHING;
             INSERT INTO tenancy.roles (tenant_id, name) SELECT id, 'clerk' FROM tenancy.tenants;
             INSERT INTO tenancy.role_inheritance (senior_id, junior_id)
             SELECT c.id, l.id FROM tenancy.roles c, tenancy.roles l WHERE c.name = 'clerk' AND l.name = 'level0';
             INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
             SELECT tenant_id, '{who}', id FROM tenancy.roles WHERE name = 'clerk'",
            who = user(1)
        ));
    });
    assert_bounded("chain", 60_000, Duration::from_secs(1));
}

#[test]
fn ten_thousand_permissions() {
    let _alone = alone();
    let mut admin = CLUSTER.database("permissions");
    admin.add_docs_application();
    timed("made", || {
        admin.run(
            "INSERT INTO tenancy.permissions (name) SELECT 'bulk' || n % 100 || '.action' || n FROM generate_series(1, 9990) n;
             INSERT INTO tenancy.role_permissions (role_id, permission)
             SELECT r.id, p.name FROM tenancy.roles r, tenancy.permissions p
              WHERE r.name = 'viewer' AND p.name LIKE 'bulk%'",
        );
    });
    assert_bounded("permissions", 60_000, Duration::from_secs(10));
    let mut session = CLUSTER.connect("permissions");
    session.run(&format!("BEGIN; SET LOCAL request.jwt.claims = '{{\"sub\": \"{}\"}}'", user(1)));
    assert_eq!(
        session.number("SELECT count(*) FROM tenancy.permissions WHERE tenancy.has_permission(name)"),
        9_991
    );
}

#[test]
fn a_hundred_levels_of_inheritance() {
    let _alone = alone();
    let mut admin = CLUSTER.database("levels");
    admin.add_docs_application();
    timed("made", || {
        admin.run(
            "SELECT tenancy.create_role('level' || n) FROM generate_series(0, 100) n;
             SELECT tenancy.add_inheritance('level' || n, 'level' || n + 1) FROM generate_series(0, 99) n;
             SELECT tenancy.grant_permission('level100', 'docs.update');
             SELECT tenancy.add_inheritance('viewer', 'level0')",
        );
    });
    assert_eq!(admin.code("SELECT tenancy.add_inheritance('level100', 'level0')"), "0LP01");
    assert_eq!(admin.code("SELECT tenancy.add_inheritance('level100', 'viewer')"), "0LP01");
    assert!(
        admin
            .request_holds(user(1), "tenancy.has_permission('docs.update') AND tenancy.has_role('level100')")
    );
    assert_bounded("levels", 20_000, Duration::from_secs(5));
    admin.run("SELECT tenancy.remove_inheritance('level49', 'level50')");
    assert!(
        !admin
            .request_holds(user(1), "tenancy.has_permission('docs.update') OR tenancy.has_role('level100')")
    );
}

#[test]
fn a_hundred_thousand_holders_of_one_role() {
    let _alone = alone();
    let mut admin = CLUSTER.database("holders");
    admin.add_docs_application();
    let nth = "('5e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    timed("made", || {
        admin.run(&format!(
            "INSERT INTO tenancy.members (tenant_id, user_id) SELECT '{at}', {nth} FROM generate_series(3, 100000) n;
             INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
             SELECT '{at}', {nth}, r.id FROM generate_series(3, 100000) n, tenancy.roles r WHERE r.name = 'viewer'",
            at = tenant(1)
        ));
    });
    let (mut session, pid, before) = warm("holders");
    assert!(ask(&mut session, 100_000));
    let (_, edit) =
        timed("the role edited", || admin.run("SELECT tenancy.revoke_permission('viewer', 'docs.read')"));
    let (may, reload) = timed("a holder's next statement", || ask(&mut session, 100_000));
    assert!(!may);
    admin.run("SELECT tenancy.grant_permission('viewer', 'docs.read')");
    assert!(edit < Duration::from_secs(1) && reload < Duration::from_secs(1), "{edit:?}, {reload:?}");
    // One backend serves many users, and remembers what its budget allows.
    let (_, many) = timed("10,000 users over one connection", || {
        session.run(&format!(
            "DO $$ BEGIN FOR n IN 3..10002 LOOP
                 PERFORM set_config('request.jwt.claims', '{{\"sub\": \"' || {nth} || '\"}}', true);
                 IF tenancy.has_permission('{}', 'docs.read') IS NOT TRUE THEN RAISE 'user % is denied', n; END IF;
             END LOOP; END $$",
            tenant(1)
        ));
    });
    let bytes = cached_bytes(&mut session);
    let grown = resident_kilobytes(pid).saturating_sub(before);
    println!(
        "{} users cached, {} kB of 4096; the backend grew by {grown} kB",
        session.number("SELECT entries FROM tenancy.cache_stats()"),
        bytes / 1024
    );
    assert!(bytes <= 4 * 1024 * 1024);
    assert!(grown < 60_000, "grew by {grown} kB");
    assert!(many < Duration::from_secs(120), "{many:?}");
}

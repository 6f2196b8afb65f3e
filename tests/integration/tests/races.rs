//! Two sessions at once, each of them within the rules, together breaking one: at every isolation level at most
//! one of them commits.

use pg_tenancy_integration::{Cluster, Random, Session, bearer, eventually, tenant, user};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("races", ""));

const ISOLATION: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// Both transactions have begun, and seen the tables, before either changes anything. Answers with the
/// SQLSTATE that each came to, the second having had to wait if it did.
fn race(mut first: Session, mut second: Session, statements: [&str; 2]) -> [String; 2] {
    let mut watcher = CLUSTER.connect("postgres");
    for session in [&mut first, &mut second] {
        session.run("SELECT count(*) FROM tenancy.roles, tenancy.tenants, tenancy.member_roles");
    }
    let second_pid = second.pid();
    let outcome = |session: &mut Session, sql: &str| match session.code(sql).as_str() {
        "00000" => session.code("COMMIT"),
        refused => {
            session.run("ROLLBACK");
            refused.to_owned()
        }
    };
    assert_eq!(first.code(statements[0]), "00000");
    let waiting = std::thread::spawn({
        let sql = statements[1].to_owned();
        move || outcome(&mut second, &sql)
    });
    eventually("the second waits or is done", || {
        waiting.is_finished()
            || watcher.holds(&format!(
                "EXISTS (SELECT FROM pg_stat_activity WHERE pid = {second_pid} AND wait_event_type = 'Lock')"
            ))
    });
    let first_code = first.code("COMMIT");
    [first_code, waiting.join().expect("the second session ends")]
}

fn administrator(database: &str, isolation: &str) -> Session {
    let mut session = CLUSTER.connect(database);
    session.run(&format!("BEGIN ISOLATION LEVEL {isolation}"));
    session
}

fn as_user(database: &str, isolation: &str, n: u32) -> Session {
    let mut session = CLUSTER.connect_as(database, "authenticator");
    session.begin_request(&bearer(user(n)), isolation);
    session
}

/// Names with a number, for every isolation level has a turn in one database.
fn numbered() -> impl Iterator<Item = (usize, &'static str)> {
    ISOLATION.into_iter().enumerate()
}

const CYCLE: &str = "WITH RECURSIVE reached AS (
        SELECT senior_id, junior_id FROM tenancy.role_inheritance
        UNION SELECT r.senior_id, i.junior_id FROM reached r JOIN tenancy.role_inheritance i ON i.senior_id = r.junior_id
    ) SELECT count(*) FROM reached WHERE senior_id = junior_id";

#[test]
fn two_inheritances_that_together_make_a_cycle_are_not_both_made() {
    let mut admin = CLUSTER.database("cycle");
    for (n, isolation) in numbered() {
        admin.run(&format!("SELECT tenancy.create_role('a{n}'), tenancy.create_role('b{n}')"));
        let codes = race(
            administrator("cycle", isolation),
            administrator("cycle", isolation),
            [
                &format!("SELECT tenancy.add_inheritance('a{n}', 'b{n}')"),
                &format!("SELECT tenancy.add_inheritance('b{n}', 'a{n}')"),
            ],
        );
        assert_eq!(codes[0], "00000", "{isolation}");
        assert!(["0LP01", "40001"].contains(&codes[1].as_str()), "{isolation}: {codes:?}");
        assert_eq!(admin.number(CYCLE), 0, "{isolation}");
    }
}

#[test]
fn sessions_adding_inheritance_as_fast_as_they_can_never_make_a_cycle() {
    const ROLES: u64 = 7;
    let mut admin = CLUSTER.database("tangle");
    admin.run(&format!("SELECT tenancy.create_role('r' || n) FROM generate_series(0, {}) n", ROLES - 1));
    let added: usize = std::thread::scope(|scope| {
        let add = |seed| {
            move || {
                let (mut random, mut session) = (Random::new(seed), CLUSTER.connect("tangle"));
                session
                    .run(&format!("SET default_transaction_isolation = '{}'", ISOLATION[seed as usize % 3]));
                let edge = |_| {
                    let (senior, junior) = (random.below(ROLES), random.below(ROLES));
                    let code =
                        session.code(&format!("SELECT tenancy.add_inheritance('r{senior}', 'r{junior}')"));
                    assert!(["00000", "0LP01", "40001"].contains(&code.as_str()), "{code}");
                    code == "00000"
                };
                (0..60).map(edge).filter(|added| *added).count()
            }
        };
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(add(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no session fails otherwise")).sum()
    });
    assert!(added > 5, "{added} edges were added");
    assert_eq!(admin.number(CYCLE), 0);
}

#[test]
fn a_user_at_his_limit_creates_one_tenant_more_and_not_two() {
    let mut admin = CLUSTER.database("quota");
    admin.run(
        "ALTER DATABASE quota SET tenancy.self_service = on;
         ALTER DATABASE quota SET tenancy.max_owned_tenants = 2",
    );
    for (n, isolation) in numbered() {
        let who = n as u32 + 1;
        let mut before = as_user("quota", "READ COMMITTED", who);
        before.run(&format!("SELECT tenancy.create_tenant('one-{n}'); COMMIT"));
        let codes = race(
            as_user("quota", isolation, who),
            as_user("quota", isolation, who),
            [
                &format!("SELECT tenancy.create_tenant('two-{n}')"),
                &format!("SELECT tenancy.create_tenant('three-{n}')"),
            ],
        );
        assert_eq!(codes[0], "00000", "{isolation}");
        assert!(["23514", "40001"].contains(&codes[1].as_str()), "{isolation}: {codes:?}");
        let owned = format!("SELECT count(*) FROM tenancy.member_roles WHERE user_id = '{}'", user(who));
        assert_eq!(admin.number(&owned), 2, "{isolation}");
    }
}

const SHARED_NAMES: &str = "SELECT count(*) FROM tenancy.roles a JOIN tenancy.roles t USING (name)
                            WHERE a.tenant_id IS NULL AND t.tenant_id IS NOT NULL";

/// The application's role and a tenant's own of one name, in either order.
#[test]
fn an_application_role_and_a_tenants_role_of_one_name_are_not_both_made() {
    let mut admin = CLUSTER.database("names");
    let tenant = admin.add_tenant(1);
    for (n, isolation) in numbered() {
        let application = |name: &str| format!("SELECT tenancy.create_role('{name}')");
        let own = |name: &str| format!("SELECT tenancy.create_role('{name}', tenant => '{tenant}')");
        for (name, statements) in [
            (format!("a{n}"), [application(&format!("a{n}")), own(&format!("a{n}"))]),
            (format!("b{n}"), [own(&format!("b{n}")), application(&format!("b{n}"))]),
        ] {
            let sessions = [administrator("names", isolation), administrator("names", isolation)];
            let [first, second] = sessions;
            let codes = race(first, second, [&statements[0], &statements[1]]);
            assert_eq!(codes[0], "00000", "{isolation}");
            assert!(["42710", "40001"].contains(&codes[1].as_str()), "{name} {isolation}: {codes:?}");
            assert_eq!(admin.number(SHARED_NAMES), 0, "{name} {isolation}");
        }
    }
}

/// By renaming, too.
#[test]
fn a_rename_races_a_creation_and_one_of_them_loses() {
    let mut admin = CLUSTER.database("renames");
    let tenant = admin.add_tenant(1);
    for (n, isolation) in numbered() {
        admin.run(&format!("SELECT tenancy.create_role('old{n}', tenant => '{tenant}')"));
        let codes = race(
            administrator("renames", isolation),
            administrator("renames", isolation),
            [
                &format!("UPDATE tenancy.roles SET name = 'new{n}' WHERE name = 'old{n}'"),
                &format!("SELECT tenancy.create_role('new{n}')"),
            ],
        );
        assert_eq!(codes[0], "00000", "{isolation}");
        assert!(["42710", "40001"].contains(&codes[1].as_str()), "{isolation}: {codes:?}");
        assert_eq!(admin.number(SHARED_NAMES), 0, "{isolation}");
    }
}

/// A grant to a member who is being removed: a foreign key decides, and the error names what is missing.
#[test]
fn a_role_is_not_granted_to_a_member_who_leaves_meanwhile() {
    let mut admin = CLUSTER.database("leaving");
    admin.add_docs_application();
    for (n, isolation) in numbered() {
        let who = user(10 + n as u32);
        admin.add_member(tenant(1), who, "");
        let codes = race(
            administrator("leaving", isolation),
            administrator("leaving", isolation),
            [
                &format!("SELECT tenancy.remove_member('{}', '{who}')", tenant(1)),
                &format!("SELECT tenancy.grant_role('{}', '{who}', 'viewer')", tenant(1)),
            ],
        );
        assert_eq!(codes[0], "00000", "{isolation}");
        assert!(["42704", "40001"].contains(&codes[1].as_str()), "{isolation}: {codes:?}");
        assert_eq!(
            admin.number(&format!("SELECT count(*) FROM tenancy.member_roles WHERE user_id = '{who}'")),
            0
        );
    }
}

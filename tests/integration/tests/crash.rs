//! Threat 25: a backend, or the whole server, dies in mid-write. After recovery the tables hold what was
//! committed and nothing else, no row refers to what is not there, and answers are those of the tables.

use pg_tenancy_integration::{Cluster, Random, Session, by_functions, by_tables, eventually, tenant, user};

const USERS: u32 = 6;

fn prepare(cluster: &Cluster) -> Session {
    let mut admin = cluster.database("work");
    admin.add_docs_application();
    admin.add_tenant(2);
    admin.run("SELECT tenancy.create_group(id, 'staff'), tenancy.grant_role_to_group(id, 'staff', 'editor') FROM tenancy.tenants");
    admin.run(
        "CREATE TABLE probes AS SELECT 'tenant' AS kind, id, NULL AS name FROM tenancy.tenants
         UNION ALL SELECT 'permission', NULL, name FROM tenancy.permissions
         UNION ALL SELECT 'role', NULL, name FROM tenancy.roles;
         CREATE TABLE told (n int)",
    );
    admin
}

/// Every foreign key of the schema holds, asked of the rows and not of the constraint.
fn assert_consistent(session: &mut Session) {
    let keys = session.rows(
        "SELECT c.conrelid::regclass, c.confrelid::regclass,
                (SELECT string_agg(format('r.%I = p.%I', a.attname, b.attname), ' AND ')
                   FROM unnest(c.conkey, c.confkey) k (own, other)
                   JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own
                   JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.other),
                (SELECT string_agg(format('r.%I IS NOT NULL', a.attname), ' AND ')
                   FROM unnest(c.conkey) k (own) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.own)
           FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'tenancy'::regnamespace",
    );
    assert!(keys.len() > 10);
    for key in keys {
        let texts: Vec<String> = key.into_iter().flatten().collect();
        let [table, parent, join, present] = &texts[..] else { panic!("four columns, none of them null") };
        let orphans = session.number(&format!(
            "SELECT count(*) FROM {table} r WHERE {present} AND NOT EXISTS (SELECT FROM {parent} p WHERE {join})"
        ));
        assert_eq!(orphans, 0, "{table} refers to rows of {parent} that are not there");
    }
}

fn assert_answers_are_the_tables(cluster: &Cluster) {
    let mut session = cluster.connect("work");
    session.prepare_helpers();
    for n in 1..=USERS {
        let (answered, at) = by_functions(&mut session, user(n), tenant(1));
        assert_eq!(answered, by_tables(&mut session, user(n), tenant(1), &at), "user {n}");
    }
}

fn kill(pid: u32) {
    // The shell has it built in; the program is not on every machine.
    let status = std::process::Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status();
    assert!(status.expect("sh starts").success());
}

/// One transaction of several tables, which is told of in a table only if it was to be committed as a whole.
fn transaction(random: &mut Random, n: u64) -> String {
    let (who, at) = (user(1 + random.below(USERS.into()) as u32), tenant(1 + random.below(2) as u32));
    let change = random.pick(&[
        "SELECT tenancy.add_member(:at, :who, '{viewer}'); SELECT tenancy.add_group_member(:at, 'staff', :who)",
        "SELECT tenancy.add_member(:at, :who, '{editor}'); SELECT tenancy.revoke_role(:at, :who, 'viewer')",
        "SELECT tenancy.remove_member(:at, :who)",
        "SELECT tenancy.grant_permission('viewer', 'docs.update'); SELECT tenancy.add_member(:at, :who)",
        "SELECT tenancy.revoke_permission('viewer', 'docs.update')",
    ]);
    let change = change.replace(":at", &format!("'{at}'")).replace(":who", &format!("'{who}'"));
    format!("BEGIN; {change}; INSERT INTO told VALUES ({n}); COMMIT")
}

#[test]
fn a_backend_killed_in_mid_write_leaves_nothing_of_its_transaction() {
    let cluster = Cluster::start("backend", "restart_after_crash = on");
    let mut admin = prepare(&cluster);
    let before = admin.rows("SELECT * FROM tenancy.member_roles ORDER BY 1, 2, 3");
    let mut writer = cluster.connect("work");
    writer.run(&format!(
        "BEGIN;
         SELECT tenancy.add_member('{t}', '{u}', '{{editor}}'), tenancy.add_group_member('{t}', 'staff', '{u}');
         SELECT tenancy.create_role('half', '{{docs.read}}');
         DELETE FROM tenancy.member_roles WHERE user_id <> '{u}'",
        t = tenant(1),
        u = user(3)
    ));
    kill(writer.pid());
    eventually("the server is up again", || {
        cluster
            .try_connect("work", "postgres", "")
            .is_ok_and(|mut session| session.code("SELECT 1") == "00000")
    });
    let mut admin = cluster.connect("work");
    assert_eq!(admin.rows("SELECT * FROM tenancy.member_roles ORDER BY 1, 2, 3"), before);
    assert!(!admin.holds("EXISTS (SELECT FROM tenancy.roles WHERE name = 'half')"));
    assert!(!admin.request_holds(user(3), "tenancy.is_member(tenancy.current_tenant_id())"));
    assert_consistent(&mut admin);
    assert_answers_are_the_tables(&cluster);
}

#[test]
fn a_server_that_dies_under_writers_comes_back_with_whole_transactions_only() {
    let cluster = Cluster::start("server", "checkpoint_timeout = 30s");
    prepare(&cluster);
    for round in 0..3u64 {
        let confirmed: Vec<u64> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3u64)
                .map(|w| {
                    let mut session = cluster.connect("work");
                    scope.spawn(move || {
                        let mut random = Random::new(round * 10 + w);
                        let mut confirmed = Vec::new();
                        for n in 0.. {
                            let number = round * 1_000_000 + w * 100_000 + n;
                            match session.try_rows(&transaction(&mut random, number)) {
                                Ok(_) => confirmed.push(number),
                                // Rules and deadlocks; the writer goes on.
                                Err(error)
                                    if error
                                        .as_db_error()
                                        .is_some_and(|e| !e.code().code().starts_with("57")) =>
                                {
                                    let _ = session.try_rows("ROLLBACK");
                                }
                                Err(_) => break,
                            }
                        }
                        confirmed
                    })
                })
                .collect();
            std::thread::sleep(std::time::Duration::from_millis(400));
            cluster.shut_down("immediate");
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
        });
        cluster.boot();
        assert!(confirmed.len() > 20, "{} transactions were committed", confirmed.len());
        let mut admin = cluster.connect("work");
        let numbers: Vec<String> = confirmed.iter().map(u64::to_string).collect();
        let lost = format!(
            "SELECT count(*) FROM unnest('{{{}}}'::int[]) n WHERE n NOT IN (SELECT n FROM told)",
            numbers.join(",")
        );
        assert_eq!(admin.number(&lost), 0, "what was confirmed is there");
        assert_consistent(&mut admin);
        assert_answers_are_the_tables(&cluster);
    }
}

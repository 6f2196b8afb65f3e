//! Threat 15: the tables of one cluster, published to another by logical replication. There the apply worker
//! changes rows with no statement around them, and warm backends must hear of it all the same.

use pg_tenancy_integration::{Cluster, Session, bearer, by_functions, by_tables, eventually, tenant, user};
use std::sync::LazyLock;

static CLUSTERS: LazyLock<(Cluster, Cluster)> = LazyLock::new(|| {
    let settings = "wal_level = logical\nmax_wal_senders = 20\nmax_replication_slots = 40\n\
                    max_logical_replication_workers = 20\nmax_worker_processes = 30\nwal_retrieve_retry_interval = 100ms";
    (Cluster::start("publisher", settings), Cluster::start("subscriber", settings))
});

/// Built-in rows are on both sides, so they are left out by their keys, as filters must be written.
const PUBLICATION: &str = "CREATE PUBLICATION grants FOR TABLE
    tenancy.tenants, tenancy.members, tenancy.groups, tenancy.group_members, tenancy.group_roles,
    tenancy.member_roles, tenancy.role_inheritance, tenancy.operators,
    tenancy.permissions WHERE (name NOT IN ('tenant.edit', 'members.read', 'members.assign', 'groups.edit',
                                            'roles.edit', 'roles.assign', 'profiles.edit', 'usage.read',
                                            'usage.edit')),
    tenancy.roles WHERE (id <> '00000000-0000-0000-0000-00000000a001'),
    tenancy.role_permissions WHERE (role_id <> '00000000-0000-0000-0000-00000000a001')";

struct Pair {
    publisher: Session,
    subscriber: Session,
    database: String,
}

impl Pair {
    /// Two databases of one name, the one subscribed to the other, rows of before copied.
    fn subscribed(database: &str) -> Self {
        let mut publisher = CLUSTERS.0.database(database);
        publisher.add_docs_application();
        publisher.run("SELECT tenancy.create_group(id, 'staff'), tenancy.grant_role_to_group(id, 'staff', 'editor') FROM tenancy.tenants");
        publisher.run(PUBLICATION);
        let mut subscriber = CLUSTERS.1.database(database);
        subscriber.run(&format!(
            "CREATE SUBSCRIPTION {database} CONNECTION 'host={} port=5432 user=postgres dbname={database}'
             PUBLICATION grants",
            CLUSTERS.0.host().display()
        ));
        eventually("every table is copied", || {
            subscriber.holds("(SELECT count(*) > 10 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel)")
        });
        Self { publisher, subscriber, database: database.to_owned() }
    }

    /// Changes the publisher and waits until the tables of the subscriber show it; that is when its backends
    /// must know.
    fn change(&mut self, sql: &str, shown: &str) {
        self.publisher.run(sql);
        eventually(shown, || self.subscriber.holds(shown));
    }

    /// A backend of the subscriber that has answered, from memory, in a transaction that stays open.
    fn warm(&self, isolation: &str) -> Session {
        let mut reader = CLUSTERS.1.connect_as(&self.database, "authenticator");
        reader.begin_request(&bearer(user(1)), isolation);
        for _ in 0..6 {
            assert!(reader.holds("tenancy.has_permission('docs.read')"));
            assert!(!reader.holds("tenancy.has_permission('docs.update')"));
        }
        reader
    }
}

/// Not even SQL finds anything of a grant.
const REVOKED: &str =
    "NOT EXISTS (SELECT FROM tenancy.member_roles WHERE user_id = '5e000000-0000-4000-8000-000000000001')";
const REVOKE: &str =
    "DELETE FROM tenancy.member_roles WHERE user_id = '5e000000-0000-4000-8000-000000000001'";

#[test]
fn a_revoke_applied_by_a_subscription_is_seen_at_the_next_statement() {
    let mut pair = Pair::subscribed("revoke");
    let mut readers =
        ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"].map(|isolation| pair.warm(isolation));
    pair.change(REVOKE, REVOKED);
    for reader in &mut readers {
        assert!(!reader.holds("tenancy.has_permission('docs.read')"));
    }
}

#[test]
fn every_kind_of_replicated_change_is_seen_at_the_next_statement() {
    let mut pair = Pair::subscribed("kinds");
    let mut reader = pair.warm("READ COMMITTED");
    let (tenant, user) = (tenant(1), user(1));
    let may = "tenancy.has_permission('docs.update')";
    let mut expect = |pair: &mut Pair, sql: &str, shown: &str, expression: &str, answer: bool| {
        pair.change(sql, shown);
        assert_eq!(reader.holds(expression), answer, "{expression} after {sql}");
    };
    let count = |table: &str, n: u32, what: &str| {
        format!("(SELECT count(*) = {n} FROM tenancy.{table} WHERE {what})")
    };
    let in_group = |n| count("group_members", n, &format!("user_id = '{user}'"));
    expect(
        &mut pair,
        &format!("SELECT tenancy.add_group_member('{tenant}', 'staff', '{user}')"),
        &in_group(1),
        may,
        true,
    );
    expect(
        &mut pair,
        "SELECT tenancy.drop_group(id, 'staff', cascade => true) FROM tenancy.tenants",
        &in_group(0),
        may,
        false,
    );
    expect(
        &mut pair,
        "SELECT tenancy.grant_permission('viewer', 'docs.update')",
        &count("role_permissions", 1, "permission = 'docs.update' AND registered = 'docs.update'"),
        may,
        true,
    );
    expect(
        &mut pair,
        "SELECT tenancy.revoke_permission('viewer', 'docs.update')",
        &count("role_permissions", 0, "permission = 'docs.update'"),
        may,
        false,
    );
    expect(
        &mut pair,
        "SELECT tenancy.add_inheritance('viewer', 'editor')",
        &count("role_inheritance", 1, "true"),
        may,
        true,
    );
    expect(
        &mut pair,
        "SELECT tenancy.remove_inheritance('viewer', 'editor')",
        &count("role_inheritance", 0, "true"),
        may,
        false,
    );
    expect(
        &mut pair,
        "SELECT tenancy.create_permission('docs.print'), tenancy.grant_permission('viewer', 'docs.*')",
        &count("role_permissions", 2, "permission = 'docs.*'"),
        "tenancy.has_permission('docs.print')",
        true,
    );
    expect(
        &mut pair,
        "SELECT tenancy.drop_permission('docs.print')",
        &count("permissions", 0, "name = 'docs.print'"),
        "tenancy.has_permission('docs.print')",
        false,
    );
    expect(
        &mut pair,
        &format!("SELECT tenancy.set_member_status('{tenant}', '{user}', 'suspended')"),
        &count("members", 1, "status = 'suspended'"),
        may,
        false,
    );
    expect(
        &mut pair,
        &format!("SELECT tenancy.set_member_status('{tenant}', '{user}', 'active')"),
        &count("members", 0, "status = 'suspended'"),
        may,
        true,
    );
    expect(
        &mut pair,
        &format!("SELECT tenancy.set_tenant_status('{tenant}', 'suspended')"),
        &count("tenants", 1, "status = 'suspended'"),
        may,
        false,
    );
    expect(
        &mut pair,
        &format!("SELECT tenancy.set_tenant_status('{tenant}', 'active')"),
        &count("tenants", 1, "status = 'active'"),
        may,
        true,
    );
    expect(
        &mut pair,
        &format!("INSERT INTO tenancy.operators (user_id, access) VALUES ('{user}', 'read')"),
        &count("operators", 1, "true"),
        "tenancy.operator_access() = 'read'",
        true,
    );
    expect(
        &mut pair,
        "UPDATE tenancy.roles SET name = 'looker' WHERE name = 'viewer'",
        &count("roles", 1, "name = 'looker'"),
        "tenancy.has_role('looker')",
        true,
    );
    expect(&mut pair, "TRUNCATE tenancy.member_roles", &count("member_roles", 0, "true"), may, false);
}

#[test]
fn what_a_subscription_copied_answers_as_its_tables() {
    let mut pair = Pair::subscribed("copied");
    let probes = "CREATE TABLE probes AS SELECT 'tenant' AS kind, id, NULL AS name FROM tenancy.tenants
                  UNION ALL SELECT 'permission', NULL, name FROM tenancy.permissions
                  UNION ALL SELECT 'role', NULL, name FROM tenancy.roles";
    pair.subscriber.run(probes);
    pair.subscriber.prepare_helpers();
    for n in [1, 2, 3] {
        let (rows, at) = by_functions(&mut pair.subscriber, user(n), tenant(1));
        assert_eq!(rows, by_tables(&mut pair.subscriber, user(n), tenant(1), &at));
        assert_eq!(rows, by_tables(&mut pair.publisher, user(n), tenant(1), &at), "and as the publisher's");
        assert_eq!(rows.is_empty(), n == 3);
    }
}

#[test]
fn without_the_row_trigger_nothing_is_remembered_and_diagnose_says_so() {
    let mut pair = Pair::subscribed("disabled");
    pair.subscriber.run("ALTER TABLE tenancy.member_roles DISABLE TRIGGER signal_replicated");
    let mut reader = pair.warm("READ COMMITTED");
    let finding =
        "EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'cache' AND finding LIKE '%member_roles%')";
    assert!(reader.holds(finding));
    pair.change(REVOKE, REVOKED);
    assert!(!reader.holds("tenancy.has_permission('docs.read')"));
}

#[test]
fn a_trigger_that_calls_something_else_is_as_good_as_none() {
    let mut pair = Pair::subscribed("replaced");
    pair.subscriber.run(
        "CREATE FUNCTION say_nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         DROP TRIGGER signal_replicated ON tenancy.member_roles;
         CREATE TRIGGER signal_replicated AFTER DELETE ON tenancy.member_roles
             FOR EACH ROW EXECUTE FUNCTION say_nothing();
         ALTER TABLE tenancy.member_roles ENABLE REPLICA TRIGGER signal_replicated",
    );
    let mut reader = pair.warm("READ COMMITTED");
    pair.change(REVOKE, REVOKED);
    assert!(!reader.holds("tenancy.has_permission('docs.read')"));
}

/// Not a wish but a proof: it is the row trigger that tells, nothing else does.
#[test]
fn with_the_row_trigger_made_to_do_nothing_the_revoke_goes_unnoticed_so_these_tests_bite() {
    let mut pair = Pair::subscribed("silenced");
    pair.subscriber.run(
        "DROP TRIGGER signal_replicated ON tenancy.member_roles;
         CREATE TRIGGER signal_replicated AFTER DELETE ON tenancy.member_roles
             FOR EACH ROW WHEN (false) EXECUTE FUNCTION tenancy.signal_change();
         ALTER TABLE tenancy.member_roles ENABLE REPLICA TRIGGER signal_replicated",
    );
    let mut reader = pair.warm("READ COMMITTED");
    pair.change(REVOKE, REVOKED);
    assert!(reader.holds("tenancy.has_permission('docs.read')"));
}

//! Threats 17 and 27: a hot standby. A grant or revoke replayed from the primary is seen by the standby's warm
//! backends, and everything that policies call runs where nothing can be written.

use pg_tenancy_integration::{Cluster, Session, bearer, by_functions, by_tables, eventually, tenant, user};
use std::sync::LazyLock;

static CLUSTERS: LazyLock<(Cluster, Cluster)> = LazyLock::new(|| {
    let primary = Cluster::start("primary", "wal_level = replica");
    let standby = Cluster::standby_of(&primary, "standby");
    (primary, standby)
});

fn database(name: &str) -> Session {
    let mut primary = CLUSTERS.0.database(name);
    primary.add_docs_application();
    catch_up();
    primary
}

/// Waits until the standby has replayed all that stands in the primary's log now, committed or not.
fn catch_up() {
    let mut primary = CLUSTERS.0.connect("postgres");
    // A commit of our own, so that what open transactions wrote is flushed with it and sent.
    primary.run("SELECT pg_logical_emit_message(true, 'flush', '')");
    let position = primary.text("SELECT pg_current_wal_flush_lsn()");
    let mut standby = CLUSTERS.1.connect("postgres");
    eventually("the standby has caught up", || {
        standby.holds(&format!("pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"))
    });
}

fn warm(database: &str, isolation: &str) -> Session {
    let mut reader = CLUSTERS.1.connect_as(database, "authenticator");
    reader.begin_request(&bearer(user(1)), &format!("{isolation} READ ONLY"));
    for _ in 0..6 {
        assert!(reader.holds("tenancy.has_permission('docs.read')"));
    }
    reader
}

const REVOKE: &str =
    "DELETE FROM tenancy.member_roles WHERE user_id = '5e000000-0000-4000-8000-000000000001'";

#[test]
fn a_revoke_replayed_from_the_primary_is_seen_at_the_next_statement() {
    let mut primary = database("revoke");
    let mut readers = ["READ COMMITTED", "REPEATABLE READ"].map(|isolation| warm("revoke", isolation));
    primary.run(REVOKE);
    catch_up();
    for reader in &mut readers {
        assert!(!reader.holds("tenancy.has_permission('docs.read')"));
    }
}

#[test]
fn a_grant_replayed_from_the_primary_is_seen_at_the_next_statement() {
    let mut primary = database("granted");
    let mut readers = ["READ COMMITTED", "REPEATABLE READ"].map(|isolation| warm("granted", isolation));
    primary.run(&format!("SELECT tenancy.grant_role('{}', '{}', 'editor')", tenant(1), user(1)));
    catch_up();
    for reader in &mut readers {
        assert!(reader.holds("tenancy.has_permission('docs.update')"));
    }
}

/// Row changes of any kind on any of the tables, and TRUNCATE: what tells a standby is the same for all.
#[test]
fn a_role_edited_a_tenant_suspended_or_a_table_emptied_is_seen_at_the_next_statement() {
    let mut primary = database("kinds");
    let mut reader = warm("kinds", "READ COMMITTED");
    let mut expect = |sql: &str, expression: &str| {
        primary.run(sql);
        catch_up();
        assert!(reader.holds(expression), "{expression} after {sql}");
    };
    expect(
        "SELECT tenancy.grant_permission('viewer', 'docs.update')",
        "tenancy.has_permission('docs.update')",
    );
    expect(
        "SELECT tenancy.revoke_permission('viewer', 'docs.update')",
        "NOT tenancy.has_permission('docs.update')",
    );
    expect(
        "SELECT tenancy.set_tenant_status(id, 'suspended') FROM tenancy.tenants",
        "NOT tenancy.has_permission('docs.read')",
    );
    expect(
        "SELECT tenancy.set_tenant_status(id, 'active') FROM tenancy.tenants",
        "tenancy.has_permission('docs.read')",
    );
    expect("TRUNCATE tenancy.member_roles", "NOT tenancy.has_permission('docs.read')");
}

#[test]
fn a_change_rolled_back_on_the_primary_changes_no_answer_on_the_standby() {
    let mut primary = database("undone");
    let mut reader = warm("undone", "READ COMMITTED");
    primary.run(&format!("BEGIN; {REVOKE}; SAVEPOINT s; UPDATE tenancy.members SET status = 'suspended'"));
    catch_up();
    // Cold, while the change is neither committed nor rolled back.
    let mut cold = warm("undone", "REPEATABLE READ");
    primary.run("ROLLBACK");
    catch_up();
    assert!(reader.holds("tenancy.has_permission('docs.read')"));
    assert!(cold.holds("tenancy.has_permission('docs.read')"));
}

#[test]
fn a_backend_started_on_the_standby_answers_as_the_tables() {
    let mut primary = database("cold");
    primary.run(
        "CREATE TABLE probes AS SELECT 'tenant' AS kind, id, NULL AS name FROM tenancy.tenants
         UNION ALL SELECT 'permission', NULL, name FROM tenancy.permissions
         UNION ALL SELECT 'role', NULL, name FROM tenancy.roles",
    );
    catch_up();
    let mut cold = CLUSTERS.1.connect("cold");
    cold.prepare_helpers();
    for n in [1, 2, 3] {
        let (rows, at) = by_functions(&mut cold, user(n), tenant(1));
        assert_eq!(rows, by_tables(&mut cold, user(n), tenant(1), &at));
        assert_eq!(rows.is_empty(), n == 3);
    }
}

#[test]
fn every_function_of_policies_runs_in_read_only_transactions_here_and_on_the_primary() {
    let mut primary = database("readonly");
    primary.run("UPDATE tenancy.tenants SET key = 'eleven'");
    catch_up();
    for cluster in [&CLUSTERS.0, &CLUSTERS.1] {
        let mut reader = cluster.connect_as("readonly", "authenticator");
        reader.begin_request(&bearer(user(1)), "READ COMMITTED READ ONLY");
        for expression in [
            "tenancy.current_user_id() IS NOT NULL",
            "tenancy.current_tenant_id() IS NOT NULL",
            "tenancy.current_tenant_key() = 'eleven'",
            "cardinality(tenancy.tenant_ids()) = 1",
            "cardinality(tenancy.tenant_ids_with('docs.read')) = 1",
            "tenancy.is_member(tenancy.current_tenant_id())",
            "tenancy.can_see_tenant(tenancy.current_tenant_id())",
            "tenancy.has_role('viewer')",
            "tenancy.has_role(tenancy.current_tenant_id(), 'viewer')",
            "NOT tenancy.has_tenant_role(tenancy.current_tenant_id(), 'viewer')",
            "tenancy.has_permission('docs.read')",
            "tenancy.has_permission(tenancy.current_tenant_id(), 'docs.read')",
            "tenancy.has_any_permission('{docs.read,x}')",
            "tenancy.has_any_permission(tenancy.current_tenant_id(), '{docs.read,x}')",
            "tenancy.has_all_permissions('{docs.read}')",
            "tenancy.has_all_permissions(tenancy.current_tenant_id(), '{docs.read}')",
            "tenancy.operator_access() IS NULL",
            "tenancy.claims() ->> 'aud' = 'authenticated'",
            "tenancy.claim('aud') = '\"authenticated\"'",
            "tenancy.aal() IS NULL",
            "tenancy.require_permission('docs.read') IS NOT NULL",
            "NOT tenancy.is_administrator()",
            "(SELECT count(*) > 5 FROM tenancy.diagnose())",
            "(SELECT count(*) = 1 FROM tenancy.tenants)",
            "(SELECT count(*) = 1 FROM tenancy.member_roles)",
        ] {
            assert!(reader.holds(expression), "{expression}");
        }
        assert_eq!(reader.code("SELECT tenancy.require_permission('docs.update')"), "42501");
    }
}

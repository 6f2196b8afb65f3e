//! Counted requests in scenarios.

use crate::{Cluster, Session, bearer, eventually, tenant, user};

pub const PRELOADED: &str = "shared_preload_libraries = 'pg_tenancy'";

/// A counter, a gauge, and two tenants with a member each; a database of its own.
pub fn prepare(cluster: &Cluster, database: &str) -> Session {
    let mut admin = cluster.database(database);
    admin.add_docs_application();
    let second = admin.add_tenant(2);
    admin.add_member(second, user(3), "'viewer'");
    admin.run(
        "INSERT INTO tenancy.meters (name, unit, kind, period) VALUES
            ('api.calls', 'calls', 'counter', 'day'), ('api.bytes', 'bytes', 'counter', 'none'), ('docs.rows', 'rows', 'gauge', 'none');
         CREATE FUNCTION count_call() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM tenancy.count_request('api.calls'); END $$",
    );
    admin
}

/// What is in the table.
pub fn written(admin: &mut Session, meter: &str, tenant_number: u32) -> i64 {
    admin.number(&format!(
        "SELECT coalesce(sum(total), 0) FROM tenancy.usage WHERE meter = '{meter}' AND tenant_id = '{}'",
        tenant(tenant_number)
    ))
}

#[track_caller]
pub fn becomes(admin: &mut Session, meter: &str, tenant_number: u32, amount: i64) {
    eventually(&format!("{amount} of {meter}"), || written(admin, meter, tenant_number) == amount);
}

pub fn workers(admin: &mut Session, database: &str) -> Vec<i64> {
    let rows = admin.rows(&format!(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_tenancy usage' AND datname = '{database}'"
    ));
    rows.into_iter().flatten().flatten().map(|pid| pid.parse().expect("a number")).collect()
}

/// One count in a transaction of its own, as a request makes it.
pub fn count(session: &mut Session, who: u32, amount: i64) -> bool {
    session.begin_request(&bearer(user(who)), "READ COMMITTED READ ONLY");
    let counted = session.holds(&format!("tenancy.count_request('api.calls', {amount})"));
    session.run("COMMIT");
    counted
}

pub fn log_has(cluster: &Cluster, text: &str) -> usize {
    std::fs::read_to_string(cluster.host().join("log")).unwrap_or_default().matches(text).count()
}

pub fn kill(signal: &str, pid: i64) {
    let status = std::process::Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(status.expect("sh starts").success());
}

pub fn pending(admin: &mut Session) -> i64 {
    admin.number("SELECT pending FROM tenancy.usage_shared_stats()")
}

pub fn is_diagnosed(admin: &mut Session, finding: &str) -> bool {
    admin.holds(&format!(
        "EXISTS (SELECT FROM tenancy.diagnose() WHERE topic = 'usage' AND finding LIKE '{finding}%')"
    ))
}

pub const NO_WORKER: &str = "counts of requests are not written: they wait for a background worker";
pub const NOT_WRITTEN: &str = "counts of requests could not be written when it was last tried";

//! Parallel plans while memberships change: each process asks for itself, so nothing may depend on all of them
//! having got the same set of tenants.

use pg_tenancy_integration::{Cluster, tenant, user};
use std::sync::atomic::{AtomicBool, Ordering};

/// The user comes to and goes from a tenant that has no rows, so every count has the same answer. With a parallel
/// index scan for the elements of an array, whose processes share positions in it, most counts were wrong: rows
/// missing, and rows twice.
#[test]
fn every_process_of_a_parallel_scan_may_find_another_set_and_no_row_is_lost_or_doubled() {
    const ROWS: i64 = 60_000;
    let cluster = Cluster::start("plan_parallel", "max_parallel_workers = 8");
    let mut admin = cluster.database("parallel");
    for n in 1..=6 {
        let tenant = admin.add_tenant(n);
        admin.add_member(tenant, user(1), "");
        admin.run(&format!("UPDATE tenancy.tenants SET key = '{n}' WHERE id = '{tenant}'"));
    }
    let tenants: Vec<String> = (2..=6).map(|n| tenant(n).to_string()).collect();
    admin.run(&format!(
        "CREATE TABLE docs (id int, tenant_id uuid NOT NULL, number bigint, name text, body text);
         INSERT INTO docs SELECT n, ('{{{}}}'::uuid[])[1 + n % 5], 2 + n % 5, 2 + n % 5, repeat('x', 50) FROM generate_series(1, {ROWS}) n;
         CREATE INDEX ON docs (tenant_id); CREATE INDEX ON docs (number); CREATE INDEX ON docs (name)",
        tenants.join(",")
    ));
    admin.run("VACUUM ANALYZE docs");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = cluster.connect("parallel");
            while !done.load(Ordering::Relaxed) {
                writer.run(&format!(
                    "DELETE FROM tenancy.members WHERE tenant_id = '{at}' AND user_id = '{who}'",
                    at = tenant(1),
                    who = user(1)
                ));
                writer.run(&format!(
                    "INSERT INTO tenancy.members (tenant_id, user_id) VALUES ('{at}', '{who}')",
                    at = tenant(1),
                    who = user(1)
                ));
            }
        });
        let mut reader = cluster.connect("parallel");
        reader.run(&format!(
            "SET tenancy.claims_scope = 'session'; SET request.jwt.claims = '{{\"sub\": \"{}\"}}';
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET min_parallel_index_scan_size = 0; SET max_parallel_workers_per_gather = 3; SET enable_seqscan = off",
            user(1)
        ));
        let mut wrong = Vec::new();
        for plans in ["SET enable_bitmapscan = off", "SET enable_bitmapscan = on"] {
            reader.run(plans);
            for condition in [
                "tenancy.is_member(tenant_id)",
                "tenant_id = ANY (tenancy.tenant_ids())",
                "tenancy.is_member(tenant_id) AND id > 0",
                "tenancy.is_member(number)",
                "tenancy.is_member(name)",
                "number = ANY (tenancy.tenant_ids(NULL::bigint))",
            ] {
                let sql = format!("SELECT count(*) FROM docs WHERE {condition}");
                wrong.extend((0..30).map(|_| reader.number(&sql)).filter(|count| *count != ROWS));
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{wrong:?}");
    });
}

//! Metered tables through pg_dump and pg_restore: counted once, and counted on.

use pg_tenancy_integration::{Cluster, Session, tenant};
use std::path::PathBuf;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let cluster = Cluster::start("metered_dump", "");
    let mut origin = cluster.database("origin");
    // In a schema whose data come after ours, and one whose data come before.
    origin.run(&format!(
        "INSERT INTO tenancy.tenants (id, slug, name) VALUES ('{one}', 'one', 'One'), ('{two}', 'two', 'Two');
         SELECT tenancy.create_meter('m.rows', 'rows', 'gauge'), tenancy.create_meter('m.bytes', 'bytes', 'gauge', period => 'none'),
                tenancy.create_meter('m.made', 'rows', 'counter');
         CREATE SCHEMA zoo;
         CREATE TABLE zoo.cages (id int, gone int, tenant_id uuid, body text);
         ALTER TABLE zoo.cages DROP gone;
         CREATE TABLE parts (id int, tenant_id uuid, at int, metadata jsonb) PARTITION BY RANGE (at);
         CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (10);
         CREATE TABLE parts_1 (metadata jsonb, id int, tenant_id uuid, at int);
         ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (10) TO (20);
         CREATE TABLE first (id int, tenant_id uuid);
         SELECT tenancy.protect_table(t::regclass, resource => 'docs') FROM unnest('{{first,zoo.cages,parts}}'::text[]) t;
         SELECT tenancy.meter_table('zoo.cages', rows => 'm.made', bytes => 'm.bytes'),
                tenancy.meter_table('parts', rows => 'm.rows', bytes => 'm.bytes', size_column => 'metadata.size');
         INSERT INTO zoo.cages SELECT n, CASE n % 3 WHEN 0 THEN '{one}' ELSE '{two}' END::uuid, repeat('x', n * 100) FROM generate_series(1, 60) n;
         INSERT INTO parts SELECT n, '{one}', n % 20, jsonb_build_object('size', n) FROM generate_series(1, 60) n",
        one = tenant(1),
        two = tenant(2),
    ));
    cluster
});

const USAGE: &str =
    "SELECT string_agg(concat_ws(' ', tenant_id, meter, amount), ', ' ORDER BY tenant_id, meter)
    FROM (SELECT tenant_id, meter, sum(total) AS amount FROM tenancy.usage GROUP BY 1, 2) u";
const DRIFT: &str = "SELECT (SELECT count(*) FROM tenancy.recount_usage('zoo.cages')) + (SELECT count(*) FROM tenancy.recount_usage('parts'))";

fn dump(name: &str, options: &[&str]) -> PathBuf {
    let path = CLUSTER.host().join(format!("{name}.dump"));
    CLUSTER.succeed(CLUSTER.program("pg_dump").args(options).arg("-f").arg(&path).arg("origin"));
    path
}

fn empty(name: &str) -> Session {
    CLUSTER.connect("postgres").run(&format!("CREATE DATABASE {name} TEMPLATE template0"));
    CLUSTER.connect(name)
}

fn load(database: &str, script: &std::path::Path) {
    CLUSTER.psql(database, &["-f", script.to_str().expect("the path is text")]);
}

/// As it was, and both tables go on being counted.
#[track_caller]
fn assert_counts(restored: &mut Session) {
    assert_eq!(restored.text(USAGE), CLUSTER.connect("origin").text(USAGE));
    for again in [
        "SELECT tenancy.meter_table('zoo.cages', rows => 'm.made', bytes => 'm.bytes')",
        "SELECT tenancy.meter_table('parts', rows => 'm.rows', bytes => 'm.bytes', size_column => 'metadata.size')",
    ] {
        assert_eq!(restored.text(again), "f", "{again}");
    }
    let before = restored.text(USAGE);
    restored.run(&format!(
        "INSERT INTO zoo.cages VALUES (1, '{one}', 'x'); UPDATE parts SET at = 19; DELETE FROM parts WHERE id = 7; TRUNCATE parts_0",
        one = tenant(1)
    ));
    assert_ne!(restored.text(USAGE), before);
    assert_eq!(restored.number(DRIFT), 0);
}

#[test]
fn a_whole_dump_is_counted_once() {
    let script = dump("plain", &[]);
    let mut plain = empty("plain");
    load("plain", &script);
    assert_counts(&mut plain);
    let archive = dump("custom", &["-Fc"]);
    let mut custom = empty("custom");
    CLUSTER.succeed(CLUSTER.program("pg_restore").args(["--exit-on-error", "-d", "custom"]).arg(&archive));
    assert_counts(&mut custom);
}

#[test]
fn data_alone_is_counted_once_without_triggers_and_else_recounting_mends() {
    let schema = dump("schema", &["--schema-only"]);
    let (quiet, loud) =
        (dump("quiet", &["--data-only", "--disable-triggers"]), dump("loud", &["--data-only"]));
    let mut restored = empty("quiet");
    load("quiet", &schema);
    load("quiet", &quiet);
    assert_counts(&mut restored);
    let mut restored = empty("loud");
    load("loud", &schema);
    load("loud", &loud);
    restored.run(DRIFT);
    let gauges = USAGE.replace("FROM tenancy.usage", "FROM tenancy.usage WHERE meter <> 'm.made'");
    assert_eq!(restored.text(&gauges), CLUSTER.connect("origin").text(&gauges));
}

//! A tenant's life as docs/guides/moving_a_tenant.md tells it: exported, deleted, imported into the same database and into
//! another, and nothing is different.

use pg_tenancy_integration::{Cluster, Guide, Session, source, tenant, user};
use std::path::Path;

/// Tables that refer to each other across protected tables, in a circle too; of every shape.
const TABLES: &str = "
    CREATE TABLE customer (tenant_id uuid NOT NULL, id uuid PRIMARY KEY, invited_by uuid REFERENCES customer, owner uuid,
                           first_order int, born date, waits interval, share float8, doc jsonb, bits bytea, note text);
    CREATE TABLE \"an \"\"order\" (tenant_id uuid NOT NULL, \"the id\" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                   customer uuid NOT NULL REFERENCES customer, \"sel%ect\" text, price numeric,
                                   taxed numeric GENERATED ALWAYS AS (price * 2) STORED);
    ALTER TABLE customer ADD FOREIGN KEY (first_order) REFERENCES \"an \"\"order\" DEFERRABLE;
    CREATE TABLE a_line (n serial PRIMARY KEY, tenant_id uuid NOT NULL, at int REFERENCES \"an \"\"order\");
    CREATE TABLE event (tenant_id uuid NOT NULL, at date NOT NULL, customer uuid REFERENCES customer) PARTITION BY RANGE (at);
    CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
    CREATE TABLE base (tenant_id uuid NOT NULL, a int);
    CREATE TABLE kind (more text[]) INHERITS (base);
    -- The host's triggers go on working.
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := NEW.a; RETURN NEW; END';
    CREATE TRIGGER shout BEFORE INSERT ON base FOR EACH ROW EXECUTE FUNCTION shout();
    SELECT tenancy.create_permission('docs.read'), tenancy.create_permission('docs.write');
    SELECT tenancy.create_role('reader', '{docs.read}'), tenancy.create_role('author', '{docs.write}');
    SELECT tenancy.create_meter('calls', 'calls', 'counter'), tenancy.create_meter('held', 'rows', 'gauge'), tenancy.create_plan('big');
    SELECT tenancy.protect_table(t, resource => 'docs', owner_column => o)
      FROM (VALUES ('customer'::regclass, 'owner'), ('\"an \"\"order\"', NULL), ('a_line', NULL), ('event', NULL), ('base', NULL)) v (t, o)";

/// `key` is what the host's tables call the tenant.
fn fill(admin: &mut Session, tenant: &str, key: &str, n: u32) {
    let (u1, u2) = (user(1), user(2));
    admin.run(&format!(
        r#"SELECT tenancy.add_member('{tenant}', '{u1}', '{{owner,author}}'), tenancy.add_member('{tenant}', '{u2}', '{{reader}}');
           SELECT tenancy.create_role('own', '{{docs.*,docs.read}}', tenant => '{tenant}'), tenancy.create_role('senior', tenant => '{tenant}');
           SELECT tenancy.add_inheritance('senior', 'own', tenant => '{tenant}'), tenancy.add_inheritance('own', 'reader', tenant => '{tenant}');
           SELECT tenancy.create_group('{tenant}', 'staff'), tenancy.add_group_member('{tenant}', 'staff', '{u2}'),
                  tenancy.grant_role_to_group('{tenant}', 'staff', 'senior'), tenancy.grant_role_to_group('{tenant}', 'staff', 'reader'),
                  tenancy.grant_role('{tenant}', '{u2}', 'own', '2099-01-01');
           UPDATE tenancy.member_roles SET granted_by = '{u1}' WHERE user_id = '{u2}';
           UPDATE tenancy.tenants SET metadata = '{{"a": "\\."}}' WHERE id = '{tenant}';
           INSERT INTO tenancy.active_tenants (user_id, tenant_id) VALUES ('{u1}', '{tenant}') ON CONFLICT DO NOTHING;
           INSERT INTO customer SELECT '{key}', md5('c' || {n} || i)::uuid, CASE WHEN i > 1 THEN md5('c' || {n} || i - 1)::uuid END, '{u1}', NULL,
                  '0044-03-15 BC', '-1 mon +2 days', 0.1 + i / 3.0, '{{"x": [1, null]}}', '\x00ff5c2e', E'tab\t\\.\n:tenant ''q'' $$ ' || i
             FROM generate_series(1, 5) i;
           INSERT INTO "an ""order" (tenant_id, customer, "sel%ect", price) SELECT '{key}', md5('c' || {n} || i)::uuid, NULL, i FROM generate_series(1, 5) i;
           UPDATE customer c SET first_order = "the id" FROM "an ""order" o WHERE o.customer = c.id AND c.tenant_id = '{key}';
           INSERT INTO a_line (tenant_id, at) SELECT '{key}', "the id" FROM "an ""order" WHERE tenant_id = '{key}';
           INSERT INTO event SELECT '{key}', date '2020-12-30' + i, md5('c' || {n} || i)::uuid FROM generate_series(1, 5) i;
           INSERT INTO base SELECT '{key}', i FROM generate_series(1, 3) i;
           SELECT tenancy.set_tenant_plan('{tenant}', 'big', '2099-01-01'), tenancy.set_quota('{tenant}', 'calls', 5, 6);
           INSERT INTO tenancy.usage VALUES ('{tenant}', 'calls', 0, '2026-01-01 UTC', 1, 2, 3, {n}), ('{tenant}', 'held', 7, '2026-01-01 UTC', 0, 0, -3, 4);
           INSERT INTO tenancy.usage_periods (tenant_id, meter, period_start, amount) VALUES ('{tenant}', 'calls', '2025-12-31 UTC', {n});
           INSERT INTO tenancy.quota_events (tenant_id, meter, period, period_start, soft, used) VALUES ('{tenant}', 'calls', 'none', '-infinity', 5, 6);
           INSERT INTO kind SELECT '{key}', i, ARRAY['a', NULL, '{{'] FROM generate_series(1, 3) i"#
    ));
}

/// Every row of the database.
fn everything(admin: &mut Session) -> Vec<String> {
    admin.run(
        "CREATE OR REPLACE FUNCTION pg_temp.everything() RETURNS SETOF text LANGUAGE plpgsql AS $$
         DECLARE t regclass;
         BEGIN
             FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relpersistence <> 't'
                         AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) LOOP
                 RETURN QUERY EXECUTE format('SELECT %L || '' '' || r::text FROM ONLY %s r', t, t);
             END LOOP;
         END $$",
    );
    rows_of(admin, "SELECT * FROM pg_temp.everything() e (line) ORDER BY line COLLATE \"C\"")
}

fn rows_of(admin: &mut Session, sql: &str) -> Vec<String> {
    admin.rows(sql).into_iter().map(|row| row[0].clone().unwrap_or_default()).collect()
}

/// As the guide has it, and what psql says where that fails.
fn import(cluster: &Cluster, database: &str, file: &Path) -> Result<(), String> {
    let output = cluster.program("psql").args(["-Xq", "-d", database, "-f"]).arg(file).output();
    let output = output.expect("psql starts");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn exported_deleted_and_imported_nothing_is_different_in_this_database_and_another() {
    let cluster = Cluster::start("tenant_life", "");
    let file = std::env::temp_dir().join("acme.sql");
    let (acme, other) = (tenant(1).to_string(), tenant(2).to_string());
    let mut origin = cluster.database("origin");
    origin.run(TABLES);
    origin.run(&format!(
        "INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('{acme}', 'acme', 'Acme ''Inc''', '17'), ('{other}', 'other', 'Other', NULL)"
    ));
    fill(&mut origin, &acme, &acme, 1);
    fill(&mut origin, &other, &other, 2);
    let before = everything(&mut origin);
    assert!(before.iter().filter(|line| line.contains(&acme)).count() > 40, "{before:#?}");

    // Into the same database.
    let mut guide = Guide::read("moving_a_tenant.md");
    guide.run(&cluster, "origin", "delete_tenant_rows");
    let exported = std::fs::read_to_string(&file).expect("the guide exports into a file");
    guide.run(&cluster, "origin", "psql -Xq -f");
    let deleted = everything(&mut origin);
    assert!(!deleted.iter().any(|line| line.contains(&acme)), "{deleted:#?}");
    let others =
        |rows: &[String]| rows.iter().filter(|line| line.contains(&other)).cloned().collect::<Vec<_>>();
    assert_eq!(others(&deleted), others(&before));
    guide.run(&cluster, "origin", "erase_user");
    assert_eq!(everything(&mut origin), before);
    assert_eq!(
        origin.number("SELECT tenancy.delete_tenant_rows(id) FROM tenancy.tenants WHERE slug = 'acme'"),
        5 + 5 + 5 + 5 + 6,
        "all of it is deleted again"
    );
    guide.run(&cluster, "origin", "");

    // Into another, where the application's roles have other ids, and the numbers are still free.
    let mut away = cluster.database("away");
    away.run("SELECT tenancy.create_role('something else')");
    away.run(TABLES);
    import(&cluster, "away", &file).expect("it is imported");
    Guide::read("moving_a_tenant.md").run(&cluster, "away", "delete_tenant_rows");
    let again = std::fs::read_to_string(&file).expect("exported again");
    assert_eq!(sorted_lines(&again), sorted_lines(&exported));
    assert!(away.holds(&format!(
        "NOT EXISTS (SELECT FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id WHERE r.name = 'something else')
         AND EXISTS (SELECT FROM tenancy.member_roles g JOIN tenancy.roles r ON r.id = g.role_id
                      WHERE r.name = 'author' AND g.user_id = '{}')",
        user(1)
    )));
    // What comes next gets numbers that nothing has.
    away.run(&format!(
        "INSERT INTO \"an \"\"order\" (tenant_id, customer) SELECT tenant_id, id FROM customer LIMIT 1;
         INSERT INTO a_line (tenant_id) VALUES ('{acme}')"
    ));

    // A second time it stops at the tenant, and nothing is half done.
    let rows = everything(&mut away);
    let said = import(&cluster, "away", &file).expect_err("it is there");
    assert!(said.contains("the tenant that is imported is there already"), "{said}");
    assert_eq!(everything(&mut away), rows);

    // What counts rows of tables there counts them as they arrive.
    let mut counting = cluster.database("counting");
    counting.run(TABLES);
    counting.run("INSERT INTO tenancy.metered_tables VALUES ('base', 'base', 'held', 'rows')");
    import(&cluster, "counting", &file).expect("it is imported");
    let used = "SELECT string_agg(meter || ' ' || total, ', ' ORDER BY meter) FROM tenancy.usage_current";
    assert_eq!(counting.text(used), "calls 1");

    // Where a role is missing, it is named; a meter too.
    let mut bare = cluster.database("bare");
    bare.run(TABLES);
    bare.run("DELETE FROM tenancy.roles WHERE name = 'author'");
    let rows = everything(&mut bare);
    let said = import(&cluster, "bare", &file).expect_err("a role is missing");
    assert!(said.contains("role \"author\" does not exist"), "{said}");
    assert_eq!(everything(&mut bare), rows);
    bare.run("SELECT tenancy.create_role('author', '{docs.write}'), tenancy.drop_meter('held')");
    let said = import(&cluster, "bare", &file).expect_err("a meter is missing");
    assert!(said.contains("meter \"held\" does not exist"), "{said}");
}

#[test]
fn a_role_that_has_what_the_guide_grants_moves_a_tenant_and_is_nobody_else() {
    let cluster = Cluster::start("tenant_life_mover", "");
    let mut origin = cluster.database("origin");
    origin.run(TABLES);
    let acme = tenant(1).to_string();
    origin.run(&format!("INSERT INTO tenancy.tenants (id, slug, name) VALUES ('{acme}', 'acme', 'Acme')"));
    fill(&mut origin, &acme, &acme, 1);
    let before = everything(&mut origin);
    let page = std::fs::read_to_string(source("docs/guides/moving_a_tenant.md")).expect("the guide is there");
    let grants = page.split("```\n").nth(1).expect("the guide's first block of code");
    origin.run("CREATE ROLE mover LOGIN BYPASSRLS");
    origin.run(grants);

    let as_mover = |arguments: &[&str]| {
        let mut psql = cluster.program("psql");
        psql.env("PGUSER", "mover").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "origin"]).args(arguments);
        cluster.succeed(&mut psql)
    };
    let script = source("sql/adapters/export_tenant.sql");
    let file = cluster.host().join("acme.sql");
    std::fs::write(&file, as_mover(&["-v", "tenant=acme", "-f", script.to_str().expect("the path is text")]))
        .expect("a file");
    let mut mover = cluster.connect_as("origin", "mover");
    while mover.number(&format!("SELECT tenancy.delete_tenant_rows('{acme}')")) > 0 {}
    mover.run(&format!("SELECT tenancy.drop_tenant('{acme}')"));
    assert_ne!(everything(&mut origin), before);
    as_mover(&["-f", file.to_str().expect("the path is text")]);
    assert_eq!(everything(&mut origin), before);
    let nobody = user(77);
    assert_eq!(mover.code(&format!("SELECT tenancy.set_identity('{nobody}'::uuid)")), "42501");
    mover.run(&format!("SELECT tenancy.erase_user('{nobody}')"));
}

/// Tenants by number, which are rows of the host's own table, as their members are.
const ATTACHED: &str = "CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
    CREATE TABLE crew (org bigint REFERENCES orgs ON DELETE CASCADE, who uuid, role text);
    SELECT tenancy.attach_tenants('orgs', name_column => 'name');
    SELECT tenancy.attach_members('crew', 'org', 'who', role_column => 'role');
    ALTER TABLE customer ADD FOREIGN KEY (tenant_id) REFERENCES orgs";

fn export(cluster: &Cluster, database: &str) -> String {
    let script = source("sql/adapters/export_tenant.sql");
    cluster.psql(database, &["-v", "tenant=acme", "-f", script.to_str().expect("the path is text")])
}

#[test]
fn tenants_by_number_that_are_rows_of_the_hosts_table_move_too() {
    let cluster = Cluster::start("tenant_life_numbers", "");
    let tables = TABLES.replace("tenant_id uuid", "tenant_id bigint");
    let mut origin = cluster.database("origin");
    origin.run(&tables);
    origin.run(ATTACHED);
    origin.run(&format!(
        "INSERT INTO orgs VALUES (17, 'Acme'), (18, 'Other');
         INSERT INTO crew VALUES (17, '{}', 'author'), (17, '{}', NULL), (18, '{}', 'reader')",
        user(3),
        user(4),
        user(3)
    ));
    for (key, n) in [("17", 1), ("18", 2)] {
        let tenant = origin.text(&format!("SELECT id FROM tenancy.tenants WHERE key = '{key}'"));
        fill(&mut origin, &tenant, key, n);
    }
    let before = everything(&mut origin);
    let exported = export(&cluster, "origin");
    let file = cluster.host().join("acme.sql");
    std::fs::write(&file, &exported).expect("a file");

    let delete = "SELECT tenancy.delete_tenant_rows(id, 7) FROM tenancy.tenants WHERE key = '17'";
    while origin.number(delete) > 0 {}
    assert_eq!(origin.code("SELECT tenancy.drop_tenant(id) FROM tenancy.tenants WHERE key = '17'"), "2BP01");
    origin.run("DELETE FROM orgs WHERE id = 17");
    assert_eq!(origin.text("SELECT string_agg(key, ',') FROM tenancy.tenants"), "18");
    assert_eq!(origin.number("SELECT count(*) FROM customer"), 5, "the other's");
    import(&cluster, "origin", &file).expect("it is imported");
    assert_eq!(everything(&mut origin), before);

    let mut away = cluster.database("away");
    away.run(&tables);
    away.run(ATTACHED);
    import(&cluster, "away", &file).expect("it is imported");
    assert_eq!(sorted_lines(&export(&cluster, "away")), sorted_lines(&exported));
    // And goes on being the host's.
    away.run("DELETE FROM crew");
    assert_eq!(away.number("SELECT count(*) FROM tenancy.members"), 2, "those who were members by hand");
}

/// Users by number, which are the subjects of their tokens; a name and a text that are not what they seem.
const MAPPED: &str = r#"CREATE TABLE orgs (id bigint PRIMARY KEY, name text);
    CREATE TABLE crew (org bigint REFERENCES orgs ON DELETE CASCADE, who bigint, role text);
    CREATE TABLE "d\ocs" (tenant_id bigint NOT NULL, n serial, part xml, by uuid);
    SELECT tenancy.create_role('author'), tenancy.create_meter('docs', 'rows', 'gauge'), tenancy.create_plan('free', is_default => true);
    SELECT tenancy.attach_tenants('orgs', name_column => 'name'), tenancy.attach_members('crew', 'org', 'who', role_column => 'role');
    SELECT tenancy.protect_table('"d\ocs"', resource => 'docs'), tenancy.meter_table('"d\ocs"', rows => 'docs')"#;

#[test]
fn mapped_users_are_who_their_subjects_say_and_what_is_beyond_its_quota_comes_back() {
    let cluster = Cluster::start("tenant_life_mapped", "tenancy.subject_format = 'mapped'");
    let mut origin = cluster.database("origin");
    let mut away = cluster.database("away");
    for database in [&mut origin, &mut away] {
        database.run(MAPPED);
    }
    // What a client is used to may be what would spoil the file.
    cluster.connect("postgres").run(
        "ALTER DATABASE origin SET standard_conforming_strings = off; ALTER DATABASE away SET standard_conforming_strings = off;
         ALTER DATABASE away SET xmloption = document",
    );
    origin.run(
        r#"INSERT INTO orgs VALUES (17, 'Acme');
           INSERT INTO crew VALUES (17, 1, 'author'), (17, 2, NULL);
           INSERT INTO "d\ocs" (tenant_id, part) SELECT 17, '<a/>\.<b/>' FROM generate_series(1, 5);
           SELECT tenancy.set_quota(id, 'docs', hard => 3) FROM tenancy.tenants"#,
    );
    // Known there already, in the other order.
    away.run("SELECT tenancy.map_subject('2'), tenancy.map_subject('1'); SELECT tenancy.set_plan_quota('free', 'docs', hard => 2)");
    let exported = export(&cluster, "origin");
    let file = cluster.host().join("acme.sql");
    std::fs::write(&file, &exported).expect("a file");
    let state = "SELECT s.subject, array_agg(r.name), a.made FROM tenancy.subjects s JOIN tenancy.attached_members a USING (user_id)
                   LEFT JOIN tenancy.member_roles g USING (tenant_id, user_id) LEFT JOIN tenancy.roles r ON r.id = g.role_id GROUP BY 1, 3 ORDER BY 1";
    let before = origin.rows(state);
    import(&cluster, "away", &file).expect("it is imported");
    assert_eq!(away.rows(state), before);
    assert_eq!(away.number("SELECT count(*) FROM tenancy.subjects"), 2);
    assert_eq!(away.text("SELECT used || ' of ' || hard FROM tenancy.quota_status"), "5 of 3");
    assert_eq!(away.code(r#"INSERT INTO "d\ocs" (tenant_id) VALUES (17)"#), "23514");
    // And goes on being the host's.
    away.run("DELETE FROM crew WHERE who = 1");
    assert_eq!(
        away.text("SELECT s.subject FROM tenancy.members m JOIN tenancy.subjects s USING (user_id)"),
        "2"
    );

    let delete = "SELECT tenancy.delete_tenant_rows(id) FROM tenancy.tenants";
    assert_eq!(origin.number(delete), 5);
    origin.run("DELETE FROM orgs");
    import(&cluster, "origin", &file).expect("it is imported");
    assert_eq!(origin.rows(state), before);

    // A row that names him by the id he has there stops it, until that is the one he has here.
    origin.run(
        r#"UPDATE "d\ocs" d SET by = s.user_id FROM tenancy.subjects s WHERE s.subject = '1' AND d.n = 1"#,
    );
    assert_eq!(away.number(delete), 5);
    away.run("DELETE FROM orgs");
    let exported = export(&cluster, "origin");
    std::fs::write(&file, &exported).expect("a file");
    let said = import(&cluster, "away", &file).expect_err("he has another id");
    assert!(said.contains("a user of the tenant that is imported has another id here"), "{said}");
    assert!(said.contains("column \"by\" of table public.\"d\\ocs\""), "{said}");
    let id = "SELECT user_id FROM tenancy.subjects WHERE subject = '1'";
    std::fs::write(&file, exported.replace(&origin.text(id), &away.text(id))).expect("a file");
    import(&cluster, "away", &file).expect("it is imported");
    assert!(away.holds(r#"EXISTS (SELECT FROM "d\ocs" d JOIN tenancy.members m ON m.user_id = d.by)"#));

    // Of a tenant that is not there nothing is written.
    let script = source("sql/adapters/export_tenant.sql");
    let output = cluster
        .program("psql")
        .args(["-X", "-d", "origin", "-v", "tenant=nobody", "-f"])
        .arg(script)
        .output();
    let output = output.expect("psql starts");
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("tenant does not exist"));
}

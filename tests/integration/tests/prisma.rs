//! Prisma's schema engine on docs/guides/migration_tools.md: what `prisma migrate` makes of a protected table, and of its
//! shadow database.

use pg_tenancy_integration::{Application, Cluster, Session};
use serde_json::Value;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_bare("prisma", ""));

const CONFIG: &str = include_str!("../applications/prisma/prisma.config.ts");
const SCHEMA: &str = include_str!("../applications/prisma/schema.prisma");
const EMPTY: &str = "-- This is an empty migration.";

/// A project and its database, which is empty.
fn project(name: &str) -> (Application, Session) {
    let admin = CLUSTER.database(name);
    let host = CLUSTER.host().to_str().expect("paths are text");
    let environment = [("PGHOST", host), ("PGPORT", "5432"), ("PGUSER", "postgres"), ("PGDATABASE", name)];
    (Application::assemble(&CLUSTER, name, &["prisma"]).with(&environment), admin)
}

fn deployed(name: &str) -> (Application, Session) {
    let (project, admin) = project(name);
    project.run("PGT_NODE", &["engine.mjs", "deploy"]);
    (project, admin)
}

fn without(text: &str, parts: &[&str]) -> String {
    parts.iter().fold(text.to_owned(), |text, part| {
        assert!(text.contains(part), "there is no {part}");
        text.replace(part, "")
    })
}

/// The text of the migration that `migrate dev` would write.
#[track_caller]
fn next_migration(project: &Application) -> String {
    let said = project.run("PGT_NODE", &["engine.mjs", "dev"]);
    let said: Value = serde_json::from_str(&said).expect("one line of JSON");
    assert_eq!(said["tag"], "createMigration", "{said}");
    said["script"].as_str().expect("a text").to_owned()
}

/// The statements of one, without comments.
fn statements(script: &str) -> Vec<&str> {
    script.lines().filter(|line| line.ends_with(';')).collect()
}

#[test]
fn migrations_with_the_extension_and_the_call_leave_nothing_to_report() {
    let (project, mut admin) = deployed("deployed");
    assert_eq!(admin.text("SELECT string_agg(table_id::text, ',') FROM tenancy.protected_tables"), "docs");
    assert_eq!(next_migration(&project), EMPTY);
    // What the application changes is all that is found, and what is pulled is the schema as it is.
    project.write(
        "schema.prisma",
        &SCHEMA.replace("  title    String\n", "  title    String\n  note     String?\n"),
    );
    assert_eq!(statements(&next_migration(&project)), ["ALTER TABLE \"docs\" ADD COLUMN     \"note\" TEXT;"]);
    project.write("schema.prisma", SCHEMA);
    let pulled = project.run("PGT_NODE", &["engine.mjs", "pull"]);
    assert!(pulled.contains(r#"@default(dbgenerated(\"tenancy.current_tenant_id()\"))"#), "{pulled}");
    // Nothing of ours was touched.
    assert_eq!(admin.text("SELECT tenancy.protect_table('docs')"), "f");
}

#[test]
fn a_schema_that_does_not_describe_what_is_ours_would_drop_it() {
    let (project, _admin) = deployed("undescribed");
    let bare = without(
        SCHEMA,
        &[
            r#" @default(dbgenerated("tenancy.current_tenant_id()"))"#,
            "  tenant   Tenant @relation(fields: [tenantId], references: [id], onDelete: NoAction, onUpdate: NoAction)\n",
            "  docs Doc[]\n",
            "  @@index([tenantId])\n",
        ],
    );
    project.write("schema.prisma", &bare);
    // But neither policies nor triggers, of which it knows nothing.
    assert_eq!(
        statements(&next_migration(&project)),
        [
            "ALTER TABLE \"docs\" DROP CONSTRAINT \"docs_tenant_id_fkey\";",
            "DROP INDEX \"docs_tenant_id_idx\";",
            "ALTER TABLE \"docs\" ALTER COLUMN \"tenant_id\" DROP DEFAULT;",
        ]
    );
}

#[test]
fn every_table_of_the_extension_is_declared_external_or_would_be_dropped() {
    let (project, mut admin) = deployed("external");
    let (_, list) = CONFIG.split_once("const tenancy = `").expect("the list of tables");
    let list: Vec<&str> = list.split_once('`').expect("it ends").0.split_whitespace().collect();
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname COLLATE \"C\") FROM pg_class
                   WHERE relnamespace = 'tenancy'::regnamespace AND relkind IN ('r', 'p')";
    assert_eq!(list.join(" "), admin.text(tables), "tests/integration/applications/prisma/prisma.config.ts");

    project.write("prisma.config.ts", &CONFIG.replace(" roles ", " "));
    let script = next_migration(&project);
    assert!(statements(&script).contains(&"DROP TABLE \"tenancy\".\"roles\";"), "{script}");
    // The database refuses, and so does the next shadow database.
    assert_eq!(admin.code("DROP TABLE tenancy.roles CASCADE"), "2BP01");
}

#[test]
fn without_schema_tenancy_in_schemas_every_command_refuses_the_foreign_key() {
    let (project, _admin) = deployed("schemas");
    project.write(
        "schema.prisma",
        &without(
            SCHEMA,
            &[
                "  schemas  = [\"public\", \"tenancy\"]\n",
                "  @@schema(\"public\")\n",
                "  @@schema(\"tenancy\")\n",
            ],
        ),
    );
    for verb in ["dev", "pull"] {
        let (success, said) = project.attempt("PGT_NODE", &["engine.mjs", verb]);
        assert!(!success && said.contains("Cross schema references are only allowed"), "{verb}: {said}");
    }
}

#[test]
fn what_was_protected_by_hand_is_drift_that_would_cost_all_data() {
    let (project, mut admin) = deployed("by_hand");
    admin.run("CREATE TABLE notes (id int PRIMARY KEY, tenant_id uuid)");
    let said = project.run("PGT_NODE", &["engine.mjs", "dev"]);
    assert!(said.contains(r#""tag":"reset""#) && said.contains("notes"), "{said}");
    // A fence by hand on a table of the migrations.
    admin.run("DROP TABLE notes; SELECT tenancy.unprotect_table('docs', drop_structure => true)");
    let said = project.run("PGT_NODE", &["engine.mjs", "dev"]);
    assert!(said.contains(r#""tag":"reset""#) && said.contains("tenant_id"), "{said}");
}

#[test]
fn a_staged_script_is_for_psql_and_the_call_in_the_migration_then_does_nothing() {
    let (project, mut admin) = project("staged");
    admin.run("CREATE EXTENSION pg_tenancy");
    admin.run("CREATE TABLE docs (id serial PRIMARY KEY, tenant_id uuid NOT NULL, title text NOT NULL)");
    let staged =
        admin.text("SELECT string_agg(s, E'\\n') FROM tenancy.protect_table_sql('docs', staged => true) s");
    admin.run("DROP TABLE docs");
    project.write("migrations/20260103000000_protect/migration.sql", &staged);
    let (success, said) = project.attempt("PGT_NODE", &["engine.mjs", "deploy"]);
    assert!(!success && said.contains("cannot run inside a transaction block"), "{said}");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.protected_tables"), 0);

    let script = CLUSTER.host().join("staged.sql");
    std::fs::write(&script, staged).expect("the directory is ours");
    CLUSTER.psql("staged", &["-f", script.to_str().expect("paths are text")]);
    assert_eq!(admin.text("SELECT tenancy.protect_table('docs')"), "f");
}

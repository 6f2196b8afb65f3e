//! The role that migrations run as owns the tables, and policies bind it. What its data migrations would not see must be
//! an error, and not rows that are left as they were.

use pg_tenancy_integration::{Cluster, Session, tenant};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("migrator", ""));

/// A table of the role's, protected, with two rows; and the role's own connection.
fn database(name: &str, role_setting: &str) -> (Session, Session) {
    let role = format!("migrator_{name}");
    let mut admin = CLUSTER.database(name);
    admin.run(&format!(
        "CREATE ROLE {role} LOGIN; {role_setting}
         GRANT USAGE, CREATE ON SCHEMA public TO {role};
         INSERT INTO tenancy.tenants (id, slug, name) VALUES ('{}', 'a', 'A'), ('{}', 'b', 'B');
         CREATE TABLE docs (id int PRIMARY KEY, tenant_id uuid NOT NULL, title text);
         CREATE TABLE parents (id int PRIMARY KEY);
         INSERT INTO docs SELECT n, t.id, 'old' FROM tenancy.tenants t, generate_series(1, 2) n WHERE t.slug = CASE n WHEN 1 THEN 'a' ELSE 'b' END;
         ALTER TABLE docs OWNER TO {role};
         ALTER TABLE parents OWNER TO {role};
         GRANT USAGE ON SCHEMA tenancy TO {role};
         SELECT tenancy.protect_table('docs')",
        tenant(1),
        tenant(2)
    ));
    let migrator = CLUSTER.connect_as(name, &role);
    (admin, migrator)
}

const DATA_MIGRATIONS: [&str; 4] = [
    "UPDATE docs SET title = 'new'",
    "DELETE FROM docs",
    "INSERT INTO docs SELECT id + 10, tenant_id, title FROM docs",
    "DO $$ BEGIN PERFORM FROM docs; END $$",
];

#[test]
fn a_data_migration_changes_nothing_and_says_nothing_by_default() {
    let (mut admin, mut migrator) = database("quiet", "");
    for statement in DATA_MIGRATIONS {
        assert_eq!(migrator.code(statement), "00000", "{statement}");
    }
    assert_eq!(admin.text("SELECT string_agg(id || title, ',' ORDER BY id) FROM docs"), "1old,2old");
    // Worse: a foreign key is found to hold, because no row is seen that breaks it.
    assert_eq!(migrator.code("ALTER TABLE docs ADD FOREIGN KEY (id) REFERENCES parents"), "00000");
}

#[test]
fn with_row_security_off_it_fails() {
    let (mut admin, mut migrator) = database("loud", "ALTER ROLE migrator_loud SET row_security = off;");
    for statement in DATA_MIGRATIONS {
        assert_eq!(migrator.code(statement), "42501", "{statement}");
    }
    assert_eq!(migrator.code("ALTER TABLE docs ADD FOREIGN KEY (id) REFERENCES parents"), "42501");
    assert_eq!(admin.text("SELECT string_agg(id || title, ',' ORDER BY id) FROM docs"), "1old,2old");
    // What only changes the table is as free as before.
    for statement in [
        "ALTER TABLE docs ADD COLUMN note text DEFAULT 'none'",
        "CREATE INDEX ON docs (title)",
        "ALTER TABLE docs ADD CHECK (title <> '')",
        "ALTER TABLE docs RENAME title TO heading",
    ] {
        assert_eq!(migrator.code(statement), "00000", "{statement}");
    }
    // A foreign key binds new rows, and is checked by who sees all rows; the one row that has no parent is found.
    let key = "ALTER TABLE docs ADD CONSTRAINT docs_parent FOREIGN KEY (id) REFERENCES parents NOT VALID";
    assert_eq!(migrator.code(key), "00000");
    assert_eq!(migrator.code("ALTER TABLE docs VALIDATE CONSTRAINT docs_parent"), "42501");
    admin.run("CREATE ROLE migrator_validator LOGIN BYPASSRLS; GRANT migrator_loud TO migrator_validator; INSERT INTO parents VALUES (1)");
    let mut validator = CLUSTER.connect_as("loud", "migrator_validator");
    assert_eq!(validator.code("ALTER TABLE docs VALIDATE CONSTRAINT docs_parent"), "23503");
    admin.run("INSERT INTO parents VALUES (2)");
    assert_eq!(validator.code("ALTER TABLE docs VALIDATE CONSTRAINT docs_parent"), "00000");
    assert_eq!(migrator.code("ALTER TABLE docs ADD COLUMN parent int REFERENCES parents"), "00000");
    // Who is to change rows of all tenants has BYPASSRLS, or is an administrator.
    admin.run("ALTER ROLE migrator_loud BYPASSRLS");
    assert_eq!(migrator.code("UPDATE docs SET heading = 'new'"), "00000");
    assert_eq!(admin.text("SELECT string_agg(id || heading, ',' ORDER BY id) FROM docs"), "1new,2new");
}

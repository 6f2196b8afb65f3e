//! Threat 18 at the door: the migrations from the two templates this project grew from. Their guides are run as they
//! stand, and before and after the same requests get the same answers; the scripts' own comparison finds what was
//! planted; and what cannot be mapped is refused whole.

mod template;

use pg_tenancy_integration::{Cluster, Guide, source, user};
use std::sync::LazyLock;
use template::{RBAC, Side, Template, WORKSPACE, rows};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("templates", ""));

/// The steps of the guide one after another; requests get the same answers before and after, and what they see is
/// theirs and something.
fn follow_the_guide(template: &Template) {
    let database = format!("{}_guide", template.name);
    let mut admin = template.database(&database);
    let mut guide = Guide::read(&format!("from_{}_template.md", template.name));
    let before = template.answers(&mut admin, &database, Side::Template);
    assert!(
        before.iter().any(|row| row.last().is_some_and(Option::is_some)),
        "somebody sees rows: {before:?}"
    );

    let said = guide.run(&CLUSTER, &database, "v only=check");
    assert!(said.contains("dry run: nothing was kept"), "{said}");
    assert!(said.contains("nothing to migrate: schema tenancy holds all of it"), "{said}");
    let migrated = rows(&mut admin);
    let said = guide.run(&CLUSTER, &database, "BEGIN;");
    assert!(said.contains("checked: "), "{said}");
    assert_eq!(rows(&mut admin), migrated, "a comparison changes nothing");
    // The template still answers, and as before.
    assert_eq!(template.answers(&mut admin, &database, Side::Template), before);

    admin.run("CREATE TABLE old_tokens AS SELECT id, raw_app_meta_data FROM auth.users");

    // Tokens issued before the switch-over go on to work: a number is the tenant's key.
    guide.run(&CLUSTER, &database, "DROP SCHEMA tenancy_migration");
    let ours =
        |tokens: &str| template.answers_to(tokens, &mut CLUSTER.connect(&database), &database, Side::Tenancy);
    assert_eq!(ours("old_tokens"), before, "tokens of before");
    template.succeeds(&database, &["only=check"]);
    // From here on tokens follow schema tenancy: a run that would change it comes too late.
    template.refuses(&database, &[], "a users table is attached already");
    assert_eq!(ours("auth.users"), before, "tokens of after");
    guide.run(&CLUSTER, &database, "");
    assert_eq!(ours("auth.users"), before, "the template is gone");
    // What tokens carry now is enough to decide by, as in the template.
    CLUSTER.connect(&database).run(&format!("ALTER DATABASE {database} SET tenancy.authority = 'claims'"));
    assert_eq!(ours("auth.users"), before, "by the token alone");
}

#[test]
fn the_guide_from_the_rbac_template_leaves_every_answer_as_it_was() {
    follow_the_guide(&RBAC);
}

#[test]
fn the_guide_from_the_workspace_template_leaves_every_answer_as_it_was() {
    follow_the_guide(&WORKSPACE);
}

#[test]
fn a_second_run_writes_nothing_and_says_so() {
    for template in [RBAC, WORKSPACE] {
        let database = format!("{}_again", template.name);
        let mut admin = template.database(&database);
        assert!(!template.succeeds(&database, &[]).contains("nothing to migrate"));
        let first = rows(&mut admin);
        assert!(template.succeeds(&database, &[]).contains("nothing to migrate"));
        assert_eq!(rows(&mut admin), first);
    }
}

#[test]
fn a_planted_difference_is_found_and_named() {
    let cases = [
        (RBAC, "INSERT INTO tenancy.role_permissions SELECT id, 'roles.edit' FROM tenancy.roles WHERE name = 'writers' AND description IS NULL
                AND tenant_id = (SELECT id FROM tenancy.tenants WHERE slug = 'acme')", "gained roles.edit in acme"),
        (RBAC, "DELETE FROM tenancy.member_roles WHERE user_id = u(4)", "lost documents.update in globex"),
        (RBAC, "UPDATE tenancy.tenants SET status = 'read_only' WHERE slug = 'globex'", "lost documents.update in globex"),
        (RBAC, "SELECT tenancy.add_member((SELECT id FROM tenancy.tenants WHERE slug = 'acme'), u(7))", "gained (member) in acme"),
        (RBAC, "DELETE FROM tenancy.operators WHERE user_id = u(10)", "lost (operator read)"),
        (RBAC, "UPDATE tenancy.operators SET access = 'write' WHERE user_id = u(10)", "gained (operator write)"),
        (WORKSPACE, "SELECT tenancy.set_member_status(base.w(1), base.u(2), 'suspended')", "lost settings.read in acme-corp"),
        (WORKSPACE, "SELECT tenancy.grant_role(base.w(1), base.u(6), 'settings.read')", "gained settings.read in acme-corp"),
    ];
    for (n, (template, plant, expected)) in cases.into_iter().enumerate() {
        let database = format!("{}_planted_{n}", template.name);
        let mut admin = template.database(&database);
        template.succeeds(&database, &[]);
        admin.run(plant);
        let said = template.refuses(&database, &["only=check"], "differ from the template's");
        assert!(said.contains(expected), "{plant}: {said}");
    }
}

/// What was there before the first run, and makes a difference, rolls all of it back.
#[test]
fn a_first_run_whose_answers_differ_leaves_nothing() {
    let mut admin = WORKSPACE.database("workspace_first");
    admin.run(
        "INSERT INTO tenancy.permissions (name, scope) VALUES ('users.read', 'tenant');
               INSERT INTO tenancy.tenants (id, slug, name) VALUES (base.w(1), 'acme-corp', 'Acme');
               SELECT tenancy.add_member(base.w(1), base.u(7), '{owner}')",
    );
    let said = WORKSPACE.refuses("workspace_first", &[], "differ from the template's");
    assert!(said.contains(&format!("user {} gained users.read in acme-corp", user(7))), "{said}");
    let mut admin = RBAC.database("rbac_first");
    // A wildcard does not reach the platform, so 'all' would not be what it was.
    admin.run("INSERT INTO tenancy.permissions (name, scope) VALUES ('documents.read', 'platform')");
    let said = RBAC.refuses("rbac_first", &[], "differ from the template's");
    assert!(said.contains(&format!("user {} lost documents.read in acme", user(2))), "{said}");
}

#[test]
fn until_the_switch_over_the_template_decides() {
    let mut admin = RBAC.database("rbac_follow");
    RBAC.succeeds("rbac_follow", &[]);
    admin.run(
        "DELETE FROM user_roles WHERE user_id = u(4) AND role_id = 300;
         UPDATE roles SET permissions = '{documents.update}', name = 'authors' WHERE id = 100;
         INSERT INTO tenant_members VALUES (100, u(7)); INSERT INTO user_roles VALUES (u(7), 350);
         DELETE FROM documents; DELETE FROM tenants WHERE id = 1;
         UPDATE auth.users SET raw_app_meta_data = '{}' WHERE id = u(10)",
    );
    let said = RBAC.succeeds("rbac_follow", &[]);
    assert!(said.contains("migrated: ") && !said.contains(" 0 removed"), "{said}");
    let mut request = CLUSTER.connect_as("rbac_follow", "authenticator");
    let mut held =
        |n, permission| request.request_holds(user(n), &format!("tenancy.has_permission('{permission}')"));
    assert!(!held(4, "documents.update") && held(4, "roles.edit"), "a role taken away");
    assert!(held(3, "documents.update") && !held(3, "documents.create"), "a role edited");
    assert!(held(7, "documents.read"), "a new member");
    assert!(!held(1, "documents.read"), "a tenant dropped");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.tenants"), 2);
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.operators"), 1);
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.roles WHERE name = 'authors'"), 1);

    let mut admin = WORKSPACE.database("workspace_follow");
    WORKSPACE.succeeds("workspace_follow", &[]);
    let roles = admin.number("SELECT count(*) FROM tenancy.roles");
    admin.run("UPDATE base.workspace_user_permissions SET permissions = '{settings.create}' WHERE user_id = base.u(2)");
    WORKSPACE.succeeds("workspace_follow", &[]);
    // u5 still holds what u2 held; the role of nobody goes.
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.roles"), roles + 1);
    admin.run("UPDATE base.workspace_user_permissions SET permissions = '{settings.read}' WHERE user_id = base.u(2)");
    WORKSPACE.succeeds("workspace_follow", &[]);
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.roles"), roles);
}

#[test]
fn what_was_revoked_in_schema_tenancy_does_not_come_back() {
    let mut admin = RBAC.database("rbac_revoked");
    RBAC.succeeds("rbac_revoked", &[]);
    admin.run("SELECT tenancy.revoke_role(t.id, u(2), 'admins') FROM tenancy.tenants t WHERE slug = 'acme'");
    let said = RBAC.refuses("rbac_revoked", &[], "was taken away in schema tenancy since");
    assert!(said.contains("1 case(s): member_role") && said.contains(&user(2).to_string()), "{said}");
    // Taken away there as well, all is well; and on demand it comes back.
    admin.run("DELETE FROM user_roles WHERE user_id = u(2)");
    RBAC.succeeds("rbac_revoked", &[]);
    admin.run("INSERT INTO user_roles VALUES (u(2), 50)");
    assert!(RBAC.succeeds("rbac_revoked", &[]).contains("1 added"));
}

#[test]
fn what_cannot_be_mapped_is_refused_whole_and_mapped_when_told_how() {
    // What is odd, what is said of it, and the option that lets it through.
    let cases = [
        (RBAC, "INSERT INTO user_roles VALUES (u(5), 50)", "by roles of another one", "strays=leave"),
        (
            RBAC,
            "UPDATE roles SET name = 'owner' WHERE id = 50",
            "roles of the application here",
            r#"role_map={"owner": "chief"}"#,
        ),
        (
            RBAC,
            "UPDATE roles SET name = ' two ' WHERE id = 50",
            "names of roles that cannot be kept",
            r#"role_map={" two ": "two"}"#,
        ),
        (
            RBAC,
            "ALTER TYPE app_permission ADD VALUE 'Docs:Read'",
            "names of permissions that cannot be kept",
            r#"permission_map={"Docs:Read": "docs.read"}"#,
        ),
        (
            RBAC,
            "UPDATE tenants SET name = 'Big Corp' WHERE id = 50",
            "slugs that cannot be kept",
            r#"slug_map={"Big Corp": "big-corp"}"#,
        ),
        (
            RBAC,
            "INSERT INTO tenancy.tenants (slug, name) VALUES ('acme', 'Another')",
            "slugs that are taken",
            r#"slug_map={"acme": "acme-2"}"#,
        ),
        (
            RBAC,
            "UPDATE auth.users SET raw_app_meta_data = '{\"tenant_access\": \"none\"}' WHERE id = u(7)",
            "neither read nor write",
            "",
        ),
        (
            WORKSPACE,
            "INSERT INTO base.workspace_user_permissions VALUES (DEFAULT, base.w(1), base.u(7), '{settings.read}')",
            "a workspace they are not in",
            "strays=admit",
        ),
        (
            WORKSPACE,
            "INSERT INTO base.workspace_user_permissions VALUES (DEFAULT, base.w(1), base.u(7), '{settings.read}')",
            "a workspace they are not in",
            "strays=leave",
        ),
        (
            WORKSPACE,
            "UPDATE base.workspace_user_permissions SET permissions = '{all}' WHERE user_id = base.u(2)",
            "names of permissions that cannot be kept",
            r#"permission_map={"all": "everything.do"}"#,
        ),
        (
            WORKSPACE,
            "UPDATE base.workspaces SET slug = 'Acme_Corp' WHERE slug = 'acme'",
            "slugs that cannot be kept",
            r#"slug_map={"Acme_Corp": "acme"}"#,
        ),
    ];
    for (n, (template, odd, expected, option)) in cases.into_iter().enumerate() {
        let database = format!("{}_odd_{n}", template.name);
        let mut admin = template.database(&database);
        admin.run(odd);
        let said = template.refuses(&database, &[], expected);
        assert!(said.contains("DETAIL:") && said.contains("HINT:"), "{said}");
        if option.is_empty() {
            continue;
        }
        template.succeeds(&database, &[option]);
        // Compared again with the same words it is the same, and again there is nothing to do.
        template.succeeds(&database, &[option, "only=check"]);
        assert!(template.succeeds(&database, &[option]).contains("nothing to migrate"), "{option}");
        if option.starts_with("strays") {
            let admitted = option == "strays=admit";
            let lost = if template.name == "rbac" { user(5) } else { user(7) };
            let mut request = CLUSTER.connect_as(&database, "authenticator");
            assert_eq!(
                request.request_holds(lost, "tenancy.has_any_permission('{settings.read,documents.read}')"),
                admitted
            );
        }
    }
    // Two names that became one would let the holders of either do both.
    let mut admin = WORKSPACE.database("workspace_merged");
    let map = r#"permission_map={"users.create": "users.read"}"#;
    admin.run(
        "UPDATE base.workspace_user_permissions SET permissions = '{users.create}' WHERE user_id = base.u(2)",
    );
    let said = WORKSPACE.refuses("workspace_merged", &[map], "differ from the template's");
    assert!(said.contains(&format!("user {} gained users.read in acme-corp", user(2))), "{said}");
}

#[test]
fn rows_that_name_nobody_stay_behind() {
    let mut admin = RBAC.database("rbac_orphans");
    admin.run(
        "ALTER TABLE tenant_members DROP CONSTRAINT tenant_members_user_id_fkey, DROP CONSTRAINT tenant_members_tenant_id_fkey;
         ALTER TABLE user_roles DROP CONSTRAINT user_roles_user_id_fkey, DROP CONSTRAINT user_roles_role_id_fkey;
         INSERT INTO tenant_members VALUES (50, u(99)), (77, u(3)); INSERT INTO user_roles VALUES (u(99), 50), (u(3), 77)",
    );
    let said = RBAC.succeeds("rbac_orphans", &[]);
    assert!(said.contains("4 row(s) of users, tenants or roles that do not exist stay behind"), "{said}");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.members WHERE user_id = u(99)"), 0);
    let mut admin = WORKSPACE.database("workspace_orphans");
    admin.run("DELETE FROM auth.users WHERE id = base.u(2)");
    assert!(WORKSPACE.succeeds("workspace_orphans", &[]).contains("2 membership(s) and permission(s)"));
}

#[test]
fn other_schemas_columns_and_no_users_table_are_taken() {
    let mut admin = RBAC.database("rbac_elsewhere");
    admin.run(
        "CREATE SCHEMA \"Old One\"; ALTER TABLE tenants SET SCHEMA \"Old One\"; ALTER TABLE tenant_members SET SCHEMA \"Old One\";
         ALTER TABLE roles SET SCHEMA \"Old One\"; ALTER TABLE user_roles SET SCHEMA \"Old One\";
         ALTER TABLE \"Old One\".roles ALTER COLUMN permissions TYPE text[] USING permissions::text[];
         ALTER TABLE \"Old One\".tenants ADD COLUMN plan text DEFAULT 'pro'",
    );
    let said = RBAC.refuses("rbac_elsewhere", &[], "table public.tenants does not exist");
    assert!(said.contains("-v schema="), "{said}");
    RBAC.succeeds("rbac_elsewhere", &["schema=Old One", "metadata=copy"]);
    assert_eq!(
        admin.text("SELECT metadata FROM tenancy.tenants WHERE key = '100'"),
        r#"{"plan": "pro", "notes": "late payer"}"#
    );
    let mut admin = RBAC.database("rbac_no_users");
    let said = RBAC.succeeds("rbac_no_users", &["users=nowhere.users"]);
    assert!(said.contains("no operators"), "{said}");
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.operators"), 0);
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.members"), 8);
}

#[test]
fn only_administrators_migrate_and_perms_written_by_hand_are_reported() {
    let mut admin = RBAC.database("rbac_rights");
    admin.run("UPDATE auth.users SET raw_app_meta_data = '{\"perms\": [\"all\"], \"tenant_id\": 100}' WHERE id = u(5)");
    let said = RBAC.succeeds("rbac_rights", &["dry_run=on"]);
    assert!(
        said.contains("1 user(s) have perms in raw_app_meta_data that no role of theirs holds"),
        "{said}"
    );
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.tenants"), 0, "dry run");
    admin.run("CREATE ROLE somebody LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public, auth TO somebody; GRANT USAGE ON SCHEMA auth TO somebody;
               SELECT tenancy.enable_role('somebody')");
    let mut command = CLUSTER.program("psql");
    let output = command
        .env("PGUSER", "somebody")
        .args(["-X", "-d", "rbac_rights", "-f"])
        .arg(source("sql/adapters/from_rbac_template.sql"))
        .output();
    let said = String::from_utf8_lossy(&output.expect("psql starts").stderr).into_owned();
    assert!(said.contains("permission denied to migrate"), "{said}");
}

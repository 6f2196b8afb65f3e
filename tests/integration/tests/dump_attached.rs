//! Threat 23 where a users table is attached: what a dump holds of it, what it cannot hold, and how that comes back.

use pg_tenancy_integration::{Cluster, Session, tenant, user};

const USERS: &str = "CREATE SCHEMA auth;
    CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, email_confirmed_at timestamptz, raw_app_meta_data jsonb, raw_user_meta_data jsonb)";

fn attached(cluster: &Cluster) -> Session {
    let mut admin = cluster.database("attached");
    admin.add_docs_application();
    admin.run(USERS);
    admin.run(
        "INSERT INTO auth.users SELECT DISTINCT user_id, 'u' || right(user_id::text, 1) || '@example.com', now(), '{\"provider\": \"email\"}'::jsonb
           FROM tenancy.members",
    );
    let others = admin.value("SELECT count(*) FROM tenancy.members").expect("a count");
    assert_ne!(others, "0", "the application has members");
    admin
        .run("SELECT tenancy.attach_users(); SELECT tenancy.enable_profiles(); SELECT tenancy.sync_claims()");
    let (one, someone) = (tenant(1), user(1));
    admin.run(&format!(
        "INSERT INTO tenancy.active_tenants (user_id, tenant_id) VALUES ('{someone}', '{one}');
         INSERT INTO tenancy.operators (user_id, access) VALUES ('{someone}', 'read')"
    ));
    admin
}

const STATE: &str = "SELECT u.id, u.raw_app_meta_data, u.raw_user_meta_data, a.tenant_id, p.display_name
    FROM auth.users u LEFT JOIN tenancy.active_tenants a ON a.user_id = u.id LEFT JOIN tenancy.user_profiles p ON p.user_id = u.id ORDER BY 1";
const TRIGGERS: &str = "SELECT tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND NOT tgisinternal ORDER BY 1";
const KEYS: &str = "SELECT conrelid::regclass, conname FROM pg_constraint WHERE confrelid = 'auth.users'::regclass ORDER BY 2";

#[test]
fn a_restored_users_table_is_attached_but_for_its_foreign_keys_which_a_second_call_puts_back() {
    let cluster = Cluster::start("dump_attached", "");
    let mut origin = attached(&cluster);
    let dump = cluster.host().join("attached.dump");
    cluster.succeed(cluster.program("pg_dump").args(["-Fc", "-f"]).arg(&dump).arg("attached"));
    cluster.connect("postgres").run("CREATE DATABASE restored TEMPLATE template0");
    cluster.succeed(cluster.program("pg_restore").args(["--exit-on-error", "-d", "restored"]).arg(&dump));
    let mut restored = cluster.connect("restored");

    assert_eq!(restored.rows(STATE), origin.rows(STATE), "users, their claims, choices and profiles");
    assert_eq!(restored.rows(TRIGGERS), origin.rows(TRIGGERS));
    assert_eq!(restored.value("SELECT count(*) FROM tenancy.sync_failures").as_deref(), Some("0"));
    assert_eq!(
        restored.value("SELECT tenancy.sync_claims()").as_deref(),
        Some("0"),
        "claims are right as they came"
    );

    // Constraints of an extension's tables are not dumped. A deleted user's rows go all the same.
    assert_eq!(restored.rows(KEYS), Vec::<Vec<Option<String>>>::new());
    let leaver = user(1);
    restored.run(&format!("DELETE FROM auth.users WHERE id = '{leaver}'"));
    let left = format!(
        "SELECT (SELECT count(*) FROM tenancy.members WHERE user_id = '{leaver}') + (SELECT count(*) FROM tenancy.operators WHERE user_id = '{leaver}')
              + (SELECT count(*) FROM tenancy.active_tenants WHERE user_id = '{leaver}') + (SELECT count(*) FROM tenancy.user_profiles WHERE user_id = '{leaver}')"
    );
    assert_eq!(restored.value(&left).as_deref(), Some("0"));
    assert_eq!(restored.value("SELECT tenancy.attach_users()").as_deref(), Some("t"));
    assert_eq!(restored.rows(KEYS), origin.rows(KEYS));
    assert_eq!(
        restored.value("SELECT tenancy.attach_users()").as_deref(),
        Some("f"),
        "nothing is left to mend"
    );
}

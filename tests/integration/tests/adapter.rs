//! sql/adapters/supabase.sql over the Supabase-shaped database, and the privileges that are there afterwards
//! (threat 26).

use pg_tenancy_integration::{Api, Cluster, Request, Session, explain, source, tenant, user};
use serde_json::json;
use std::process::Command;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::start_supabase("adapter", "session_preload_libraries = 'auto_explain'"));

/// Everything that the adapter may have changed, in one text. Settings of roles are the whole cluster's: those of other
/// databases, and of the role `everywhere`, are other tests'.
fn state(admin: &mut Session) -> String {
    admin.text(
        "SELECT string_agg(line, E'\n' ORDER BY line COLLATE \"C\") FROM (
             SELECT concat_ws(' ', p.oid::regprocedure, a.grantee, a.privilege_type) FROM pg_proc p, aclexplode(p.proacl) a
             UNION ALL
             SELECT concat_ws(' ', c.oid::regclass, a.grantee, a.privilege_type) FROM pg_class c, aclexplode(c.relacl) a
             UNION ALL
             SELECT concat_ws(' ', n.nspname, a.grantee, a.privilege_type) FROM pg_namespace n, aclexplode(n.nspacl) a
             UNION ALL
             SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
             UNION ALL
             SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
             UNION ALL
             SELECT concat_ws(' ', setdatabase, setrole, setconfig) FROM pg_db_role_setting
              WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                AND setrole NOT IN (SELECT oid FROM pg_roles WHERE rolname = 'everywhere')
             UNION ALL
             SELECT u::text FROM tenancy.users_table u
         ) lines (line)",
    )
}

/// How the adapter fails, told as psql tells it.
fn failure(cluster: &Cluster, database: &str, role: &str) -> String {
    let mut psql: Command = cluster.program("psql");
    let output = psql
        .env("PGUSER", role)
        .args(["-X", "-v", "VERBOSITY=verbose", "-d", database, "-f"])
        .arg(source("sql/adapters/supabase.sql"))
        .output()
        .expect("psql starts");
    assert_eq!(output.status.code(), Some(3), "it stops at an error");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn the_second_run_changes_nothing() {
    let mut admin = CLUSTER.supabase_database("twice");
    let first = state(&mut admin);
    let said = CLUSTER.run_adapter("twice");
    assert_eq!(state(&mut admin), first);
    assert_eq!(CLUSTER.run_adapter("twice"), said);
    for part in [
        "application roles|anon, authenticated, service_role",
        "users table|auth.users",
        "access token hook|executable by supabase_auth_admin\n",
        "pre-request|tenancy.pre_request\n",
        "pg-functions://postgres/tenancy/custom_access_token_hook",
    ] {
        assert!(said.contains(part), "{part} in:\n{said}");
    }
    admin.run("REVOKE USAGE ON SCHEMA tenancy FROM anon; GRANT EXECUTE ON FUNCTION tenancy.custom_access_token_hook TO anon");
    CLUSTER.run_adapter("twice");
    assert_eq!(state(&mut admin), first, "what was spoilt is as it was");
}

#[test]
fn libraries_named_elsewhere_are_loaded_as_before_and_ours_with_them() {
    CLUSTER.connect("postgres").run("CREATE DATABASE other_libraries");
    CLUSTER.database("libraries").run(
        "CREATE ROLE everywhere LOGIN; ALTER ROLE everywhere SET session_preload_libraries = 'passwordcheck';
         CREATE ROLE here LOGIN; ALTER ROLE here IN DATABASE libraries SET session_preload_libraries = 'passwordcheck', 'auto_explain';
         ALTER ROLE here IN DATABASE other_libraries SET session_preload_libraries = 'auto_explain';
         CREATE ROLE already LOGIN; ALTER ROLE already IN DATABASE libraries SET session_preload_libraries = 'pg_tenancy', 'auto_explain'",
    );
    CLUSTER.connect("libraries").run("CREATE EXTENSION pg_tenancy");
    for database in ["libraries", "other_libraries"] {
        CLUSTER.connect(database).run(
            "CREATE FUNCTION public.preloaded() RETURNS text LANGUAGE sql SECURITY DEFINER AS
                 $$ SELECT current_setting('session_preload_libraries') $$",
        );
    }
    CLUSTER.run_adapter("libraries");
    CLUSTER.run_adapter("libraries");
    let loaded = |database, role| {
        let mut session = CLUSTER.connect_as(database, role);
        let setting = session.text("SELECT public.preloaded()");
        (setting, session.holds("current_setting('tenancy.authority', true) = 'tables'"))
    };
    for (database, role, libraries) in [
        ("libraries", "postgres", "auto_explain, pg_tenancy"),
        ("libraries", "authenticator", "auto_explain, pg_tenancy"),
        ("libraries", "everywhere", "passwordcheck, pg_tenancy"),
        ("libraries", "here", "passwordcheck, auto_explain, pg_tenancy"),
        ("libraries", "already", "pg_tenancy, auto_explain"),
    ] {
        assert_eq!(loaded(database, role), (libraries.to_owned(), true), "{role}");
    }
    for (role, libraries) in
        [("postgres", "auto_explain"), ("everywhere", "passwordcheck"), ("here", "auto_explain")]
    {
        assert_eq!(loaded("other_libraries", role), (libraries.to_owned(), false), "{role} elsewhere");
    }
    let mut admin = CLUSTER.connect("postgres");
    admin.run("ALTER DATABASE other_libraries SET session_preload_libraries = 'passwordcheck'");
    CLUSTER.connect("other_libraries").run("CREATE EXTENSION pg_tenancy");
    CLUSTER.run_adapter("other_libraries");
    assert_eq!(loaded("other_libraries", "postgres"), ("passwordcheck, pg_tenancy".to_owned(), true));
}

#[test]
fn a_pre_request_that_is_registered_stays() {
    drop(CLUSTER.unconnected_database("registered"));
    let set =
        "ALTER ROLE authenticator IN DATABASE registered SET pgrst.db_pre_request = 'public.check_request'";
    CLUSTER.connect("registered").run(set);
    let said = CLUSTER.run_adapter("registered");
    assert!(said.contains("pre-request|public.check_request\n"), "{said}");
    let mut postgrest = CLUSTER.connect_as("registered", "authenticator");
    assert_eq!(postgrest.text("SHOW pgrst.db_pre_request"), "public.check_request");
}

#[test]
fn what_is_missing_is_said_and_nothing_is_changed() {
    CLUSTER.connect("postgres").run("CREATE DATABASE no_users TEMPLATE template0");
    CLUSTER.database("no_extension").run("CREATE ROLE nobody LOGIN");
    let error = failure(&CLUSTER, "no_extension", "postgres");
    assert!(
        error.contains("55000: extension \"pg_tenancy\" is not installed in database \"no_extension\""),
        "{error}"
    );
    CLUSTER.connect("no_users").run("CREATE EXTENSION pg_tenancy");
    let before = state(&mut CLUSTER.connect("no_users"));
    let error = failure(&CLUSTER, "no_users", "postgres");
    assert!(error.contains("42P01: table auth.users does not exist in database \"no_users\""), "{error}");
    let error = failure(&CLUSTER, "no_users", "nobody");
    assert!(error.contains("42501: permission denied to connect pg_tenancy"), "{error}");
    assert_eq!(state(&mut CLUSTER.connect("no_users")), before);

    let elsewhere = Cluster::start("no_roles", "");
    let error = failure(&elsewhere, "template1", "postgres");
    assert!(
        error.contains("42704") && error.contains("no database role service_role, supabase_auth_admin"),
        "{error}"
    );
    assert!(error.contains("HINT"), "{error}");
}

#[test]
fn a_planted_search_path_is_not_the_adapters() {
    let mut admin = CLUSTER.unconnected_database("planted_adapter");
    plant(&mut admin);
    admin.run("ALTER DATABASE planted_adapter SET search_path = planted, pg_catalog");
    let sprung = CLUSTER.connect("planted_adapter").code("SELECT to_regclass('auth.users')");
    assert_eq!(sprung, "P0001", "the trap springs");
    CLUSTER.run_adapter("planted_adapter");
}

/// Functions and operators named like those of pg_catalog, each of which raises P0001 when it runs.
fn plant(admin: &mut Session) {
    admin.run(
        "CREATE SCHEMA planted; GRANT USAGE ON SCHEMA planted TO PUBLIC;
         SET search_path = pg_catalog;
         CREATE FUNCTION planted.sprung() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sprung'; END $$;
         DO $$
         DECLARE
             f text;
         BEGIN
             FOREACH f IN ARRAY ARRAY['to_regclass(text) RETURNS regclass', 'now() RETURNS timestamptz',
                 'current_setting(text) RETURNS text', 'current_setting(text, boolean) RETURNS text',
                 'set_config(text, text, boolean) RETURNS text', 'format(text, name) RETURNS text',
                 'quote_ident(text) RETURNS text', 'jsonb_build_object(text, jsonb) RETURNS jsonb',
                 'array_agg(uuid) RETURNS uuid[]', 'to_jsonb(anyelement) RETURNS jsonb', 'lower(text) RETURNS text',
                 'coalesce_jsonb(jsonb, jsonb) RETURNS jsonb', 'statement_timestamp() RETURNS timestamptz',
                 'op_uuid(uuid, uuid) RETURNS boolean', 'op_text(text, text) RETURNS boolean',
                 'op_name(name, name) RETURNS boolean', 'op_oid(oid, oid) RETURNS boolean',
                 'op_jsonb(jsonb, jsonb) RETURNS jsonb', 'op_key(jsonb, text) RETURNS jsonb'] LOOP
                 EXECUTE format('CREATE FUNCTION planted.%s LANGUAGE plpgsql AS
                                 ''BEGIN PERFORM planted.sprung(); END''', f);
             END LOOP;
         END
         $$;
         CREATE OPERATOR planted.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = planted.op_uuid);
         CREATE OPERATOR planted.= (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.op_text);
         CREATE OPERATOR planted.= (LEFTARG = name, RIGHTARG = name, FUNCTION = planted.op_name);
         CREATE OPERATOR planted.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = planted.op_oid);
         CREATE OPERATOR planted.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.op_text);
         CREATE OPERATOR planted.|| (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = planted.op_jsonb);
         CREATE OPERATOR planted.- (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = planted.op_key);
         CREATE OPERATOR planted.-> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = planted.op_key);
         CREATE DOMAIN planted.uuid AS text; CREATE DOMAIN planted.jsonb AS text;
         CREATE TABLE planted.users (id text); CREATE TABLE planted.members (id text);
         CREATE TABLE planted.tenants (id text); CREATE TABLE planted.pg_class (oid text);
         CREATE TABLE planted.pg_proc (oid text);
         GRANT ALL ON ALL TABLES IN SCHEMA planted TO PUBLIC;
         RESET search_path",
    );
}

/// The definers' functions and triggers that an application user or the auth server reaches, with everything
/// planted before pg_catalog: in the request's search_path, in the auth server's, and in pg_temp.
#[test]
fn planted_objects_run_in_nobodys_name() {
    let mut admin = CLUSTER.supabase_database("planted");
    admin.add_docs();
    plant(&mut admin);
    let path = "planted, pg_temp, public, pg_catalog";
    let temporary = "CREATE TEMP TABLE users (id text); CREATE TEMP TABLE members (id text);
                     CREATE TEMP TABLE tenants (id text); CREATE TEMP TABLE pg_class (oid text)";

    let mut auth = CLUSTER.connect_as("planted", "supabase_auth_admin");
    auth.run(temporary);
    auth.run(&format!("SET search_path = {path}"));
    assert_eq!(auth.code("SELECT now()"), "P0001", "the trap springs");
    auth.run(&format!(
        "INSERT INTO auth.users (id, email, raw_app_meta_data) VALUES ('{id}', 'new@example.org', '{{}}');
         UPDATE auth.users SET raw_app_meta_data = '{{\"provider\": \"email\"}}', email_confirmed_at = pg_catalog.now()",
        id = user(7),
    ));
    let event = json!({ "user_id": user(2).to_string(), "claims": { "sub": user(2).to_string(), "app_metadata": {} } });
    let hooked = auth.text(&format!("SELECT tenancy.custom_access_token_hook('{event}'::pg_catalog.jsonb)"));
    assert!(hooked.contains(&tenant(1).to_string()), "{hooked}");
    auth.run(&format!("DELETE FROM auth.users WHERE id OPERATOR(pg_catalog.=) '{}'", user(7)));
    assert_eq!(admin.number("SELECT count(*) FROM tenancy.sync_failures"), 0);

    let mut api = Api::new(CLUSTER.connect_as("planted", "authenticator"));
    api.session().run(temporary);
    let editor = Request::post(user(2)).search_path(path);
    assert_eq!(api.code(&editor, "SELECT now()"), "P0001", "the trap springs here too");
    let calls = [
        "tenancy.current_tenant_id()",
        "tenancy.current_tenant_key()",
        "tenancy.has_permission('docs.read')",
        "tenancy.operator_access()",
        "tenancy.claims()",
        "tenancy.set_active_tenant(TENANT)",
        "tenancy.set_active_tenant(NULL)",
    ];
    for call in calls {
        let call = call.replace("TENANT", &format!("'{}'", tenant(1)));
        api.begin(&editor).expect("it begins");
        let answer = api.session().try_rows(&format!("SELECT {call}"));
        assert!(answer.is_ok(), "{call}: {}", explain(&answer.expect_err("an error")));
        api.session().run("COMMIT");
    }
    api.begin(&editor).expect("it begins");
    assert_eq!(api.session().number("SELECT pg_catalog.count(*) FROM public.docs"), 3);
    assert!(api.session().number("SELECT pg_catalog.count(*) FROM tenancy.diagnose()") > 5);
    api.session().run("COMMIT");
}

/// What a role may do in schema tenancy by grants to itself; PUBLIC is 0.
fn granted(admin: &mut Session, role: &str) -> Vec<String> {
    admin
        .rows(&format!(
            "SELECT line FROM (
                 SELECT format('%s %s', a.privilege_type, p.oid::regprocedure) AS line, a.grantee
                   FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                  WHERE p.pronamespace = 'tenancy'::regnamespace
                 UNION ALL
                 SELECT format('%s %s', a.privilege_type, c.oid::regclass), a.grantee
                   FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'tenancy'::regnamespace
                 UNION ALL
                 SELECT format('%s %s.%s', a.privilege_type, c.oid::regclass, t.attname), a.grantee
                   FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
                  WHERE c.relnamespace = 'tenancy'::regnamespace
                 UNION ALL
                 SELECT format('%s schema tenancy', a.privilege_type), a.grantee
                   FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'tenancy'
             ) grants WHERE grantee = {role} ORDER BY line COLLATE \"C\""
        ))
        .into_iter()
        .map(|row| row[0].clone().expect("a line"))
        .collect()
}

const HOOK: &str = "EXECUTE tenancy.custom_access_token_hook(jsonb)";

const FOR_ADMINISTRATORS: [&str; 10] = [
    "EXECUTE tenancy.assign_users(uuid)",
    "EXECUTE tenancy.delete_claim(uuid,text)",
    "EXECUTE tenancy.fold_usage()",
    "EXECUTE tenancy.get_claim(uuid,text)",
    "EXECUTE tenancy.get_claims(uuid)",
    "EXECUTE tenancy.map_subject(text)",
    "EXECUTE tenancy.prune_slots(timestamp with time zone)",
    "EXECUTE tenancy.set_claim(uuid,text,jsonb)",
    "EXECUTE tenancy.sync_claims(uuid,bigint)",
    "EXECUTE tenancy.usage_shared_stats()",
];

/// Supabase's default privileges grant every new function to anon, authenticated and service_role.
#[test]
fn default_privileges_reach_nothing_of_ours() {
    let mut admin = CLUSTER.supabase_database("privileges");
    admin.run("CREATE FUNCTION public.granted_by_default() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    assert!(
        admin.holds("EXISTS (SELECT FROM aclexplode((SELECT proacl FROM pg_proc WHERE proname = 'granted_by_default')) WHERE grantee = 'anon'::regrole)"),
        "the default privileges are in force"
    );
    // A role that default privileges do not know shows what enable_role alone grants.
    admin.run("CREATE ROLE enabled_by_hand NOLOGIN; SELECT tenancy.enable_role('enabled_by_hand')");
    let mut of_application = granted(&mut admin, "'enabled_by_hand'::regrole");
    of_application.retain(|line| line != HOOK);
    assert!(of_application.len() > 50);
    for role in ["anon", "authenticated"] {
        assert_eq!(granted(&mut admin, &format!("'{role}'::regrole")), of_application, "{role}");
    }
    // It has BYPASSRLS, so it administers.
    let of_service = granted(&mut admin, "'service_role'::regrole");
    let more: Vec<&str> =
        of_service.iter().filter(|line| !of_application.contains(line)).map(String::as_str).collect();
    assert_eq!(more, FOR_ADMINISTRATORS);
    assert_eq!(of_service.len(), of_application.len() + more.len());
    for role in ["authenticator", "supabase_storage_admin"] {
        assert_eq!(granted(&mut admin, &format!("'{role}'::regrole")), [""; 0], "{role}");
    }
    assert_eq!(granted(&mut admin, "'supabase_auth_admin'::regrole"), [HOOK, "USAGE schema tenancy"]);
}

/// By name, so that a function that becomes everybody's is noticed here.
#[test]
fn public_may_run_these_functions_and_touch_nothing() {
    let mut admin = CLUSTER.supabase_database("public_privileges");
    let mut names: Vec<String> = granted(&mut admin, "0")
        .iter()
        .map(|line| {
            let function =
                line.strip_prefix("EXECUTE tenancy.").unwrap_or_else(|| panic!("PUBLIC has {line}"));
            function.split('(').next().expect("a name").to_owned()
        })
        .collect();
    names.dedup();
    assert_eq!(names, PUBLIC);
}

const PUBLIC: &[&str] = &[
    "aal",
    "active_tenant_or_all",
    "can_see_tenant",
    "check_quota",
    "claim",
    "claims",
    "copy_tenant",
    "count_rows",
    "current_actor",
    "current_tenant_id",
    "current_tenant_key",
    "current_user_id",
    "diagnose",
    "has_all_permissions",
    "has_any_permission",
    "has_permission",
    "has_permission_by_name",
    "has_role",
    "has_tenant_role",
    "is_active_or_operator",
    "is_administrator",
    "is_member",
    "is_member_or_operator",
    "keep_tenant",
    "operator_access",
    "remaining",
    "require_permission",
    "storage_tenant",
    "tenant_ids",
    "tenant_ids_or_all",
    "tenant_ids_with",
    "tenant_ids_with_all",
    "tenant_ids_with_any",
];

#[test]
fn definers_functions_have_a_fixed_path_and_ask_who_calls() {
    let mut admin = CLUSTER.supabase_database("definers");
    let loose = admin.rows(
        "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND prosecdef
            AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)",
    );
    assert!(loose.is_empty(), "{loose:?}");
    // These run as the owner for anon; each decides by the identity or by the caller's role.
    let for_anon = admin.rows(
        "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND prosecdef
            AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
            AND has_function_privilege('anon', oid, 'EXECUTE') ORDER BY oid::regprocedure::text COLLATE \"C\"",
    );
    let for_anon: Vec<&str> = for_anon.iter().map(|row| row[0].as_deref().expect("a name")).collect();
    assert_eq!(for_anon, DEFINERS);
    admin.add_docs();
    let mut api = Api::new(CLUSTER.connect_as("definers", "authenticator"));
    let id = user(2);
    let calls = [
        "sync_claims()",
        "sync_claims('ID')",
        "get_claims('ID')",
        "get_claim('ID', 'plan')",
        "set_claim('ID', 'plan', '1')",
        "delete_claim('ID', 'plan')",
        "prune_slots('2000-01-01')",
    ];
    for call in calls.map(|call| format!("tenancy.{}", call.replace("ID", &id.to_string()))) {
        let call = format!("SELECT {call} AS answer");
        for request in [Request::anonymous(), Request::post(user(2))] {
            assert_eq!(api.code(&request, &call), "42501", "{call}");
        }
        assert_eq!(api.code(&Request::service(), &call), "00000", "{call}");
    }
    // This one asks for a write operator, whatever the database role.
    let call = "SELECT tenancy.prune_slots_by_identity('2000-01-01') AS answer";
    for request in [Request::anonymous(), Request::post(user(2)), Request::service()] {
        assert_eq!(api.code(&request, call), "42501");
    }
}

const DEFINERS: &[&str] = &[
    "tenancy.create_tenant_by_identity(text,text,uuid,jsonb)",
    "tenancy.outranks(uuid,uuid)",
    "tenancy.prune_slots_by_identity(timestamp with time zone)",
];

//! The auth server's side of a Supabase-shaped database: what it writes as supabase_auth_admin, the claims that
//! stand in its table, the hook it calls (threat 24), and changes that race (threat 28).

use pg_tenancy_integration::{Api, Cluster, Random, Request, Session, tenant, user};
use serde_json::{Value, json};
use std::sync::{Barrier, LazyLock};
use uuid::Uuid;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_supabase("auth", ""));

fn prepare(database: &str) -> (Session, Session) {
    let mut admin = CLUSTER.supabase_database(database);
    admin.add_docs();
    (admin, auth_server(database))
}

fn auth_server(database: &str) -> Session {
    CLUSTER.connect_as(database, "supabase_auth_admin")
}

fn metadata(session: &mut Session, id: Uuid) -> Value {
    let text = session.text(&format!("SELECT raw_app_meta_data FROM auth.users WHERE id = '{id}'"));
    serde_json::from_str(&text).expect("jsonb")
}

/// The whole column at once, as the auth server writes it from what it read earlier.
fn overwrite(auth: &mut Session, id: Uuid, metadata: &Value) {
    auth.run(&format!(
        "UPDATE users SET raw_app_meta_data = '{metadata}', updated_at = now() WHERE id = '{id}'"
    ));
}

/// Metadata with our keys for a member of one tenant.
fn projected(n: u32, perms: &[&str]) -> Value {
    json!({ "provider": "email", "providers": ["email"], "tenant_id": tenant(n).to_string(), "perms": perms,
            "tenants": [tenant(n).to_string()] })
}

fn failures(admin: &mut Session) -> i64 {
    admin.number("SELECT count(*) FROM tenancy.sync_failures")
}

#[test]
fn signing_up_logging_in_and_leaving_as_the_auth_server_does() {
    let (mut admin, mut auth) = prepare("life");
    let id = user(50);
    auth.sign_up(&[id]);
    let new = json!({ "provider": "email", "providers": ["email"] });
    let mut first = metadata(&mut auth, id);
    first.as_object_mut().expect("an object").retain(|key, _| key != "perms" && key != "tenants");
    assert_eq!(first, new, "his own keys stay as they are, and he is in no tenant");
    admin.add_member(tenant(1), id, "'viewer'");
    assert_eq!(metadata(&mut auth, id), projected(1, &["docs.read"]));
    auth.run(&format!("UPDATE users SET last_sign_in_at = now(), confirmation_token = '' WHERE id = '{id}'"));
    assert_eq!(metadata(&mut auth, id), projected(1, &["docs.read"]));
    admin.add_member(tenant(2), id, "'editor'");
    admin.run(&format!("INSERT INTO tenancy.operators (user_id, access) VALUES ('{id}', 'read')"));
    let both = metadata(&mut auth, id);
    assert_eq!(both["tenants"], json!([tenant(1).to_string(), tenant(2).to_string()]));
    assert_eq!(
        (&both["tenant_access"], both.get("tenant_id")),
        (&json!("read"), None),
        "two, and none chosen"
    );
    Api::new(CLUSTER.connect_as("life", "authenticator"))
        .value(&Request::post(id), &format!("tenancy.set_active_tenant('{}')", tenant(2)));
    let chosen = metadata(&mut auth, id);
    assert_eq!((&chosen["tenant_id"], &chosen["perms"]), (&json!(tenant(2).to_string()), &json!(["docs.*"])));

    auth.run(&format!("DELETE FROM users WHERE id = '{id}'"));
    for table in ["members", "member_roles", "operators", "active_tenants", "group_members"] {
        assert_eq!(
            admin.number(&format!("SELECT count(*) FROM tenancy.{table} WHERE user_id = '{id}'")),
            0,
            "{table}"
        );
    }
    assert_eq!(failures(&mut admin), 0);
}

#[test]
fn a_stale_copy_of_the_metadata_brings_nothing_back() {
    let (mut admin, mut auth) = prepare("stale");
    let id = user(1);
    let stale = metadata(&mut auth, id);
    assert_eq!(stale, projected(1, &["docs.read"]));
    admin.run(&format!("SELECT tenancy.revoke_role('{}', '{id}', 'viewer')", tenant(1)));
    let mut changed = stale.clone();
    changed["provider"] = json!("google");
    changed["plan"] = json!({ "tier": 1, "perms": ["kept, for it is not ours"] });
    overwrite(&mut auth, id, &changed);
    let mut expected = projected(1, &[]);
    expected["provider"] = json!("google");
    expected["plan"] = changed["plan"].clone();
    assert_eq!(metadata(&mut auth, id), expected);
    // Also what he never had, and with the keys gone altogether, and in the middle of another's transaction.
    overwrite(
        &mut auth,
        id,
        &json!({ "tenant_id": tenant(2).to_string(), "perms": ["all"], "tenant_access": "write" }),
    );
    let mut own = projected(1, &[]);
    own.as_object_mut().expect("an object").retain(|key, _| !key.starts_with("provider"));
    assert_eq!(metadata(&mut auth, id), own);
    overwrite(&mut auth, id, &json!({}));
    assert_eq!(metadata(&mut auth, id), own);
    auth.run("BEGIN");
    let stale = metadata(&mut auth, id);
    admin.run(&format!("SELECT tenancy.grant_role('{}', '{id}', 'editor')", tenant(1)));
    overwrite(&mut auth, id, &stale);
    auth.run("COMMIT");
    assert_eq!(metadata(&mut auth, id)["perms"], json!(["docs.*"]));
    assert_eq!(admin.number("SELECT tenancy.sync_claims()"), 0);
}

#[test]
fn an_overwrite_that_waits_for_a_grant_sees_it() {
    let (mut admin, mut auth) = prepare("waiting");
    let id = user(1);
    let stale = metadata(&mut auth, id);
    for (change, perms) in [("revoke_role", json!([])), ("grant_role", json!(["docs.read"]))] {
        admin.run("BEGIN");
        admin.run(&format!("SELECT tenancy.{change}('{}', '{id}', 'viewer')", tenant(1)));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| overwrite(&mut auth, id, &stale));
            let waits = "EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'supabase_auth_admin'
                                    AND datname = 'waiting' AND wait_event_type = 'Lock')";
            let mut watcher = CLUSTER.connect("waiting");
            pg_tenancy_integration::eventually("the auth server waits for the row", || watcher.holds(waits));
            admin.run("COMMIT");
            writer.join().expect("it is written");
        });
        assert_eq!(metadata(&mut auth, id)["perms"], perms, "{change}");
    }
}

const ROUNDS: u32 = 120;

/// What the tables come to, by a query of its own: roles here are direct, and of one tenant.
fn by_tables(admin: &mut Session, id: Uuid) -> Value {
    let text = admin.text(&format!(
        "SELECT coalesce(jsonb_agg(p ORDER BY p COLLATE \"C\"), '[]') FROM (
             SELECT DISTINCT rp.permission FROM tenancy.member_roles mr JOIN tenancy.role_permissions rp USING (role_id)
              WHERE mr.user_id = '{id}') granted (p)"
    ));
    serde_json::from_str(&text).expect("jsonb")
}

/// Threat 28: in each round two sessions change one user's roles and commit at the same moment, while the auth server
/// writes back a copy it read before. A wrong answer is noted, for whoever panics leaves the others waiting.
fn race(database: &str, mode: &str) {
    let (mut admin, mut auth) = prepare(database);
    admin.run(&format!("ALTER DATABASE {database} SET tenancy.claims_sync = {mode}"));
    admin.run(
        "SELECT tenancy.create_permission('p' || n || '.read'), tenancy.create_role('r' || n, ARRAY['p' || n || '.read'])
           FROM generate_series(0, 7) n",
    );
    let (barrier, id) = (Barrier::new(3), user(1));
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        for changer in 0..2_u64 {
            let barrier = &barrier;
            scope.spawn(move || {
                let mut session = CLUSTER.connect(database);
                let mut random = Random::new(100 + changer);
                for _ in 0..ROUNDS {
                    barrier.wait();
                    session.run("BEGIN");
                    for _ in 0..=random.below(2) {
                        // Each its own roles, so that they never wait for one another's rows but the user's.
                        let role = 2 * random.below(4) + changer;
                        let change = random.pick(&["grant_role", "revoke_role"]);
                        session.run(&format!("SELECT tenancy.{change}('{}', '{id}', 'r{role}')", tenant(1)));
                    }
                    session.run("COMMIT");
                    barrier.wait();
                    barrier.wait();
                }
            });
        }
        for round in 0..ROUNDS {
            let copy = metadata(&mut auth, id);
            barrier.wait();
            overwrite(&mut auth, id, &copy);
            barrier.wait();
            let (claims, tables) = (metadata(&mut auth, id), by_tables(&mut admin, id));
            if claims["perms"] != tables {
                wrong.push((round, claims, tables));
            }
            barrier.wait();
        }
    });
    assert_eq!(wrong, [], "{} failures", failures(&mut admin));
    assert_eq!(failures(&mut admin), 0);
    assert_eq!(admin.number("SELECT tenancy.sync_claims()"), 0);
}

#[test]
fn claims_equal_the_tables_after_racing_changes() {
    race("racing", "on");
}

#[test]
fn claims_equal_the_tables_after_racing_changes_when_deferred() {
    race("racing_deferred", "deferred");
}

/// Two sessions that touch two users in opposite order: the projection of one gives way, and is made up for.
#[test]
fn a_deadlock_of_projections_costs_no_grant() {
    let (mut first, mut auth) = prepare("deadlocked");
    let mut second = CLUSTER.connect("deadlocked");
    first.run("SET deadlock_timeout = '50ms'");
    second.run("SET deadlock_timeout = '10s'");
    let grant = |id: Uuid, role| format!("SELECT tenancy.grant_role('{}', '{id}', '{role}')", tenant(1));
    first.run(
        "SELECT tenancy.create_role('plain', '{docs.read}'), tenancy.create_role('writer', '{docs.update}')",
    );
    first.run("BEGIN");
    second.run("BEGIN");
    first.run(&grant(user(1), "plain"));
    second.run(&grant(user(2), "writer"));
    std::thread::scope(|scope| {
        let one = scope.spawn(|| {
            first.run(&grant(user(2), "plain"));
            first.run("COMMIT");
        });
        second.run(&grant(user(1), "writer"));
        second.run("COMMIT");
        one.join().expect("both get through");
    });
    assert_eq!(first.number("SELECT count(*) FROM tenancy.sync_failures WHERE sqlstate = '40P01'"), 1);
    assert!(first.number("SELECT tenancy.sync_claims(batch => 100)") >= 1, "the queue has him");
    for id in [user(1), user(2)] {
        assert_eq!(metadata(&mut auth, id)["perms"], by_tables(&mut first, id));
        assert_eq!(
            by_tables(&mut first, id).as_array().map(Vec::len),
            Some(if id == user(1) { 2 } else { 3 })
        );
    }
    assert_eq!(first.number("SELECT tenancy.sync_claims()"), 0);
}

/// Another's trigger that refuses, a table that is gone: neither stops whoever writes.
#[test]
fn a_failing_projection_stops_no_grant_no_sign_up_and_no_login() {
    let (mut admin, mut auth) = prepare("failing");
    admin.run(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    );
    admin.run(&format!("SELECT tenancy.grant_role('{}', '{}', 'editor')", tenant(1), user(1)));
    assert!(admin.holds(&format!(
        "EXISTS (SELECT FROM tenancy.member_roles WHERE user_id = '{}' HAVING count(*) = 2)",
        user(1)
    )));
    assert_eq!(
        metadata(&mut auth, user(1))["perms"],
        json!(["docs.read"]),
        "the projection did not get through"
    );
    assert_eq!(
        admin.rows("SELECT DISTINCT what, sqlstate, message FROM tenancy.sync_failures"),
        [["claims", "P0001", "not now"].map(|text| Some(text.to_owned()))]
    );
    admin.run("DROP TRIGGER refuse ON auth.users");
    assert_eq!(admin.number("SELECT tenancy.sync_claims()"), 1);
    assert_eq!(metadata(&mut auth, user(1))["perms"], json!(["docs.*", "docs.read"]));
    assert_eq!(admin.number("SELECT tenancy.sync_claims()"), 0);

    admin.run("ALTER TABLE tenancy.member_roles RENAME TO member_roles_elsewhere");
    auth.sign_up(&[user(60)]);
    auth.run(&format!(
        "UPDATE users SET last_sign_in_at = now(), raw_app_meta_data = '{{\"a\": 1}}' WHERE id = '{}'",
        user(60)
    ));
    let claims = json!({ "sub": user(1).to_string(), "role": "authenticated" });
    let event = json!({ "user_id": user(1).to_string(), "claims": claims });
    let token = hooked(&mut auth, &event);
    assert_eq!(token["claims"]["sub"], claims["sub"], "a token, whatever it says of tenants");
    admin.run("ALTER TABLE tenancy.member_roles_elsewhere RENAME TO member_roles");
    admin.number("SELECT tenancy.sync_claims()");
    assert_eq!(metadata(&mut auth, user(1))["perms"], json!(["docs.*", "docs.read"]));
}

/// An error in the middle of the hook, which a lock brings about: the token is as it was, and the auth server's own
/// transaction goes on.
#[test]
fn an_error_inside_the_hook_is_not_the_logins() {
    let (mut admin, mut auth) = prepare("locked");
    let event = json!({ "user_id": user(1).to_string(), "claims": { "app_metadata": { "perms": ["old"] } } });
    admin.run("BEGIN; LOCK TABLE tenancy.member_roles IN ACCESS EXCLUSIVE MODE");
    // The auth server's own patience, past which nobody could log in.
    auth.run("SET statement_timeout = '2s'");
    assert_eq!(hooked(&mut auth, &event), event);
    auth.run("BEGIN; UPDATE users SET last_sign_in_at = now()");
    assert_eq!(auth.text(&format!("SELECT tenancy.custom_access_token_hook('{event}') = '{event}'")), "t");
    auth.sign_up(&[user(70)]);
    auth.run("COMMIT");
    admin.run("COMMIT");
    assert!(
        auth.holds(&format!(
            "EXISTS (SELECT FROM users WHERE id = '{}' AND created_at IS NOT NULL)",
            user(70)
        ))
    );
    assert_eq!(hooked(&mut auth, &event)["claims"]["app_metadata"]["perms"], json!(["docs.read"]));
    assert_eq!(
        admin.rows("SELECT DISTINCT sqlstate FROM tenancy.sync_failures"),
        [[Some("55P03".to_owned())]]
    );
}

#[test]
fn the_kill_switches_leave_everything_alone_and_a_reconcile_mends() {
    prepare("switched").0.run("ALTER DATABASE switched SET tenancy.claims_sync = off; ALTER DATABASE switched SET tenancy.token_hook = off");
    let (mut admin, mut auth) = (CLUSTER.connect("switched"), auth_server("switched"));
    let before = metadata(&mut auth, user(1));
    admin.run(&format!("SELECT tenancy.grant_role('{}', '{}', 'editor')", tenant(1), user(1)));
    overwrite(&mut auth, user(2), &json!({ "perms": ["whatever"] }));
    assert_eq!(metadata(&mut auth, user(1)), before);
    assert_eq!(metadata(&mut auth, user(2)), json!({ "perms": ["whatever"] }));
    let event = json!({ "user_id": user(1).to_string(), "claims": { "sub": user(1).to_string() } });
    assert_eq!(hooked(&mut auth, &event), event);
    admin.run("SET tenancy.claims_sync = on");
    assert_eq!(admin.number("SELECT tenancy.sync_claims()"), 2);
    assert_eq!(metadata(&mut auth, user(1))["perms"], json!(["docs.*", "docs.read"]));
    assert_eq!(metadata(&mut auth, user(2))["perms"], json!(["docs.*"]));
}

/// As the auth server calls it: two seconds, and a transaction that may be its own.
fn hooked(auth: &mut Session, event: &Value) -> Value {
    auth.run("BEGIN; SET LOCAL statement_timeout = '2000'");
    let event = event.to_string().replace('\'', "''");
    let answer = auth.text(&format!(r#"SELECT "tenancy"."custom_access_token_hook"('{event}')"#));
    auth.run("COMMIT");
    serde_json::from_str(&answer).expect("jsonb")
}

#[test]
fn the_hook_adds_what_the_tables_say_and_keeps_the_rest() {
    let (mut admin, mut auth) = prepare("hooked");
    let claims = json!({
        "aud": "authenticated", "exp": 1_900_000_000, "iat": 1_800_000_000, "sub": user(2).to_string(),
        "email": "two@example.org", "phone": "", "role": "authenticated", "aal": "aal1",
        "session_id": user(99).to_string(), "is_anonymous": false, "iss": "https://example.org/auth/v1",
        "amr": [{ "method": "password", "timestamp": 1_800_000_000 }], "user_metadata": { "name": "Ü \u{1F600} \"quoted\"" },
        "app_metadata": { "provider": "email", "providers": ["email"], "perms": ["stale"], "tenant_id": "stale" },
    });
    let event =
        json!({ "user_id": user(2).to_string(), "claims": claims, "authentication_method": "password" });
    let mut expected = event.clone();
    expected["claims"]["app_metadata"] = projected(1, &["docs.*"]);
    assert_eq!(hooked(&mut auth, &event), expected);
    assert_eq!(
        hooked(&mut auth, &event)["claims"]["app_metadata"],
        metadata(&mut auth, user(2)),
        "as in the table"
    );

    // A revoke reaches the next token of a hook that is warm; so does a choice.
    admin.run(&format!("SELECT tenancy.revoke_role('{}', '{}', 'editor')", tenant(1), user(2)));
    assert_eq!(hooked(&mut auth, &event)["claims"]["app_metadata"]["perms"], json!([]));
    admin.run("ALTER DATABASE hooked SET tenancy.token_user_permissions = on");
    admin.run(&format!("SELECT tenancy.grant_role('{}', '{}', 'viewer')", tenant(1), user(2)));
    assert_eq!(
        hooked(&mut auth_server("hooked"), &event)["claims"]["user_permissions"],
        json!(["docs.read"])
    );

    let mut api = Api::new(CLUSTER.connect_as("hooked", "authenticator"));
    let call = format!("SELECT tenancy.custom_access_token_hook('{event}') AS token");
    for request in [Request::post(user(2)), Request::anonymous(), Request::service()] {
        assert_eq!(api.code(&request, &call), "42501");
    }
}

#[test]
fn an_event_the_hook_cannot_use_comes_back_as_it_was() {
    let (mut admin, mut auth) = prepare("events");
    let id = user(2).to_string();
    let hostile = [
        json!(null),
        json!(1),
        json!("text"),
        json!([]),
        json!({}),
        json!({ "user_id": id }),
        json!({ "claims": { "sub": id } }),
        json!({ "user_id": null, "claims": {} }),
        json!({ "user_id": [id], "claims": {} }),
        json!({ "user_id": "nobody", "claims": {} }),
        json!({ "user_id": id, "claims": null }),
        json!({ "user_id": id, "claims": [] }),
        json!({ "user_id": id, "claims": "text" }),
        json!({ "user_id": id, "claims": { "app_metadata": "text" } }),
        json!({ "user_id": id, "claims": { "app_metadata": [1] } }),
    ];
    for event in &hostile {
        assert_eq!(&hooked(&mut auth, event), event);
    }
    // These can be used, odd as they are; what is deep or huge goes through as it is.
    let odd = format!(
        r#"{{"user_id": "{id}", "claims": {{"sub": "{id}", "pad": "{}", "deep": {}1{}}}}}"#,
        "x".repeat(4 << 20),
        "[".repeat(2000),
        "]".repeat(2000)
    );
    let kept = format!(
        "SELECT t.token #- '{{claims,app_metadata}}' = e.event #- '{{claims,app_metadata}}'
            AND t.token #> '{{claims,app_metadata,perms}}' = '[\"docs.*\"]'
           FROM (SELECT '{odd}'::jsonb) e (event), LATERAL (SELECT tenancy.custom_access_token_hook(e.event)) t (token)"
    );
    assert_eq!(auth.value(&kept).as_deref(), Some("t"));
    let large = json!({ "user_id": id, "claims": { "app_metadata": null }, "claimss": { "perms": 1 } });
    assert_eq!(hooked(&mut auth, &large)["claims"]["app_metadata"]["perms"], json!(["docs.*"]));
    assert_eq!(hooked(&mut auth, &large)["claimss"], large["claimss"]);
    let unknown = json!({ "user_id": user(77).to_string(), "claims": { "app_metadata": { "perms": ["all"], "x": 1 } } });
    let perms = &hooked(&mut auth, &unknown)["claims"]["app_metadata"];
    assert!(perms.get("perms").is_none_or(|perms| perms == &json!([])), "a user of no tenant: {perms}");
    assert_eq!(perms["x"], json!(1));
    assert_eq!(auth.value("SELECT tenancy.custom_access_token_hook(NULL)"), None);
    assert_eq!(failures(&mut admin), 0);
}

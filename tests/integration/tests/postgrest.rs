//! Threats 1 to 6 and 27 on a Supabase-shaped database, through requests as PostgREST makes them: login as
//! authenticator, one transaction each, READ ONLY for GET.

use pg_tenancy_integration::{Api, Cluster, PgBouncer, Request, bearer, tenant, user};
use serde_json::{Value, json};
use std::sync::LazyLock;
use uuid::Uuid;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_supabase("postgrest", ""));

const DOCS: &str = "SELECT id, title FROM docs ORDER BY id";

fn api(database: &str) -> Api {
    Api::new(CLUSTER.connect_as(database, "authenticator"))
}

fn prepare(database: &str) -> Api {
    CLUSTER.supabase_database(database).add_docs();
    api(database)
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is past 1970").as_secs_f64()
}

/// The claims of the viewer's token, with other or further keys.
fn viewer_with(changes: Value) -> String {
    let mut claims = bearer(user(1));
    for (key, value) in changes.as_object().expect("keys") {
        claims[key] = value.clone();
    }
    claims.to_string()
}

#[test]
fn hostile_claims_are_nobody_and_no_error() {
    let mut api = prepare("hostile");
    let viewer = user(1);
    let hostile = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "\"text\"".to_owned(),
        "{".to_owned(),
        format!("{{\"sub\": \"{viewer}\""),
        format!("{{\"sub\": \"{viewer}\"}} trailing"),
        format!("{{\"sub\": [\"{viewer}\"]}}"),
        format!("{{\"sub\": {{\"id\": \"{viewer}\"}}}}"),
        "{\"sub\": 1}".to_owned(),
        "{\"sub\": null}".to_owned(),
        "{\"sub\": \"\"}".to_owned(),
        "{\"sub\": \"not a uuid\"}".to_owned(),
        format!("{{\"sub\": \"{viewer}\", \"sub\": \"nobody\"}}"),
        format!("{{\"sub\": \" {viewer}\"}}"),
        format!("{{\"sub\": \"{viewer}\\u0000\"}}"),
        format!("{{\"sub\": \"{viewer}\", \"name\": \"\\u0000\"}}"),
        format!("{{\"sub\": \"{viewer}\", \"name\": \"\\ud800\"}}"),
        format!("{{\"sub\": \"{viewer}\", \"pad\": \"{}\"}}", "x".repeat(2 << 20)),
        format!("{{\"sub\": \"{viewer}\", \"deep\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
    ];
    for claims in hostile {
        let get = Request::get(viewer).claims(&claims);
        let shown = &claims[..claims.len().min(100)];
        assert_eq!(api.ask(&get, DOCS), [Value::Null; 0], "{shown}");
        assert_eq!(api.value(&get, "tenancy.current_user_id()"), Value::Null, "{shown}");
        assert_eq!(api.value(&get, "tenancy.has_permission('docs.read')"), json!(false), "{shown}");
        let insert =
            "INSERT INTO docs (tenant_id, title) VALUES (tenancy.current_tenant_id(), 'x') RETURNING id";
        let post = Request::post(viewer).claims(&claims);
        assert!(["42501", "23502"].contains(&api.code(&post, insert).as_str()), "{shown}");
    }
    assert_eq!(api.ask(&Request::get(viewer), DOCS).len(), 3, "and with good claims he is somebody");
    let twice = format!("{{\"sub\": \"nobody\", \"sub\": \"{viewer}\"}}");
    assert_eq!(api.ask(&Request::get(viewer).claims(&twice), DOCS).len(), 3, "the last of two keys counts");
}

#[test]
fn expired_and_odd_expiries_are_nobody() {
    let mut api = prepare("expired");
    let dead = [
        json!(now() - 1.0),
        json!(0),
        json!(-1e300),
        json!("9999999999"),
        json!(null),
        json!(true),
        json!([]),
    ];
    for exp in dead {
        let claims = viewer_with(json!({ "exp": exp }));
        assert_eq!(api.ask(&Request::get(user(1)).claims(&claims), DOCS), [Value::Null; 0], "exp {exp}");
    }
    for exp in [json!(now() + 60.0), json!(1e300), json!(9_999_999_999_u64)] {
        let claims = viewer_with(json!({ "exp": exp }));
        assert_eq!(api.ask(&Request::get(user(1)).claims(&claims), DOCS).len(), 3, "exp {exp}");
    }
    let early = viewer_with(json!({ "nbf": now() + 60.0 }));
    assert_eq!(api.ask(&Request::get(user(1)).claims(&early), DOCS), [Value::Null; 0]);
}

#[test]
fn a_token_ends_inside_an_open_request() {
    let mut api = prepare("ending");
    let end = now() + 2.0;
    let request = Request::get(user(1)).claims(&viewer_with(json!({ "exp": end })));
    api.begin(&request).expect("it begins");
    let mut seen = Vec::new();
    while now() < end + 0.2 {
        let before = now();
        let rows = api.rows(DOCS).expect("no error").len();
        seen.push(rows);
        assert!(rows == 3 || now() >= end, "not before its time");
        assert!(rows == 0 || before < end, "a statement that began after the end still saw rows");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    api.session().run("COMMIT");
    assert_eq!((seen.first(), seen.last()), (Some(&3), Some(&0)));
}

#[test]
fn one_prepared_statement_answers_for_whoever_asks() {
    let mut api = prepare("statement");
    for turn in 0..30 {
        let (who, rows) = [(user(1), 3), (user(3), 2), (user(9), 0), (Uuid::nil(), 0)][turn % 4];
        assert_eq!(
            api.ask(&Request::get(who), DOCS).len(),
            rows,
            "turn {turn}, generic plan from the sixth on"
        );
        assert_eq!(api.ask(&Request::anonymous(), DOCS), [Value::Null; 0]);
    }
}

#[test]
fn claims_changed_inside_a_request_count_at_once_and_end_with_their_savepoint() {
    let mut api = prepare("changed");
    let rows = |api: &mut Api| api.rows(DOCS).expect("no error").len();
    let become_user = |api: &mut Api, who| {
        let set = format!("SELECT set_config('request.jwt.claims', '{}', true)", bearer(who));
        api.session().run(&set);
    };
    api.begin(&Request::get(user(1))).expect("it begins");
    assert_eq!(rows(&mut api), 3);
    api.session().run("SAVEPOINT s");
    become_user(&mut api, user(3));
    assert_eq!(rows(&mut api), 2);
    become_user(&mut api, user(9));
    assert_eq!(rows(&mut api), 0);
    api.session().run("ROLLBACK TO s");
    assert_eq!(rows(&mut api), 3);
    api.session().run("SAVEPOINT t");
    become_user(&mut api, user(3));
    api.session().run("RELEASE t");
    assert_eq!(rows(&mut api), 2);
    api.session().run("COMMIT");
    assert_eq!(api.ask(&Request::anonymous(), DOCS), [Value::Null; 0], "the next request has nothing of it");
}

#[test]
fn claims_changed_inside_one_function_count_at_once() {
    let mut api = prepare("function");
    CLUSTER.connect("function").run(&format!(
        "CREATE FUNCTION public.three_identities() RETURNS int[] LANGUAGE plpgsql AS $$
         DECLARE
             seen int[] := '{{}}';
             who uuid;
         BEGIN
             FOREACH who IN ARRAY '{{{one},{three},{none}}}'::uuid[] LOOP
                 PERFORM set_config('request.jwt.claims', json_build_object('sub', who)::text, true);
                 seen := seen || (SELECT count(*)::int FROM docs);
             END LOOP;
             RETURN seen;
         END
         $$",
        one = user(1),
        three = user(3),
        none = user(9)
    ));
    for _ in 0..7 {
        assert_eq!(api.value(&Request::get(user(2)), "three_identities()"), json!([3, 2, 0]));
    }
}

#[test]
fn nobody_works_in_a_tenant_he_is_no_active_member_of() {
    let mut api = prepare("refused");
    let mut admin = CLUSTER.connect("refused");
    admin.run("ALTER DATABASE refused SET tenancy.tenant_header = 'X-Tenant-Id'");
    admin.run("ALTER DATABASE refused SET tenancy.tenant_claim = 'app_metadata.tenant_id, tenant_id'");
    api = Api::new({
        drop(api);
        CLUSTER.connect_as("refused", "authenticator")
    });
    let (own, other) = (tenant(1).to_string(), tenant(2).to_string());
    let ask = |api: &mut Api, request: &Request| {
        (api.value(request, "tenancy.current_tenant_id()"), api.ask(request, DOCS).len())
    };
    let in_own = (json!(own), 3);
    let nowhere = (Value::Null, 0);
    let by_claim = |tenant: &Value| {
        Request::get(user(1)).claims(&viewer_with(json!({ "app_metadata": { "tenant_id": tenant } })))
    };
    let by_header = |value: &str| Request::get(user(1)).header("X-Tenant-Id", value);
    assert_eq!(ask(&mut api, &Request::get(user(1))), in_own);
    assert_eq!(ask(&mut api, &by_claim(&json!(own))), in_own);
    assert_eq!(ask(&mut api, &by_header(&own)), in_own);
    for foreign in [other.as_str(), "00000000-0000-4000-8000-000000000000", "acme", "' OR true", "\u{0}"] {
        assert_eq!(ask(&mut api, &by_claim(&json!(foreign))), nowhere, "claim {foreign:?}");
        assert_eq!(ask(&mut api, &by_header(foreign)), nowhere, "header {foreign:?}");
    }
    for odd in [json!([own]), json!(1), json!({ "id": own }), json!(true)] {
        assert_eq!(ask(&mut api, &by_claim(&odd)), nowhere, "claim {odd}");
    }
    // By setting, as an application's own function might: it decides before header and claim.
    api.begin(&by_header(&own)).expect("it begins");
    api.session().run(&format!("SET LOCAL tenancy.tenant_id = '{other}'"));
    assert_eq!(api.rows(DOCS).expect("no error"), [Value::Null; 0]);
    api.session().run("COMMIT");

    admin.run(&format!("SELECT tenancy.set_member_status('{own}', '{}', 'suspended')", user(1)));
    assert_eq!(ask(&mut api, &by_header(&own)), nowhere, "suspended member");
    assert_eq!(ask(&mut api, &Request::get(user(2))), in_own, "who is not suspended");
    for status in ["suspended", "archived"] {
        admin.run(&format!("SELECT tenancy.set_tenant_status('{own}', '{status}')"));
        assert_eq!(ask(&mut api, &Request::get(user(2))), nowhere, "{status} tenant");
    }
}

#[test]
fn the_pre_request_refuses_a_tenant_named_in_vain_and_nothing_else() {
    drop(prepare("asked"));
    let mut admin = CLUSTER.connect("asked");
    admin.run("ALTER DATABASE asked SET tenancy.tenant_header = 'x-tenant-id'");
    let mut api = api("asked").with_pre_request("tenancy.pre_request");
    let by_header = |value: &str| Request::get(user(1)).header("X-Tenant-Id", value);
    assert_eq!(api.ask(&Request::get(user(1)), DOCS).len(), 3);
    assert_eq!(api.ask(&by_header(&tenant(1).to_string()), DOCS).len(), 3);
    assert_eq!(api.ask(&Request::anonymous(), DOCS), [Value::Null; 0]);
    assert_eq!(api.ask(&Request::service(), DOCS).len(), 5);
    for claims in ["", "{", "[]", "null", "{\"sub\": 1}", "{\"sub\": \"\\u0000\"}"] {
        assert_eq!(api.ask(&Request::get(user(1)).claims(claims), DOCS), [Value::Null; 0], "{claims}");
    }
    for refused in [tenant(2).to_string(), tenant(7).to_string(), "nonsense".to_owned()] {
        assert_eq!(api.code(&by_header(&refused), DOCS), "42501", "{refused}");
    }
    // The application's own, which was there before, in READ ONLY as well: it sees the request, and its word counts.
    admin.run(
        "CREATE FUNCTION public.check_request() RETURNS void LANGUAGE plpgsql AS $$
         BEGIN
             IF current_setting('request.headers')::json ->> 'x-blocked' IS NOT NULL THEN
                 RAISE EXCEPTION 'blocked' USING ERRCODE = 'PT420';
             END IF;
         END
         $$;
         ALTER DATABASE asked SET tenancy.next_pre_request = 'public.check_request'",
    );
    let mut api =
        Api::new(CLUSTER.connect_as("asked", "authenticator")).with_pre_request("tenancy.pre_request");
    assert_eq!(api.ask(&Request::get(user(1)), DOCS).len(), 3);
    assert_eq!(api.code(&Request::get(user(1)).header("X-Blocked", "1"), DOCS), "PT420");
    assert_eq!(api.code(&by_header(&tenant(2).to_string()), DOCS), "42501");
}

#[test]
fn a_user_of_two_tenants_works_in_both_at_once_by_header() {
    let mut first = prepare("tabs");
    let mut admin = CLUSTER.connect("tabs");
    admin.run("ALTER DATABASE tabs SET tenancy.tenant_header = 'x-tenant-id'");
    admin.add_member(tenant(2), user(2), "'editor'");
    first = Api::new({
        drop(first);
        CLUSTER.connect_as("tabs", "authenticator")
    });
    let mut second = api("tabs");
    let tab = |n: u32| Request::post(user(2)).header("x-tenant-id", &tenant(n).to_string());
    let insert = |n: u32| format!("INSERT INTO docs (title) VALUES ('written in {n}') RETURNING tenant_id");
    first.begin(&tab(1)).expect("it begins");
    for _ in 0..5 {
        assert_eq!(second.ask(&tab(2), &insert(2)), [json!({ "tenant_id": tenant(2).to_string() })]);
        assert_eq!(first.rows(&insert(1)).expect("allowed"), [json!({ "tenant_id": tenant(1).to_string() })]);
    }
    first.session().run("COMMIT");
    let strayed = format!(
        "SELECT count(*) FROM docs WHERE title LIKE 'written in %'
          AND tenant_id <> CASE title WHEN 'written in 1' THEN '{}' ELSE '{}' END::uuid",
        tenant(1),
        tenant(2)
    );
    assert_eq!(admin.number(&strayed), 0);
    assert_eq!(admin.number("SELECT count(*) FROM docs WHERE title LIKE 'written in %'"), 10);
}

#[test]
fn pooled_clients_have_nothing_of_each_other() {
    drop(prepare("pooled"));
    CLUSTER.connect("pooled").run("GRANT USAGE ON SCHEMA tenancy TO authenticator");
    let bouncer = PgBouncer::start(&CLUSTER);
    let (mut first, mut second) =
        (Api::unprepared(bouncer.connect("pooled")), Api::unprepared(bouncer.connect("pooled")));
    assert_eq!(first.session().pid(), second.session().pid(), "both are on one server connection");
    let mine = Request::get(user(1));
    let set =
        format!("SET request.jwt.claims = '{}'; SET tenancy.tenant_id = '{}'", bearer(user(1)), tenant(1));
    let leave_behind: [&[&str]; 4] = [
        &[&set],
        &["BEGIN", &set, "COMMIT"],
        &[&format!("SELECT set_config('request.jwt.claims', '{}', false)", bearer(user(1)))],
        &["BEGIN", "SAVEPOINT s", &set, "RELEASE s", "COMMIT"],
    ];
    for messages in leave_behind {
        assert_eq!(first.ask(&mine, DOCS).len(), 3);
        for message in messages {
            first.session().run(message);
        }
        // A request whose token PostgREST found none in sets no user, and a statement outside any sets nothing.
        assert!(second.session().holds("tenancy.current_user_id() IS NULL AND tenancy.tenant_ids() = '{}'"));
        assert_eq!(second.ask(&Request::anonymous(), DOCS), [Value::Null; 0], "{messages:?}");
        assert_eq!(second.ask(&Request::get(user(3)), DOCS).len(), 2, "{messages:?}");
        assert_eq!(second.ask(&Request::get(user(9)), DOCS), [Value::Null; 0], "{messages:?}");
    }
}

#[test]
fn other_roles_and_wrappers_change_no_identity() {
    let mut api = prepare("wrapped");
    CLUSTER.connect("wrapped").run(
        "CREATE FUNCTION public.as_owner() RETURNS text LANGUAGE sql SECURITY DEFINER AS
             $$ SELECT concat_ws(' ', tenancy.current_user_id(), tenancy.has_permission('docs.update')) $$;
         CREATE FUNCTION public.docs_as_owner() RETURNS SETOF docs LANGUAGE sql SECURITY DEFINER AS
             $$ SELECT * FROM docs $$;
         CREATE ROLE keeper NOLOGIN; GRANT ALL ON docs TO keeper;
         ALTER FUNCTION public.docs_as_owner() OWNER TO keeper; ALTER TABLE docs OWNER TO keeper;
         GRANT USAGE ON SCHEMA tenancy TO keeper, authenticator",
    );
    let viewer = Request::get(user(1));
    assert_eq!(api.value(&viewer, "as_owner()"), json!(format!("{} f", user(1))));
    assert_eq!(api.value(&Request::anonymous(), "as_owner()"), json!("f"));
    let count = "(SELECT count(*)::int FROM docs_as_owner())";
    assert_eq!(api.value(&viewer, count), json!(3), "the table's owner is bound too");
    assert_eq!(api.value(&Request::anonymous(), count), json!(0));

    api.begin(&viewer).expect("it begins");
    // authenticator may become service_role at any time: that bypasses policies, and makes nobody of the identity.
    api.session().run("SET LOCAL ROLE service_role");
    assert!(api.session().holds(&format!("tenancy.current_user_id() = '{}'", user(1))));
    assert!(!api.session().holds("tenancy.has_permission('docs.update')"));
    api.session().run("RESET ROLE");
    assert!(api.session().holds("tenancy.has_permission('docs.read')"), "as authenticator itself");
    api.session().run("RESET ALL");
    assert!(!api.session().holds("tenancy.has_permission('docs.read')"), "the claims are reset as well");
    api.session().run("ROLLBACK");
    api.session().run("DISCARD ALL");
    let mut api = Api::unprepared(CLUSTER.connect_as("wrapped", "authenticator"));
    assert_eq!(api.ask(&viewer, DOCS).len(), 3);
    api.session().run("DISCARD ALL");
    assert_eq!(api.ask(&Request::anonymous(), DOCS), [Value::Null; 0]);
    assert_eq!(api.ask(&viewer, DOCS).len(), 3);
}

/// Everything a policy may call, in a request that may not write.
#[test]
fn policy_functions_write_nothing_in_read_only_requests() {
    let mut api = prepare("reading");
    let mut admin = CLUSTER.connect("reading");
    let arguments = |types: &str| {
        let value = |name: &str| match name {
            "uuid" => format!("'{}'::uuid", tenant(1)),
            "text" => "'docs.read'::text".to_owned(),
            "text[]" => "'{docs.read}'::text[]".to_owned(),
            "bigint" | "integer" | "smallint" => format!("42::{name}"),
            other => panic!("a policy function with an argument of type {other}: give it a value here"),
        };
        types.split(", ").filter(|name| !name.is_empty()).map(value).collect::<Vec<_>>().join(", ")
    };
    let functions = admin.rows(
        "SELECT p.proname, array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t), ', ')
           FROM pg_proc p, aclexplode(p.proacl) a
          WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee = 0 AND p.prorettype <> 'trigger'::regtype
          ORDER BY 1, 2",
    );
    assert!(functions.len() > 20, "{functions:?}");
    for function in functions {
        let call = format!(
            "tenancy.{}({})",
            function[0].as_deref().expect("a name"),
            arguments(function[1].as_deref().unwrap_or_default())
        );
        for request in [Request::get(user(1)), Request::anonymous()] {
            let code = api.code(&request, &format!("SELECT * FROM {call}"));
            let may_refuse = call.starts_with("tenancy.require_permission");
            assert!(code == "00000" || (may_refuse && code != "25006"), "{call}: {code}");
        }
    }
    assert_eq!(api.code(&Request::get(user(2)), "UPDATE docs SET title = '' RETURNING id"), "25006");
}

//! The other servers of a Supabase stack: realtime, which asks for a thousand subscribers in one transaction;
//! storage, which calls no pre-request; and PostgREST of old, which sets a setting for each claim.

use pg_tenancy_integration::{Cluster, PgBouncer, Random, Session, tenant, user};
use serde_json::json;
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_supabase("neighbours", ""));

const SUBSCRIBERS: u32 = 1000;
const TENANTS: u32 = 20;

/// A subscriber's role and claims, and which tenants' docs he must see: said here, not asked of the extension.
fn subscriber(n: u32, random: &mut Random) -> (&'static str, String, Vec<u32>) {
    let member_of = 1 + n % TENANTS;
    let good = json!({ "sub": user(n).to_string(), "role": "authenticated", "exp": 4_000_000_000_u64 });
    match random.below(10) {
        0 => {
            let malformed = [
                "",
                "{",
                "[]",
                "null",
                "\"\"",
                "{\"sub\": 1}",
                "{\"sub\": \"x\"}",
                "{\"sub\": {}}",
                "\u{1}",
                "{\"sub\": \"\\u0000\"}",
                "{\"sub\":\"5e000000\"}",
                "{\"exp\": \"soon\"}",
            ];
            ("authenticated", random.pick(&malformed).to_owned(), vec![])
        }
        1 => {
            let mut expired = good;
            expired["exp"] = [json!(1), json!("4000000000"), json!([])][random.below(3) as usize].clone();
            ("authenticated", expired.to_string(), vec![])
        }
        2 => ("anon", json!({ "role": "anon" }).to_string(), vec![]),
        3 => {
            let elsewhere = json!({ "tenant_id": tenant(1 + member_of % TENANTS).to_string() });
            let mut claims = good;
            claims["app_metadata"] = elsewhere;
            ("authenticated", claims.to_string(), vec![])
        }
        4 => ("authenticated", json!({ "sub": user(n + 5000).to_string() }).to_string(), vec![]),
        _ => ("authenticated", good.to_string(), vec![member_of]),
    }
}

/// Role and claims change from one execution of one prepared statement to the next, and nothing may raise: one
/// subscriber's claims would end the feed of all.
#[test]
fn a_thousand_subscribers_in_one_transaction_see_what_each_may() {
    let mut admin = CLUSTER.supabase_database("realtime");
    admin.run("SELECT tenancy.create_role('reader', '{all}')");
    for n in 1..=TENANTS {
        admin.add_tenant(n);
    }
    admin.run(&format!(
        "INSERT INTO auth.users (id) SELECT ('5e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
           FROM generate_series(0, {SUBSCRIBERS} - 1) n;
         SELECT tenancy.add_member(('7e000000-0000-4000-8000-' || lpad(to_hex(1 + n % {TENANTS}), 12, '0'))::uuid,
                                   ('5e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '{{reader}}')
           FROM generate_series(0, {SUBSCRIBERS} - 1) n;
         CREATE TABLE public.docs (id int PRIMARY KEY, tenant_id uuid);
         INSERT INTO public.docs SELECT n, ('7e000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
           FROM generate_series(1, {TENANTS}) n;
         SELECT tenancy.protect_table('public.docs');
         CREATE TABLE public.subscribers (id int PRIMARY KEY, role text, claims text, sees int[]);
         CREATE FUNCTION public.apply_rls(doc int) RETURNS TABLE (subscriber int, visible boolean) LANGUAGE plpgsql AS $$
         DECLARE
             s record;
         BEGIN
             FOR s IN SELECT * FROM public.subscribers ORDER BY id LOOP
                 PERFORM set_config('role', s.role, true), set_config('request.jwt.claims', s.claims, true);
                 EXECUTE format('EXECUTE visible_to (%s)', doc) INTO visible;
                 subscriber := s.id;
                 RETURN NEXT;
             END LOOP;
             PERFORM set_config('role', 'none', true);
         END
         $$"
    ));
    let mut random = Random::new(9);
    let (mut sighted, mut insert) =
        (0, admin.client().prepare("INSERT INTO public.subscribers VALUES ($1, $2, $3, $4)"));
    let insert = insert.as_mut().expect("a statement");
    for n in 0..SUBSCRIBERS {
        let (role, claims, sees) = subscriber(n, &mut random);
        let sees: Vec<i32> = sees.into_iter().filter_map(|n| i32::try_from(n).ok()).collect();
        sighted += sees.len();
        let id = i32::try_from(n).expect("small");
        admin.client().execute(&*insert, &[&id, &role, &claims, &sees]).expect("inserted");
    }
    assert!((400..700).contains(&sighted), "{sighted} subscribers see something");

    admin.run("BEGIN; PREPARE visible_to (int) AS SELECT count(*) > 0 FROM public.docs WHERE id = $1");
    for doc in [1, 2, 3, 20] {
        let wrong = admin.rows(&format!(
            "SELECT s.id, s.claims, r.visible FROM public.apply_rls({doc}) r JOIN public.subscribers s ON s.id = r.subscriber
              WHERE r.visible IS DISTINCT FROM {doc} = ANY (s.sees)"
        ));
        assert!(wrong.is_empty(), "doc {doc}: {wrong:?}");
        let seen = admin.number(&format!("SELECT count(*) FROM public.subscribers WHERE {doc} = ANY (sees)"));
        assert!(seen > 10, "doc {doc} is seen by {seen}");
    }
    // The last subscriber's claims are not the transaction's, which goes on as whoever it was.
    admin.run("COMMIT");
    assert!(admin.holds("tenancy.current_user_id() IS NULL"));
}

/// The guide's own SQL, between its markers.
fn storage_recipe() -> &'static str {
    const GUIDE: &str = include_str!("../../../docs/guides/supabase.md");
    let after = GUIDE.split("<!-- storage recipe: tested -->").nth(1).expect("the marker is there");
    after.split("```sql").nth(1).and_then(|text| text.split("```").next()).expect("SQL follows the marker")
}

/// As the storage server asks: settings, role, query; its settings hold single claims besides all of them.
fn storage_request(storage: &mut Session, who: u32, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    let claims = json!({ "sub": user(who).to_string(), "role": "authenticated" });
    storage.run(&format!(
        "BEGIN; SELECT set_config('role', 'authenticated', true), set_config('request.jwt.claim.role', 'authenticated', true),
            set_config('request.jwt', 'not a token', true), set_config('request.jwt.claim.sub', '{}', true),
            set_config('request.jwt.claims', '{claims}', true), set_config('request.headers', '{{}}', true),
            set_config('request.method', 'GET', true), set_config('request.path', '/object/x', true),
            set_config('storage.operation', 'storage.object.get', true)",
        user(who)
    ));
    let answer = storage
        .try_rows(sql)
        .map_err(|error| error.code().map_or(String::new(), |code| code.code().to_owned()));
    storage.run(if answer.is_ok() { "COMMIT" } else { "ROLLBACK" });
    answer
}

#[test]
fn the_storage_recipe_keeps_files_apart_by_the_first_part_of_their_path() {
    let mut admin = CLUSTER.supabase_database("storage");
    admin.sign_up(&[user(1), user(2), user(3), user(4)]);
    admin.run(storage_recipe());
    admin.run("INSERT INTO storage.buckets (id, name) VALUES ('tenants', 'tenants'), ('other', 'other')");
    admin.run("SELECT tenancy.create_role('reader', '{files.read}'), tenancy.create_role('author', '{files.*}'), tenancy.create_role('none')");
    for n in 1..=40 {
        admin.add_tenant(n);
    }
    for (n, who, role) in
        [(1, 1, "'reader'"), (1, 2, "'author'"), (2, 2, "'reader'"), (1, 3, "'none'"), (3, 4, "'author'")]
    {
        admin.add_member(tenant(n), user(who), role);
    }
    admin.run(
        "INSERT INTO storage.objects (bucket_id, name)
         SELECT 'tenants', format('7e000000-0000-4000-8000-%s/%s.pdf', lpad(to_hex(t), 12, '0'), n)
           FROM generate_series(1, 40) t, generate_series(1, 250) n;
         INSERT INTO storage.objects (bucket_id, name) VALUES
             ('other', '7e000000-0000-4000-8000-000000000001/x'), ('tenants', ''), ('tenants', '/'), ('tenants', NULL),
             ('tenants', 'public/x'), ('tenants', '7e000000-0000-4000-8000-000000000001x/x'), ('tenants', '../x'),
             ('tenants', '/7e000000-0000-4000-8000-000000000001/x'), ('tenants', repeat('7e', 1000)),
             ('tenants', E'\\u00e9/x'), ('tenants', ' 7e000000-0000-4000-8000-000000000001/x');
         ANALYZE storage.objects",
    );
    let mut storage = CLUSTER.connect_as("storage", "supabase_storage_admin");
    let count = "SELECT count(*) FROM storage.objects WHERE bucket_id = 'tenants'";
    for (who, seen) in [(1, 250), (2, 500), (3, 0), (4, 250), (9, 0)] {
        let answer = storage_request(&mut storage, who, count).expect("no error");
        assert_eq!(answer[0][0].as_deref(), Some(seen.to_string().as_str()), "user {who}");
    }
    let foreign = "SELECT count(*) FROM storage.objects WHERE bucket_id = 'other' OR name IS NULL OR name !~ '^7e0+-0000-4000-8000-0+[1-3]/'";
    assert_eq!(storage_request(&mut storage, 2, foreign).expect("no error")[0][0].as_deref(), Some("0"));
    let upload = |n: u32, name: &str| {
        format!(
            "INSERT INTO storage.objects (bucket_id, name, owner) VALUES ('tenants', '{}/{name}', '{}')",
            tenant(n),
            user(2)
        )
    };
    assert_eq!(storage_request(&mut storage, 2, &upload(1, "new")).map(|_| ()), Ok(()));
    for (who, sql) in [
        (2, upload(2, "new")),
        (2, upload(4, "new")),
        (1, upload(1, "new by 1")),
        (9, upload(1, "new by 9")),
        (2, "INSERT INTO storage.objects (bucket_id, name) VALUES ('tenants', 'no tenant')".to_owned()),
        (
            2,
            format!(
                "UPDATE storage.objects SET name = '{}/moved' WHERE name = '{}/new'",
                tenant(2),
                tenant(1)
            ),
        ),
    ] {
        assert_eq!(
            storage_request(&mut storage, who, &sql).map(|_| ()),
            Err("42501".to_owned()),
            "user {who}: {sql}"
        );
    }
    for (who, gone) in [(1, 0), (4, 0), (2, 1)] {
        let delete = format!(
            "WITH gone AS (DELETE FROM storage.objects WHERE name = '{}/new' RETURNING 1) SELECT count(*) FROM gone",
            tenant(1)
        );
        let answer = storage_request(&mut storage, who, &delete).expect("no error");
        assert_eq!(answer[0][0].as_deref(), Some(gone.to_string().as_str()), "user {who}");
    }
    let plan = storage_request(&mut storage, 1, &format!("EXPLAIN (COSTS OFF) {count}")).expect("no error");
    let plan: Vec<&str> = plan.iter().filter_map(|row| row[0].as_deref()).collect();
    assert!(
        plan.iter().any(|line| line.contains("Index Cond") && line.contains("tenant_ids_with('files.read'")),
        "{plan:#?}"
    );
}

#[test]
fn storage_tenant_answers_any_name_and_raises_for_none() {
    let mut admin = CLUSTER.supabase_database("names");
    let id = tenant(1).to_string();
    let ask = |admin: &mut Session, name: &str| {
        let row =
            admin.client().query_one("SELECT tenancy.storage_tenant($1)::text", &[&name]).expect("no error");
        row.get::<_, Option<String>>(0)
    };
    for name in [
        id.clone(),
        format!("{id}/"),
        format!("{id}/a/b"),
        format!("{id}//"),
        format!("{}/x", id.to_uppercase()),
    ] {
        assert_eq!(ask(&mut admin, &name), Some(id.clone()), "{name}");
    }
    let long = "x".repeat(2 << 20);
    for name in [
        "",
        "/",
        "//",
        "x",
        &format!("/{id}"),
        &format!("{id} /x"),
        &format!("a/{id}"),
        &format!("{id}\\x"),
        "..",
        "%2F",
        "é/é",
        &long,
    ] {
        assert_eq!(ask(&mut admin, name), None, "{name:.40}");
    }
    assert!(admin.holds("tenancy.storage_tenant(NULL) IS NULL"));
}

/// A request of PostgREST before version 9, or with `db-use-legacy-gucs`.
fn legacy_request(session: &mut Session, settings: &[(&str, &str)], expression: &str) -> String {
    session.run("BEGIN; SET LOCAL ROLE authenticated");
    for (name, value) in settings {
        session.run(&format!("SELECT set_config('request.jwt.claim.{name}', '{value}', true)"));
    }
    let answer = session.text(&format!("SELECT coalesce(({expression})::text, 'nothing')"));
    session.run("COMMIT");
    answer
}

#[test]
fn single_claim_settings_count_where_an_administrator_says_so() {
    let mut admin = CLUSTER.supabase_database("legacy");
    admin.add_docs();
    admin.run("GRANT USAGE ON SCHEMA tenancy TO authenticator");
    let viewer = user(1).to_string();
    let me = [("sub", viewer.as_str()), ("role", "authenticated")];
    let docs = "SELECT count(*) FROM docs";
    let mut session = CLUSTER.connect_as("legacy", "authenticator");
    assert_eq!(legacy_request(&mut session, &me, docs), "0", "off is the default");
    assert_ne!(
        session.code("SET tenancy.legacy_claims = on"),
        "00000",
        "and it is the superuser's to change"
    );
    admin.run("ALTER DATABASE legacy SET tenancy.legacy_claims = on");

    let bouncer = PgBouncer::start(&CLUSTER);
    let mut direct = CLUSTER.connect_as("legacy", "authenticator");
    assert_eq!(legacy_request(&mut direct, &me, docs), "3");
    assert_eq!(legacy_request(&mut direct, &[], docs), "0", "gone with the transaction");
    assert_eq!(legacy_request(&mut direct, &[("sub", "nonsense"), ("exp", "soon")], docs), "0");
    assert_eq!(legacy_request(&mut direct, &[me[0], ("exp", "1")], docs), "0", "expired");
    assert_eq!(legacy_request(&mut direct, &[me[0], ("exp", "4000000000")], docs), "3");
    // Where all claims are set too, they decide.
    direct.run(&format!("BEGIN; SET LOCAL request.jwt.claims = '{}'", json!({ "sub": user(3).to_string() })));
    assert_eq!(legacy_request_inside(&mut direct, &viewer), user(3).to_string());

    let (mut first, mut second) = (bouncer.connect("legacy"), bouncer.connect("legacy"));
    assert_eq!(first.pid(), second.pid(), "both clients are on one server connection");
    let attacks: [&[&str]; 5] = [
        &["SET request.jwt.claim.sub = 'ID'"],
        &["BEGIN", "SET request.jwt.claim.sub = 'ID'", "COMMIT"],
        &["BEGIN", "SAVEPOINT s", "SET request.jwt.claim.sub = 'ID'", "RELEASE s", "COMMIT"],
        &["SELECT set_config('request.jwt.claim.sub', 'ID', false)"],
        &["DO $$ BEGIN PERFORM set_config('request.jwt.claim.sub', 'ID', false); COMMIT; END $$"],
    ];
    for messages in attacks {
        assert_eq!(legacy_request(&mut first, &me, docs), "3");
        for message in messages {
            first.run(&message.replace("ID", &viewer));
        }
        assert!(second.holds("tenancy.current_user_id() IS NULL"), "{messages:?}");
        assert_eq!(legacy_request(&mut second, &[], docs), "0", "{messages:?}");
        assert_eq!(legacy_request(&mut second, &[("sub", &user(3).to_string())], docs), "2", "{messages:?}");
    }
}

/// In the transaction that is open: who it is, with this `sub` set beside the claims.
fn legacy_request_inside(session: &mut Session, sub: &str) -> String {
    session.run(&format!("SET LOCAL request.jwt.claim.sub = '{sub}'"));
    let answer = session.text("SELECT tenancy.current_user_id()");
    session.run("COMMIT");
    answer
}

//! Threat 1: claims, names and tenants of any bytes, in databases of any encoding. Nothing raises, nobody is let
//! in, the backend lives.

use pg_tenancy_integration::{Cluster, Random, Session, bearer, explain, tenant, user};
use std::sync::LazyLock;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("encoding", ""));

const ROUNDS: u32 = 1200;

fn database(name: &str, encoding: &str) -> Session {
    let mut postgres = CLUSTER.connect("postgres");
    postgres.run(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'"));
    let mut admin = CLUSTER.connect(name);
    admin.run("CREATE EXTENSION pg_tenancy; SELECT tenancy.enable_role('anon'), tenancy.enable_role('authenticated')");
    admin.add_docs_application();
    admin
}

/// Bytes as SQL can write them whatever they are; NUL, which no text holds, is left out.
fn literal(bytes: &[u8]) -> String {
    let digits: String =
        bytes.iter().filter(|byte| **byte != 0).map(|byte| format!("\\x{byte:02x}")).collect();
    format!("E'{digits}'")
}

/// Prepares a call of everything that a policy may call, with a name that is also a path. It counts what answers
/// yes to a question.
fn prepare(session: &mut Session) {
    let (t, name) = (tenant(1), "$1");
    let uncounted = format!(
        "length(coalesce(tenancy.current_user_id()::text, '')) + length(coalesce(tenancy.current_tenant_key(), ''))
         + length(coalesce(tenancy.claims()::text, '')) + length(coalesce(tenancy.claim({name})::text, ''))
         + length(coalesce(tenancy.claim('app_metadata.tenant_id')::text, '')) + length(coalesce(tenancy.aal(), ''))"
    );
    let questions = [
        "tenancy.current_tenant_id() IS NOT NULL",
        "tenancy.tenant_ids() <> '{}'",
        &format!("tenancy.tenant_ids_with({name}) <> '{{}}'"),
        "tenancy.tenant_ids_with('docs.read') <> '{}'",
        &format!("tenancy.is_member('{t}')"),
        &format!("tenancy.can_see_tenant('{t}')"),
        &format!("tenancy.has_role({name})"),
        &format!("tenancy.has_role('{t}', {name})"),
        &format!("tenancy.has_tenant_role('{t}', {name})"),
        &format!("tenancy.has_permission({name})"),
        &format!("tenancy.has_permission('{t}', {name})"),
        "tenancy.has_permission('docs.read')",
        &format!("tenancy.has_any_permission(ARRAY[{name}, NULL])"),
        &format!("tenancy.has_any_permission('{t}', ARRAY[{name}, NULL])"),
        &format!("tenancy.has_all_permissions(ARRAY[{name}])"),
        &format!("tenancy.has_all_permissions('{t}', ARRAY[{name}])"),
        "tenancy.operator_access() IS NOT NULL",
    ]
    .map(|question| format!("coalesce({question}, false)::int"))
    .join(" + ");
    session.run(&format!(
        "SET ROLE authenticated;
         PREPARE everything (text) AS SELECT {questions}, {uncounted}, tenancy.current_user_id()"
    ));
}

/// How many questions are answered yes, and for whom.
#[track_caller]
fn ask(session: &mut Session, claims: &[u8], chosen: &[u8], name: &[u8]) -> (i64, Option<String>) {
    let sql = format!(
        "SELECT set_config('request.jwt.claims', {}, true) || set_config('tenancy.tenant_id', {}, true) IS NULL; EXECUTE everything ({})",
        literal(claims),
        literal(chosen),
        literal(name)
    );
    match session.try_rows(&sql) {
        Ok(mut rows) => {
            let row = rows.remove(0);
            (row[0].as_deref().and_then(|n| n.parse().ok()).expect("a number"), row[2].clone())
        }
        Err(error) => panic!(
            "claims {:?} tenant {:?} name {:?}: {}",
            String::from_utf8_lossy(claims),
            String::from_utf8_lossy(chosen),
            String::from_utf8_lossy(name),
            explain(&error)
        ),
    }
}

const INVALID: [&[u8]; 6] =
    [b"\xff\xfe", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"docs.read\x80"];

#[test]
fn bytes_that_are_no_utf8_deny_and_raise_nothing_in_an_sql_ascii_database() {
    let mut admin = database("ascii", "SQL_ASCII");
    let mut session = CLUSTER.connect_as("ascii", "authenticator");
    prepare(&mut session);
    let claims = bearer(user(1)).to_string().into_bytes();
    let (yes, who) = ask(&mut session, &claims, b"", b"docs.read");
    assert!(yes > 8 && who.is_some(), "the honest one is let in: {yes}");
    let nobody = (0, None);
    for bad in INVALID {
        let spoilt = |text: &str| {
            text.as_bytes()
                .iter()
                .flat_map(|b| if *b == b'@' { bad.to_vec() } else { vec![*b] })
                .collect::<Vec<u8>>()
        };
        let id = user(1);
        for template in [
            "@".to_owned(),
            format!("@{{\"sub\": \"{id}\"}}"),
            format!("{{\"sub\": \"{id}\"}}@"),
            format!("{{\"sub\": \"{id}@\"}}"),
            format!("{{\"sub\": \"{id}\", \"name\": \"@\"}}"),
            format!("{{\"sub\": \"{id}\", \"@\": 1}}"),
        ] {
            assert_eq!(
                ask(&mut session, &spoilt(&template), b"", b"docs.read"),
                nobody,
                "{template} with {bad:?}"
            );
        }
        // A tenant is named, badly: no tenant, though the user stays who he is.
        let tenant_id = [tenant(1).to_string().as_bytes(), bad].concat();
        assert!(!session.holds(&format!(
            "set_config('request.jwt.claims', {}, true) IS NOT NULL AND set_config('tenancy.tenant_id', {}, true) IS NOT NULL
             AND tenancy.has_permission('docs.read')",
            literal(&claims), literal(&tenant_id)
        )));
        let (yes_chosen, who) = ask(&mut session, &claims, &tenant_id, b"docs.read");
        assert!(yes_chosen < yes && who.is_some());
        // A name that is none.
        let (yes_named, _) = ask(&mut session, &claims, b"", bad);
        assert_eq!(yes_named, 6, "what does not ask about the name");
    }
    // What got into the tables, for the server does not object here.
    admin.run(&format!("INSERT INTO tenancy.roles (name) VALUES ({})", literal(b"r\xff\xfe")));
    admin.run(&format!("UPDATE tenancy.tenants SET key = {}, name = {}", literal(b"\xff"), literal(b"\xfe")));
    admin.run(&format!(
        "INSERT INTO tenancy.member_roles (tenant_id, user_id, role_id)
         SELECT '{}', '{}', id FROM tenancy.roles WHERE name LIKE 'r%'",
        tenant(1),
        user(1)
    ));
    let sql = format!(
        "SELECT set_config('request.jwt.claims', {}, true) IS NULL; SELECT tenancy.has_role({}), tenancy.has_permission('docs.read'),
         tenancy.has_role(''), (SELECT count(*) > 0 FROM tenancy.diagnose()), length(tenancy.current_tenant_key())",
        literal(&claims),
        literal(b"r\xff\xfe")
    );
    let row = session.rows(&sql).remove(0);
    assert_eq!(row[1].as_deref(), Some("t"), "the other role counts all the same");
    assert_eq!(row[2].as_deref(), Some("f"));
}

/// A token that has everything a token may have.
fn rich_claims() -> String {
    let (me, here) = (user(1), tenant(1));
    format!(
        r#"{{"sub": "{me}", "role": "authenticated", "exp": 4102444800, "nbf": 1.5e3, "iat": -0.0, "aal": "aal2",
            "amr": [{{"method": "password", "n": [1, [2, [3, null]]]}}], "email": "j\u00f6rg@example.com", "ü": "ß\ud83d\ude00",
            "app_metadata": {{"tenant_id": "{here}", "tenants": ["{here}", 7, "x"], "perms": ["docs.*", "all"],
            "tenant_access": "write"}}, "user_permissions": ["docs.read"], "\"\\\/\b\f\n\r\t": true, "is_anonymous": false}}"#
    )
}

/// A few bytes changed, put in, taken out, repeated or cut off.
fn mutate(random: &mut Random, from: &[u8]) -> Vec<u8> {
    const SPICE: &[&[u8]] = &[
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0000",
        b"\\ud800",
        b"\\",
        b"null",
        b"1e999",
        b"-",
        b"\xff",
        b"\xc3",
        b"sub",
        b"\"sub\":",
        b"\"exp\":0,",
        b"\"exp\":\"x\",",
        b"00000000-0000-0000-0000-000000000000",
        b"\x7f",
        b"\x01",
    ];
    let mut bytes = from.to_vec();
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len() as u64) as usize;
        let end = (at + random.below(20) as usize).min(bytes.len());
        match random.below(7) {
            0 => bytes[at] = 1 + random.below(255) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at.max(1)),
            4 => bytes = [&bytes[..end], &bytes[at..]].concat(),
            _ => bytes = [&bytes[..at], random.pick(SPICE), &bytes[at..]].concat(),
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}

/// Random damage, everything asked, and never an error.
fn fuzz(name: &str, encoding: &str, valid: fn(&[u8]) -> bool) {
    let mut admin = database(name, encoding);
    // Who the claims name if Postgres itself reads them.
    admin.run(
        "CREATE FUNCTION by_jsonb(claims text) RETURNS uuid LANGUAGE plpgsql AS $$
         BEGIN RETURN (claims::jsonb ->> 'sub')::uuid; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$",
    );
    for seed in Random::seeds(&[7]) {
        println!("{name}: PGT_SEED={seed}");
        let mut session = CLUSTER.connect_as(name, "authenticator");
        prepare(&mut session);
        let pid = session.pid();
        let mut random = Random::new(seed);
        let (mut known, mut round) = (0, 0);
        while round < ROUNDS {
            let claims = mutate(&mut random, rich_claims().as_bytes());
            let chosen = match random.once_in(3) {
                true => mutate(&mut random, tenant(1).to_string().as_bytes()),
                false => Vec::new(),
            };
            let asked = mutate(&mut random, b"docs.read");
            if ![&claims, &chosen, &asked].into_iter().all(|bytes| valid(bytes)) {
                continue;
            }
            round += 1;
            let (yes, who) = ask(&mut session, &claims, &chosen, &asked);
            known += i32::from(who.is_some());
            if round % 25 == 0 {
                // Claims are still set while the transaction that set them is.
                session.run(&format!(
                    "SELECT set_config('request.jwt.claims', {}, true) IS NULL; SELECT count(*) FROM tenancy.diagnose()",
                    literal(&claims)
                ));
            }
            assert!(
                who.is_some() || yes == 0,
                "nobody holds nothing: {:?}",
                String::from_utf8_lossy(&claims)
            );
            if who.is_some() && encoding == "UTF8" {
                let by_jsonb = admin.value(&format!("SELECT by_jsonb({})", literal(&claims)));
                assert_eq!(who, by_jsonb, "{:?}", String::from_utf8_lossy(&claims));
            }
        }
        assert_eq!(session.pid(), pid);
        assert!(known > 50, "{known} of them were somebody");
    }
}

#[test]
fn damaged_claims_never_raise_in_utf8_and_name_whom_jsonb_would() {
    fuzz("utf", "UTF8", |bytes| std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0')));
}

#[test]
fn damaged_claims_never_raise_in_sql_ascii() {
    fuzz("fuzzascii", "SQL_ASCII", |_| true);
}

#[test]
fn damaged_claims_never_raise_in_latin1() {
    fuzz("latin", "LATIN1", |_| true);
}

#[test]
fn huge_and_deep_claims_deny_or_answer_in_good_time() {
    database("huge", "UTF8");
    let mut session = CLUSTER.connect_as("huge", "authenticator");
    session.run("SET ROLE authenticated");
    let id = user(1);
    let with = |more: &str| format!("{{\"sub\": \"{id}\", \"more\": {more}}}");
    let mut who = |claims: &str| {
        let sql = format!(
            "SELECT set_config('request.jwt.claims', '{claims}', true) IS NULL; SELECT tenancy.current_user_id(),
             tenancy.has_permission('docs.read'), length(tenancy.claims()::text), (SELECT count(*) FROM tenancy.diagnose())"
        );
        session.rows(&sql).remove(0).remove(0)
    };
    let somebody = Some(id.to_string());
    assert_eq!(who(&with(&format!("\"{}\"", "x".repeat(1_000_000)))), somebody, "just below the limit");
    assert_eq!(who(&with(&format!("\"{}\"", "x".repeat(1_100_000)))), None, "above it");
    assert_eq!(who(&with(&format!("\"{}\"", "x".repeat(20_000_000)))), None);
    assert_eq!(who(&with(&format!("[{}1]", "1,".repeat(400_000)))), somebody);
    assert_eq!(who(&with(&format!("{}{}", "[".repeat(100), "]".repeat(100)))), somebody);
    for depth in [1_000, 100_000, 500_000] {
        assert_eq!(who(&with(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)))), None);
        assert_eq!(who(&with(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)))), None);
        assert_eq!(who(&"[".repeat(depth)), None);
    }
}

#[test]
fn a_metered_table_in_latin1_counts_for_every_key_and_refuses_columns_it_would_not_find() {
    let mut admin = database("metered", "LATIN1");
    admin.run(
        "INSERT INTO tenancy.tenants (slug, name, key) VALUES ('zoe', 'Zoë', 'zoë');
         SELECT tenancy.create_meter('m.rows', 'rows', 'gauge'), tenancy.create_meter('m.bytes', 'bytes', 'gauge');
         CREATE TABLE parts (owner text, size bigint, größe bigint);
         CREATE TABLE teile (eigentümer text);
         SELECT tenancy.protect_table('parts', tenant_column => 'owner'), tenancy.protect_table('teile', tenant_column => 'eigentümer');
         SELECT tenancy.meter_table('parts', rows => 'm.rows', bytes => 'm.bytes', size_column => 'size');
         INSERT INTO parts VALUES ('zoë', 5, 7);",
    );
    let counted =
        "SELECT string_agg(meter || ' ' || total, ', ' ORDER BY meter) FROM tenancy.usage WHERE total <> 0";
    assert_eq!(admin.value(counted).as_deref(), Some("m.bytes 5, m.rows 1"));
    assert_eq!(admin.rows("SELECT * FROM tenancy.recount_usage('parts')").len(), 0);
    for refused in [
        "SELECT tenancy.meter_table('parts', bytes => 'm.bytes', size_column => 'größe')",
        "SELECT tenancy.meter_table('teile', rows => 'm.rows')",
    ] {
        let error = admin.try_rows(refused).expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("0A000"), "{}", explain(&error));
    }
    admin.run("DELETE FROM parts");
    assert_eq!(admin.value(counted), None);
}

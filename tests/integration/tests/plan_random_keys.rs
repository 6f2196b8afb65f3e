//! Threat 30 where columns hold the host's own keys: whatever the type, collation, index and plan, and whoever it was
//! made for, the rows are those of plain SQL with the keys spelled out. PGT_SEED repeats a run.

use pg_tenancy_integration::{Cluster, Random, Session, explain, tenant, user};
use std::fmt::Write;

const ROUNDS: u32 = 15;
const QUERIES: u32 = 12;
const TENANTS: u32 = 12;
const USERS: u32 = 4;
/// The columns that name a tenant: numbers, and names of which two differ by case only.
const COLUMNS: [&str; 6] = ["n", "i", "t", "v", "c", "f"];
const TEXTS: [&str; 4] = ["t", "v", "c", "f"];
const INDEXES: &str = "btree (?); btree (?, k); btree (k, ?); btree (k, id); btree (? DESC, id) INCLUDE (k); btree (?) WHERE k > 20;
    hash (?); gist (?); gist (k, ?); gin (?); brin (?) WITH (pages_per_range = 1); brin (k, ?)";
const TEXT_INDEXES: &str = "btree (? COLLATE nd); btree (? COLLATE nd, k); btree (k, ? COLLATE nd); hash (? COLLATE nd);
    btree (? COLLATE \"C\"); btree (? COLLATE \"C\", k); btree (lower(? COLLATE \"C\")); brin (? COLLATE nd) WITH (pages_per_range = 1)";
const SETTINGS: &str = "enable_seqscan = off; enable_seqscan = off; enable_indexscan = off; enable_indexonlyscan = off;
    enable_bitmapscan = off; enable_nestloop = off; enable_hashjoin = off; enable_mergejoin = off; enable_sort = off;
    enable_memoize = off; work_mem = '64kB'; random_page_cost = 1; tenancy.index_max_set = 2;
    max_parallel_workers_per_gather = 2, parallel_setup_cost = 0, parallel_tuple_cost = 0, min_parallel_table_scan_size = 0";
const SHAPES: [&str; 6] = [
    "SELECT a.*, 0 AS z FROM {a} a WHERE {on_a}",
    "SELECT a.*, b.id AS z FROM {a} a JOIN {b} b ON b.a_id = a.id WHERE {on_a} AND {on_b}",
    "SELECT a.*, b.id AS z FROM {a} a LEFT JOIN {b} b ON b.a_id = a.id AND {on_b} WHERE {on_a}",
    "SELECT a.*, b.id AS z FROM {a} a JOIN {b} b ON b.? = a.? AND b.k = a.k WHERE {on_a} AND {on_b}",
    "SELECT a.*, 0 AS z FROM {a} a WHERE {on_a} AND NOT EXISTS (SELECT FROM {b} b WHERE b.a_id = a.id AND {on_b})",
    "SELECT a.*, 1 AS z FROM {a} a WHERE {on_a} UNION ALL SELECT b.*, 2 FROM {b} b WHERE {on_b}",
];

/// The same said twice: to the functions, and in plain SQL.
struct Twice {
    ours: String,
    plain: String,
}

impl Twice {
    fn same(text: String) -> Self {
        Self { plain: text.clone(), ours: text }
    }
}

struct World {
    random: Random,
    session: Session,
    /// Who is a member, and whether he may edit.
    grants: Vec<Vec<Option<bool>>>,
    /// What the policies of `a` and `b` ask of which column.
    policies: [(&'static str, bool); 2],
    searched: u32,
    with_rows: u32,
}

/// What a column of that name holds for a tenant: `acme1` and `ACME1` are two.
fn key(column: &str, tenant: u32) -> String {
    match column {
        "n" | "i" => tenant.to_string(),
        _ if tenant.is_multiple_of(2) => format!("'ACME{}'", tenant / 2),
        _ => format!("'acme{}'", tenant.div_ceil(2)),
    }
}

impl World {
    fn new(cluster: &Cluster, seed: u64) -> Self {
        let mut session = cluster.database(&format!("keys{seed}"));
        // Each tenant twice, for one has one key: by number, and a hundred higher by name.
        let mut tenants = String::new();
        for n in 1..=TENANTS {
            let _ = write!(
                tenants,
                "INSERT INTO tenancy.tenants (id, slug, name, key) VALUES ('{}', 'n{n}', 'T', '{n}'), ('{}', 't{n}', 'T', {});",
                tenant(n),
                tenant(100 + n),
                key("t", n)
            );
        }
        let named = "(SELECT key FROM tenancy.tenants WHERE slug = 't' || x)";
        session.run(&format!(
            "CREATE EXTENSION btree_gist; CREATE EXTENSION btree_gin; {tenants}
             CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE a (id int PRIMARY KEY, n bigint, i integer, t text, v varchar(20), c text COLLATE \"C\", f text COLLATE nd, k int, a_id int);
             INSERT INTO a SELECT m, x, x, {named}, {named}, {named}, {named}, CASE WHEN m % 29 > 0 THEN m * 7919 % 97 END, 1 + m * 31 % 800
               FROM generate_series(1, 800) m, LATERAL (SELECT CASE WHEN m % 23 = 0 THEN NULL WHEN m % 2 = 0 THEN 1 ELSE 1 + m / 2 % {TENANTS} END) y (x);
             CREATE TABLE b (LIKE a) PARTITION BY LIST (n);
             CREATE TABLE b_p1 PARTITION OF b FOR VALUES IN (1, 2, NULL); CREATE TABLE b_p2 PARTITION OF b FOR VALUES IN (3, 4, 5); CREATE TABLE b_p3 PARTITION OF b DEFAULT;
             INSERT INTO b SELECT m, x, x, {named}, {named}, {named}, {named}, m * 7919 % 97, 1 + m * 31 % 800
               FROM generate_series(1, 800) m, LATERAL (SELECT CASE WHEN m % 19 > 0 THEN 1 + m * {TENANTS} / 801 END) y (x);
             CREATE TABLE plain_a AS SELECT * FROM a; CREATE TABLE plain_b AS SELECT * FROM b;
             GRANT SELECT ON a, b TO authenticated;
             ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE b ENABLE ROW LEVEL SECURITY;
             SELECT tenancy.create_permission('docs.edit'), tenancy.create_role('editor', '{{docs.*}}'); ANALYZE"
        ));
        Self {
            random: Random::new(seed),
            session,
            grants: vec![vec![None; TENANTS as usize + 1]; USERS as usize + 1],
            policies: [("n", false); 2],
            searched: 0,
            with_rows: 0,
        }
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.below(below.into()) as u32
    }

    fn turn(&mut self) {
        for (nth, table) in ["a", "b"].into_iter().enumerate() {
            let column = self.random.pick(&COLUMNS);
            let edit = self.random.once_in(2);
            self.policies[nth] = (column, edit);
            let asks = if edit {
                format!("has_permission({column}, 'docs.edit')")
            } else {
                format!("is_member({column})")
            };
            self.session.run(&format!(
                "DROP POLICY IF EXISTS p ON {table}; CREATE POLICY p ON {table} USING (tenancy.{asks});
                 DROP INDEX IF EXISTS {table}_1, {table}_2, {table}_3"
            ));
            for n in 1..=self.number(4) {
                // Mostly of the policy's column.
                let column = if self.random.once_in(3) { self.random.pick(&COLUMNS) } else { column };
                let special = TEXTS.contains(&column) && self.random.once_in(2);
                let kinds: Vec<_> = if special { TEXT_INDEXES } else { INDEXES }.split(';').collect();
                let index = self.random.pick(&kinds).replace('?', column);
                self.session.run(&format!("CREATE INDEX {table}_{n} ON {table} USING {index}"));
            }
            self.session.run(&format!("VACUUM ANALYZE {table}"));
        }
        (0..8).for_each(|_| self.grant());
    }

    fn grant(&mut self) {
        let (who, at) = (1 + self.number(USERS), 1 + self.number(TENANTS));
        let grant = [None, Some(false), Some(true)][self.number(3) as usize];
        let mut sql = String::new();
        for tenant in [tenant(at), tenant(100 + at)] {
            let _ = write!(
                sql,
                "DELETE FROM tenancy.members WHERE tenant_id = '{tenant}' AND user_id = '{}';",
                user(who)
            );
            if let Some(edits) = grant {
                let roles = if edits { "{editor}" } else { "{}" };
                let _ = write!(sql, "SELECT tenancy.add_member('{tenant}', '{}', '{roles}');", user(who));
            }
        }
        self.session.run(&sql);
        self.grants[who as usize][at as usize] = grant;
    }

    /// Equal by bytes, whatever the column's own collation says.
    fn admitted(&self, table: &str, column: &str, who: u32, edit: bool) -> String {
        let held = (1..=TENANTS).filter(|n| match self.grants[who as usize][*n as usize] {
            Some(edits) => edits || !edit,
            None => false,
        });
        let (none, collate) =
            if TEXTS.contains(&column) { ("'nobody'", " COLLATE \"C\"") } else { ("0", "") };
        let list = held.fold(none.to_owned(), |list, n| list + "," + &key(column, n));
        format!("{table}.{column}{collate} IN ({list})")
    }

    fn predicate(&mut self, table: &str, who: u32, depth: u32) -> Twice {
        let column = self.random.pick(&COLUMNS);
        let (k, at, edit) = (self.number(97), 1 + self.number(TENANTS), self.random.once_in(2));
        let set = match column {
            "n" => "bigint",
            "i" => "integer",
            _ => "text",
        };
        match self.number(if depth == 0 { 10 } else { 8 }) {
            0 => Twice::same(format!("{table}.k < {k}")),
            1 => Twice::same(format!("{table}.k IN ({k}, {}, {})", k / 2, k / 3)),
            2 => Twice::same(format!("{table}.{column} = {}", key(column, at))),
            3 => Twice::same(format!("{table}.{column} IN ({}, {})", key(column, at), key(column, 2))),
            4 => Twice {
                ours: match edit {
                    true => format!("tenancy.has_permission({table}.{column}, 'docs.edit')"),
                    false => format!("tenancy.is_member({table}.{column})"),
                },
                plain: self.admitted(table, column, who, edit),
            },
            5 => Twice {
                ours: format!("tenancy.has_any_permission({table}.{column}, '{{docs.edit,docs.fly}}')"),
                plain: self.admitted(table, column, who, true),
            },
            // The set by hand, under collations that make more equal: it vouches for nothing.
            6 => {
                let column = self.random.pick(&TEXTS);
                let list =
                    self.admitted("x", column, who, false).replace(&format!("x.{column} COLLATE \"C\""), "");
                Twice {
                    ours: format!("{table}.{column} COLLATE nd = ANY (tenancy.tenant_ids(NULL::text))"),
                    plain: format!("{table}.{column} COLLATE nd {list}"),
                }
            }
            7 => {
                let list = self.admitted(table, column, who, false);
                let exact = if set == "text" { " COLLATE \"C\"" } else { "" };
                Twice {
                    ours: format!("{table}.{column}{exact} = ANY (tenancy.tenant_ids(NULL::{set}))"),
                    plain: list,
                }
            }
            n => {
                let (one, other) = (self.predicate(table, who, 1), self.predicate(table, who, 1));
                let word = if n == 8 { "OR" } else { "AND" };
                Twice {
                    ours: format!("({} {word} {})", one.ours, other.ours),
                    plain: format!("({} {word} {})", one.plain, other.plain),
                }
            }
        }
    }

    fn query(&mut self, who: u32) -> Twice {
        let (mut on_a, on_b) = (self.predicate("a", who, 0), self.predicate("b", who, 0));
        if self.random.once_in(3) {
            on_a = Twice::same("a.id > 0".to_owned());
        }
        let limit = match self.random.once_in(2) {
            true => format!("LIMIT {} OFFSET {}", 1 + self.number(60), self.number(10)),
            false => String::new(),
        };
        let column = self.random.pick(&COLUMNS);
        let order = self.random.pick(&[
            "k, x.id, z",
            "x.?, x.id, z",
            "k, x.?, x.id, z",
            "k DESC, x.? DESC, x.id DESC, z",
        ]);
        let shape = self.random.pick(&SHAPES);
        let fill = |a: &str, b: &str, on_a: &str, on_b: &str| {
            let body =
                shape.replace("{a}", a).replace("{b}", b).replace("{on_a}", on_a).replace("{on_b}", on_b);
            format!("WITH x AS ({body}) SELECT x.id, z, x.n, x.t, k FROM x ORDER BY {order} {limit}")
                .replace('?', column)
        };
        let [a, b] = [0, 1].map(|nth| {
            let (column, edit) = self.policies[nth];
            let table = ["plain_a", "plain_b"][nth];
            format!("(SELECT * FROM {table} WHERE {})", self.admitted(table, column, who, edit))
        });
        Twice { ours: fill("a", "b", &on_a.ours, &on_b.ours), plain: fill(&a, &b, &on_a.plain, &on_b.plain) }
    }

    fn compare(&mut self, seed: u64) {
        let (who, other) = (1 + self.number(USERS), 1 + self.number(USERS + 1));
        let query = self.query(who);
        let mut start = "BEGIN; SET LOCAL search_path = public;".to_owned();
        for _ in 0..1 + self.number(4) {
            let settings = self.random.pick(&SETTINGS.split(';').collect::<Vec<_>>()).to_string();
            settings.split(',').for_each(|one| start += &format!("SET LOCAL {};", one.trim()));
        }
        let act = |who| format!("SELECT tenancy.act_as('{}')", user(who));
        let run = match self.random.once_in(2) {
            true => format!("{}; {}", act(who), query.ours),
            // Planned for somebody else, who may be nobody at all.
            false => format!(
                "SET LOCAL plan_cache_mode = force_generic_plan; {}; PREPARE q AS {}; EXECUTE q; RESET ROLE; {}; EXECUTE q",
                act(other),
                query.ours,
                act(who)
            ),
        };
        let answered = self
            .session
            .try_rows(&format!("{start} {run}"))
            .map_err(|error| explain(&error))
            .expect(&query.ours);
        let plan = self.session.rows(&format!(
            "ROLLBACK; DEALLOCATE ALL; {start} {}; EXPLAIN {}",
            act(who),
            query.ours
        ));
        self.searched += u32::from(format!("{plan:?}").contains("= ANY (tenancy.tenant_ids"));
        self.session.run("ROLLBACK");
        let expected = self.session.rows(&query.plain);
        self.with_rows += u32::from(!expected.is_empty());
        assert!(
            answered == expected,
            "PGT_SEED={seed}: {} rows instead of {}\n{:?}\n{start} {run}\n{}\n{plan:#?}",
            answered.len(),
            expected.len(),
            self.policies,
            query.plain
        );
    }
}

#[test]
fn random_queries_over_keys_give_the_rows_of_plain_sql_with_the_keys_spelled_out() {
    let cluster = Cluster::start("plan_random_keys", "autovacuum = off");
    let (mut all, mut with_rows, mut searched) = (0, 0, 0);
    for seed in Random::seeds(&[1, 2]) {
        println!("PGT_SEED={seed}");
        let mut world = World::new(&cluster, seed);
        for _ in 0..ROUNDS {
            world.turn();
            for _ in 0..QUERIES {
                world.compare(seed);
                if world.random.once_in(6) {
                    world.grant();
                }
            }
        }
        all += ROUNDS * QUERIES;
        with_rows += world.with_rows;
        searched += world.searched;
        println!("{all} compared so far, {with_rows} with rows, {searched} searched by a set");
    }
    assert!(with_rows > all / 4 && searched > all / 10, "they said something");
}

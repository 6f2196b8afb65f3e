//! Threat 30: whatever the index, the plan, and whoever it was made for, a query over protected tables gives the rows
//! of plain SQL with the grants spelled out. PGT_SEED repeats a run.

use pg_tenancy_integration::{Cluster, Random, Session, explain, tenant, user};
use std::fmt::Write;

const ROUNDS: u32 = 15;
const QUERIES: u32 = 20;
const TENANTS: u32 = 12;
const USERS: u32 = 5;
const INDEXES: &str = "btree (tenant_id); btree (tenant_id, k); btree (k, tenant_id); btree (k, id);
    btree (tenant_id DESC, id) INCLUDE (k); btree (tenant_id) WHERE k > 20; hash (tenant_id); gist (tenant_id);
    gist (k, tenant_id); gin (tenant_id); brin (tenant_id) WITH (pages_per_range = 1); brin (k, tenant_id)";
/// Settings of the planner; what commas join goes together.
const SETTINGS: &str = "enable_seqscan = off; enable_seqscan = off; enable_indexscan = off; enable_indexonlyscan = off;
    enable_bitmapscan = off; enable_nestloop = off; enable_hashjoin = off; enable_mergejoin = off; enable_sort = off;
    enable_memoize = off; work_mem = '64kB'; random_page_cost = 1; tenancy.index_max_set = 2; tenancy.index_max_set = 0;
    max_parallel_workers_per_gather = 2, parallel_setup_cost = 0, parallel_tuple_cost = 0, min_parallel_table_scan_size = 0";

/// With tables and conditions where the placeholders stand.
const SHAPES: [&str; 7] = [
    "SELECT a.*, 0 AS b FROM {a} a WHERE {on_a}",
    "SELECT a.*, b.id AS b FROM {a} a JOIN {b} b ON b.a_id = a.id WHERE {on_a} AND {on_b}",
    "SELECT a.*, b.id AS b FROM {a} a LEFT JOIN {b} b ON b.a_id = a.id AND {on_b} WHERE {on_a}",
    "SELECT a.*, 0 AS b FROM {a} a WHERE {on_a} AND EXISTS (SELECT FROM {b} b WHERE b.k = a.k AND {on_b})",
    "SELECT a.*, 0 AS b FROM {a} a WHERE {on_a} AND NOT EXISTS (SELECT FROM {b} b WHERE b.a_id = a.id AND {on_b})",
    "SELECT a.*, l.id AS b FROM {a} a, LATERAL (SELECT * FROM {b} b WHERE b.tenant_id = a.tenant_id AND b.k = a.k
                                                   AND {on_b} ORDER BY b.id LIMIT 2) l WHERE {on_a}",
    "SELECT a.*, 1 AS b FROM {a} a WHERE {on_a} UNION ALL SELECT b.*, 2 FROM {b} b WHERE {on_b}",
];
const UPDATED: &str = "UPDATE a SET owner_id = owner_id WHERE {on_a} RETURNING a.*, 3 AS b";
const UPDATED_PLAIN: &str = "SELECT a.*, 3 AS b FROM {a} a WHERE {edit} AND {on_a}";

/// What a user is in a tenant.
#[derive(Clone, Copy, PartialEq)]
enum Grant {
    Stranger,
    Suspended,
    Member,
    Reader,
    Editor,
}

/// The same said twice: to the functions, and in plain SQL.
#[derive(Clone, Default)]
struct Twice {
    ours: String,
    plain: String,
}

impl Twice {
    fn same(text: impl Into<String>) -> Self {
        let ours = text.into();
        Self { plain: ours.clone(), ours }
    }
}

struct World {
    random: Random,
    session: Session,
    grants: Vec<Vec<Grant>>,
    active_mode: bool,
    owners: bool,
    with_rows: u32,
    searched: u32,
}

/// A list of tenants as SQL, with one that nobody has so that it is never empty.
fn any_of(tenants: impl Iterator<Item = u32>) -> String {
    let mut list = format!("'{}'", tenant(99));
    tenants.for_each(|n| {
        let _ = write!(list, ",'{}'", tenant(n));
    });
    list
}

impl World {
    fn new(cluster: &Cluster, seed: u64) -> Self {
        let mut session = cluster.database(&format!("plans{seed}"));
        let row = "id int PRIMARY KEY, tenant_id uuid NOT NULL, owner_id uuid, k int, a_id int";
        let rows = "n, tenants.id, CASE WHEN n % 5 = 0 THEN ('5e000000-0000-4000-8000-00000000000' || 1 + n % 7)::uuid END,
                    CASE WHEN n % 29 > 0 THEN n * 7919 % 97 END, 1 + n * 31 % 1000";
        session.run(&format!(
            "CREATE EXTENSION btree_gist; CREATE EXTENSION btree_gin;
             INSERT INTO tenancy.tenants (id, slug, name)
             SELECT (left('{}', -12) || lpad(to_hex(n), 12, '0'))::uuid, 't' || n, 'T' FROM generate_series(1, {TENANTS}) n;
             CREATE TABLE a ({row}); CREATE TABLE b ({row});
             CREATE TEMP TABLE tenants AS SELECT row_number() OVER (ORDER BY id) AS nth, id FROM tenancy.tenants;
             -- The first tenant has half of the rows, and b is clustered by tenant.
             INSERT INTO a SELECT {rows} FROM generate_series(1, 1000) n
               JOIN tenants ON tenants.nth = CASE n % 2 WHEN 0 THEN 1 ELSE 1 + n / 2 % {TENANTS} END;
             INSERT INTO b SELECT {rows} FROM generate_series(1, 1000) n JOIN tenants ON tenants.nth = 1 + n * {TENANTS} / 1001;
             CREATE TABLE plain_a AS SELECT * FROM a; CREATE TABLE plain_b AS SELECT * FROM b;
             GRANT SELECT, UPDATE ON a, b TO authenticated;
             SELECT tenancy.protect_table(t::regclass, resource => 'docs') FROM unnest('{{a,b}}'::text[]) t;
             DROP INDEX a_tenant_id_idx, b_tenant_id_idx;
             SELECT tenancy.create_role('reader', '{{docs.read}}'), tenancy.create_role('editor', '{{docs.*}}');
             ANALYZE",
            tenant(0)
        ));
        Self {
            random: Random::new(seed),
            session,
            grants: vec![vec![Grant::Stranger; TENANTS as usize + 1]; USERS as usize + 1],
            active_mode: true,
            owners: false,
            with_rows: 0,
            searched: 0,
        }
    }

    fn number(&mut self, below: u32) -> u32 {
        self.random.below(below.into()) as u32
    }

    /// Another mode, other indexes, other grants.
    fn turn(&mut self) {
        self.active_mode = self.random.once_in(3);
        self.owners = self.random.once_in(3);
        let mode = if self.active_mode { "active" } else { "membership" };
        let owner = if self.owners { "'owner_id'" } else { "NULL" };
        for table in ["a", "b"] {
            self.session.run(&format!(
                "SELECT tenancy.protect_table('{table}', resource => 'docs', mode => '{mode}', owner_column => {owner});
                 DROP INDEX IF EXISTS {table}_tenant_id_idx, {table}_1, {table}_2"
            ));
            for n in 1..=self.number(3) {
                let index = self.random.pick(&INDEXES.split(';').collect::<Vec<_>>());
                self.session.run(&format!("CREATE INDEX {table}_{n} ON {table} USING {index}"));
            }
            self.session.run(&format!("VACUUM ANALYZE {table}"));
        }
        (0..8).for_each(|_| self.grant());
    }

    fn grant(&mut self) {
        let (who, at) = (1 + self.number(USERS), 1 + self.number(TENANTS));
        let kinds =
            [Grant::Stranger, Grant::Suspended, Grant::Member, Grant::Reader, Grant::Reader, Grant::Editor];
        let grant = kinds[self.number(6) as usize];
        let roles = match grant {
            Grant::Reader => "'{reader}'",
            Grant::Editor => "'{editor}'",
            _ => "'{}'",
        };
        let (user, tenant) = (user(who), tenant(at));
        let mut sql =
            format!("DELETE FROM tenancy.members WHERE tenant_id = '{tenant}' AND user_id = '{user}';");
        if grant != Grant::Stranger {
            let _ = write!(sql, "SELECT tenancy.add_member('{tenant}', '{user}', {roles});");
        }
        if grant == Grant::Suspended {
            let _ = write!(sql, "SELECT tenancy.set_member_status('{tenant}', '{user}', 'suspended');");
        }
        self.session.run(&sql);
        self.grants[who as usize][at as usize] = grant;
    }

    fn tenants_of(&self, who: u32, holds: &dyn Fn(Grant) -> bool) -> String {
        any_of((1..=TENANTS).filter(|n| holds(self.grants[who as usize][*n as usize])))
    }

    /// The rows of a table that the policies let a user work on.
    fn policy(&self, who: u32, active: u32, holds: impl Fn(Grant) -> bool) -> String {
        let member = |grant| matches!(grant, Grant::Member | Grant::Reader | Grant::Editor);
        let chosen = |n: &u32| !self.active_mode || *n == active;
        let of = |test: &dyn Fn(Grant) -> bool| {
            any_of((1..=TENANTS).filter(|n| chosen(n) && test(self.grants[who as usize][*n as usize])))
        };
        let owner = match self.owners {
            true => format!(" OR owner_id = '{}' AND tenant_id IN ({})", user(who), of(&member)),
            false => String::new(),
        };
        format!("(tenant_id IN ({}){owner})", of(&holds))
    }

    fn predicate(&mut self, table: &str, who: u32, depth: u32) -> Twice {
        let (k, choice) = (self.number(97), self.number(if depth == 0 { 13 } else { 11 }));
        let reads = |grant| matches!(grant, Grant::Reader | Grant::Editor);
        let edits = |grant| grant == Grant::Editor;
        let all = |grant| !matches!(grant, Grant::Stranger | Grant::Suspended);
        let at = tenant(1 + self.number(TENANTS));
        let call = |name: &str, argument: &str, holds: &dyn Fn(Grant) -> bool| Twice {
            ours: format!("tenancy.{name}({table}.tenant_id{argument})"),
            plain: format!("{table}.tenant_id IN ({})", self.tenants_of(who, holds)),
        };
        match choice {
            0 => Twice::same(format!("{table}.k < {k}")),
            1 => Twice::same(format!("{table}.k = {k}")),
            2 => Twice::same(format!("{table}.k IN ({k}, {}, {})", k / 2, k / 3)),
            3 => Twice::same(format!("{table}.id > {}", k * 10)),
            4 => Twice::same(format!("{table}.tenant_id = '{at}'")),
            5 => Twice::same(format!("{table}.tenant_id = ANY ('{{{at},{}}}')", tenant(2))),
            6 => call("is_member", "", &all),
            7 => call("has_permission", ", 'docs.update'", &edits),
            8 => call("has_any_permission", ", '{docs.read,docs.fly}'", &reads),
            9 => call("has_all_permissions", ", '{docs.read,docs.delete}'", &edits),
            10 => Twice::same(format!("{table}.owner_id IS NULL")),
            n => {
                let (one, other) = (self.predicate(table, who, 1), self.predicate(table, who, 1));
                let word = if n == 11 { "OR" } else { "AND" };
                Twice {
                    ours: format!("({} {word} {})", one.ours, other.ours),
                    plain: format!("({} {word} {})", one.plain, other.plain),
                }
            }
        }
    }

    fn query(&mut self, who: u32, active: u32) -> Twice {
        let read = self.policy(who, active, |grant| matches!(grant, Grant::Reader | Grant::Editor));
        let edit = self.policy(who, active, |grant| grant == Grant::Editor);
        let (mut on_a, on_b) = (self.predicate("a", who, 0), self.predicate("b", who, 0));
        if self.random.once_in(3) {
            on_a = Twice::same("a.id > 0");
        }
        let limit = match self.random.once_in(2) {
            true => format!("LIMIT {} OFFSET {}", 1 + self.number(60), self.number(10)),
            false => String::new(),
        };
        let order =
            self.random.pick(&["k, x.id, b", "x.tenant_id, x.id, b", "k DESC, x.id DESC, b", "x.id, b"]);
        let (ours, plain) = match self.number(8) {
            7 => (UPDATED, UPDATED_PLAIN),
            shape => (SHAPES[shape as usize], SHAPES[shape as usize]),
        };
        let fill = |shape: &str, a: &str, b: &str, on_a: &str, on_b: &str| {
            let body =
                shape.replace("{a}", a).replace("{b}", b).replace("{on_a}", on_a).replace("{on_b}", on_b);
            let body = body.replace("{edit}", &edit);
            format!("WITH x AS ({body}) SELECT x.id, b, x.tenant_id, k FROM x ORDER BY {order} {limit}")
        };
        let [plain_a, plain_b] =
            ["a", "b"].map(|table| format!("(SELECT * FROM plain_{table} WHERE {read})"));
        Twice {
            ours: fill(ours, "a", "b", &on_a.ours, &on_b.ours),
            plain: fill(plain, &plain_a, &plain_b, &on_a.plain, &on_b.plain),
        }
    }

    fn compare(&mut self, seed: u64) {
        let (who, other) = (1 + self.number(USERS), 1 + self.number(USERS));
        let (active, before) = (1 + self.number(TENANTS), 1 + self.number(TENANTS));
        let query = self.query(who, active);
        let mut start = "BEGIN; SET LOCAL search_path = public;".to_owned();
        for _ in 0..1 + self.number(4) {
            let settings = self.random.pick(&SETTINGS.split(';').collect::<Vec<_>>());
            settings.split(',').for_each(|one| start += &format!("SET LOCAL {};", one.trim()));
        }
        let act = |who, at| format!("SELECT tenancy.act_as('{}', '{}')", user(who), tenant(at));
        let run = match self.random.once_in(2) {
            true => format!("{}; {}", act(who, active), query.ours),
            // Planned for somebody else, who may be nobody at all.
            false => format!(
                "SET LOCAL plan_cache_mode = force_generic_plan; {}; PREPARE q AS {}; EXECUTE q; RESET ROLE; {}; EXECUTE q",
                act(if other == USERS { 99 } else { other }, before),
                query.ours,
                act(who, active)
            ),
        };
        let answered = self.session.try_rows(&format!("{start} {run}"));
        let answered = answered.map_err(|error| explain(&error)).expect(&query.ours);
        let explain =
            format!("ROLLBACK; DEALLOCATE ALL; {start} {}; EXPLAIN {}", act(who, active), query.ours);
        let plan = self.session.rows(&explain);
        self.searched += u32::from(format!("{plan:?}").contains("= ANY (tenancy.tenant_ids"));
        self.session.run("ROLLBACK");
        let expected = self.session.rows(&query.plain);
        self.with_rows += u32::from(!expected.is_empty());
        assert!(
            answered == expected,
            "PGT_SEED={seed}: {} rows instead of {}\n{start} {run}\n{}\n{plan:#?}",
            answered.len(),
            expected.len(),
            query.plain
        );
    }
}

#[test]
fn random_queries_give_the_rows_of_plain_sql_with_the_grants_spelled_out() {
    let cluster = Cluster::start("plan_random", "autovacuum = off");
    // A seed of the moment may be poor in rows or in searches; all of them together are not.
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
    assert!(with_rows > all / 4 && searched > all / 20, "they said something");
}

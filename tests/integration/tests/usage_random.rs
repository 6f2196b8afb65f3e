//! What a transaction records, whatever it does with savepoints, against a model: after each commit or rollback the sums of
//! the tables are the model's, and a quota refuses exactly what would exceed it. And that many calls leave few versions.

use pg_tenancy_integration::{Cluster, Random, Session, explain, tenant};
use std::collections::VecDeque;

const HARD: i64 = 400;
/// The first has no quota, the second has one, the third is a gauge with one.
const METERS: [&str; 3] = ["free", "limited", "gauge"];

type Amounts = [i64; 3];

struct World {
    writer: Session,
    reader: Session,
    random: Random,
    committed: Amounts,
    /// What is open holds, on top; below it what each savepoint would bring back.
    open: Option<Vec<Amounts>>,
    /// A prepared transaction holds: of what it brings, if it is committed.
    prepared: Option<Amounts>,
    told: VecDeque<String>,
    ends: u32,
    refused: u32,
}

impl World {
    fn new(cluster: &Cluster, seed: u64) -> Self {
        let database = format!("random_{seed}");
        let mut admin = cluster.database(&database);
        let at = admin.add_tenant(1);
        admin.run(&format!(
            "SELECT tenancy.create_meter('free', 'calls', 'counter', period => 'none'),
                    tenancy.create_meter('limited', 'calls', 'counter', period => 'hour'),
                    tenancy.create_meter('gauge', 'rows', 'gauge', period => 'day'),
                    tenancy.set_quota('{at}', 'limited', hard => {HARD}, period => 'none'),
                    tenancy.set_quota('{at}', 'gauge', soft => {HARD} / 2, hard => {HARD});
             CREATE FUNCTION record(meter text, amount bigint, times int) RETURNS bigint LANGUAGE sql AS
             $$ SELECT count(tenancy.record_usage(meter, amount, '{at}')) FROM generate_series(1, times) $$"
        ));
        Self {
            writer: cluster.connect(&database),
            reader: cluster.connect(&database),
            random: Random::new(seed),
            committed: [0; 3],
            open: None,
            prepared: None,
            told: VecDeque::new(),
            ends: 0,
            refused: 0,
        }
    }

    /// The SQLSTATE it failed with.
    fn send(&mut self, sql: &str) -> Option<String> {
        self.told.push_back(sql.to_owned());
        if self.told.len() > 40 {
            self.told.pop_front();
        }
        let error = self.writer.try_rows(sql).err()?;
        let code = error.code().map_or("lost", |code| code.code()).to_owned();
        // A transaction that has told of a soft limit cannot be prepared: it has sent a notification.
        let expected = if sql.starts_with("PREPARE") { "0A000" } else { "23514" };
        assert_eq!(code, expected, "{}\n{}", explain(&error), self.story());
        Some(code)
    }

    fn story(&self) -> String {
        self.told.iter().fold(String::new(), |story, line| story + line + ";\n")
    }

    fn step(&mut self) {
        let depth = self.open.as_ref().map_or(0, Vec::len);
        match self.random.below(24) {
            0 | 1 if depth > 0 => self.commit(),
            2 if depth > 0 => {
                self.send("ROLLBACK");
                self.open = None;
                self.compare();
            }
            3 if depth > 0 && self.prepared.is_none() => self.prepare(),
            4 => self.end_prepared(),
            // Not under a savepoint, which is refused.
            5 if depth == 0 || (depth == 1 && self.random.once_in(4)) => {
                self.send("SELECT tenancy.fold_usage()");
            }
            6 if depth > 0 => self.ask(),
            7..=9 if depth > 0 => {
                self.send(&format!("SAVEPOINT s{depth}"));
                let levels = self.open.as_mut().expect("it is open");
                levels.push(*levels.last().expect("there is one"));
            }
            10 | 11 if depth > 1 => {
                // One of those open, not always the last.
                let to = 1 + self.random.below(depth as u64 - 1) as usize;
                self.send(&format!("ROLLBACK TO s{to}"));
                let levels = self.open.as_mut().expect("it is open");
                levels.truncate(to);
                levels.push(levels[to - 1]);
            }
            12 | 13 if depth > 1 => {
                let to = 1 + self.random.below(depth as u64 - 1) as usize;
                self.send(&format!("RELEASE s{to}"));
                let levels = self.open.as_mut().expect("it is open");
                let kept = levels.pop().expect("there is one");
                levels.truncate(to);
                levels[to - 1] = kept;
            }
            14 | 15 if depth == 0 => {
                let level = self.random.pick(&["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]);
                self.send(&format!("BEGIN ISOLATION LEVEL {level}"));
                self.open = Some(vec![self.committed]);
            }
            16 => self.caught(),
            _ => self.record(),
        }
    }

    /// What a statement of these amounts would be refused at: each call by itself, on top of what a prepared one reserved.
    fn allowed(&self, meter: usize, amount: i64, times: i64) -> bool {
        let now = self.open.as_ref().and_then(|levels| levels.last()).unwrap_or(&self.committed)[meter];
        let reserved = self.prepared.map_or(0, |brings| brings[meter].max(0));
        meter == 0 || amount <= 0 || now + reserved + amount * times <= HARD
    }

    fn pick_record(&mut self) -> (usize, i64, i64) {
        let meter = self.random.below(3) as usize;
        let times = *[1, 1, 1, 3, 40].get(self.random.below(5) as usize).unwrap_or(&1);
        let mut amount = 1 + self.random.below(3) as i64;
        if meter == 2 && self.random.once_in(2) {
            amount = -amount;
        }
        (meter, amount, times)
    }

    fn record(&mut self) {
        let (meter, amount, times) = self.pick_record();
        let allowed = self.allowed(meter, amount, times);
        let sql = format!("SELECT record('{}', {amount}, {times})", METERS[meter]);
        let refused = self.send(&sql).is_some();
        // Of a prepared one more may be reserved than it holds in the end: the most that it held on the way.
        let as_it_must = if allowed { !refused || self.prepared.is_some() } else { refused };
        assert!(as_it_must, "refused: {refused}, {:?} of {:?}\n{}", self.open, self.committed, self.story());
        if refused {
            self.refused += 1;
            self.after_failure();
            return;
        }
        match &mut self.open {
            Some(levels) => levels.last_mut().expect("there is one")[meter] += amount * times,
            None => {
                self.committed[meter] += amount * times;
                self.compare();
            }
        }
    }

    fn after_failure(&mut self) {
        match self.open.as_mut().map(|levels| levels.len()) {
            None => {}
            Some(1) => {
                self.send("ROLLBACK");
                self.open = None;
                self.compare();
            }
            Some(depth) => {
                self.send(&format!("ROLLBACK TO s{}", depth - 1));
                let levels = self.open.as_mut().expect("it is open");
                levels.pop();
                let kept = *levels.last().expect("there is one");
                levels.push(kept);
            }
        }
    }

    /// A subtransaction that a function takes back, or keeps.
    fn caught(&mut self) {
        let (meter, amount, times) = self.pick_record();
        let name = METERS[meter];
        let kept = self.random.once_in(2) && self.prepared.is_none() && self.allowed(meter, amount, times);
        let raise = if kept { "" } else { "RAISE SQLSTATE 'P0099';" };
        self.send(&format!(
            "DO $$ BEGIN PERFORM record('{name}', {amount}, {times}); {raise}
             EXCEPTION WHEN SQLSTATE 'P0099' OR check_violation THEN NULL; END $$"
        ));
        if kept {
            match &mut self.open {
                Some(levels) => levels.last_mut().expect("there is one")[meter] += amount * times,
                None => self.committed[meter] += amount * times,
            }
        }
        if self.open.is_none() {
            self.compare();
        }
    }

    fn commit(&mut self) {
        self.send("COMMIT");
        let levels = self.open.take().expect("it is open");
        self.committed = *levels.last().expect("there is one");
        self.compare();
    }

    fn prepare(&mut self) {
        let failed = self.send("PREPARE TRANSACTION 'usage'").is_some();
        let levels = self.open.take().expect("it is open");
        let after = levels.last().expect("there is one");
        self.prepared = (!failed).then(|| std::array::from_fn(|meter| after[meter] - self.committed[meter]));
        self.compare();
    }

    fn end_prepared(&mut self) {
        let Some(brings) = self.prepared else { return };
        if self.open.is_some() {
            return;
        }
        let kept = !self.random.once_in(3);
        self.send(if kept { "COMMIT PREPARED 'usage'" } else { "ROLLBACK PREPARED 'usage'" });
        self.prepared = None;
        if kept {
            (0..3).for_each(|meter| self.committed[meter] += brings[meter]);
        }
        self.compare();
    }

    /// Within the transaction its own amounts count, as far as they stand.
    fn ask(&mut self) {
        let now = *self.open.as_ref().and_then(|levels| levels.last()).expect("it is open");
        for meter in [1, 2] {
            let reserved = self.prepared.map_or(0, |brings| brings[meter].max(0));
            let left = (HARD - now[meter] - reserved).max(0);
            let sql = format!("SELECT tenancy.remaining('{}', '{}')", METERS[meter], tenant(1));
            let answered = self.writer.number(&sql);
            let is_right = answered == left || self.prepared.is_some() && answered < left;
            assert!(is_right, "{answered}, not {left}, of {}\n{}", METERS[meter], self.story());
        }
    }

    fn compare(&mut self) {
        self.ends += 1;
        let sums = self.reader.rows(
            "SELECT coalesce(sum(total) FILTER (WHERE meter = 'free'), 0), coalesce(sum(total) FILTER (WHERE meter = 'limited'), 0),
                    coalesce(sum(total) FILTER (WHERE meter = 'gauge'), 0) FROM tenancy.usage",
        );
        let sums: Vec<i64> = sums[0].iter().flatten().map(|sum| sum.parse().expect("a number")).collect();
        assert_eq!(sums, self.committed, "{}", self.story());
        // Limits are lifted and come back, so that it does not end at them.
        if self.committed[1] > HARD * 9 / 10 && self.open.is_none() && self.prepared.is_none() {
            self.send("UPDATE tenancy.usage SET total = 0, hour_amount = 0, day_amount = 0, month_amount = 0 WHERE meter = 'limited'");
            self.committed[1] = 0;
        }
    }
}

#[test]
fn sums_after_random_savepoints_and_ends_are_those_of_a_model() {
    let cluster = Cluster::start("usage_random", "autovacuum = off\nmax_prepared_transactions = 5");
    for seed in Random::seeds(&[1, 2, 3]) {
        println!("PGT_SEED={seed}");
        let mut world = World::new(&cluster, seed);
        for _ in 0..4000 {
            world.step();
        }
        println!("{} ends, {} refused", world.ends, world.refused);
        assert!(world.ends > 200 && world.refused > 20, "the steps did something");
    }
}

/// Also while they are open: others read and record the same meter meanwhile.
#[test]
fn many_calls_of_one_transaction_leave_few_versions_and_are_exact_when_it_ends() {
    let cluster = Cluster::start("long", "autovacuum = off");
    let mut admin = cluster.database("work");
    let at = admin.add_tenant(1);
    admin.run(&format!(
        "SELECT tenancy.create_meter('free', 'calls', 'counter'), tenancy.create_meter('limited', 'calls', 'counter'),
                tenancy.set_quota('{at}', 'limited', hard => 1000000, period => 'none')"
    ));
    let mut expected = 0;
    for meter in ["free", "limited"] {
        for end in ["COMMIT", "ROLLBACK"] {
            let mut writer = cluster.connect("work");
            let mut other = cluster.connect("work");
            let record = |times: u32| {
                format!(
                    "SELECT count(tenancy.record_usage('{meter}', 1, '{at}')) FROM generate_series(1, {times})"
                )
            };
            let before = admin.number("SELECT pg_relation_size('tenancy.usage')");
            writer.run(&format!("BEGIN; {}; SAVEPOINT a; {}", record(25_000), record(10_000)));
            writer.run(&format!(
                "ROLLBACK TO a; {}; SAVEPOINT b; {}; RELEASE b",
                record(10_000),
                record(15_000)
            ));
            other.run(&record(100));
            expected += 100;
            let after = admin.number("SELECT pg_relation_size('tenancy.usage')");
            assert!(after - before <= 5 * 8192, "{meter}: {} pages were written", (after - before) / 8192);
            if meter == "limited" {
                // No less than what was recorded, and most of the room is left to others.
                let left = other.number(&format!("SELECT tenancy.remaining('limited', '{at}')"));
                assert!((800_000..=949_900).contains(&left), "{left} are left");
            }
            writer.run(end);
            if end == "COMMIT" {
                expected += 50_000;
            }
            assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), expected, "{meter}, {end}");
        }
    }
    assert_eq!(admin.number(&format!("SELECT tenancy.remaining('limited', '{at}')")), 1_000_000 - 50_200);
    admin.run("SELECT tenancy.fold_usage()");
    assert_eq!(admin.number("SELECT sum(total) FROM tenancy.usage"), expected);
}

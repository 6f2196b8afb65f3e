//! Amounts in shared words: compared with a map under random work, and the seats of their workers.

use pg_tenancy_unit::usage::seats::{PATIENCE, Seats};
use pg_tenancy_unit::usage::table::{Added, Key, Table};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

/// Microseconds since 1970.
const NOW: u64 = 1_800_000_000_000_000;

fn words(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn key(database: u32, n: u64) -> Key {
    let mut tenant = [0; 16];
    tenant[8..].copy_from_slice(&(n % 7).to_be_bytes());
    Key::new(database, &tenant, &format!("m{}", n / 7)).expect("short")
}

#[test]
fn a_key_gives_back_what_it_was_made_of() {
    let tenant = *b"0123456789abcdef";
    let longest = "m".repeat(100);
    for name in ["api.calls", "a", longest.as_str()] {
        let key = Key::new(4_000_000_000, &tenant, name).expect("a meter's name");
        assert_eq!((key.database(), key.tenant(), key.meter()), (4_000_000_000, tenant, name.to_owned()));
    }
    assert_eq!(Key::new(1, &tenant, &"m".repeat(105)), None);
    assert_ne!(Key::new(1, &tenant, "a"), Key::new(1, &tenant, "a\0"));
}

#[test]
fn random_work_gives_what_a_map_gives() {
    const CAPACITY: usize = 24;
    let words = words(Table::words(CAPACITY));
    let table = Table::new(&words, CAPACITY).expect("enough words");
    let mut map: HashMap<Key, u64> = HashMap::new();
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..200_000 {
        let (database, n, amount) = (1 + random(2) as u32, random(40), 1 + random(9));
        let key = key(database, n);
        match random(8) {
            0..=3 => {
                let added = match table.add(&key, amount) {
                    Added::Absent => table.insert(&key, amount),
                    added => added,
                };
                if map.contains_key(&key) || map.len() < CAPACITY {
                    assert_eq!(added, Added::Done);
                    *map.entry(key).or_default() += amount;
                } else {
                    assert_eq!(added, Added::Full);
                }
            }
            4 | 5 => {
                let all = table.amount(&key);
                table.subtract(&key, all);
                map.entry(key).and_modify(|amount| *amount = 0);
            }
            6 if random(40) == 0 => {
                table.discard(database);
                map.retain(|key, _| key.database() != database);
            }
            _ => {
                table.sweep(database, 0, 0..table.places());
                map.retain(|key, amount| key.database() != database || *amount > 0);
            }
        }
        assert_eq!(table.used(), map.len(), "step {step}");
        assert_eq!(table.amount(&key), map.get(&key).copied().unwrap_or(0), "step {step}");
        if step % 500 == 0 {
            for database in [1, 2] {
                let mut seen = HashMap::new();
                table.turn(database, |key, amount| assert_eq!(seen.insert(key, amount), None));
                let wanted: HashMap<Key, u64> =
                    map.iter().filter(|(key, _)| key.database() == database).map(|(k, a)| (*k, *a)).collect();
                assert_eq!(seen, wanted, "step {step}");
                assert_eq!(table.sum(database), wanted.values().sum::<u64>());
            }
        }
    }
}

/// What a map of amounts and idle turns does.
#[derive(Default)]
struct Model(HashMap<Key, (u64, u64)>);

impl Model {
    fn sweep(&mut self, database: u32, turns: u64) {
        self.0.retain(|key, (amount, idle)| key.database() != database || *amount > 0 || *idle < turns);
    }

    fn turn(&mut self, database: u32) -> HashMap<Key, u64> {
        let of = self.0.iter_mut().filter(|(key, _)| key.database() == database);
        of.map(|(key, (amount, idle))| {
            *idle = if *amount > 0 { 0 } else { *idle + 1 };
            (*key, *amount)
        })
        .collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Count(u32, u64),
    Write(u32, u64),
    Turn(u32),
    Sweep { database: u32, turns: u64, at_once: usize },
    Discard(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (database, n) = (1u32..3, 0u64..60);
    prop_oneof![
        12 => (database.clone(), n.clone()).prop_map(|(database, n)| Step::Count(database, n)),
        6 => (database.clone(), n).prop_map(|(database, n)| Step::Write(database, n)),
        4 => database.clone().prop_map(Step::Turn),
        4 => (database.clone(), 0u64..3, 1usize..9)
            .prop_map(|(database, turns, at_once)| Step::Sweep { database, turns, at_once }),
        1 => database.prop_map(Step::Discard),
    ]
}

proptest! {
    /// Little room, so that entries lie in each other's way and around the end.
    #[test]
    fn what_is_freed_part_by_part_is_what_a_map_frees(capacity in 1usize..40, steps in prop::collection::vec(step(), 0..300)) {
        let words = words(Table::words(capacity));
        let table = Table::new(&words, capacity).expect("enough words");
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Count(database, n) => {
                    let key = key(database, n);
                    let fits = model.0.contains_key(&key) || model.0.len() < capacity;
                    prop_assert_eq!(table.insert(&key, 2), if fits { Added::Done } else { Added::Full });
                    if fits {
                        model.0.entry(key).or_default().0 += 2;
                    }
                }
                Step::Write(database, n) => {
                    let key = key(database, n);
                    table.subtract(&key, table.amount(&key));
                    model.0.entry(key).and_modify(|entry| entry.0 = 0);
                }
                Step::Turn(database) => {
                    let mut seen = HashMap::new();
                    table.turn(database, |key, amount| assert_eq!(seen.insert(key, amount), None));
                    prop_assert_eq!(seen, model.turn(database));
                }
                Step::Sweep { database, turns, at_once } => {
                    for from in (0..table.places()).step_by(at_once) {
                        table.sweep(database, turns, from..from + at_once);
                    }
                    model.sweep(database, turns);
                    prop_assert!(!table.is_due(database, turns));
                }
                Step::Discard(database) => {
                    table.discard(database);
                    model.0.retain(|key, _| key.database() != database);
                }
            }
            prop_assert_eq!(table.used(), model.0.len());
            for (key, (amount, _)) in &model.0 {
                prop_assert_eq!(table.amount(key), *amount);
            }
        }
    }
}

/// Nobody can count meanwhile, so it has to be one pass: from the start again after each, this would take minutes.
#[test]
fn very_many_are_freed_in_one_pass() {
    const ENTRIES: usize = 100_000;
    let words = words(Table::words(ENTRIES));
    let table = Table::new(&words, ENTRIES).expect("enough words");
    let fill = |database| {
        (0..ENTRIES as u64 - table.used() as u64)
            .for_each(|n| assert_eq!(table.insert(&key(database, n), 1), Added::Done));
    };
    fill(1);
    // All but a few are nothing.
    for n in 0..ENTRIES as u64 {
        table.subtract(&key(1, n), u64::from(n % 1000 != 0));
    }
    assert!(table.is_due(1, 0));
    table.sweep(1, 0, 0..table.places());
    assert_eq!(
        (table.used(), table.sum(1), table.is_due(1, 0)),
        (ENTRIES / 1000, ENTRIES as u64 / 1000, false)
    );
    assert!((0..ENTRIES as u64).all(|n| table.amount(&key(1, n)) == u64::from(n % 1000 == 0)));
    fill(2);
    table.discard(2);
    assert_eq!((table.used(), table.sum(1), table.sum(2)), (ENTRIES / 1000, ENTRIES as u64 / 1000, 0));
}

#[test]
fn no_more_is_counted_than_a_bigint_holds() {
    let words = words(Table::words(16));
    let table = Table::new(&words, 16).expect("enough words");
    let most = i64::MAX as u64;
    assert_eq!(table.insert(&key(1, 0), most + 1), Added::TooMuch);
    assert_eq!(table.insert(&key(1, 0), most - 1), Added::Done);
    assert_eq!(table.add(&key(1, 0), 2), Added::TooMuch);
    assert_eq!(table.add(&key(1, 0), 1), Added::Done);
    assert_eq!(table.add(&key(1, 0), u64::MAX), Added::TooMuch);
    assert_eq!(table.amount(&key(1, 0)), most);
}

#[test]
fn what_was_nothing_for_some_turns_is_freed_and_nothing_else() {
    let words = words(Table::words(16));
    let table = Table::new(&words, 16).expect("enough words");
    table.insert(&key(1, 0), 1);
    table.insert(&key(1, 1), 1);
    table.subtract(&key(1, 0), 1);
    for _ in 0..3 {
        assert!(!table.is_due(1, 3));
        table.turn(1, |_, _| {});
    }
    assert!(table.is_due(1, 3) && !table.is_due(2, 3));
    // Counted again meanwhile.
    table.add(&key(1, 0), 1);
    table.sweep(1, 3, 0..table.places());
    assert_eq!(table.used(), 2);
    table.subtract(&key(1, 0), 1);
    table.sweep(1, 3, 0..table.places());
    assert_eq!((table.used(), table.amount(&key(1, 1)), table.databases()), (1, 1, vec![1]));
}

#[test]
fn a_database_has_one_worker_and_lacks_one_as_soon_as_it_left() {
    let words = words(Seats::WORDS);
    let seats = Seats::new(&words).expect("enough words");
    assert!(seats.lacks(7, || NOW) && seats.ask(7, NOW));
    // One is on its way, for a while.
    assert!(!seats.lacks(7, || NOW + 100) && !seats.ask(7, NOW + 100));
    assert!(seats.ask(7, NOW + 1 + PATIENCE));
    assert!(seats.take(7, 11) && !seats.take(7, 12));
    assert!(!seats.lacks(7, || u64::MAX) && !seats.ask(7, u64::MAX - 1));
    assert_eq!((seats.worker(7), seats.last_write(7)), (Some(11), None));
    seats.wrote(7, 500);
    assert_eq!(seats.last_write(7), Some(500));
    seats.leave(12);
    assert_eq!(seats.worker(7), Some(11));
    seats.leave(11);
    assert!(seats.lacks(7, || NOW + 2 + PATIENCE) && seats.ask(7, NOW + 2 + PATIENCE));
}

#[test]
fn a_worker_that_is_not_given_is_known_to_be_refused_until_one_sits() {
    let words = words(Seats::WORDS);
    let seats = Seats::new(&words).expect("enough words");
    assert!(!seats.is_refused(7, || NOW) && seats.ask(7, NOW));
    assert!(!seats.is_refused(7, || NOW));
    seats.refuse(7);
    // It is asked for again after a while, and refused until it comes.
    assert!(seats.is_refused(7, || NOW) && !seats.lacks(7, || NOW) && !seats.ask(7, NOW));
    assert!(seats.lacks(7, || NOW + PATIENCE) && seats.ask(7, NOW + PATIENCE));
    // Who stands in for it changes nothing of that.
    assert!(seats.stand_in(7, 10) && !seats.take(7, 11) && !seats.stand_in(7, 11));
    assert!(!seats.lacks(7, || u64::MAX) && seats.worker(7) == Some(10));
    seats.give_back(11);
    seats.give_back(10);
    assert!(seats.worker(7).is_none() && !seats.ask(7, NOW + PATIENCE));
    assert!(seats.is_refused(7, || NOW + PATIENCE));
    assert!(seats.take(7, 11) && !seats.is_refused(7, || NOW));
    seats.leave(11);
    assert!(!seats.is_refused(7, || NOW + PATIENCE) && !seats.is_refused(8, || NOW));
    // Where others have all seats there is none either.
    let others = (100..).take_while(|database| seats.ask(*database, NOW)).count();
    assert!(others > 1 && seats.is_refused(8, || NOW) && !seats.is_refused(8, || NOW + PATIENCE));
}

#[test]
fn what_could_not_be_written_is_known_until_something_is() {
    let words = words(Seats::WORDS);
    let seats = Seats::new(&words).expect("enough words");
    assert!(seats.ask(7, NOW) && seats.take(7, 11) && !seats.has_failed(7));
    seats.failed(7);
    seats.failed(8);
    assert!(seats.has_failed(7) && !seats.has_failed(8));
    seats.wrote(7, NOW);
    assert!(!seats.has_failed(7));
    // Of another database's worker in the same seat nothing is known.
    seats.failed(7);
    seats.refuse(7);
    seats.leave(11);
    let same = (100..).take_while(|database| seats.ask(*database, NOW)).collect::<Vec<u32>>();
    assert!(same.iter().all(|database| !seats.has_failed(*database) && !seats.is_refused(*database, || NOW)));
}

#[test]
fn seats_are_taken_over_by_other_databases_once_free() {
    let words = words(Seats::WORDS);
    let seats = Seats::new(&words).expect("enough words");
    let count = (1..).take_while(|database| seats.ask(*database, NOW)).last().expect("some");
    for database in 1..=count {
        assert!(seats.take(database, database.into()));
    }
    assert!(!seats.ask(count + 1, NOW) && !seats.take(count + 1, 9999));
    seats.leave(3);
    assert!(seats.ask(count + 1, NOW) && seats.take(count + 1, 9999));
    assert_eq!(seats.worker(3), None);
    assert!(seats.lacks(3, || NOW));
}

//! Amounts in shared words: compared with a map under random work, and the seats of their workers.

use pg_tenancy_unit::usage::seats::{PATIENCE, Seats};
use pg_tenancy_unit::usage::table::{Added, Key, Table};
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
                table.sweep(database, 0);
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
    table.sweep(1, 3);
    assert_eq!(table.used(), 2);
    table.subtract(&key(1, 0), 1);
    table.sweep(1, 3);
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

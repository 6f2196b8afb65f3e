//! What a transaction has recorded, through savepoints.

use pg_tenancy_unit::usage::amounts::Amounts;
use pg_tenancy_unit::usage::ledger::{Ledger, Open};
use proptest::prelude::*;

fn open(recorded: i64) -> Open<u32> {
    Open { recorded, ..Open::new(1, 0, Amounts::default()) }
}

#[test]
fn what_falls_is_written_at_few_calls_and_then_when_it_has_halved_or_doubled() {
    let lags = |calls, written, recorded| Open { calls, written, ..open(0) }.may_lag(recorded);
    assert!(!(1..=8).any(|calls| lags(calls, 100, 99)));
    assert!(lags(9, 100, 99) && lags(9, 100, 50) && !lags(9, 100, 49) && !lags(9, 100, 0));
    assert!(lags(9, -100, -101) && lags(9, -100, -200) && !lags(9, -100, -201) && !lags(9, 0, -1));
    let mut falling = Open { calls: 9, ..open(0) };
    let writes = (1..=100_000_i64).filter(|fallen| {
        let due = !falling.may_lag(-fallen);
        if due {
            falling.written = -fallen;
        }
        due
    });
    assert!(writes.count() < 20);
}

#[test]
fn what_is_written_ahead_leaves_most_of_the_room_to_others() {
    let after = |calls, recorded, room| Open { calls, ..open(recorded) }.ahead(room);
    assert_eq!(after(8, 100, 1_000_000), 100);
    assert_eq!(after(9, 100, 1_000_000), 200);
    assert_eq!(after(9, 100, 160), 110);
    assert_eq!(after(9, 100, 15), 100);
    assert_eq!(after(9, -100, 1_000_000), -100);
    assert_eq!(after(9, i64::MAX, i128::MAX), i64::MAX);
}

#[test]
fn what_is_let_go_in_a_savepoint_is_back_when_it_is_rolled_back() {
    let mut ledger = Ledger::new();
    ledger.put(&"calls", 1, Some(open(3)));
    ledger.put(&"calls", 2, None);
    assert_eq!(ledger.get(&"calls"), None);
    ledger.savepoint_rolled_back(2);
    assert_eq!(ledger.get(&"calls"), Some(open(3)));
    ledger.put(&"calls", 2, None);
    ledger.savepoint_released(2);
    assert_eq!(ledger.get(&"calls"), None);
    assert_eq!(ledger.unsettled(), []);
}

#[derive(Clone, Debug)]
enum Step {
    Record(u8, i64),
    Begin,
    Release,
    RollBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3, -9_i64..9).prop_map(|(key, amount)| Step::Record(key, amount)),
        2 => Just(Step::Begin),
        1 => Just(Step::Release),
        1 => Just(Step::RollBack),
    ]
}

proptest! {
    #[test]
    fn it_is_what_a_stack_of_copies_is(steps in prop::collection::vec(step(), 0..80)) {
        let mut ledger = Ledger::new();
        let mut copies = vec![[None::<i64>; 3]];
        for step in steps {
            let depth = copies.len() as i32;
            match step {
                Step::Record(key, amount) => {
                    let recorded = ledger.get(&key).map_or(0, |open: Open<u32>| open.recorded) + amount;
                    ledger.put(&key, depth, Some(open(recorded)));
                    let top = &mut copies.last_mut().unwrap()[usize::from(key)];
                    *top = Some(top.unwrap_or(0) + amount);
                }
                Step::Begin => copies.push(*copies.last().unwrap()),
                Step::Release if depth > 1 => {
                    ledger.savepoint_released(depth);
                    let top = copies.pop().unwrap();
                    *copies.last_mut().unwrap() = top;
                }
                Step::RollBack if depth > 1 => {
                    ledger.savepoint_rolled_back(depth);
                    copies.pop();
                }
                _ => {}
            }
            for key in 0..3_u8 {
                let expected = copies.last().unwrap()[usize::from(key)];
                prop_assert_eq!(ledger.get(&key).map(|open| open.recorded), expected);
            }
        }
    }
}

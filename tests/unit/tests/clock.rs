//! Generation and epoch: what dates a loaded value, and what dates an answer.

use pg_tenancy_unit::cache::clock::Clock;
use proptest::prelude::*;

fn state(clock: &Clock) -> (u64, u64, u64) {
    (clock.generation(), clock.epoch(), clock.invalidations())
}

#[test]
fn a_zeroed_call_site_is_never_current() {
    let clock = Clock::new();
    assert!(clock.epoch() > 0 && clock.generation() > 0);
    assert_eq!(state(&clock), state(&Clock::default()));
}

#[test]
fn a_changed_setting_moves_answers_and_keeps_what_was_loaded() {
    let clock = Clock::new();
    let before = state(&clock);
    clock.move_epoch();
    assert_eq!(state(&clock), (before.0, before.1 + 1, before.2));
}

#[test]
fn changed_tables_move_both() {
    let clock = Clock::new();
    let before = state(&clock);
    clock.invalidate();
    assert_eq!(state(&clock), (before.0 + 1, before.1 + 1, before.2 + 1));
}

#[test]
fn asking_moves_nothing() {
    let clock = Clock::new();
    assert_eq!(state(&clock), state(&clock));
}

proptest! {
    #[test]
    fn no_answer_or_load_is_current_again_once_it_was_not(
        moves in prop::collection::vec(any::<bool>(), 0..50),
    ) {
        let clock = Clock::new();
        for tables in moves {
            let before = state(&clock);
            if tables { clock.invalidate() } else { clock.move_epoch() }
            prop_assert!(clock.epoch() > before.1);
            prop_assert_eq!(clock.generation() > before.0, tables);
            prop_assert!(clock.epoch() >= clock.generation());
        }
    }
}

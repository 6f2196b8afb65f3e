//! The periods usage is counted by, and what a slot holds of them.

use pg_tenancy_unit::usage::amounts::{Amounts, Closed, Overflow};
use pg_tenancy_unit::usage::period::{Micros, Period, utc};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: usize) -> i64 {
    [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
}

#[test]
fn months_begin_and_end_where_a_calendar_counted_day_by_day_says() {
    let mut day = 0;
    for year in 2000..2420 {
        for month in 0..12 {
            let (first, days) = (day, days_of(year, month));
            for of_month in 0..days {
                let noon = (first + of_month) * DAY + 12 * HOUR;
                assert_eq!(Period::Month.start(noon), first * DAY, "{year}-{month}-{of_month}");
                assert_eq!(Period::Month.end(noon), (first + days) * DAY, "{year}-{month}-{of_month}");
                let written = format!("{year:04}-{:02}-{:02} 12:00:00+00", month + 1, of_month + 1);
                assert_eq!(utc(noon), written);
            }
            day += days;
        }
    }
}

#[test]
fn before_2000_as_after_it() {
    assert_eq!(utc(-1), "1999-12-31 23:59:59+00");
    assert_eq!(Period::Month.start(-1), -31 * DAY);
    assert_eq!(Period::Day.start(-1), -DAY);
    assert_eq!(Period::Hour.end(-1), 0);
}

#[test]
fn all_time_has_neither_beginning_nor_end() {
    assert_eq!((Period::None.start(5), Period::None.end(5)), (Micros::MIN, Micros::MAX));
}

#[test]
fn names_are_those_of_sql() {
    for period in [Period::Hour, Period::Day, Period::Month, Period::None] {
        assert_eq!(Period::parse(period.name()), Some(period));
    }
    assert_eq!(Period::parse("week"), None);
}

#[test]
fn a_slot_adds_to_its_hour_day_month_and_total() {
    let slot = Amounts::default().plus(3).and_then(|slot| slot.plus(4));
    assert_eq!(slot, Ok(Amounts { hour_start: 0, hour: 7, day: 7, month: 7, total: 7 }));
    assert_eq!(Amounts::default().plus(i64::MAX).and_then(|slot| slot.plus(1)), Err(Overflow));
    assert_eq!(Amounts::default().plus(i64::MIN).and_then(|slot| slot.plus(-1)), Err(Overflow));
}

#[test]
fn a_clock_that_goes_back_takes_nothing_out_of_a_slot() {
    let slot = Amounts { hour_start: DAY, hour: 1, day: 2, month: 3, total: 4 };
    assert_eq!(slot.at(DAY - 1, Period::Hour), (slot, None));
    // And those whose clock is behind count it in full.
    assert_eq!(slot.within(Period::Day, DAY - 1), 2);
}

#[test]
fn what_is_over_is_closed_once_at_the_meters_own_periods() {
    let slot = Amounts { hour_start: 5 * HOUR, hour: 1, day: 20, month: 300, total: 4000 };
    let (later, closed) = slot.at(6 * HOUR, Period::Hour);
    assert_eq!(later, Amounts { hour_start: 6 * HOUR, hour: 0, day: 20, month: 300, total: 4000 });
    assert_eq!(closed, Some(Closed { start: 5 * HOUR, amount: 1 }));
    assert_eq!(later.at(7 * HOUR, Period::Hour).1, None);
    assert_eq!(slot.at(6 * HOUR, Period::Day).1, None);
    assert_eq!(slot.at(DAY, Period::Day).1, Some(Closed { start: 0, amount: 20 }));
    assert_eq!(slot.at(31 * DAY, Period::Month).1, Some(Closed { start: 0, amount: 300 }));
    assert_eq!(slot.at(400 * DAY, Period::None).1, None);
    assert_eq!(slot.at(31 * DAY, Period::Month).0.total, 4000);
}

proptest! {
    /// Whatever is recorded at whatever moments, the closed periods and what still stands in the slot come to what a list
    /// of all of it comes to.
    #[test]
    fn closed_periods_and_the_slot_add_up_to_all_that_was_recorded(
        steps in prop::collection::vec((0_i64..200 * HOUR, -50_i64..50), 1..60),
        kept in prop::sample::select(vec![Period::Hour, Period::Day, Period::Month]),
    ) {
        let mut now = 0;
        let mut slot = Amounts::default();
        let mut all: std::collections::BTreeMap<Micros, i64> = Default::default();
        let mut closed: std::collections::BTreeMap<Micros, i64> = Default::default();
        for (pause, amount) in steps {
            now += pause;
            let (moved, over) = slot.at(now, kept);
            if let Some(over) = over {
                *closed.entry(over.start).or_default() += over.amount;
            }
            slot = moved.plus(amount).unwrap();
            *all.entry(kept.start(now)).or_default() += amount;
        }
        let current = slot.within(kept, slot.hour_start);
        *closed.entry(kept.start(slot.hour_start)).or_default() += current;
        all.retain(|_, amount| *amount != 0);
        closed.retain(|_, amount| *amount != 0);
        prop_assert_eq!(slot.total, all.values().sum::<i64>());
        prop_assert_eq!(all, closed);
    }
}

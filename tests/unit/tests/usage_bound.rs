//! How much may have been used while transactions are open: never less than what any outcome of theirs comes to.

use pg_tenancy_unit::usage::bound::{Bound, Version, bound, ceiling};
use pg_tenancy_unit::usage::grant::grant;
use pg_tenancy_unit::usage::limits::{Limit, Quotas, Until, fingerprint};
use pg_tenancy_unit::usage::period::Period;
use pg_tenancy_unit::usage::wording::{Crossed, Exceeded};
use proptest::prelude::*;

fn version(slot: i64, amount: i64, written_by: Option<u32>, replaced_by: Option<u32>) -> Version {
    Version { slot, amount, granted: 0, written_by, replaced_by }
}

#[test]
fn committed_slots_add_up() {
    let versions = [version(1, 5, None, None), version(2, 7, None, None)];
    assert_eq!(bound(versions), Bound { most: 12, committed: 12 });
}

#[test]
fn an_open_addition_counts_and_an_open_subtraction_does_not_yet() {
    let adds = [version(1, 5, None, Some(9)), version(1, 8, Some(9), None)];
    assert_eq!(bound(adds), Bound { most: 8, committed: 5 });
    let takes = [version(1, 5, None, Some(9)), version(1, 2, Some(9), None)];
    assert_eq!(bound(takes), Bound { most: 5, committed: 5 });
}

#[test]
fn folding_counts_nothing_twice_while_it_is_open() {
    let folds = [
        version(0, 10, None, Some(9)),
        version(1, 5, None, Some(9)),
        version(2, 7, None, Some(9)),
        version(0, 22, Some(9), None),
    ];
    assert_eq!(bound(folds), Bound { most: 22, committed: 22 });
}

#[test]
fn of_what_one_transaction_wrote_several_times_the_largest_counts() {
    let savepoints =
        [version(1, 0, None, Some(9)), version(1, 8, Some(9), None), version(1, 3, Some(9), None)];
    assert_eq!(bound(savepoints).most, 8);
}

#[test]
fn what_is_granted_may_come_true_but_is_not_used() {
    let granted = |version: Version, granted| Version { granted, ..version };
    let idle = [granted(version(1, 5, None, None), 20), version(2, 7, None, None)];
    assert_eq!(bound(idle), Bound { most: 32, committed: 12 });
    // Spending changes nothing for others, before and after.
    let spends = [granted(version(1, 5, None, Some(9)), 20), granted(version(1, 8, Some(9), None), 17)];
    assert_eq!(bound(spends), Bound { most: 25, committed: 5 });
}

/// What was folded leaves dead versions behind: those of slots that held less than nothing may be cleared away last.
#[test]
fn a_slot_that_is_gone_takes_nothing_off_the_others() {
    let versions = [(0, 100), (0, 0), (2, -800), (3, -5), (3, -7), (4, 20)];
    assert_eq!(ceiling(versions, |_| false), 120);
    assert_eq!(ceiling(versions, |slot| slot == 3), 115);
    assert_eq!(ceiling(versions, |_| true), -685);
}

/// What is read while transactions end and begin: a slot is never more than one of its versions.
#[test]
fn a_slot_whose_writer_ended_while_it_was_read_counts_once() {
    let ended = [version(1, 70, None, Some(9)), version(1, 71, None, None)];
    assert_eq!(bound(ended), Bound { most: 71, committed: 70 });
    let aborted = [version(1, 71, Some(9), None), version(1, 70, None, None)];
    assert_eq!(bound(aborted), Bound { most: 71, committed: 70 });
    let next_writes =
        [version(1, 70, None, Some(8)), version(1, 71, None, Some(9)), version(1, 72, Some(9), None)];
    assert_eq!(bound(next_writes), Bound { most: 72, committed: 70 });
    let two_writers =
        [version(1, 70, None, Some(8)), version(1, 75, Some(8), None), version(1, 71, Some(9), None)];
    assert_eq!(bound(two_writers), Bound { most: 75, committed: 70 });
    // Others are not touched by it.
    let beside = [version(2, 5, None, Some(7)), version(2, 6, Some(7), None)];
    assert_eq!(bound(ended.into_iter().chain(beside)), Bound { most: 77, committed: 75 });
}

/// What was granted may be brought back by a savepoint, and what the same transaction wrote before it stays.
#[test]
fn what_is_taken_back_under_a_savepoint_counts_beside_what_was_written() {
    let taken = Version { granted: 40, ..version(1, 60, None, Some(9)) };
    let versions =
        [taken, version(1, 60, Some(9), None), version(2, 0, None, Some(9)), version(2, 30, Some(9), None)];
    assert_eq!(bound(versions).most, 130);
}

#[test]
fn as_much_is_granted_as_leaves_nearly_all_to_others() {
    assert_eq!(grant(1, 1_000_000), 63);
    assert_eq!(grant(1, 256 * 40), 40);
    assert_eq!(grant(1, 255), 0);
    assert_eq!(grant(10, 256 * 40), 40);
    // Less than another such amount is of no use.
    assert_eq!(grant(10, 256 * 9), 0);
    assert_eq!(grant(1, 0), 0);
    assert_eq!(grant(1, -1_000_000), 0);
    assert_eq!(grant(-5, 1_000_000), 0);
    assert_eq!(grant(i64::MAX, i128::MAX), 0);
}

#[test]
fn sums_beyond_bigint_are_no_overflow() {
    let versions = [version(1, i64::MAX, None, None), version(2, i64::MAX, None, None)];
    assert_eq!(bound(versions).most, 2 * i128::from(i64::MAX));
}

proptest! {
    /// Whatever is read of a slot, in whatever order, it counts as no more than its largest version, and no less.
    #[test]
    fn a_slot_alone_counts_as_its_largest_version(
        versions in prop::collection::vec((-20_i64..20, 0_i64..9, prop::option::of(1_u32..4), prop::option::of(1_u32..4)), 1..6),
    ) {
        let largest = versions.iter().map(|(amount, granted, ..)| i128::from(amount + granted)).max();
        let all_deleted = versions.iter().any(|(.., written_by, replaced_by)| written_by.is_none() && replaced_by.is_some())
            || versions.iter().all(|(.., written_by, _)| written_by.is_some());
        let bound = bound(versions.iter().map(|&(amount, granted, written_by, replaced_by)| {
            Version { slot: 1, amount, granted, written_by, replaced_by }
        }));
        // A slot that an open transaction made or deleted may come to nothing.
        let most = if all_deleted { largest.map(|largest| largest.max(bound.most)) } else { largest };
        prop_assert_eq!(Some(bound.most), most);
        prop_assert!(bound.most >= largest.unwrap());
    }

    /// Open transactions replace committed slots; since savepoints may bring back any of them, every way in which each may end
    /// by itself is an outcome.
    #[test]
    fn no_outcome_exceeds_the_bound_and_one_reaches_it(
        slots in prop::collection::vec((-20_i64..20, 0_u32..4, -20_i64..20), 0..8),
    ) {
        let mut versions = Vec::new();
        let (mut most, mut committed) = (0, 0);
        for (slot, (before, writer, after)) in (1..).zip(slots) {
            committed += before;
            // Writer 0 is nobody.
            if writer == 0 {
                versions.push(version(slot, before, None, None));
                most += before;
                continue;
            }
            versions.push(version(slot, before, None, Some(writer)));
            versions.push(version(slot, after, Some(writer), None));
            most += before.max(after);
        }
        prop_assert_eq!(bound(versions), Bound { most: i128::from(most), committed: i128::from(committed) });
    }

    /// What is folded counts once, and no less than either way in which it may end.
    #[test]
    fn a_fold_counts_once(folded in prop::collection::vec(-20_i64..20, 1..6), target in -20_i64..20) {
        let sum = target + folded.iter().sum::<i64>();
        let mut versions = vec![version(0, target, None, Some(9)), version(0, sum, Some(9), None)];
        versions.extend((1..).zip(&folded).map(|(slot, amount)| version(slot, *amount, None, Some(9))));
        prop_assert_eq!(bound(versions).most, i128::from(sum));
    }
}

fn limit(period: Period, hard: Option<i64>) -> Limit {
    Limit { period, soft: None, hard }
}

#[test]
fn a_tenants_own_quota_stands_before_its_plan_and_that_before_the_default() {
    let mut quotas = Quotas {
        own: vec![Until { what: limit(Period::Day, Some(1)), expires: Some(100) }],
        plan: Some(Until {
            what: vec![limit(Period::Day, Some(2)), limit(Period::Month, Some(20))],
            expires: Some(200),
        }),
        default_plan: vec![limit(Period::Day, Some(3))],
    };
    assert_eq!(quotas.at(99), [limit(Period::Day, Some(1)), limit(Period::Month, Some(20))]);
    assert_eq!(quotas.at(100), [limit(Period::Day, Some(2)), limit(Period::Month, Some(20))]);
    assert_eq!(quotas.at(200), [limit(Period::Day, Some(3))]);
    quotas.plan = None;
    assert_eq!(quotas.at(99), [limit(Period::Day, Some(1))]);
}

#[test]
fn an_exception_without_limits_lifts_the_plans() {
    let quotas = Quotas {
        own: vec![Until { what: limit(Period::Day, None), expires: None }],
        plan: Some(Until { what: vec![limit(Period::Day, Some(2))], expires: None }),
        default_plan: Vec::new(),
    };
    assert_eq!(quotas.at(0), []);
}

#[test]
fn other_limits_are_told_apart_and_none_is_zero() {
    assert_eq!(fingerprint(&[]), 0);
    let all = [
        vec![limit(Period::Day, Some(1))],
        vec![limit(Period::Day, Some(2))],
        vec![limit(Period::Month, Some(1))],
        vec![Limit { period: Period::Day, soft: Some(1), hard: None }],
        vec![limit(Period::Day, Some(1)), limit(Period::Month, Some(1))],
    ];
    let prints: std::collections::BTreeSet<u64> = all.iter().map(|limits| fingerprint(limits)).collect();
    assert_eq!(prints.len(), all.len());
    assert!(!prints.contains(&0));
}

#[test]
fn messages_say_what_is_used_and_when_it_ends() {
    let mut exceeded = Exceeded {
        meter: "api.calls".into(),
        unit: "calls".into(),
        period: Period::Month,
        used: 100,
        reserved: 0,
        hard: 100,
        asked: 2,
        resets: Some(0),
    };
    assert_eq!(
        exceeded.detail(),
        "100 of 100 calls are used in this month; 2 more would exceed the quota. It resets at 2000-01-01 00:00:00+00."
    );
    assert!(exceeded.hint().starts_with("Wait until then"));
    exceeded.reserved = 3;
    assert!(
        exceeded.detail().starts_with("100 of 100 calls are used in this month, 3 of them by transactions")
    );
    assert!(exceeded.hint().starts_with("Try again"));
    // What they may give back is not enough; waiting for whatever is of no use.
    exceeded.reserved = 1;
    assert!(exceeded.hint().starts_with("Wait until then"));
    exceeded.resets = None;
    assert!(exceeded.hint().starts_with("Make room"));
    (exceeded.asked, exceeded.reserved) = (101, 100);
    assert!(exceeded.hint().starts_with("Ask for less"));
    exceeded.hard = 0;
    assert!(exceeded.hint().starts_with("Have the quota raised"));
    let crossed = Crossed {
        meter: "docs.rows".into(),
        unit: "rows".into(),
        period: Period::None,
        used: 9,
        soft: 8,
        hard: Some(10),
    };
    assert_eq!(crossed.detail(), "9 rows are used; the soft limit is 8, the hard one 10.");
}

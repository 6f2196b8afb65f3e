//! Bitsets against a set of numbers.

use pg_tenancy_unit::rbac::bitset::BitSet;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn an_empty_set_holds_nothing_and_no_memory() {
    let set = BitSet::default();
    assert_eq!(set.iter().count(), 0);
    assert_eq!(set.bytes(), 0);
    for bit in [0, 63, 64, 10_000, usize::MAX] {
        assert!(!set.contains(bit), "{bit}");
    }
}

#[test]
fn bits_at_the_edges_of_words_are_kept_apart() {
    let edges = [0, 63, 64, 127, 128];
    for bit in edges {
        let set: BitSet = [bit].into_iter().collect();
        for other in edges {
            assert_eq!(set.contains(other), other == bit, "{bit} {other}");
        }
    }
}

#[test]
fn asking_far_beyond_the_last_word_is_no_more_than_false() {
    let set: BitSet = [3].into_iter().collect();
    assert!(!set.contains(3 + 64) && !set.contains(usize::MAX));
}

#[test]
fn ten_thousand_bits_take_little_more_than_a_kilobyte() {
    let set: BitSet = (0..10_000).collect();
    assert!(set.bytes() >= 10_000 / 8 && set.bytes() < 4096, "{}", set.bytes());
}

proptest! {
    #[test]
    fn a_bitset_is_a_set_of_numbers(
        bits in prop::collection::vec(0usize..700, 0..80), probes in prop::collection::vec(0usize..900, 20),
    ) {
        let model: BTreeSet<usize> = bits.iter().copied().collect();
        let set: BitSet = bits.iter().copied().collect();
        prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        for probe in probes.into_iter().chain(bits) {
            prop_assert_eq!(set.contains(probe), model.contains(&probe));
        }
    }

    #[test]
    fn equal_sets_compare_equal_in_whatever_order_they_were_built(
        bits in prop::collection::vec(0usize..300, 0..40).prop_shuffle(),
    ) {
        let sorted: BTreeSet<usize> = bits.iter().copied().collect();
        prop_assert_eq!(bits.into_iter().collect::<BitSet>(), sorted.into_iter().collect::<BitSet>());
    }
}

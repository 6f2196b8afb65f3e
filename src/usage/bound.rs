//! How much may have been used, with transactions still open: the upper end of what O'Neil's escrow method keeps of a
//! quantity ("The Escrow Transactional Method", ACM TODS 11(4), 1986). Pure.

use std::collections::BTreeMap;

/// A transaction that has not ended.
pub type OpenTransaction = u32;

/// A version of a slot, as a scan of all that is not dead finds it.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    pub slot: i64,
    pub amount: i64,
    /// What is granted to its backend besides, and counts as used where it may be.
    pub granted: i64,
    /// Who wrote it, if that is not certain yet.
    pub written_by: Option<OpenTransaction>,
    /// Who has written another in its place, or deleted it, if that is not certain yet.
    pub replaced_by: Option<OpenTransaction>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// If of each open transaction the worse comes true: that it commits, or that it does not.
    pub most: i128,
    /// If none commits.
    pub committed: i128,
}

/// No less than that, whichever of the versions, dead ones too, are the slots': of each its largest.
pub fn ceiling(versions: impl IntoIterator<Item = (i64, i128)>) -> i128 {
    let mut largest: BTreeMap<i64, i128> = BTreeMap::new();
    for (slot, amount) in versions {
        let most = largest.entry(slot).or_insert(amount);
        *most = (*most).max(amount);
    }
    largest.values().sum()
}

/// Of each open transaction all comes true or nothing, so the most is the sum of what each makes of the slots it touched:
/// the larger of what they held and what they will. One transaction may leave several versions of a slot, of which a
/// savepoint may bring back any.
pub fn bound(versions: impl IntoIterator<Item = Version>) -> Bound {
    let mut bound = Bound::default();
    let mut before: BTreeMap<OpenTransaction, i128> = BTreeMap::new();
    let mut after: BTreeMap<(OpenTransaction, i64), i128> = BTreeMap::new();
    for version in versions {
        let amount = i128::from(version.amount) + i128::from(version.granted);
        if let Some(writer) = version.written_by {
            let most = after.entry((writer, version.slot)).or_insert(amount);
            *most = (*most).max(amount);
            continue;
        }
        bound.committed += i128::from(version.amount);
        match version.replaced_by {
            Some(writer) => *before.entry(writer).or_default() += amount,
            None => bound.most += amount,
        }
    }
    let mut open = before;
    let mut later: BTreeMap<OpenTransaction, i128> = BTreeMap::new();
    for ((writer, _), amount) in after {
        *later.entry(writer).or_default() += amount;
    }
    for (writer, amount) in later {
        let held = open.entry(writer).or_default();
        *held = (*held).max(amount);
    }
    bound.most += open.values().sum::<i128>();
    bound
}

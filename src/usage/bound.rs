//! How much may have been used, with transactions still open: the upper end of what O'Neil's escrow method keeps of a
//! quantity ("The Escrow Transactional Method", ACM TODS 11(4), 1986). Pure.

use std::collections::BTreeMap;

/// The slot that fold_usage() brings others together in.
pub const FOLDED: i64 = 0;

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

/// No less than that, whichever of the versions, dead ones too, are the slots': of each its largest. But less than nothing only
/// of a slot that is known to be there: what was folded leaves dead versions, and not of every slot equally long.
pub fn ceiling(versions: impl IntoIterator<Item = (i64, i128)>, is_there: impl Fn(i64) -> bool) -> i128 {
    let mut largest: BTreeMap<i64, i128> = BTreeMap::new();
    for (slot, amount) in versions {
        let most = largest.entry(slot).or_insert(amount);
        *most = (*most).max(amount);
    }
    let counts = |(slot, most): &(&i64, &i128)| **most >= 0 || is_there(**slot);
    largest.iter().filter(counts).map(|(_, most)| most).sum()
}

/// No more than that, whichever of the open transactions commit, and whatever their savepoints bring back: of each slot its
/// largest version. That holds too where some transaction ended, or another wrote, while the versions were read one after another.
///
/// But what is folded stands twice until that has ended, in the slots and in the sum of them: as it is never folded under a
/// savepoint, all of it comes true or nothing.
pub fn bound(versions: impl IntoIterator<Item = Version>) -> Bound {
    let mut slots: BTreeMap<i64, Vec<Version>> = BTreeMap::new();
    for version in versions {
        slots.entry(version.slot).or_default().push(version);
    }
    let mut bound = Bound::default();
    // What the slots that a transaction folds hold, and what their sum will.
    let mut folds: BTreeMap<OpenTransaction, (i128, i128)> = BTreeMap::new();
    for (slot, versions) in &slots {
        let committed = || versions.iter().filter(|version| version.written_by.is_none());
        bound.committed += committed().map(|version| i128::from(version.amount)).min().unwrap_or(0);
        let most = |written: bool| {
            let those = versions.iter().filter(|version| version.written_by.is_some() == written);
            those.map(Version::most).max()
        };
        match folded_by(*slot, versions) {
            Some(writer) => {
                let (held, will) = folds.entry(writer).or_default();
                *held += most(false).unwrap_or(0);
                *will += most(true).unwrap_or(0);
            }
            None => {
                let largest = most(false).max(most(true)).unwrap_or(0);
                // What is only there if somebody commits, or only if not, may be nothing.
                let certain = committed().any(|version| version.replaced_by.is_none())
                    || most(true).is_some() && most(false).is_some();
                bound.most += if certain { largest } else { largest.max(0) };
            }
        }
    }
    bound.most += folds.values().map(|(held, will)| held.max(will)).sum::<i128>();
    bound
}

/// The open transaction that folds this slot into the others' sum, or writes that.
fn folded_by(slot: i64, versions: &[Version]) -> Option<OpenTransaction> {
    let (first, rest) = versions.split_first()?;
    let writer = first.written_by.or(first.replaced_by)?;
    // Nobody else's version among them, and none that stands whatever becomes of it.
    let is_his = |version: &Version| match version.written_by {
        Some(other) => slot == FOLDED && other == writer,
        None => version.replaced_by == Some(writer),
    };
    let committed = versions.iter().filter(|version| version.written_by.is_none()).count();
    (committed <= 1 && is_his(first) && rest.iter().all(is_his)).then_some(writer)
}

impl Version {
    fn most(&self) -> i128 {
        i128::from(self.amount) + i128::from(self.granted)
    }
}

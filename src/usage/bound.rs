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
///
/// Versions are read one after another, and nobody keeps transactions from ending meanwhile: if two versions of a slot cannot
/// both have been what they seemed, the slot holds one of them, no more than the largest.
pub fn bound(versions: impl IntoIterator<Item = Version>) -> Bound {
    let mut slots: BTreeMap<i64, Vec<Version>> = BTreeMap::new();
    for version in versions {
        slots.entry(version.slot).or_default().push(version);
    }
    let mut bound = Bound::default();
    // What the slots that each transaction touched held, and what they will.
    let mut open: BTreeMap<OpenTransaction, (i128, i128)> = BTreeMap::new();
    for versions in slots.values() {
        let committed = || versions.iter().filter(|version| version.written_by.is_none());
        let most = |writer: Option<OpenTransaction>| {
            versions.iter().filter(|version| version.written_by == writer).map(Version::most).max()
        };
        bound.committed += committed().map(|version| i128::from(version.amount)).min().unwrap_or(0);
        match writer(versions) {
            Ok(None) => bound.most += most(None).unwrap_or(0),
            Ok(Some(writer)) => {
                let (held, will) = open.entry(writer).or_default();
                *held += most(None).unwrap_or(0);
                *will += most(Some(writer)).unwrap_or(0);
            }
            Err(Blurred) => bound.most += versions.iter().map(Version::most).max().unwrap_or(0),
        }
    }
    bound.most += open.values().map(|(held, will)| held.max(will)).sum::<i128>();
    bound
}

/// Some transaction ended, or another wrote, while the versions of a slot were read.
struct Blurred;

/// The open transaction that has written or deleted a slot, if one has.
fn writer(versions: &[Version]) -> Result<Option<OpenTransaction>, Blurred> {
    let mut writers = versions.iter().flat_map(|version| [version.written_by, version.replaced_by]).flatten();
    let writer = writers.next();
    let several = writers.any(|other| Some(other) != writer);
    let committed = || versions.iter().filter(|version| version.written_by.is_none());
    // Who writes one in the place of another marks the other.
    let unmarked = versions.len() > 1 && committed().any(|version| version.replaced_by.is_none());
    if several || unmarked || committed().count() > 1 { Err(Blurred) } else { Ok(writer) }
}

impl Version {
    fn most(&self) -> i128 {
        i128::from(self.amount) + i128::from(self.granted)
    }
}

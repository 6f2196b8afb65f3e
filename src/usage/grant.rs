//! What a backend may add to its slot in later transactions without looking at the others': granted while a limit is far, and
//! written into the slot, where everybody else counts it as used. So the looking is done once for many. Pure.

use super::ledger::Fingerprint;

/// No more than so many times what was just recorded,
const TIMES: i128 = 63;
/// and than this part of what is left.
const PART: i128 = 256;

/// What it was granted under; as soon as something of it changes it is not to be spent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub limits: Fingerprint,
    /// Of meters and quotas.
    pub version: [u64; 2],
}

/// How much to grant to who records so much, where so much is left below the lowest limit.
pub fn grant(amount: i64, left: i128) -> i64 {
    let most = (i128::from(amount.max(0)) * TIMES).min(left / PART);
    // Less than another such amount is of no use.
    i64::try_from(most).ok().filter(|granted| *granted >= amount).unwrap_or(0)
}

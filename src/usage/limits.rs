//! Which quotas bind a tenant, from the rows of the tables. Pure.

use super::period::{Micros, Period};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub period: Period,
    pub soft: Option<i64>,
    pub hard: Option<i64>,
}

/// Tells one set of limits from another; 0 for none. FNV-1a (Fowler, Noll, Vo).
pub fn fingerprint(limits: &[Limit]) -> u64 {
    if limits.is_empty() {
        return 0;
    }
    let numbers = limits.iter().flat_map(|limit| {
        let (soft, hard) = (limit.soft.unwrap_or(-1), limit.hard.unwrap_or(-1));
        [limit.period as i64, soft, hard]
    });
    let bytes = numbers.flat_map(i64::to_le_bytes);
    // The lowest bit keeps it from being that of none.
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        | 1
}

/// What ends at a moment, or never.
#[derive(Clone, Debug, Default)]
pub struct Until<T> {
    pub what: T,
    pub expires: Option<Micros>,
}

impl<T> Until<T> {
    fn at(&self, now: Micros) -> Option<&T> {
        self.expires.is_none_or(|expires| expires > now).then_some(&self.what)
    }
}

/// All that bears on one tenant and meter.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    /// The tenant's own.
    pub own: Vec<Until<Limit>>,
    /// Those of its plan, if it has one, and of the default plan.
    pub plan: Option<Until<Vec<Limit>>>,
    pub default_plan: Vec<Limit>,
}

impl Quotas {
    /// The limits that bind at a moment: the tenant's own row stands instead of what its plan says of the same period.
    pub fn at(&self, now: Micros) -> Vec<Limit> {
        let plan = self.plan.as_ref().and_then(|plan| plan.at(now)).unwrap_or(&self.default_plan);
        let mut limits: Vec<Limit> = self.own.iter().filter_map(|own| own.at(now).copied()).collect();
        for limit in plan {
            if !limits.iter().any(|mine| mine.period == limit.period) {
                limits.push(*limit);
            }
        }
        limits.retain(|limit| limit.soft.is_some() || limit.hard.is_some());
        limits.sort_by_key(|limit| limit.period);
        limits
    }
}

//! Which quotas bind a tenant, from the rows of the tables. Pure.

use super::period::{Micros, Period};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub period: Period,
    pub soft: Option<i64>,
    pub hard: Option<i64>,
}

/// Whether a row that ends, or never does, still counts.
pub fn holds(expires: Option<Micros>, now: Micros) -> bool {
    expires.is_none_or(|expires| expires > now)
}

/// A tenant's own row stands instead of what its plan says of the same period.
pub fn effective(own: Vec<Limit>, plan: Vec<Limit>) -> Vec<Limit> {
    let mut limits = own;
    for limit in plan {
        if !limits.iter().any(|mine| mine.period == limit.period) {
            limits.push(limit);
        }
    }
    limits.retain(|limit| limit.soft.is_some() || limit.hard.is_some());
    limits.sort_by_key(|limit| limit.period);
    limits
}

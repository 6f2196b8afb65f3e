//! What one slot holds: how much was recorded in an hour, in its day and its month, and ever. Pure.

use super::period::{Micros, Period};

/// A sum that bigint cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// When the hour began that was last written in.
    pub hour_start: Micros,
    pub hour: i64,
    pub day: i64,
    pub month: i64,
    pub total: i64,
}

/// What was recorded in a period that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub start: Micros,
    pub amount: i64,
}

impl Amounts {
    /// What was recorded in the period that `moment` lies in. A slot that was written later than that, by a clock that is
    /// ahead of ours, counts in full.
    pub fn within(&self, period: Period, moment: Micros) -> i64 {
        if period.start(self.hour_start) < period.start(moment) {
            return 0;
        }
        match period {
            Period::Hour => self.hour,
            Period::Day => self.day,
            Period::Month => self.month,
            Period::None => self.total,
        }
    }

    /// The same slot seen from a moment, and what of the meter's own periods is over by then. Never goes back.
    pub fn at(&self, moment: Micros, kept: Period) -> (Self, Option<Closed>) {
        let hour_start = Period::Hour.start(moment);
        if hour_start <= self.hour_start {
            return (*self, None);
        }
        let moved = Self {
            hour_start,
            hour: 0,
            day: self.within(Period::Day, moment),
            month: self.within(Period::Month, moment),
            total: self.total,
        };
        let start = kept.start(self.hour_start);
        let over = kept != Period::None && start < kept.start(moment);
        let amount = self.within(kept, self.hour_start);
        (moved, (over && amount != 0).then_some(Closed { start, amount }))
    }

    pub fn plus(&self, amount: i64) -> Result<Self, Overflow> {
        let add = |to: i64| to.checked_add(amount).ok_or(Overflow);
        Ok(Self {
            hour_start: self.hour_start,
            hour: add(self.hour)?,
            day: add(self.day)?,
            month: add(self.month)?,
            total: add(self.total)?,
        })
    }

    /// Two slots as one, both seen from the same moment.
    pub fn and(&self, other: &Self) -> Result<Self, Overflow> {
        let add = |a: i64, b: i64| a.checked_add(b).ok_or(Overflow);
        Ok(Self {
            hour_start: self.hour_start.max(other.hour_start),
            hour: add(self.hour, other.hour)?,
            day: add(self.day, other.day)?,
            month: add(self.month, other.month)?,
            total: add(self.total, other.total)?,
        })
    }
}

//! What people are told about quotas. Pure.

use super::period::{Micros, Period};

/// That a hard quota would be exceeded.
#[derive(Debug)]
pub struct Exceeded {
    pub meter: String,
    pub unit: String,
    pub period: Period,
    pub used: i128,
    /// How much of it open transactions of others may give back.
    pub reserved: i128,
    pub hard: i64,
    pub asked: i64,
    /// When the period ends.
    pub resets: Option<Micros>,
}

/// That a tenant uses more than a soft limit.
#[derive(Debug)]
pub struct Crossed {
    pub meter: String,
    pub unit: String,
    pub period: Period,
    pub used: i128,
    pub soft: i64,
    pub hard: Option<i64>,
}

impl Exceeded {
    pub fn detail(&self) -> String {
        let Self { unit, used, hard, asked, .. } = self;
        let open = match self.reserved {
            ..=0 => String::new(),
            reserved => format!(", {reserved} of them by transactions that have not ended"),
        };
        let resets = match self.resets {
            Some(moment) => format!(" It resets at {}.", super::period::utc(moment)),
            None => String::new(),
        };
        format!(
            "{used} of {hard} {unit} are used{}{open}; {asked} more would exceed the quota.{resets}",
            of(self.period)
        )
    }

    pub fn hint(&self) -> &'static str {
        let Self { used, reserved, hard, .. } = self;
        let asked = i128::from(self.asked);
        match self.resets {
            _ if *hard == 0 => "Have the quota raised by tenancy.set_quota().",
            _ if asked > (*hard).into() => {
                "Ask for less at once, or have the quota raised by tenancy.set_quota()."
            }
            _ if used - reserved + asked <= (*hard).into() => "Try again when those transactions have ended.",
            Some(_) => "Wait until then, or have the quota raised by tenancy.set_quota().",
            None => "Make room, or have the quota raised by tenancy.set_quota().",
        }
    }
}

impl Crossed {
    pub fn detail(&self) -> String {
        let Self { unit, used, soft, .. } = self;
        let hard = self.hard.map(|hard| format!(", the hard one {hard}")).unwrap_or_default();
        format!("{used} {unit} are used{}; the soft limit is {soft}{hard}.", of(self.period))
    }
}

fn of(period: Period) -> &'static str {
    match period {
        Period::Hour => " in this hour",
        Period::Day => " on this day",
        Period::Month => " in this month",
        Period::None => "",
    }
}

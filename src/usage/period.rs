//! The periods that usage is counted by, in UTC. Pure.

/// Microseconds since 2000-01-01 00:00 UTC, as Postgres counts.
pub type Micros = i64;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Days from 0000-03-01 to 2000-01-01 in the proleptic Gregorian calendar, and in 400 years of it.
const DAYS_TO_2000: i64 = 730_425;
const DAYS_OF_ERA: i64 = 146_097;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    Hour,
    Day,
    Month,
    /// All time.
    None,
}

impl Period {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "month" => Self::Month,
            "none" => Self::None,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::None => "none",
        }
    }

    /// When the period that a moment lies in began: `i64::MIN`, which is Postgres's -infinity, for all time.
    pub fn start(self, moment: Micros) -> Micros {
        match self {
            Self::Hour => moment - moment.rem_euclid(HOUR),
            Self::Day => moment - moment.rem_euclid(DAY),
            Self::Month => (moment.div_euclid(DAY) - civil(moment.div_euclid(DAY)).2) * DAY,
            Self::None => Micros::MIN,
        }
    }

    /// When it ends: `i64::MAX`, infinity, for all time.
    pub fn end(self, moment: Micros) -> Micros {
        match self {
            Self::Hour => self.start(moment) + HOUR,
            Self::Day => self.start(moment) + DAY,
            // No month has more than 31 days, and none fewer than 28.
            Self::Month => self.start(self.start(moment) + 31 * DAY + HOUR),
            Self::None => Micros::MAX,
        }
    }
}

/// A moment as Postgres writes it, to the second.
pub fn utc(moment: Micros) -> String {
    let day = moment.div_euclid(DAY);
    let seconds = moment.rem_euclid(DAY) / 1_000_000;
    let (year, month, of_month) = civil(day);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}+00", of_month + 1)
}

/// A day counted from 2000-01-01 as year, month from 1 and day of the month from 0. The algorithm is days-to-civil of Howard
/// Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the leap day is their last.
fn civil(day: i64) -> (i64, i64, i64) {
    let since = day + DAYS_TO_2000;
    let of_era = since.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + since.div_euclid(DAYS_OF_ERA) * 400 + i64::from(month <= 2);
    (year, month, of_month)
}

//! When a token counts: RFC 7519 `exp` and `nbf`, without leeway.

use super::Token;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    Expired,
    NotYet,
    /// `exp` or `nbf` is not a finite number.
    Unreadable,
    /// There is no `exp` and `tenancy.require_exp` is on.
    NoExpiry,
}

impl Token {
    /// `now` in microseconds since 1970. Expired from the very moment of `exp` on.
    pub fn validity(&self, now: i64, require_exp: bool) -> Validity {
        match (self.value.get("exp").map(micros), self.value.get("nbf").map(micros)) {
            (Some(None), _) | (_, Some(None)) => Validity::Unreadable,
            (None, _) if require_exp => Validity::NoExpiry,
            (Some(Some(exp)), _) if i128::from(now) >= exp => Validity::Expired,
            (_, Some(Some(nbf))) if i128::from(now) < nbf => Validity::NotYet,
            _ => Validity::Valid,
        }
    }
}

/// A JSON number of seconds in microseconds; whole seconds exactly. The parser admits no infinite number.
fn micros(value: &Value) -> Option<i128> {
    const PER_SECOND: i128 = 1_000_000;
    let number = value.as_number()?;
    if let Some(seconds) = number.as_i128() {
        return Some(seconds * PER_SECOND);
    }
    // Saturates, and so does the product: a far future is as good as another. Rounded up, so that no token
    // lives short of its time.
    Some((number.as_f64()? * 1e6).ceil() as i128)
}

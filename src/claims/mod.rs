//! The request's token, pure: JSON text in, what it says out. Nothing here trusts, reads a table or fails:
//! claims that cannot be used are `Malformed`, with a reason for `diagnose()` that repeats none of them.

pub mod event;
pub mod legacy;
pub mod path;
pub mod principal;
pub mod projection;
pub mod stated;
pub mod validity;

use serde_json::Value;

/// Longer claims are refused unread: a token travels in one HTTP header, which servers cap far below this.
pub const MAX_BYTES: usize = 1 << 20;

#[derive(Debug, PartialEq)]
pub enum Claims {
    /// Never set, or the empty string that PostgREST leaves behind.
    Unset,
    Malformed(&'static str),
    Token(Token),
}

/// A token's content: always a JSON object.
#[derive(Debug, PartialEq)]
pub struct Token {
    value: Value,
}

impl Claims {
    pub fn parse(raw: &[u8]) -> Self {
        if raw.is_empty() {
            return Self::Unset;
        }
        if raw.len() > MAX_BYTES {
            return Self::Malformed("claims are longer than 1 MiB");
        }
        // Duplicate keys: the last counts, here as in jsonb.
        match serde_json::from_slice::<Value>(raw) {
            Err(_) => Self::Malformed("claims are not valid JSON"),
            Ok(value) if !value.is_object() => Self::Malformed("claims are not a JSON object"),
            // jsonb cannot hold it, so a token with it could not even be shown.
            Ok(value) if holds_nul(&value) => Self::Malformed("claims hold the character U+0000"),
            Ok(value) => Self::Token(Token { value }),
        }
    }

    pub fn token(&self) -> Option<&Token> {
        match self {
            Self::Token(token) => Some(token),
            _ => None,
        }
    }
}

impl Token {
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub fn find(&self, path: &str) -> Option<&Value> {
        path::find(&self.value, path)
    }

    /// A string member of the top level.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str()
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(key, item)| key.contains('\0') || holds_nul(item)),
        _ => false,
    }
}

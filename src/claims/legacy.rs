//! Claims in a setting each, as PostgREST before version 9 and with `db-use-legacy-gucs` passes them:
//! `request.jwt.claim.sub` and so on, a string as it is and anything else as JSON.

use super::MAX_BYTES;
use serde_json::{Map, Value};

/// Claims that are read whatever the settings name.
const NAMES: [&str; 9] =
    ["sub", "role", "exp", "nbf", "email", "aal", "session_id", "app_metadata", "user_metadata"];

/// Those that are strings whatever they look like.
const STRINGS: [&str; 5] = ["sub", "role", "email", "aal", "session_id"];

/// The claims to ask for: the usual ones, and those that the paths of tenant and permissions begin with.
pub fn names<'p>(paths: impl IntoIterator<Item = &'p String>) -> Vec<String> {
    let mut names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    for path in paths {
        let first = path.split('.').next().unwrap_or_default();
        if !names.iter().any(|name| name == first) {
            names.push(first.to_owned());
        }
    }
    names
}

/// The token that the settings make up, as JSON text; empty if none of them is set, and no JSON if one of them cannot be
/// a claim, so that the token is malformed.
pub fn compose(settings: &[(String, Vec<u8>)]) -> Vec<u8> {
    const MALFORMED: &[u8] = b"{";
    let mut token = Map::new();
    let mut length = 0;
    for (name, raw) in settings.iter().filter(|(_, raw)| !raw.is_empty()) {
        length += raw.len();
        let Ok(text) = std::str::from_utf8(raw) else { return MALFORMED.to_vec() };
        if length > MAX_BYTES {
            return MALFORMED.to_vec();
        }
        let string = || Value::String(text.to_owned());
        let value = match STRINGS.contains(&name.as_str()) {
            true => string(),
            false => serde_json::from_str(text).unwrap_or_else(|_| string()),
        };
        token.insert(name.clone(), value);
    }
    if token.is_empty() { Vec::new() } else { Value::Object(token).to_string().into_bytes() }
}

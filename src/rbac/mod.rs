//! Role-based access control, pure: names and wildcards, bitsets, hierarchy, and resolving grants into
//! what a user may do. Nothing here knows of Postgres. Terms follow NIST RBAC (ANSI INCITS 359): a senior
//! role inherits the permissions of its junior roles; "assigned" is direct, "authorised" includes inherited.

pub mod access;
pub mod bitset;
pub mod catalogue;
pub mod grants;
pub mod hierarchy;
pub mod keys;
pub mod pattern;
pub mod question;
pub mod reach;
pub mod resolution;

/// A uuid as Postgres stores it. Tenants, users, roles and groups are all keyed so.
pub type Id = [u8; 16];

/// Reads a uuid in the forms Postgres accepts most often: 32 hex digits, dashes ignored between groups of
/// four, optional braces. Anything else is `None`.
pub fn parse_id(text: &str) -> Option<Id> {
    let text = text.strip_prefix('{').map_or(Some(text), |t| t.strip_suffix('}'))?;
    let mut id: Id = [0; 16];
    let mut digits = 0usize;
    let mut after_dash = true;
    for byte in text.bytes() {
        if byte == b'-' {
            if after_dash || !digits.is_multiple_of(4) {
                return None;
            }
            after_dash = true;
            continue;
        }
        let value = char::from(byte).to_digit(16)?;
        let slot = id.get_mut(digits / 2)?;
        *slot = (*slot << 4) | u8::try_from(value).ok()?;
        digits += 1;
        after_dash = false;
    }
    (digits == 32 && !after_dash).then_some(id)
}

/// The canonical text of a uuid.
pub fn format_id(id: &Id) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in id.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

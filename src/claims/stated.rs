//! An identity that a trusted caller stated, as the hidden setting carries it to later statements and to parallel workers.

use crate::rbac::Id;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stated {
    /// Without a tenant, one is chosen as for a token's user.
    User { id: Id, tenant: Option<String> },
    /// As a token's `sub` would be, where subjects are mapped.
    Subject { subject: String, tenant: Option<String> },
    /// A database role, by its oid, that works in a tenant.
    Job { role: u32, tenant: Id },
    /// What could not be read: an identity was stated, so the claims do not count.
    Nobody,
}

impl Stated {
    pub fn encode(&self) -> String {
        // Nothing in it that JSON could not hold.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// `None` for the empty value: none was stated.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| serde_json::from_slice(bytes).unwrap_or(Self::Nobody))
    }
}

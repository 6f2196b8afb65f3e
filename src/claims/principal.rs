//! What a token says about who asks, once the settings say where to look.

use super::{Token, path};
use crate::rbac::Id;
use crate::rbac::grants::OperatorAccess;
use crate::rbac::parse_id;
use crate::rbac::pattern::Pattern;
use serde::Deserialize;
use serde_json::Value;

/// Where the operators' access stands in tokens of the founding template.
const OPERATOR_CLAIM: &str = "app_metadata.tenant_access";
/// Where a projection lists the tenants of a user.
const TENANTS_CLAIM: &str = "app_metadata.tenants";

/// A tenant named by a setting, header or claim: named well or badly, it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Absent,
    /// Neither text nor a whole number.
    Unreadable,
    Tenant(Id),
    /// What the host calls it.
    Key(String),
}

impl Hint {
    /// No key has the form of a uuid but the tenant's own id.
    pub fn parse(text: &str) -> Self {
        parse_id(text).map_or_else(|| Self::Key(text.to_owned()), Self::Tenant)
    }

    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => number.as_i64().map_or(Self::Unreadable, |n| Self::Key(n.to_string())),
            _ => Self::Unreadable,
        }
    }

    pub fn id(&self) -> Option<Id> {
        match self {
            Self::Tenant(id) => Some(*id),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// The user, if `sub` is a uuid.
    pub user: Option<Id>,
    /// The same as text, for where the table of subjects says whose it is.
    pub subject: Option<String>,
    pub tenant: Hint,
    pub role: Option<String>,
    pub operator: Option<OperatorAccess>,
    pub permissions: Vec<Pattern>,
    pub tenants: Vec<Id>,
}

/// The settings `tenancy.tenant_claim` and `tenancy.permission_claim`, split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimPaths {
    pub tenant: Vec<String>,
    pub permission: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Principal {
    pub fn read(token: &Token, paths: &ClaimPaths) -> Self {
        let tenant = path::first(token.value(), &paths.tenant).map_or(Hint::Absent, Hint::of);
        let permissions = words(path::first(token.value(), &paths.permission));
        Self {
            // The nil uuid is nobody's.
            user: token.text("sub").and_then(parse_id).filter(|id| *id != [0; 16]),
            subject: subject(token.value().get("sub")),
            tenant,
            role: token.text("role").map(str::to_owned),
            operator: token.find(OPERATOR_CLAIM).and_then(Value::as_str).and_then(OperatorAccess::parse),
            permissions: permissions.iter().filter_map(|text| Pattern::parse(text)).collect(),
            tenants: words(token.find(TENANTS_CLAIM)).iter().filter_map(|text| parse_id(text)).collect(),
        }
    }
}

/// The longest subject the table takes, in bytes.
pub const LONGEST_SUBJECT: usize = 1024;

/// Text as it is, and a whole number as it is written canonically. Any other number could be written in several ways.
fn subject(sub: Option<&Value>) -> Option<String> {
    let text = match sub? {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (1..=LONGEST_SUBJECT).contains(&text.len()).then_some(text)
}

/// The strings of an array; whatever else is in it is passed over.
fn words(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(|value| Vec::<Word>::deserialize(value).ok())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|word| match word {
            Word::Text(text) => Some(text),
            Word::Other(_) => None,
        })
        .collect()
}

//! The event that GoTrue passes to its access-token hook: JSON in, JSON out. What is not ours goes through as it was
//! written.

use crate::rbac::{Id, parse_id};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An object whose members are text that nobody has read.
type Object = BTreeMap<String, Box<RawValue>>;

pub struct Event {
    user: Id,
    claims: Object,
    whole: Object,
}

/// Why an event cannot be used: said in the log, and of the event nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    #[error("the event is no object with user_id and claims")]
    Shape,
    #[error("the event's user_id is not a uuid")]
    User,
    #[error("the event's app_metadata is not an object")]
    Metadata,
}

impl Event {
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let object = |text: &str| serde_json::from_str::<Object>(text).map_err(|_| Unusable::Shape);
        let whole = object(text)?;
        let member = |key: &str| whole.get(key).map(|value| value.get()).ok_or(Unusable::Shape);
        let user: String = serde_json::from_str(member("user_id")?).map_err(|_| Unusable::User)?;
        let claims = object(member("claims")?)?;
        Ok(Self { user: parse_id(&user).ok_or(Unusable::User)?, claims, whole })
    }

    pub fn user(&self) -> &Id {
        &self.user
    }

    /// What the auth server read from its users table.
    fn metadata(&self) -> Result<Object, Unusable> {
        match self.claims.get("app_metadata").filter(|value| value.get() != "null") {
            Some(value) => serde_json::from_str(value.get()).map_err(|_| Unusable::Metadata),
            None => Ok(Object::new()),
        }
    }

    /// Whether these keys of the token's app_metadata are others than `own`: its users table is stale.
    pub fn is_stale(&self, keys: &[&str], own: &Map<String, Value>) -> Result<bool, Unusable> {
        let metadata = self.metadata()?;
        let told =
            |key: &str| metadata.get(key).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        Ok(keys.iter().any(|key| told(key).as_ref() != own.get(*key)))
    }

    /// The event with `own` in the token's app_metadata, in place of what it had of `keys`, and with the permissions
    /// at the top level if they are given.
    pub fn with(
        mut self,
        keys: &[&str],
        own: Map<String, Value>,
        permissions: Option<Vec<String>>,
    ) -> Result<String, Unusable> {
        let raw = |value: &Value| to_raw_value(value).map_err(|_| Unusable::Shape);
        let mut metadata = self.metadata()?;
        metadata.retain(|key, _| !keys.contains(&key.as_str()));
        for (key, value) in &own {
            metadata.insert(key.clone(), raw(value)?);
        }
        let metadata = to_raw_value(&metadata).map_err(|_| Unusable::Shape)?;
        self.claims.insert("app_metadata".to_owned(), metadata);
        if let Some(permissions) = permissions {
            self.claims.insert("user_permissions".to_owned(), raw(&permissions.into())?);
        }
        self.whole.insert("claims".to_owned(), to_raw_value(&self.claims).map_err(|_| Unusable::Shape)?);
        serde_json::to_string(&self.whole).map_err(|_| Unusable::Shape)
    }
}

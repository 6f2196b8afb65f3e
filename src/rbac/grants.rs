//! What the tables say about one user, as read in one snapshot, before it is resolved.

use super::Id;
use super::pattern::Pattern;
use std::collections::HashMap;

/// Whose grants are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grantee {
    User(Id),
    /// A database role, by its oid, that works in a tenant without being a user.
    Job {
        role: u32,
        tenant: Id,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TenantStatus {
    Active,
    ReadOnly,
    Suspended,
    Archived,
}

impl TenantStatus {
    /// An unknown word, from a newer version's tables, denies.
    pub fn parse(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "read_only" => Self::ReadOnly,
            "suspended" => Self::Suspended,
            _ => Self::Archived,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReadOnly => "read_only",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::ReadOnly)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub tenant: Id,
    /// What the host calls the tenant.
    pub key: Option<String>,
    pub tenant_status: TenantStatus,
    /// The member's own status: false is suspended.
    pub active: bool,
    pub assigned: Vec<Assignment>,
}

/// A role that a member has without inheritance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub role: Id,
    /// The group that gave it; `None` is a direct grant.
    pub group: Option<Id>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// `None` is a role of the application, usable in every tenant.
    pub tenant: Option<Id>,
    pub name: String,
    pub patterns: Vec<Pattern>,
    pub juniors: Vec<Id>,
}

/// Ordered: who may write may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperatorAccess {
    Read,
    Write,
}

impl OperatorAccess {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Grants {
    pub memberships: Vec<Membership>,
    /// Every role reachable from the memberships.
    pub roles: HashMap<Id, Role>,
    pub operator: Option<OperatorAccess>,
    /// The tenant he chose to work in.
    pub chosen: Option<Id>,
    /// When the first of these grants ends by itself: microseconds, Postgres epoch.
    pub next_expiry: Option<i64>,
}

/// Grants with the names of what they refer to, to be shown to their user.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    pub grants: Grants,
    /// Tenants by slug, groups by name.
    pub names: HashMap<Id, String>,
}

impl Explanation {
    pub fn name(&self, id: &Id) -> &str {
        self.names.get(id).map_or("?", String::as_str)
    }
}

//! What can be asked about a user in a tenant, put so that an answer is a look at his access there.

use super::access::Access;
use super::bitset::BitSet;
use super::catalogue::Catalogue;
use super::pattern::Pattern;

/// The functions that take a tenant, and the ones that answer for the active tenant with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// An active member of an open tenant.
    Member,
    /// As member, but also while the tenant is suspended.
    Visible,
    Permission,
    /// As permission, but by a grant of this very name: the founding template's strict form.
    PermissionByName,
    AnyPermission,
    AllPermissions,
    ApplicationRole,
    TenantRole,
    /// A member, or an operator with the access named: what operators reach is more than questions can say, see `Reach`.
    MemberOrOperator,
    /// The active tenant, or any for such an operator.
    ActiveOrOperator,
}

impl Topic {
    /// Whether operators reach more than their memberships.
    pub fn has_operators(self) -> bool {
        matches!(self, Self::MemberOrOperator | Self::ActiveOrOperator)
    }
}

/// Registered wherever the extension is, and no reading: what `all` holds unless the tenant is read-only.
const BUILTIN: &str = "tenant.edit";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Question {
    #[default]
    Never,
    Member,
    Visible,
    /// By its bit in the catalogue.
    Permission(usize),
    /// The grant, and the bit that must hold besides, which it may not while the tenant is read-only.
    ByName(Pattern, usize),
    Any(BitSet),
    All(BitSet),
    ApplicationRole(String),
    TenantRole(String),
}

impl Question {
    /// The names are of permissions or of a role: bytes in the database's encoding, `None` for NULL. A name
    /// that is not registered is held by nobody, so what needs it is never so.
    pub fn new<'a>(
        topic: Topic,
        catalogue: &Catalogue,
        mut names: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Self {
        let text = |name: Option<&'a [u8]>| name.and_then(|name| std::str::from_utf8(name).ok());
        let bit = |name| text(name).and_then(|name| catalogue.bit(name));
        match topic {
            Topic::Member => Self::Member,
            Topic::MemberOrOperator | Topic::ActiveOrOperator => Self::Never,
            Topic::Visible => Self::Visible,
            Topic::Permission => names.next().and_then(bit).map_or(Self::Never, Self::Permission),
            Topic::PermissionByName => names.next().and_then(text).map_or(Self::Never, |name| {
                let witness = if name == "all" { BUILTIN } else { name };
                match (Pattern::parse(name), catalogue.bit(witness)) {
                    (Some(pattern), Some(bit)) => Self::ByName(pattern, bit),
                    _ => Self::Never,
                }
            }),
            Topic::AnyPermission => Self::Any(names.filter_map(bit).collect()),
            // All of nothing is nothing: an empty list denies.
            Topic::AllPermissions => match names.map(bit).collect::<Option<BitSet>>() {
                Some(bits) if !bits.is_empty() => Self::All(bits),
                _ => Self::Never,
            },
            Topic::ApplicationRole | Topic::TenantRole => match names.next().and_then(text) {
                Some(name) if topic == Topic::TenantRole => Self::TenantRole(name.to_owned()),
                Some(name) => Self::ApplicationRole(name.to_owned()),
                None => Self::Never,
            },
        }
    }

    pub fn admits(&self, access: &Access) -> bool {
        match self {
            Self::Never => false,
            Self::Visible => access.visible,
            _ if !access.open => false,
            Self::Member => true,
            Self::Permission(bit) => access.permissions.contains(*bit),
            Self::ByName(pattern, bit) => {
                access.permissions.contains(*bit) && access.patterns.contains(pattern)
            }
            Self::Any(bits) => bits.iter().any(|bit| access.permissions.contains(bit)),
            Self::All(bits) => bits.iter().all(|bit| access.permissions.contains(bit)),
            Self::ApplicationRole(name) => access.application_roles.contains(name),
            Self::TenantRole(name) => access.tenant_roles.contains(name),
        }
    }
}

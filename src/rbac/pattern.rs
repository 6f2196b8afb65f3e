//! Permission names and the patterns a role may hold.

/// Who a permission is about: what happens inside one tenant, or the whole platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Tenant,
    Platform,
}

/// What a role or token holds: one permission, all below a resource (`docs.*`), or everything (`all`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    All,
    /// `docs.*`; the text is the prefix with its dot, `docs.`.
    Below(String),
    Exact(String),
}

/// `^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`, at most 200 of them, and not the reserved word `all`.
pub fn is_permission_name(name: &str) -> bool {
    name != "all"
        && name.len() <= 200
        && name.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
}

/// While a tenant is read-only, only permissions named `*.read` hold.
pub fn is_read(name: &str) -> bool {
    name.ends_with(".read")
}

impl Pattern {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::All);
        }
        match text.strip_suffix(".*") {
            Some(resource) => is_permission_name(resource).then(|| Self::Below(format!("{resource}."))),
            None => is_permission_name(text).then(|| Self::Exact(text.to_owned())),
        }
    }

    /// The text it keeps: a name, or a prefix with its dot.
    pub fn text(&self) -> &str {
        match self {
            Self::All => "",
            Self::Below(text) | Self::Exact(text) => text,
        }
    }

    /// Whether holding this pattern is holding the permission. Wildcards never reach the platform.
    pub fn matches(&self, name: &str, scope: Scope) -> bool {
        match self {
            Self::All => scope == Scope::Tenant,
            Self::Below(prefix) => scope == Scope::Tenant && name.starts_with(prefix.as_str()),
            Self::Exact(own) => own == name,
        }
    }

    /// Whether whoever holds this pattern holds everything the other one could ever give.
    /// `other_scope` is the scope of the other if it names one permission.
    pub fn covers(&self, other: &Pattern, other_scope: Scope) -> bool {
        match (self, other) {
            (_, Self::Exact(name)) => self.matches(name, other_scope),
            (Self::All, _) => true,
            (Self::Below(mine), Self::Below(theirs)) => theirs.starts_with(mine.as_str()),
            _ => false,
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

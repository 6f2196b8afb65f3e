//! Choosing the active tenant. The first source that is present decides: if it is refused, there is none.

use crate::claims::MAX_BYTES;
use crate::claims::principal::{Hint, Principal};
use crate::pg::setting;
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::settings;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Identity,
    Entered,
    Setting,
    Header,
    Claim,
    Choice,
    SoleMembership,
    None,
}

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "tenant given to set_identity()",
            Self::Entered => "enter_tenant()",
            Self::Setting => "setting tenancy.tenant_id",
            Self::Header => "request header named in tenancy.tenant_header",
            Self::Claim => "claim found by tenancy.tenant_claim",
            Self::Choice => "the user's stored choice (set_active_tenant)",
            Self::SoleMembership => "the only membership",
            Self::None => "nothing",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted(Id),
    NoIdentity,
    NothingChosen,
    /// Neither text nor number.
    Unreadable,
    /// No id, and no key of a tenant that the user is a member of.
    UnknownKey,
    NotAMember(Id),
    /// A member, but suspended, or the tenant is not open.
    Closed(Id),
}

/// Where a job works: in the tenant it entered, while that is open to it.
pub fn entered(tenant: &Id, access: &AccessMap) -> (Source, Verdict) {
    (Source::Entered, verdict(Hint::Tenant(*tenant), access))
}

/// `stated` is what was given to set_identity().
pub fn choose(stated: Option<&str>, principal: Option<&Principal>, access: &AccessMap) -> (Source, Verdict) {
    let (source, hint) = match stated {
        Some(tenant) => (Source::Identity, Hint::parse(tenant)),
        None => candidate(principal, access),
    };
    (source, verdict(hint, access))
}

fn verdict(hint: Hint, access: &AccessMap) -> Verdict {
    match hint {
        Hint::Absent => Verdict::NothingChosen,
        Hint::Unreadable => Verdict::Unreadable,
        Hint::Tenant(tenant) => judge(tenant, access),
        Hint::Key(key) => access.tenant_of_key(&key).map_or(Verdict::UnknownKey, |id| judge(id, access)),
    }
}

fn judge(tenant: Id, access: &AccessMap) -> Verdict {
    match access.member(&tenant) {
        None => Verdict::NotAMember(tenant),
        Some(found) if found.open => Verdict::Accepted(tenant),
        Some(_) => Verdict::Closed(tenant),
    }
}

fn candidate(principal: Option<&Principal>, access: &AccessMap) -> (Source, Hint) {
    let set = settings::TENANT_ID.with(|bytes| {
        (!bytes.is_empty()).then(|| std::str::from_utf8(bytes).map_or(Hint::Unreadable, Hint::parse))
    });
    if let Some(hint) = set {
        return (Source::Setting, hint);
    }
    if let Some(hint) = header() {
        return (Source::Header, hint);
    }
    match principal.map_or(Hint::Absent, |principal| principal.tenant.clone()) {
        Hint::Absent => {}
        hint => return (Source::Claim, hint),
    }
    if let Some(tenant) = access.chosen {
        return (Source::Choice, Hint::Tenant(tenant));
    }
    match access.sole_tenant().filter(|_| settings::SOLE_TENANT.get()) {
        Some(tenant) => (Source::SoleMembership, Hint::Tenant(tenant)),
        None => (Source::None, Hint::Absent),
    }
}

/// The header an administrator named, if the request has it. Names of headers know no case.
fn header() -> Option<Hint> {
    let name = settings::TENANT_HEADER.get();
    if name.is_empty() {
        return None;
    }
    let raw = match settings::owns_headers() {
        true => settings::HEADERS.with(|raw| raw.get(..=MAX_BYTES).unwrap_or(raw).to_vec()),
        false => setting::bytes(settings::HEADERS_NAME, MAX_BYTES + 1),
    };
    if raw.is_empty() || raw.len() > MAX_BYTES {
        return None;
    }
    let headers: Value = serde_json::from_slice(&raw).ok()?;
    let found = headers.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(&name))?.1;
    (found.as_str() != Some("")).then(|| Hint::of(found))
}

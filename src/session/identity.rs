//! The user, what he may do, and the tenant he works in.

use super::tenant::{self, Source, Verdict};
use crate::cache;
use crate::claims::Claims;
use crate::claims::principal::Principal;
use crate::claims::stated::Stated;
use crate::claims::validity::Validity;
use crate::pg::{role, xact};
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::rbac::grants::{Assignment, Grantee, Grants, Membership, Role, TenantStatus};
use crate::rbac::pattern::Pattern;
use crate::rbac::resolution::resolve;
use crate::settings;
use std::collections::HashMap;
use std::rc::Rc;

/// Everything that policies ask, derived once per moment. Fields that are costly are shared.
pub struct Identity {
    /// The epoch it was derived in: what a call site keeps of it is stamped so.
    pub epoch: u64,
    /// What a trusted caller stated, if one did: then there are no claims.
    pub stated: Option<Stated>,
    pub claims: Rc<Claims>,
    /// `None` without a token.
    pub validity: Option<Validity>,
    /// Whose grants count; `None` is anonymous.
    pub whose: Option<Grantee>,
    /// The user, if it is one.
    pub user: Option<Id>,
    pub access: Rc<AccessMap>,
    /// Where the tenant came from, what was asked, and what became of it.
    pub source: Source,
    pub verdict: Verdict,
}

impl Identity {
    /// What was stated decides, and the token is not looked at then.
    pub fn derive(epoch: u64) -> Self {
        match settings::IDENTITY.with(Stated::decode) {
            Some(stated) => Self::of_stated(stated, epoch),
            None => Self::of_claims(super::claims(), epoch),
        }
    }

    fn of_stated(stated: Stated, epoch: u64) -> Self {
        let user = match &stated {
            Stated::User { id, .. } => Some(*id),
            Stated::Subject { subject, .. } => cache::user_of_subject(subject),
            Stated::Job { .. } | Stated::Nobody => None,
        };
        let whose = match stated {
            // What a role was given stays in the table when it is dropped, and would be kept for who it was.
            Stated::Job { role, tenant } => {
                role::exists(role.into()).then_some(Grantee::Job { role, tenant })
            }
            _ => user.map(Grantee::User),
        };
        let access = whose.as_ref().map(cache::access).unwrap_or_default();
        let (source, verdict) = match (&whose, &stated) {
            (Some(Grantee::Job { tenant, .. }), _) => tenant::entered(tenant, &access),
            (Some(_), Stated::User { tenant, .. } | Stated::Subject { tenant, .. }) => {
                tenant::choose(tenant.as_deref(), None, &access)
            }
            _ => (Source::None, Verdict::NoIdentity),
        };
        let claims = Rc::new(Claims::Unset);
        Self { epoch, stated: Some(stated), claims, validity: None, whose, user, access, source, verdict }
    }

    fn of_claims(claims: Rc<Claims>, epoch: u64) -> Self {
        let now = xact::unix_micros(xact::statement_timestamp());
        let token = claims.token();
        let validity = token.map(|token| token.validity(now, settings::REQUIRE_EXP.get()));
        let valid = token.filter(|_| validity == Some(Validity::Valid));
        let principal = valid.map(|token| Principal::read(token, &super::claim_paths()));
        let user = principal.as_ref().and_then(|principal| match settings::subjects_are_mapped() {
            true => cache::user_of_subject(principal.subject.as_ref()?),
            false => principal.user,
        });
        let access = match (&user, &principal) {
            (Some(_), Some(principal)) if settings::authority_is_claims() => Rc::new(claimed(principal)),
            (Some(user), _) => cache::access_of(user),
            (None, _) => Rc::default(),
        };
        let (source, verdict) = match user {
            Some(_) => tenant::choose(None, principal.as_ref(), &access),
            None => (Source::None, Verdict::NoIdentity),
        };
        let whose = user.map(Grantee::User);
        Self { epoch, stated: None, claims, validity, whose, user, access, source, verdict }
    }

    /// The active tenant.
    #[inline]
    pub fn tenant(&self) -> Option<&Id> {
        match &self.verdict {
            Verdict::Accepted(tenant) => Some(tenant),
            _ => None,
        }
    }

    /// What the host calls the active tenant. A token does not say.
    pub fn tenant_key(&self) -> Option<Rc<str>> {
        let tenant = self.tenant()?;
        match settings::authority_is_claims() {
            true => cache::tenant_key(tenant),
            false => self.access.key(tenant),
        }
    }

    /// The token's content, if the token counts.
    pub fn content(&self) -> Option<&serde_json::Value> {
        self.claims.token().filter(|_| self.validity == Some(Validity::Valid)).map(|token| token.value())
    }
}

/// What the token says, as the founding templates had it: its permissions hold in its tenant, and it may
/// list other tenants. The registered permissions come from the table all the same, so that a name
/// nobody registered is held by nobody, and no wildcard reaches a platform permission.
fn claimed(principal: &Principal) -> AccessMap {
    let role: Id = [0; 16];
    let membership = |tenant: Id, assigned: Vec<Assignment>| Membership {
        tenant,
        // Tokens name tenants by their ids only.
        key: None,
        tenant_status: TenantStatus::Active,
        active: true,
        assigned,
    };
    let mut memberships: Vec<Membership> =
        principal.tenants.iter().map(|tenant| membership(*tenant, Vec::new())).collect();
    if let Some(tenant) = principal.tenant.id() {
        memberships.retain(|m| m.tenant != tenant);
        memberships.push(membership(tenant, vec![Assignment { role, group: None }]));
    }
    // The nil uuid is the scope of the application's roles, and nobody is a member of that.
    memberships.retain(|m| m.tenant != cache::NOBODY);
    let patterns: Vec<Pattern> = principal.permissions.clone();
    let roles = HashMap::from([(role, Role { patterns, ..Role::default() })]);
    let grants = Grants { memberships, roles, operator: principal.operator, chosen: None, next_expiry: None };
    // The role is a vehicle: it has no name, so nobody has it by name.
    resolve(grants, cache::catalogue())
}

//! The user, what he may do, and the tenant he works in.

use super::tenant::{self, Source, Verdict};
use crate::cache;
use crate::claims::Claims;
use crate::claims::principal::Principal;
use crate::claims::validity::Validity;
use crate::pg::xact;
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::rbac::grants::{Assignment, Grants, Membership, Role, TenantStatus};
use crate::rbac::pattern::Pattern;
use crate::rbac::resolution::resolve;
use crate::settings;
use std::collections::HashMap;
use std::rc::Rc;

/// Everything that policies ask, derived once per moment. Fields that are costly are shared.
pub struct Identity {
    /// The epoch it was derived in: what a call site keeps of it is stamped so.
    pub epoch: u64,
    pub claims: Rc<Claims>,
    /// `None` without a token.
    pub validity: Option<Validity>,
    /// The user, if the token counts and its `sub` is a uuid.
    pub user: Option<Id>,
    pub access: Rc<AccessMap>,
    /// Where the tenant came from, what was asked, and what became of it.
    pub source: Source,
    pub verdict: Verdict,
}

impl Identity {
    pub fn derive(claims: Rc<Claims>, epoch: u64) -> Self {
        let now = xact::unix_micros(xact::statement_timestamp());
        let token = claims.token();
        let validity = token.map(|token| token.validity(now, settings::REQUIRE_EXP.get()));
        let valid = token.filter(|_| validity == Some(Validity::Valid));
        let principal = valid.map(|token| Principal::read(token, &super::claim_paths()));
        let user = principal.as_ref().and_then(|principal| principal.user);
        let access = match (&user, &principal) {
            (Some(_), Some(principal)) if settings::authority_is_claims() => Rc::new(claimed(principal)),
            (Some(user), _) => cache::access_of(user),
            (None, _) => Rc::default(),
        };
        let (source, verdict) = match user {
            Some(_) => tenant::choose(principal.as_ref(), &access),
            None => (Source::None, Verdict::NoIdentity),
        };
        Self { epoch, claims, validity, user, access, source, verdict }
    }

    /// The active tenant.
    #[inline]
    pub fn tenant(&self) -> Option<&Id> {
        match &self.verdict {
            Verdict::Accepted(tenant) => Some(tenant),
            _ => None,
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

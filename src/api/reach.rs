//! What operators reach on tables that were protected for them too: beyond what members reach, all tenants.

use super::checks::Asked;
use super::naming::{ByBigint, ById, ByInteger, ByText, Naming};
use crate::cache;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::rbac::Id;
use crate::rbac::access::AccessMap;
use crate::rbac::keys::Name;
use crate::rbac::question::{Question, Topic};
use crate::rbac::reach::Reach;
use crate::session::identity::Identity;
use crate::session::site::Site;
use std::rc::Rc;

/// The checks and the sets, for each way to name a tenant.
macro_rules! export_reach {
    ($naming:ident: $($info:ident, $symbol:ident => $kind:ident $topic:ident;)*) => {
        $(export_reach! { @$kind $naming, $info, $symbol, $topic })*
    };
    (@check $naming:ident, $info:ident, $symbol:ident, $topic:ident) => {
        export! { $info, $symbol => recall::<$naming>, |call| answer::<$naming>(call, Topic::$topic); }
    };
    (@set $naming:ident, $info:ident, $symbol:ident, $topic:ident) => {
        export! { $info, $symbol => nothing, |call| set::<$naming>(call, Topic::$topic); }
    };
}

export_reach! { ById:
    pg_finfo_tenancy_is_member_or_operator, tenancy_is_member_or_operator => check MemberOrOperator;
    pg_finfo_tenancy_is_active_or_operator, tenancy_is_active_or_operator => check ActiveOrOperator;
    pg_finfo_tenancy_tenant_ids_or_all, tenancy_tenant_ids_or_all => set MemberOrOperator;
    pg_finfo_tenancy_active_tenant_or_all, tenancy_active_tenant_or_all => set ActiveOrOperator;
}

export_reach! { ByBigint:
    pg_finfo_tenancy_is_member_or_operator_bigint, tenancy_is_member_or_operator_bigint => check MemberOrOperator;
    pg_finfo_tenancy_is_active_or_operator_bigint, tenancy_is_active_or_operator_bigint => check ActiveOrOperator;
    pg_finfo_tenancy_tenant_ids_or_all_bigint, tenancy_tenant_ids_or_all_bigint => set MemberOrOperator;
    pg_finfo_tenancy_active_tenant_or_all_bigint, tenancy_active_tenant_or_all_bigint => set ActiveOrOperator;
}

export_reach! { ByInteger:
    pg_finfo_tenancy_is_member_or_operator_integer, tenancy_is_member_or_operator_integer => check MemberOrOperator;
    pg_finfo_tenancy_is_active_or_operator_integer, tenancy_is_active_or_operator_integer => check ActiveOrOperator;
    pg_finfo_tenancy_tenant_ids_or_all_integer, tenancy_tenant_ids_or_all_integer => set MemberOrOperator;
    pg_finfo_tenancy_active_tenant_or_all_integer, tenancy_active_tenant_or_all_integer => set ActiveOrOperator;
}

export_reach! { ByText:
    pg_finfo_tenancy_is_member_or_operator_text, tenancy_is_member_or_operator_text => check MemberOrOperator;
    pg_finfo_tenancy_is_active_or_operator_text, tenancy_is_active_or_operator_text => check ActiveOrOperator;
    pg_finfo_tenancy_tenant_ids_or_all_text, tenancy_tenant_ids_or_all_text => set MemberOrOperator;
    pg_finfo_tenancy_active_tenant_or_all_text, tenancy_active_tenant_or_all_text => set ActiveOrOperator;
}

/// What a row's tenant is compared with.
enum Known {
    All,
    /// The active tenant, and the memberships that know its key.
    One(Option<(Id, Rc<AccessMap>)>),
    Members(Asked),
}

impl Default for Known {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Known {
    #[inline(always)]
    fn admits(&self, tenant: impl Name) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.as_ref().is_some_and(|(one, access)| tenant.is(one, access)),
            Self::Members(asked) => asked.admits(tenant),
        }
    }
}

fn reach(call: &Call, index: usize, topic: Topic, identity: &Identity) -> Reach {
    Reach::new(topic, &identity.access, identity.tenant(), std::iter::once(call.name(index)))
}

#[inline(always)]
fn recall<N: Naming>(call: &Call) -> Option<Reply> {
    let tenant = N::recall(call)?;
    Site::<Known>::recall(call, Some(1)).map(|known| Reply::Bool(known.admits(tenant)))
}

fn answer<N: Naming>(call: &mut Call, topic: Topic) -> Reply {
    if call.is_null(0) || call.is_null(1) {
        return Reply::Null;
    }
    let argument = call.copy();
    let tenant = N::read(&argument);
    let update = |known: &mut Known, identity: &Rc<Identity>| {
        *known = match reach(&argument, 1, topic, identity) {
            Reach::All => Known::All,
            Reach::One(one) => Known::One(one.map(|one| (one, Rc::clone(&identity.access)))),
            Reach::Where(question) => Known::Members(Asked::new(&identity.access, question)),
        };
    };
    Reply::Bool(Site::renew(call, Some(1), update, |known| tenant.is_some_and(|tenant| known.admits(tenant))))
}

/// The same as a set, for an index to be searched by. An operator's is read from the table at each execution.
fn set<N: Naming>(call: &mut Call, topic: Topic) -> Reply {
    if call.is_null(0) {
        return Reply::Null;
    }
    if let Some(set) = Site::<Vec<N::Element>>::recall(call, Some(0)) {
        return Reply::Datum(N::array(set));
    }
    let argument = call.copy();
    let update = |set: &mut Vec<N::Element>, identity: &Rc<Identity>| {
        *set = match reach(&argument, 0, topic, identity) {
            Reach::All => N::all(cache::all_tenants()),
            Reach::One(one) => N::all(one.into_iter().map(|id| (id, identity.access.key(&id))).collect()),
            Reach::Where(Question::Never) => Vec::new(),
            Reach::Where(question) => N::set(&identity.access, &question),
        };
    };
    Reply::Datum(Site::renew(call, Some(0), update, |set| N::array(set)))
}

//! What operators reach on tables that were protected for them too: beyond what members reach, all tenants.

use super::checks::Asked;
use crate::cache;
use crate::pg::array;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::rbac::Id;
use crate::rbac::question::{Question, Topic};
use crate::rbac::reach::Reach;
use crate::session::identity::Identity;
use crate::session::site::Site;
use std::rc::Rc;

export! {
    pg_finfo_tenancy_is_member_or_operator, tenancy_is_member_or_operator =>
        recall, |call| answer(call, Topic::MemberOrOperator);
    pg_finfo_tenancy_is_active_or_operator, tenancy_is_active_or_operator =>
        recall, |call| answer(call, Topic::ActiveOrOperator);
    pg_finfo_tenancy_tenant_ids_or_all, tenancy_tenant_ids_or_all =>
        nothing, |call| ids(call, Topic::MemberOrOperator);
    pg_finfo_tenancy_active_tenant_or_all, tenancy_active_tenant_or_all =>
        nothing, |call| ids(call, Topic::ActiveOrOperator);
}

/// What a row's tenant is compared with.
enum Known {
    All,
    One(Option<Id>),
    Members(Asked),
}

impl Default for Known {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Known {
    #[inline(always)]
    fn admits(&self, tenant: &Id) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one.as_ref() == Some(tenant),
            Self::Members(asked) => asked.admits(tenant),
        }
    }
}

fn reach(call: &Call, index: usize, topic: Topic, identity: &Identity) -> Reach {
    Reach::new(topic, &identity.access, identity.tenant(), std::iter::once(call.name(index)))
}

#[inline(always)]
fn recall(call: &Call) -> Option<Reply> {
    let tenant = call.uuid(0)?;
    Site::<Known>::recall(call, Some(1)).map(|known| Reply::Bool(known.admits(tenant)))
}

fn answer(call: &mut Call, topic: Topic) -> Reply {
    let Some(tenant) = call.uuid(0) else { return Reply::Null };
    if call.is_null(1) {
        return Reply::Null;
    }
    let argument = call.copy();
    let update = |known: &mut Known, identity: &Rc<Identity>| {
        *known = match reach(&argument, 1, topic, identity) {
            Reach::All => Known::All,
            Reach::One(one) => Known::One(one),
            Reach::Where(question) => Known::Members(Asked::new(&identity.access, question)),
        };
    };
    Reply::Bool(Site::renew(call, Some(1), update, |known| known.admits(tenant)))
}

/// The same as a set, for an index to be searched by. An operator's is read from the table at each execution.
fn ids(call: &mut Call, topic: Topic) -> Reply {
    if call.is_null(0) {
        return Reply::Null;
    }
    if let Some(ids) = Site::<Vec<Id>>::recall(call, Some(0)) {
        return Reply::Datum(array::of_uuids(ids));
    }
    let argument = call.copy();
    let update = |ids: &mut Vec<Id>, identity: &Rc<Identity>| {
        *ids = match reach(&argument, 0, topic, identity) {
            Reach::All => cache::all_tenants(),
            Reach::One(one) => one.into_iter().collect(),
            Reach::Where(Question::Never) => Vec::new(),
            Reach::Where(question) => identity.access.tenants_where(&question),
        };
    };
    Reply::Datum(Site::renew(call, Some(0), update, |ids| array::of_uuids(ids)))
}

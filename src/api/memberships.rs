//! The caller's tenants as arrays.

use super::checks::{is_named, question};
use crate::pg::array;
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::rbac::Id;
use crate::rbac::question::Topic;
use crate::session::identity::Identity;
use crate::session::site::Site;
use std::rc::Rc;

export! {
    pg_finfo_tenancy_tenant_ids, tenancy_tenant_ids =>
        nothing, |call| answer(call, Topic::Member);
    pg_finfo_tenancy_tenant_ids_with, tenancy_tenant_ids_with =>
        nothing, |call| answer(call, Topic::Permission);
    pg_finfo_tenancy_tenant_ids_with_any, tenancy_tenant_ids_with_any =>
        nothing, |call| answer(call, Topic::AnyPermission);
    pg_finfo_tenancy_tenant_ids_with_all, tenancy_tenant_ids_with_all =>
        nothing, |call| answer(call, Topic::AllPermissions);
}

/// The site keeps the ids; each call gets an array of its own, which its caller may outlive the site with.
fn answer(call: &mut Call, topic: Topic) -> Reply {
    let index = is_named(topic).then_some(0);
    if index.is_some_and(|index| call.is_null(index)) {
        return Reply::Null;
    }
    if let Some(ids) = Site::<Vec<Id>>::recall(call, index) {
        return Reply::Datum(array::of_uuids(ids));
    }
    let argument = call.copy();
    let update = |ids: &mut Vec<Id>, identity: &Rc<Identity>| {
        let question = question(&argument, 0, topic, &identity.access.catalogue).unwrap_or_default();
        *ids = identity.access.tenants_where(&question);
    };
    Reply::Datum(Site::renew(call, index, update, |ids| array::of_uuids(ids)))
}

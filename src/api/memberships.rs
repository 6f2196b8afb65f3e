//! The caller's tenants as arrays, in each of the types that columns name tenants by. The type is that of an argument whose
//! value does not matter; for uuid there is none.

use super::checks::{is_named, question};
use super::naming::{ByBigint, ById, ByInteger, ByText, Naming};
use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::rbac::question::Topic;
use crate::session::identity::Identity;
use crate::session::site::Site;
use std::rc::Rc;

macro_rules! export_sets {
    ($naming:ident: $($info:ident, $symbol:ident => $topic:ident;)*) => {
        export! { $($info, $symbol => nothing, |call| answer::<$naming>(call, Topic::$topic);)* }
    };
}

export_sets! { ById:
    pg_finfo_tenancy_tenant_ids, tenancy_tenant_ids => Member;
    pg_finfo_tenancy_tenant_ids_with, tenancy_tenant_ids_with => Permission;
    pg_finfo_tenancy_tenant_ids_with_any, tenancy_tenant_ids_with_any => AnyPermission;
    pg_finfo_tenancy_tenant_ids_with_all, tenancy_tenant_ids_with_all => AllPermissions;
}

export_sets! { ByBigint:
    pg_finfo_tenancy_tenant_ids_bigint, tenancy_tenant_ids_bigint => Member;
    pg_finfo_tenancy_tenant_ids_with_bigint, tenancy_tenant_ids_with_bigint => Permission;
    pg_finfo_tenancy_tenant_ids_with_any_bigint, tenancy_tenant_ids_with_any_bigint => AnyPermission;
    pg_finfo_tenancy_tenant_ids_with_all_bigint, tenancy_tenant_ids_with_all_bigint => AllPermissions;
}

export_sets! { ByInteger:
    pg_finfo_tenancy_tenant_ids_integer, tenancy_tenant_ids_integer => Member;
    pg_finfo_tenancy_tenant_ids_with_integer, tenancy_tenant_ids_with_integer => Permission;
    pg_finfo_tenancy_tenant_ids_with_any_integer, tenancy_tenant_ids_with_any_integer => AnyPermission;
    pg_finfo_tenancy_tenant_ids_with_all_integer, tenancy_tenant_ids_with_all_integer => AllPermissions;
}

export_sets! { ByText:
    pg_finfo_tenancy_tenant_ids_text, tenancy_tenant_ids_text => Member;
    pg_finfo_tenancy_tenant_ids_with_text, tenancy_tenant_ids_with_text => Permission;
    pg_finfo_tenancy_tenant_ids_with_any_text, tenancy_tenant_ids_with_any_text => AnyPermission;
    pg_finfo_tenancy_tenant_ids_with_all_text, tenancy_tenant_ids_with_all_text => AllPermissions;
}

/// The site keeps the set; each call gets an array of its own, which its caller may outlive the site with.
fn answer<N: Naming>(call: &mut Call, topic: Topic) -> Reply {
    let index = is_named(topic).then_some(0);
    if index.is_some_and(|index| call.is_null(index)) {
        return Reply::Null;
    }
    if let Some(set) = Site::<Vec<N::Element>>::recall(call, index) {
        return Reply::Datum(N::array(set));
    }
    let argument = call.copy();
    let update = |set: &mut Vec<N::Element>, identity: &Rc<Identity>| {
        let question = question(&argument, 0, topic, &identity.access.catalogue).unwrap_or_default();
        *set = N::set(&identity.access, &question);
    };
    Reply::Datum(Site::renew(call, index, update, |set| N::array(set)))
}

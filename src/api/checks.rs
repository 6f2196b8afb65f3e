//! `has_permission` and its kin. NULL in gives NULL out; anything unknown denies.

use super::naming::{ByBigint, ById, ByInteger, ByText, Naming};
use crate::pg::call::Call;
use crate::pg::function::{Reply, export};
use crate::rbac::access::{AccessMap, Answers};
use crate::rbac::catalogue::Catalogue;
use crate::rbac::keys::Name;
use crate::rbac::question::{Question, Topic};
use crate::session::identity::Identity;
use crate::session::site::Site;
use std::rc::Rc;

export! {
    pg_finfo_tenancy_has_permission, tenancy_has_permission =>
        recall, |call| answer(call, Topic::Permission);
    pg_finfo_tenancy_has_permission_by_name, tenancy_has_permission_by_name =>
        recall, |call| answer(call, Topic::PermissionByName);
    pg_finfo_tenancy_has_any_permission, tenancy_has_any_permission =>
        recall, |call| answer(call, Topic::AnyPermission);
    pg_finfo_tenancy_has_all_permissions, tenancy_has_all_permissions =>
        recall, |call| answer(call, Topic::AllPermissions);
    pg_finfo_tenancy_has_role, tenancy_has_role =>
        recall, |call| answer(call, Topic::ApplicationRole);
    pg_finfo_tenancy_is_member_of_any, tenancy_is_member_of_any =>
        recall_any, is_member_of_any;
    pg_finfo_tenancy_can_see_tenant, tenancy_can_see_tenant =>
        recall_in::<ById>, |call| answer_in::<ById>(call, Topic::Visible);
}

/// The questions about a tenant that is named by an argument, for each way to name one.
macro_rules! export_checks {
    ($naming:ident: $($info:ident, $symbol:ident => $topic:ident;)*) => {
        export! {
            $($info, $symbol => recall_in::<$naming>, |call| answer_in::<$naming>(call, Topic::$topic);)*
        }
    };
}

export_checks! { ById:
    pg_finfo_tenancy_is_member, tenancy_is_member => Member;
    pg_finfo_tenancy_has_permission_in, tenancy_has_permission_in => Permission;
    pg_finfo_tenancy_has_any_permission_in, tenancy_has_any_permission_in => AnyPermission;
    pg_finfo_tenancy_has_all_permissions_in, tenancy_has_all_permissions_in => AllPermissions;
    pg_finfo_tenancy_has_role_in, tenancy_has_role_in => ApplicationRole;
    pg_finfo_tenancy_has_tenant_role, tenancy_has_tenant_role => TenantRole;
}

export_checks! { ByBigint:
    pg_finfo_tenancy_is_member_bigint, tenancy_is_member_bigint => Member;
    pg_finfo_tenancy_has_permission_in_bigint, tenancy_has_permission_in_bigint => Permission;
    pg_finfo_tenancy_has_any_permission_in_bigint, tenancy_has_any_permission_in_bigint => AnyPermission;
    pg_finfo_tenancy_has_all_permissions_in_bigint, tenancy_has_all_permissions_in_bigint => AllPermissions;
    pg_finfo_tenancy_has_role_in_bigint, tenancy_has_role_in_bigint => ApplicationRole;
    pg_finfo_tenancy_has_tenant_role_bigint, tenancy_has_tenant_role_bigint => TenantRole;
}

export_checks! { ByInteger:
    pg_finfo_tenancy_is_member_integer, tenancy_is_member_integer => Member;
    pg_finfo_tenancy_has_permission_in_integer, tenancy_has_permission_in_integer => Permission;
    pg_finfo_tenancy_has_any_permission_in_integer, tenancy_has_any_permission_in_integer => AnyPermission;
    pg_finfo_tenancy_has_all_permissions_in_integer, tenancy_has_all_permissions_in_integer => AllPermissions;
    pg_finfo_tenancy_has_role_in_integer, tenancy_has_role_in_integer => ApplicationRole;
    pg_finfo_tenancy_has_tenant_role_integer, tenancy_has_tenant_role_integer => TenantRole;
}

export_checks! { ByText:
    pg_finfo_tenancy_is_member_text, tenancy_is_member_text => Member;
    pg_finfo_tenancy_has_permission_in_text, tenancy_has_permission_in_text => Permission;
    pg_finfo_tenancy_has_any_permission_in_text, tenancy_has_any_permission_in_text => AnyPermission;
    pg_finfo_tenancy_has_all_permissions_in_text, tenancy_has_all_permissions_in_text => AllPermissions;
    pg_finfo_tenancy_has_role_in_text, tenancy_has_role_in_text => ApplicationRole;
    pg_finfo_tenancy_has_tenant_role_text, tenancy_has_tenant_role_text => TenantRole;
}

/// What `topic` asks with the names in argument `index`; `None` if that is NULL.
pub fn question(call: &Call, index: usize, topic: Topic, catalogue: &Catalogue) -> Option<Question> {
    Some(match topic {
        Topic::Member | Topic::Visible => Question::new(topic, catalogue, std::iter::empty()),
        Topic::AnyPermission | Topic::AllPermissions => {
            Question::new(topic, catalogue, call.texts(index)?.iter())
        }
        _ => Question::new(topic, catalogue, std::iter::once(call.name(index))),
    })
}

/// Whether the question is put by an argument at all.
pub fn is_named(topic: Topic) -> bool {
    !matches!(topic, Topic::Member | Topic::Visible)
}

/// In the active tenant: one answer for the whole moment.
#[inline(always)]
fn recall(call: &Call) -> Option<Reply> {
    Site::<bool>::recall(call, Some(0)).map(|answer| Reply::Bool(*answer))
}

fn answer(call: &mut Call, topic: Topic) -> Reply {
    if call.is_null(0) {
        return Reply::Null;
    }
    let argument = call.copy();
    let update = |answer: &mut bool, identity: &Rc<Identity>| {
        let question = question(&argument, 0, topic, &identity.access.catalogue).unwrap_or_default();
        *answer = identity.tenant().is_some_and(|tenant| identity.access.admits(tenant, &question));
    };
    Reply::Bool(Site::renew(call, Some(0), update, |answer| *answer))
}

/// Anywhere: of no tenant in particular.
#[inline(always)]
fn recall_any(call: &Call) -> Option<Reply> {
    Site::<bool>::recall(call, None).map(|answer| Reply::Bool(*answer))
}

fn is_member_of_any(call: &mut Call) -> Reply {
    let update = |answer: &mut bool, identity: &Rc<Identity>| *answer = identity.access.is_member_of_any();
    Reply::Bool(Site::renew(call, None, update, |answer| *answer))
}

/// A tenant that differs by row and a question that hardly does: warm, one hash probe and one bit.
#[derive(Default)]
pub(super) struct Asked {
    access: Option<Rc<AccessMap>>,
    question: Question,
    answers: Option<Answers>,
}

impl Asked {
    pub(super) fn new(access: &Rc<AccessMap>, question: Question) -> Self {
        Self { answers: access.answers(&question), access: Some(Rc::clone(access)), question }
    }

    #[inline(always)]
    pub(super) fn admits(&self, tenant: impl Name) -> bool {
        let Some(access) = &self.access else { return false };
        match self.answers {
            Some(answers) => access.admits_by(tenant, answers),
            None => access.admits(tenant, &self.question),
        }
    }
}

#[inline(always)]
fn recall_in<N: Naming>(call: &Call) -> Option<Reply> {
    let tenant = N::recall(call)?;
    Site::<Asked>::recall(call, Some(1)).map(|asked| Reply::Bool(asked.admits(tenant)))
}

fn answer_in<N: Naming>(call: &mut Call, topic: Topic) -> Reply {
    let index = is_named(topic).then_some(1);
    if call.is_null(0) || index.is_some_and(|index| call.is_null(index)) {
        return Reply::Null;
    }
    let argument = call.copy();
    let tenant = N::read(&argument);
    let update = |asked: &mut Asked, identity: &Rc<Identity>| {
        let question = question(&argument, 1, topic, &identity.access.catalogue).unwrap_or_default();
        *asked = Asked::new(&identity.access, question);
    };
    Reply::Bool(Site::renew(call, index, update, |asked| tenant.is_some_and(|tenant| asked.admits(tenant))))
}

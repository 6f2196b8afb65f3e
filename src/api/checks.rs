//! `has_permission` and its kin. NULL in gives NULL out; anything unknown denies.

use crate::pg::call::Call;
use crate::pg::function::{Reply, export};
use crate::rbac::Id;
use crate::rbac::access::{AccessMap, Answers};
use crate::rbac::catalogue::Catalogue;
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
    pg_finfo_tenancy_has_permission_in, tenancy_has_permission_in =>
        recall_in, |call| answer_in(call, Topic::Permission);
    pg_finfo_tenancy_has_any_permission_in, tenancy_has_any_permission_in =>
        recall_in, |call| answer_in(call, Topic::AnyPermission);
    pg_finfo_tenancy_has_all_permissions_in, tenancy_has_all_permissions_in =>
        recall_in, |call| answer_in(call, Topic::AllPermissions);
    pg_finfo_tenancy_has_role_in, tenancy_has_role_in =>
        recall_in, |call| answer_in(call, Topic::ApplicationRole);
    pg_finfo_tenancy_has_tenant_role, tenancy_has_tenant_role =>
        recall_in, |call| answer_in(call, Topic::TenantRole);
    pg_finfo_tenancy_is_member, tenancy_is_member =>
        recall_in, |call| answer_in(call, Topic::Member);
    pg_finfo_tenancy_can_see_tenant, tenancy_can_see_tenant =>
        recall_in, |call| answer_in(call, Topic::Visible);
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
    pub(super) fn admits(&self, tenant: &Id) -> bool {
        let Some(access) = &self.access else { return false };
        match self.answers {
            Some(answers) => access.admits_by(tenant, answers),
            None => access.admits(tenant, &self.question),
        }
    }
}

#[inline(always)]
fn recall_in(call: &Call) -> Option<Reply> {
    let tenant = call.uuid(0)?;
    Site::<Asked>::recall(call, Some(1)).map(|asked| Reply::Bool(asked.admits(tenant)))
}

fn answer_in(call: &mut Call, topic: Topic) -> Reply {
    let Some(tenant) = call.uuid(0) else { return Reply::Null };
    let index = is_named(topic).then_some(1);
    if index.is_some_and(|index| call.is_null(index)) {
        return Reply::Null;
    }
    let argument = call.copy();
    let update = |asked: &mut Asked, identity: &Rc<Identity>| {
        let question = question(&argument, 1, topic, &identity.access.catalogue).unwrap_or_default();
        *asked = Asked::new(&identity.access, question);
    };
    Reply::Bool(Site::renew(call, index, update, |asked| asked.admits(tenant)))
}

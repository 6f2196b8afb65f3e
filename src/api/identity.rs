//! `current_user_id`, `current_tenant_id`: uuids answered by pointer to what the call site keeps; and
//! `current_tenant_key` where it is a number.

use crate::pg::call::Call;
use crate::pg::function::{Reply, export, palloc_uuid};
use crate::rbac::{Id, keys};
use crate::session::identity::Identity;
use crate::session::site::Site;

export! {
    pg_finfo_tenancy_current_user_id, tenancy_current_user_id =>
        recall, |call| answer(call, |identity| identity.user.as_ref());
    pg_finfo_tenancy_current_tenant_id, tenancy_current_tenant_id =>
        recall, |call| answer(call, Identity::tenant);
    pg_finfo_tenancy_current_tenant_key_bigint, tenancy_current_tenant_key_bigint =>
        recall_number, |call| number(call, Some);
    pg_finfo_tenancy_current_tenant_key_integer, tenancy_current_tenant_key_integer =>
        recall_number, |call| number(call, |number| i32::try_from(number).ok().map(i64::from));
}

#[derive(Default)]
struct Answer {
    present: bool,
    /// Overwritten in place, never freed before the expression: a datum handed out stays readable, with the value of
    /// the moment.
    id: Box<Id>,
}

impl Answer {
    #[inline]
    fn reply(&self) -> Reply {
        match self.present {
            true => Reply::Datum(pgrx::pg_sys::Datum::from(self.id.as_ptr())),
            false => Reply::Null,
        }
    }
}

#[inline(always)]
fn recall(call: &Call) -> Option<Reply> {
    Site::<Answer>::recall(call, None).map(Answer::reply)
}

fn answer(call: &mut Call, question: fn(&Identity) -> Option<&Id>) -> Reply {
    let has_site = call.has_site();
    let update = |answer: &mut Answer, identity: &std::rc::Rc<Identity>| {
        let id = question(identity);
        answer.present = id.is_some();
        *answer.id = id.copied().unwrap_or_default();
    };
    Site::renew(call, None, update, |answer| match has_site {
        true => answer.reply(),
        false if answer.present => Reply::Datum(palloc_uuid(&answer.id)),
        false => Reply::Null,
    })
}

#[inline(always)]
fn recall_number(call: &Call) -> Option<Reply> {
    Site::<Option<i64>>::recall(call, None).map(|key| number_reply(*key))
}

#[inline(always)]
fn number_reply(key: Option<i64>) -> Reply {
    key.map_or(Reply::Null, |key| Reply::Datum(pgrx::pg_sys::Datum::from(key)))
}

/// The key of the active tenant, if it is a number that the type holds.
fn number(call: &mut Call, fit: fn(i64) -> Option<i64>) -> Reply {
    let update = |kept: &mut Option<i64>, identity: &std::rc::Rc<Identity>| {
        *kept = identity.tenant_key().and_then(|key| keys::number(&key)).and_then(fit);
    };
    Site::renew(call, None, update, |key| number_reply(*key))
}

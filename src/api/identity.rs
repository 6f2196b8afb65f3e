//! `current_user_id`, `current_tenant_id`: uuids answered by pointer to what the call site keeps.

use crate::pg::call::Call;
use crate::pg::function::{Reply, export, palloc_uuid};
use crate::rbac::Id;
use crate::session::identity::Identity;
use crate::session::site::Site;

export! {
    pg_finfo_tenancy_current_user_id, tenancy_current_user_id =>
        recall, |call| answer(call, |identity| identity.user.as_ref());
    pg_finfo_tenancy_current_tenant_id, tenancy_current_tenant_id =>
        recall, |call| answer(call, Identity::tenant);
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

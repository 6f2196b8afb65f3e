//! Planner support: what a call of ours means for an index and for estimates. Nothing here folds the session's answer into a plan: plans outlive claims, so that what is planned for one user must
//! be right, if not best, for any other.

mod condition;
mod predicate;
mod selectivity;

use crate::pg::call::Call;
use crate::pg::function::{Reply, export, nothing};
use crate::pg::plan;
use crate::pg::support::{Request, unanswered};
use crate::rbac::question::Topic;

export! {
    pg_finfo_tenancy_tenant_support, tenancy_tenant_support => nothing, tenant_support;
    pg_finfo_tenancy_answer_support, tenancy_answer_support => nothing, answer_support;
    pg_finfo_tenancy_set_support, tenancy_set_support => nothing, set_support;
}

/// Called once when the library loads.
pub fn start() {
    plan::start(condition::is_redundant);
}

/// For the functions that take a tenant: `is_member(tenant)`, `has_permission(tenant, …)` and their kin.
fn tenant_support(call: &mut Call) -> Reply {
    let reply = match Request::of(call) {
        Some(Request::IndexCondition(request)) => condition::index_condition(request),
        Some(Request::Selectivity(request)) => selectivity::of_tenants(request),
        _ => None,
    };
    reply.unwrap_or_else(unanswered)
}

/// For those that answer for the active tenant and look at no column: a plan is made for the user who may, because
/// for the one who may not it has nothing to do.
fn answer_support(call: &mut Call) -> Reply {
    match Request::of(call) {
        Some(Request::Selectivity(request)) => request.answer(1.0),
        _ => unanswered(),
    }
}

/// For the functions that give the set of tenants: building an array costs by its length.
fn set_support(call: &mut Call) -> Reply {
    const PER_TENANT: f64 = 0.1;
    match Request::of(call) {
        Some(Request::Cost(request)) => {
            let size = request.call().and_then(|call| predicate::size_of_set(call, request.planning()));
            request.answer(1.0 + PER_TENANT * size.unwrap_or(1) as f64)
        }
        _ => unanswered(),
    }
}

/// The topic of a function of ours that takes a tenant, by name.
fn topic_of(name: &str) -> Option<Topic> {
    Some(match name {
        "is_member" => Topic::Member,
        "can_see_tenant" => Topic::Visible,
        "has_permission" => Topic::Permission,
        "has_any_permission" => Topic::AnyPermission,
        "has_all_permissions" => Topic::AllPermissions,
        "has_role" => Topic::ApplicationRole,
        "has_tenant_role" => Topic::TenantRole,
        "is_member_or_operator" => Topic::MemberOrOperator,
        "is_active_or_operator" => Topic::ActiveOrOperator,
        _ => return None,
    })
}

/// The function that gives the set of tenants in which the answer is yes, and the topic it is for.
const SETS: [(&std::ffi::CStr, Topic); 6] = [
    (c"tenant_ids", Topic::Member),
    (c"tenant_ids_with", Topic::Permission),
    (c"tenant_ids_with_any", Topic::AnyPermission),
    (c"tenant_ids_with_all", Topic::AllPermissions),
    (c"tenant_ids_or_all", Topic::MemberOrOperator),
    (c"active_tenant_or_all", Topic::ActiveOrOperator),
];

//! Which part of a table the rows of the user's tenants are.

use super::predicate::{Predicate, present};
use crate::pg::function::Reply;
use crate::pg::statistics::Statistics;
use crate::pg::support::Selectivity;
use crate::rbac::access::{Access, AccessMap};
use crate::rbac::question::Question;

/// The planner multiplies what conditions give, as if they were independent. Predicates on one column are not, so
/// each answers for what it adds to those before it, and for nothing beside an equality.
pub fn of_tenants(request: Selectivity) -> Option<Reply> {
    if request.is_join() {
        return None;
    }
    let asked = Predicate::of_request(&request)?;
    let planning = request.planning();
    let Some(predicates) = asked.on_column(planning) else { return Some(request.answer(1.0)) };
    let statistics = planning.statistics(asked.tenant, request.relation())?;
    let access = present();
    let question = |predicate: Predicate| predicate.question(planning, &access).unwrap_or_default();
    let before = predicates.iter().position(|predicate| predicate.identity == asked.identity).unwrap_or(0);
    let mut questions: Vec<Question> = predicates.iter().take(before).map(|p| question(*p)).collect();
    let given = part(&questions, &access, &statistics);
    questions.push(question(asked));
    Some(request.answer(part(&questions, &access, &statistics) / given.max(f64::MIN_POSITIVE)))
}

/// The part of the rows whose tenant all questions admit: exact for the most common tenants, the average of the
/// others for the rest, as the planner estimates an IN list (eqsel, utils/adt/selfuncs.c), but by walking over the
/// common tenants instead of the set. A user of no tenant is taken for one of an average tenant: the plan may
/// serve others.
fn part(questions: &[Question], access: &AccessMap, statistics: &Statistics) -> f64 {
    if questions.is_empty() {
        return 1.0;
    }
    let admits_all = |access: &Access| questions.iter().all(|question| question.admits(access));
    let (mut common, mut admitted, mut matched) = (0.0, 0.0, 0);
    for (tenant, fraction) in &statistics.common {
        common += fraction;
        if access.member(tenant).is_some_and(admits_all) {
            admitted += fraction;
            matched += 1;
        }
    }
    let tenants = access.count_where(admits_all);
    if tenants == 0 {
        return (1.0 - statistics.null_fraction) / statistics.distinct;
    }
    let others = (statistics.distinct - statistics.common.len() as f64).max(0.0);
    let rest = (1.0 - common - statistics.null_fraction).max(0.0);
    let uncommon = ((tenants - matched) as f64).min(others);
    admitted + if others >= 1.0 { rest * uncommon / others } else { 0.0 }
}

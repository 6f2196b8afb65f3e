//! Which part of a table the rows of the user's tenants are.

use super::predicate::{Predicate, present};
use crate::pg::function::Reply;
use crate::pg::statistics::{Statistics, Value};
use crate::pg::support::Selectivity;
use crate::rbac::access::AccessMap;
use crate::rbac::reach::Reach;

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
    let user = present();
    let access = &user.access;
    let reach = |predicate: Predicate| predicate.reach(planning, &user).unwrap_or_default();
    // One that stands in an OR comes after all of them.
    let position = predicates.iter().position(|predicate| predicate.identity == asked.identity);
    let before = position.unwrap_or(predicates.len());
    let mut reaches: Vec<Reach> = predicates.iter().take(before).map(|p| reach(*p)).collect();
    let given = part(&reaches, access, &statistics);
    reaches.push(reach(asked));
    Some(request.answer(part(&reaches, access, &statistics) / given.max(f64::MIN_POSITIVE)))
}

/// The part of the rows whose tenant all predicates admit: exact for the most common tenants, the average of the
/// others for the rest, as the planner estimates an IN list (eqsel, utils/adt/selfuncs.c), but by walking over the
/// common tenants instead of the set. A user of no tenant is taken for one of an average tenant: the plan may
/// serve others.
fn part(reaches: &[Reach], access: &AccessMap, statistics: &Statistics) -> f64 {
    let Some(tenants) = Reach::count(reaches, access) else { return 1.0 };
    let (mut common, mut admitted, mut matched) = (0.0, 0.0, 0);
    for (tenant, fraction) in &statistics.common {
        common += fraction;
        let admits = |reach: &Reach| match tenant {
            Value::Uuid(id) => reach.admits(id, access),
            Value::Number(number) => reach.admits(*number, access),
            Value::Text(text) => reach.admits(text.as_str(), access),
        };
        if reaches.iter().all(admits) {
            admitted += fraction;
            matched += 1;
        }
    }
    if tenants == 0 {
        return (1.0 - statistics.null_fraction) / statistics.distinct;
    }
    let others = (statistics.distinct - statistics.common.len() as f64).max(0.0);
    let rest = (1.0 - common - statistics.null_fraction).max(0.0);
    let uncommon = ((tenants - matched) as f64).min(others);
    admitted + if others >= 1.0 { rest * uncommon / others } else { 0.0 }
}

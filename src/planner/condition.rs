//! A predicate as a condition `tenant_id = ANY (tenancy.tenant_ids_with('x'))`, which an index can be searched by.
//! The set is found anew by each execution, so that the plan serves any user.

use super::predicate::{Predicate, present};
use crate::pg::function::Reply;
use crate::pg::nodes::Expr;
use crate::pg::support::{IndexCondition, Planning};
use crate::rbac::reach::Reach;
use crate::settings;

/// The exact condition, within the limits of the index. One predicate of a column is enough to search by: several
/// arrays on one column would be searched for in all their combinations, so the smallest goes, and the rest stay
/// filters. A plain equality says more than any.
pub fn index_condition(request: IndexCondition) -> Option<Reply> {
    let predicate = Predicate::of(request.call()?)?;
    let planning = request.planning();
    if !request.takes_arrays() || !is_chosen(predicate, planning) {
        return None;
    }
    let condition = predicate.condition(request.family(), request.collation())?;
    Some(request.answer(condition))
}

/// Whether this predicate is the first of the smallest sets, and small enough; of equals, `is_member` is the last, since
/// the others imply it. A set that is not known while planning, or empty, is taken for one tenant: the plan may be
/// somebody else's who has some. An operator, who
/// reaches all, is better off without an index.
fn is_chosen<'p>(predicate: Predicate<'p>, planning: Planning<'p>) -> bool {
    let user = present();
    let size = |predicate: Predicate<'p>| {
        let reach = predicate.reach(planning, &user);
        reach.map_or(1, |reach| Reach::count(&[reach], &user.access).map_or(usize::MAX, |count| count.max(1)))
    };
    let Some(rivals) = predicate.on_column(planning) else { return false };
    let smallest = rivals
        .into_iter()
        .filter(|rival| rival.set_name().is_some())
        .min_by_key(|rival| (size(*rival), rival.is_member()));
    smallest.is_none_or(|smallest| smallest.identity == predicate.identity)
        && size(predicate) <= usize::try_from(settings::INDEX_MAX_SET.get()).unwrap_or(0)
}

/// Whether a filter says nothing beyond an index condition: it is the predicate that condition was made from, or
/// `is_member`, which every other implies but those that admit operators.
pub fn is_redundant(filter: Expr, condition: Expr) -> bool {
    let Some(predicate) = filter.as_function().and_then(Predicate::of) else { return false };
    let Some((column, array)) = condition.as_equals_any() else { return false };
    column == predicate.column && array.as_function().is_some_and(|set| predicate.admits_set(set))
}

//! A call that asks about the tenant in a column, as the planner sees it, and what it comes to at present.

use super::{SETS, topic_of};
use crate::cache::SCHEMA;
use crate::pg::nodes::{self, Expr, FunctionCall, Identity, Known, TenantType, Variable};
use crate::pg::scan;
use crate::pg::support::{Planning, Selectivity};
use crate::rbac::question::Topic;
use crate::rbac::reach::Reach;
use crate::session::{self, identity::Identity as User};
use pgrx::pg_sys::{self, Oid};
use std::ffi::CStr;
use std::rc::Rc;

/// `has_permission(column, argument)` or one of its kin.
#[derive(Clone, Copy)]
pub struct Predicate<'p> {
    pub identity: Identity,
    pub tenant: Expr<'p>,
    pub column: Variable<'p>,
    /// What the column names tenants by.
    of: TenantType,
    topic: Topic,
    argument: Option<Expr<'p>>,
    schema: Oid,
}

impl<'p> Predicate<'p> {
    pub fn of(call: FunctionCall<'p>) -> Option<Self> {
        Self::new(call.oid(), &call.arguments(), call.identity())
    }

    pub fn of_request(request: &Selectivity<'p>) -> Option<Self> {
        Self::new(request.function(), &request.arguments(), request.identity())
    }

    /// `None` for a call of another function, or one whose tenant is no column nor a function of columns, or whose other argument may
    /// change from row to row.
    fn new(function: Oid, arguments: &[Expr<'p>], identity: Identity) -> Option<Self> {
        let tenant = *arguments.first()?;
        let column = tenant.as_variable()?;
        let schema = scan::schema(SCHEMA)?;
        let signature = nodes::signature(function, schema)?;
        let of = signature.first?;
        let topic = topic_of(&signature.name)?;
        let argument = arguments.get(1).copied();
        if argument.is_some_and(|argument| !argument.is_fixed()) {
            return None;
        }
        Some(Self { identity, tenant, column, of, topic, argument, schema })
    }

    /// What the planner knows of the column besides, once it has sorted the conditions on the relation: the predicates
    /// on it, in order, this one among them unless it stands in an OR, say. `None` where it must equal something,
    /// which says more than any predicate.
    pub fn on_column(self, planning: Planning<'p>) -> Option<Vec<Self>> {
        let conditions = planning.conditions_on(self.column);
        if conditions.iter().any(|condition| condition.as_equality() == Some(self.column)) {
            return None;
        }
        let predicates = conditions.iter().filter_map(|condition| condition.as_function().and_then(Self::of));
        Some(predicates.filter(|predicate| predicate.column == self.column).collect())
    }

    /// What it admits for this user, if that is known while planning.
    pub fn reach(self, planning: Planning<'p>, user: &User) -> Option<Reach> {
        reach(self.topic, self.argument, planning, user)
    }

    /// The call that gives all tenants for which this one says yes, if there is such a function.
    fn set(self) -> Option<Expr<'p>> {
        let type_oid = match self.topic {
            Topic::AnyPermission | Topic::AllPermissions => pg_sys::TEXTARRAYOID,
            _ => pg_sys::TEXTOID,
        };
        let mut arguments: Vec<_> = self.argument.into_iter().map(|argument| (argument, type_oid)).collect();
        if self.of != TenantType::Uuid {
            arguments.push((Expr::null(self.of)?, self.of.oid()));
        }
        nodes::array_call(self.schema, self.set_name()?, &arguments, self.of)
    }

    /// The same as `column = ANY (set)`, for an index of this operator family and collation.
    pub fn condition(self, family: Oid, collation: Oid) -> Option<Expr<'p>> {
        self.tenant.equals_any(self.of, self.set()?, family, collation)
    }

    pub fn is_member(self) -> bool {
        self.topic == Topic::Member
    }

    /// Whether this says yes for every tenant of the set that the call gives.
    pub fn admits_set(self, call: FunctionCall<'p>) -> bool {
        let Some(topic) = topic_of_set(call) else { return false };
        let same_argument = match (self.argument, set_argument(topic, call)) {
            (Some(own), Some(other)) => own.equals(other),
            (own, other) => own.is_none() && other.is_none(),
        };
        // Operators are members of few of the tenants that they reach.
        (self.is_member() && !topic.has_operators()) || (topic == self.topic && same_argument)
    }

    pub fn set_name(self) -> Option<&'static CStr> {
        SETS.into_iter().find(|(_, topic)| *topic == self.topic).map(|(name, _)| name)
    }
}

/// What the set of all tenants is taken for: more than an index is searched for.
const MOST: usize = 1_000_000;

/// How many tenants a call of `tenant_ids_with(…)` or one of its kin gives at present, if that is known while
/// planning.
pub fn size_of_set<'p>(call: FunctionCall<'p>, planning: Planning<'p>) -> Option<usize> {
    let topic = topic_of_set(call)?;
    let user = present();
    let reach = reach(topic, set_argument(topic, call), planning, &user)?;
    Some(Reach::count(&[reach], &user.access).unwrap_or(MOST))
}

/// What a set is asked for: its first argument, unless that only chooses the type.
fn set_argument<'p>(topic: Topic, call: FunctionCall<'p>) -> Option<Expr<'p>> {
    call.arguments().first().copied().filter(|_| topic != Topic::Member)
}

/// The topic of a function that gives a set.
fn topic_of_set(call: FunctionCall) -> Option<Topic> {
    let name = nodes::signature(call.oid(), scan::schema(SCHEMA)?)?.name;
    SETS.into_iter().find(|(set, _)| set.to_bytes() == name.as_bytes()).map(|(_, topic)| topic)
}

/// The present user. Read while planning, for estimates only.
pub fn present() -> Rc<User> {
    session::fresh()
}

fn reach<'p>(topic: Topic, argument: Option<Expr<'p>>, planning: Planning<'p>, user: &User) -> Option<Reach> {
    let (access, active) = (&user.access, user.tenant());
    let Some(argument) = argument else { return Some(Reach::new(topic, access, active, std::iter::empty())) };
    match planning.estimate(argument) {
        Known::Unknown => None,
        Known::Null => Some(Reach::default()),
        Known::Text(name) => Some(Reach::new(topic, access, active, std::iter::once(Some(name)))),
        Known::Texts(names) => Some(Reach::new(topic, access, active, names.iter())),
    }
}

//! What the planner asks a support function (nodes/supportnodes.h), and how it wants to be answered.

use super::call::Call;
use super::compat;
use super::function::Reply;
use super::nodes::{Expr, FunctionCall, Identity, Known, Variable, list};
use super::statistics::Statistics;
use pgrx::pg_sys::{self, Datum, NodeTag, Oid};
use std::ffi::c_int;
use std::marker::PhantomData;

pub enum Request<'p> {
    IndexCondition(IndexCondition<'p>),
    Selectivity(Selectivity<'p>),
    Cost(Cost<'p>),
}

impl<'p> Request<'p> {
    /// `None` for a request of another kind, which is to be left unanswered.
    pub fn of(call: &Call<'p>) -> Option<Self> {
        let node = call.internal(0)?.cast::<pg_sys::Node>();
        let during = PhantomData;
        // SAFETY: the planner passes a request, and the tag says of which kind.
        Some(match unsafe { (*node).type_ } {
            NodeTag::T_SupportRequestIndexCondition => {
                Self::IndexCondition(IndexCondition { raw: node.cast(), during })
            }
            NodeTag::T_SupportRequestSelectivity => {
                Self::Selectivity(Selectivity { raw: node.cast(), during })
            }
            NodeTag::T_SupportRequestCost => Self::Cost(Cost { raw: node.cast(), during }),
            _ => return None,
        })
    }
}

/// What is being planned, as far as it is known.
#[derive(Clone, Copy)]
pub struct Planning<'p> {
    root: *mut pg_sys::PlannerInfo,
    during: PhantomData<&'p ()>,
}

impl<'p> Planning<'p> {
    pub fn estimate(self, expr: Expr<'p>) -> Known<'p> {
        expr.estimated(self.root)
    }

    /// The conditions on the relation of a column, once the planner has sorted them.
    pub fn conditions_on(self, column: Variable<'p>) -> Vec<Expr<'p>> {
        // SAFETY: the array holds simple_rel_array_size pointers, null where there is no base relation yet
        // (nodes/pathnodes.h, optimizer/util/relnode.c).
        unsafe {
            let Some(root) = self.root.as_ref() else { return Vec::new() };
            if root.simple_rel_array.is_null() || !(1..root.simple_rel_array_size).contains(&column.relation)
            {
                return Vec::new();
            }
            let relation = *root.simple_rel_array.offset(column.relation as isize);
            if relation.is_null() { Vec::new() } else { clauses((*relation).baserestrictinfo) }
        }
    }

    pub fn statistics(self, column: Expr<'p>, relation: c_int) -> Option<Statistics> {
        (!self.root.is_null()).then(|| Statistics::of(self.root, column, relation))
    }
}

/// # Safety
/// `infos` is NIL or a list of RestrictInfo.
unsafe fn clauses<'p>(infos: *mut pg_sys::List) -> Vec<Expr<'p>> {
    // SAFETY: the caller's promise; a RestrictInfo has a clause.
    unsafe {
        let infos = pgrx::PgList::<pg_sys::RestrictInfo>::from_pg(infos);
        infos.iter_ptr().filter_map(|info| Expr::new((*info).clause.cast())).collect()
    }
}

macro_rules! request {
    ($(#[$about:meta])* $name:ident, $raw:ident) => {
        $(#[$about])*
        pub struct $name<'p> {
            raw: *mut pg_sys::$raw,
            during: PhantomData<&'p ()>,
        }

        impl<'p> $name<'p> {
            pub fn planning(&self) -> Planning<'p> {
                // SAFETY: a valid request.
                Planning { root: unsafe { (*self.raw).root }, during: PhantomData }
            }
        }
    };
}

request!(
    /// Whether an index can be searched by the call.
    IndexCondition, SupportRequestIndexCondition
);
request!(
    /// Which part of the rows the call admits.
    Selectivity, SupportRequestSelectivity
);
request!(
    /// What a call costs.
    Cost, SupportRequestCost
);

impl<'p> IndexCondition<'p> {
    /// The call, if it is its first argument that the index has.
    pub fn call(&self) -> Option<FunctionCall<'p>> {
        // SAFETY: a valid request; its node is an expression.
        unsafe {
            (((*self.raw).indexarg) == 0).then(|| Expr::new((*self.raw).node))?.and_then(Expr::as_function)
        }
    }

    /// Whether the index can be searched for several values at once without anything going wrong: it searches
    /// arrays itself, or its scans give bitmaps only, for which the executor repeats the search.
    pub fn takes_arrays(&self) -> bool {
        // SAFETY: a valid request with its index.
        let (index, column) = unsafe { (&*(*self.raw).index, (*self.raw).indexcol) };
        (index.amsearcharray || (index.amhasgetbitmap && !index.amhasgettuple))
            && (column == 0 || compat::ARRAYS_KEEP_INDEX_ORDER)
    }

    pub fn family(&self) -> Oid {
        // SAFETY: a valid request.
        unsafe { (*self.raw).opfamily }
    }

    pub fn collation(&self) -> Oid {
        // SAFETY: a valid request.
        unsafe { (*self.raw).indexcollation }
    }

    /// The index is to be searched by exactly this condition.
    pub fn answer(self, condition: Expr<'p>) -> Reply {
        super::plan::condition_given();
        // SAFETY: a valid request; the answer is a list of conditions. The processes of a parallel index scan share
        // positions in the array, which must be the same in all of them; each finds its own, and grants may change in
        // between (shown: rows lost and rows twice). The flag is of this query's planning and read after this.
        unsafe {
            (*(*self.raw).index).amcanparallel = false;
            (*self.raw).lossy = false;
            Reply::Datum(Datum::from(pg_sys::lappend(std::ptr::null_mut(), condition.raw().cast())))
        }
    }
}

impl<'p> Selectivity<'p> {
    pub fn function(&self) -> Oid {
        // SAFETY: a valid request.
        unsafe { (*self.raw).funcid }
    }

    pub fn arguments(&self) -> Vec<Expr<'p>> {
        // SAFETY: a valid request; its arguments are nodes.
        unsafe { list((*self.raw).args) }
    }

    pub fn identity(&self) -> Identity {
        // SAFETY: a valid request.
        Identity(unsafe { (*self.raw).args }.cast_const())
    }

    pub fn is_join(&self) -> bool {
        // SAFETY: a valid request.
        unsafe { (*self.raw).is_join }
    }

    pub fn relation(&self) -> c_int {
        // SAFETY: a valid request.
        unsafe { (*self.raw).varRelid }
    }

    pub fn answer(self, selectivity: f64) -> Reply {
        // SAFETY: a valid request; answering is filling it in and giving it back.
        unsafe {
            (*self.raw).selectivity = selectivity.clamp(0.0, 1.0);
            Reply::Datum(Datum::from(self.raw))
        }
    }
}

impl<'p> Cost<'p> {
    /// The call, if it is one: costs are also asked of functions without an expression.
    pub fn call(&self) -> Option<FunctionCall<'p>> {
        // SAFETY: a valid request; its node is null or an expression.
        unsafe { Expr::new((*self.raw).node) }.and_then(Expr::as_function)
    }

    /// In units of the cost of an operator.
    pub fn answer(self, operators: f64) -> Reply {
        // SAFETY: a valid request; the setting is a plain variable.
        unsafe {
            (*self.raw).startup = 0.0;
            (*self.raw).per_tuple = operators * pg_sys::cpu_operator_cost;
            Reply::Datum(Datum::from(self.raw))
        }
    }
}

/// A null pointer, not NULL: the request is not answered.
pub fn unanswered() -> Reply {
    Reply::Datum(Datum::from(0))
}

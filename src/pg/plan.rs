//! Finished plans: taking out of a scan's filter what its index was already searched by. The planner does so itself
//! where it can prove it, not for a bitmap scan whose index condition a support function gave, so that every row
//! would be checked once more.

use super::nodes::{Expr, list};
use pgrx::pg_sys::{self, NodeTag};
use std::cell::Cell;
use std::ffi::{c_char, c_int};

/// Whether the first, a filter, says nothing beyond the second, an index condition.
type Redundant = fn(Expr, Expr) -> bool;

thread_local! {
    static NEXT: Cell<pg_sys::planner_hook_type> = const { Cell::new(None) };
    static CHECK_MERGE: Cell<Option<fn(pg_sys::Oid)>> = const { Cell::new(None) };
    static REDUNDANT: Cell<Option<Redundant>> = const { Cell::new(None) };
    /// How many index conditions support functions of ours have given.
    static GIVEN: Cell<u64> = const { Cell::new(0) };
}

/// Called once when the library loads.
pub fn start(redundant: Redundant) {
    REDUNDANT.set(Some(redundant));
    // SAFETY: hooks are set by libraries while they load and chained thereafter (optimizer/planner.h).
    unsafe {
        NEXT.set(pg_sys::planner_hook);
        pg_sys::planner_hook = Some(planner);
    }
}

/// Called for each MERGE into a partitioned table before it is planned; may refuse it.
pub fn on_merge(check: fn(pg_sys::Oid)) {
    CHECK_MERGE.set(Some(check));
}

/// An index condition was given: the plan may need a look.
pub(super) fn condition_given() {
    GIVEN.set(GIVEN.get() + 1);
}

mod unguarded {
    use super::*;
    // SAFETY: declared so in optimizer/planner.h. It raises, which pgrx's wrapper would turn into a panic; the
    // caller below has no destructors, so that nothing need be unwound.
    unsafe extern "C-unwind" {
        pub fn standard_planner(
            query: *mut pg_sys::Query,
            text: *const c_char,
            options: c_int,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;
    }
}

/// # Safety
/// Called by the planner's callers with a valid query. No frame here has a destructor and nothing panics, so an error
/// that the next function raises may jump over it (no guard needed).
unsafe extern "C-unwind" fn planner(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    let before = GIVEN.get();
    // SAFETY: the arguments are passed on as they came, and the plan is a valid one.
    unsafe {
        if !query.is_null()
            && ((*query).commandType == pg_sys::CmdType::CMD_MERGE || (*query).hasModifyingCTE)
        {
            look_for_merge(query);
        }
        let next = NEXT.get().unwrap_or(unguarded::standard_planner);
        let plan = next(query, text, options, parameters);
        if GIVEN.get() != before {
            trim(plan);
        }
        plan
    }
}

/// # Safety
/// `query` is a valid query.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn look_for_merge(query: *mut pg_sys::Query) {
    // SAFETY: the caller's promise; only the CTEs of the outermost query can modify, and each holds a query (parsenodes.h).
    unsafe {
        look_at_merge(query);
        for cte in pgrx::PgList::<pg_sys::CommonTableExpr>::from_pg((*query).cteList).iter_ptr() {
            let inner = (*cte).ctequery;
            if !inner.is_null() && (*inner).type_ == NodeTag::T_Query {
                look_at_merge(inner.cast());
            }
        }
    }
}

/// # Safety
/// `query` is a valid query.
unsafe fn look_at_merge(query: *mut pg_sys::Query) {
    let Some(check) = CHECK_MERGE.get() else { return };
    // SAFETY: the caller's promise; resultRelation counts the range table's entries from 1 (nodes/parsenodes.h).
    unsafe {
        if (*query).commandType != pg_sys::CmdType::CMD_MERGE {
            return;
        }
        let Ok(number) = usize::try_from((*query).resultRelation - 1) else { return };
        let entries = pgrx::PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable);
        let Some(target) = entries.get_ptr(number) else { return };
        if (*target).relkind == pg_sys::RELKIND_PARTITIONED_TABLE as c_char {
            check((*target).relid);
        }
    }
}

/// # Safety
/// `plan` is null or a plan just made.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn trim(plan: *mut pg_sys::PlannedStmt) {
    let Some(redundant) = REDUNDANT.get() else { return };
    // SAFETY: the caller's promise; `subplans` is a list of plans, null for those that were dropped.
    unsafe {
        let Some(plan) = plan.as_mut() else { return };
        trim_tree(plan.planTree, redundant);
        let subplans = pgrx::PgList::<pg_sys::Plan>::from_pg(plan.subplans);
        subplans.iter_ptr().for_each(|subplan| trim_tree(subplan, redundant));
    }
}

/// # Safety
/// `plan` is null or a node of a plan tree.
unsafe fn trim_tree(plan: *mut pg_sys::Plan, redundant: Redundant) {
    // SAFETY: a node's tag says what it is, and so where its children are (nodes/plannodes.h). The tree is as deep
    // as the planner has just built it recursively, having checked the stack.
    unsafe {
        pg_sys::check_stack_depth();
        if plan.is_null() {
            return;
        }
        let children = match (*plan).type_ {
            NodeTag::T_BitmapHeapScan => {
                // What leaves the filter is still rechecked where the bitmap has lost rows, and where a row has
                // changed under a lock.
                let left = trim_filter(plan, &index_conditions((*plan).lefttree), redundant);
                let scan = plan.cast::<pg_sys::BitmapHeapScan>();
                (*scan).bitmapqualorig = pg_sys::list_concat((*scan).bitmapqualorig, left);
                return;
            }
            NodeTag::T_IndexScan => {
                trim_filter(plan, &list((*plan.cast::<pg_sys::IndexScan>()).indexqualorig), redundant);
                return;
            }
            NodeTag::T_IndexOnlyScan => {
                trim_filter(plan, &list((*plan.cast::<pg_sys::IndexOnlyScan>()).recheckqual), redundant);
                return;
            }
            NodeTag::T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            NodeTag::T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            NodeTag::T_SubqueryScan => {
                return trim_tree((*plan.cast::<pg_sys::SubqueryScan>()).subplan, redundant);
            }
            _ => std::ptr::null_mut(),
        };
        let children = pgrx::PgList::<pg_sys::Plan>::from_pg(children);
        children.iter_ptr().for_each(|child| trim_tree(child, redundant));
        trim_tree((*plan).lefttree, redundant);
        trim_tree((*plan).righttree, redundant);
    }
}

/// Takes out of a scan's filter what is redundant beside conditions that all its rows meet, and gives it.
///
/// # Safety
/// `scan` is a scan's plan, the conditions are over the same columns as its filter.
unsafe fn trim_filter(
    scan: *mut pg_sys::Plan,
    conditions: &[Expr],
    redundant: Redundant,
) -> *mut pg_sys::List {
    let (mut kept, mut left) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: a filter is a list of expressions; lists are made in the planner's memory.
    unsafe {
        for filter in list((*scan).qual) {
            let to = match conditions.iter().any(|condition| redundant(filter, *condition)) {
                true => &mut left,
                false => &mut kept,
            };
            *to = pg_sys::lappend(*to, filter.raw().cast());
        }
        (*scan).qual = kept;
    }
    left
}

/// Conditions that every row of the bitmap meets.
///
/// # Safety
/// `plan` is null or the bitmap part of a bitmap scan.
unsafe fn index_conditions<'p>(plan: *mut pg_sys::Plan) -> Vec<Expr<'p>> {
    // SAFETY: the caller's promise.
    unsafe {
        match plan.as_ref().map(|plan| plan.type_) {
            Some(NodeTag::T_BitmapIndexScan) => list((*plan.cast::<pg_sys::BitmapIndexScan>()).indexqualorig),
            Some(NodeTag::T_BitmapAnd) => {
                let parts =
                    pgrx::PgList::<pg_sys::Plan>::from_pg((*plan.cast::<pg_sys::BitmapAnd>()).bitmapplans);
                parts.iter_ptr().flat_map(|part| index_conditions(part)).collect()
            }
            _ => Vec::new(),
        }
    }
}

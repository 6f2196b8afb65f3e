//! Telling one execution from the next. The statement timestamp alone does not: every statement of one query
//! string has the same, and plpgsql keeps the call sites of simple expressions for the whole transaction.

use super::xact;
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

/// A static, and so atomic, because every row's check reads it.
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static NEXT_START: Cell<pg_sys::ExecutorStart_hook_type> = const { Cell::new(None) };
    static NEXT_UTILITY: Cell<pg_sys::ProcessUtility_hook_type> = const { Cell::new(None) };
}

/// Which execution of this backend is under way: when its client's statement arrived, and how many have begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    arrived: i64,
    number: u64,
}

impl Execution {
    #[inline]
    pub fn current() -> Self {
        Self { arrived: xact::statement_timestamp(), number: EXECUTIONS.load(Ordering::Relaxed) }
    }

    /// Whether both belong to one statement of the client, as far as its clock tells.
    pub fn arrived_with(self, other: Self) -> bool {
        self.arrived == other.arrived
    }
}

/// Counts from now on. Called once when the library loads.
pub fn start() {
    // SAFETY: hooks are set by libraries while they load and chained thereafter (executor.h, utility.h).
    unsafe {
        NEXT_START.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        NEXT_UTILITY.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

fn count() {
    EXECUTIONS.fetch_add(1, Ordering::Relaxed);
}

mod unguarded {
    use super::*;
    // SAFETY: declared so in executor/executor.h and tcop/utility.h. They raise, which pgrx's wrappers would turn
    // into a panic; the callers below have no destructors, so that nothing need be unwound.
    unsafe extern "C-unwind" {
        pub fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
        pub fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            text: *const c_char,
            read_only_tree: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            receiver: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
}

/// # Safety
/// Called by the executor with a valid query. No frame here has a destructor and nothing panics, so an error
/// that the next function raises may jump over it (no guard needed).
unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    count();
    // SAFETY: the arguments are passed on as they came.
    unsafe {
        NEXT_START.get().unwrap_or(unguarded::standard_ExecutorStart)(query, flags);
    }
}

/// # Safety
/// As above.
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    count();
    // SAFETY: the arguments are passed on as they came.
    unsafe {
        let next = NEXT_UTILITY.get().unwrap_or(unguarded::standard_ProcessUtility);
        next(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
    }
}

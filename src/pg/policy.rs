//! Conditions of policies as Postgres keeps them. They are never parsed from text again: that would run code of whoever owns
//! the types of their constants, and would need USAGE on the schemas they name, which a policy in force does not.

use super::compat;
use super::role::Acting;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgList, is_a};
use std::ffi::CStr;
use std::ptr;

/// What has to hold, in order: as security conditions none is asked of a row for which one before it does not.
///
/// # Safety
/// `condition` is null or an expression that nobody else has.
unsafe fn all_of(condition: *mut pg_sys::Node) -> *mut pg_sys::List {
    // SAFETY: the tag says what a node is; AND holds a list of expressions.
    unsafe {
        if condition.is_null() {
            return ptr::null_mut();
        }
        let operation = condition.cast::<pg_sys::BoolExpr>();
        if is_a(condition, pg_sys::NodeTag::T_BoolExpr)
            && (*operation).boolop == pg_sys::BoolExprType::AND_EXPR
        {
            return (*operation).args;
        }
        let mut conditions = PgList::new();
        conditions.push(condition);
        conditions.into_pg()
    }
}

/// A SELECT on one table, whose condition names policies by calls of a function that stands for them.
pub struct Counting<'a> {
    pub query: &'a CStr,
    pub table: Oid,
    pub stands_for_policy: Oid,
    /// By a policy's id, what pg_policy holds of the table that the query is on.
    pub condition_of: &'a dyn Fn(Oid) -> Option<&'a CStr>,
}

impl Counting<'_> {
    /// How many rows there are: rows of the table are read with the present role's rights, by the query alone; all else is
    /// planned and run as another role, under this `search_path`. `None` if the present role is no member of it, or the query
    /// is another.
    pub fn as_role(&self, role: &CStr, search_path: &CStr) -> Option<u64> {
        // SAFETY: the steps of exec_simple_query (postgres.c) for one SELECT; a policy's condition is of the table as the
        // first of its query, as ours is, and is put where row security puts it (rowsecurity.c). A snapshot is active,
        // because a function is running.
        unsafe {
            let text = self.query.as_ptr();
            let statement = PgList::<pg_sys::RawStmt>::from_pg(pg_sys::pg_parse_query(text)).get_ptr(0)?;
            let query = pg_sys::parse_analyze_fixedparams(statement, text, ptr::null(), 0, ptr::null_mut());
            let first = PgList::<pg_sys::RangeTblEntry>::from_pg((*query).rtable).get_ptr(0)?;
            if (*query).commandType != pg_sys::CmdType::CMD_SELECT || (*first).relid != self.table {
                return None;
            }
            compat::check_first_as(query, pg_sys::GetUserId());
            let condition = self.with_policies((*(*query).jointree).quals);
            (*(*query).jointree).quals = ptr::null_mut();
            (*first).securityQuals = all_of(condition);
            (*query).hasSubLinks = true;
            let _role = Acting::reading_as(role)?;
            pg_sys::set_config_option(
                c"search_path".as_ptr(),
                search_path.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
            pg_sys::AcquireRewriteLocks(query, true, false);
            let query = PgList::<pg_sys::Query>::from_pg(pg_sys::pg_rewrite_query(query)).get_ptr(0)?;
            let plan = pg_sys::pg_plan_query(query, text, 0, ptr::null_mut());
            let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
            let (snapshot, none) = (pg_sys::GetActiveSnapshot(), ptr::null_mut());
            let run = pg_sys::CreateQueryDesc(
                plan,
                text,
                snapshot,
                none,
                nowhere,
                ptr::null_mut(),
                ptr::null_mut(),
                0,
            );
            pg_sys::ExecutorStart(run, 0);
            compat::run_to_end(run);
            let rows = (*(*run).estate).es_processed;
            pg_sys::ExecutorFinish(run);
            pg_sys::ExecutorEnd(run);
            pg_sys::FreeQueryDesc(run);
            Some(rows)
        }
    }

    /// # Safety
    /// `node` is null or an expression that was just analysed, and that nobody else has.
    unsafe fn with_policies(&self, node: *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: the tag says what a node is; a list has `length` elements.
        unsafe {
            if node.is_null() {
                return node;
            }
            if is_a(node, pg_sys::NodeTag::T_BoolExpr) {
                let list = (*node.cast::<pg_sys::BoolExpr>()).args;
                for index in 0..(*list).length as usize {
                    let cell = (*list).elements.add(index);
                    (*cell).ptr_value = self.with_policies((*cell).ptr_value.cast()).cast();
                }
            } else if is_a(node, pg_sys::NodeTag::T_FuncExpr) {
                let call = node.cast::<pg_sys::FuncExpr>();
                let argument = PgList::<pg_sys::Node>::from_pg((*call).args).get_ptr(0);
                if let Some(argument) = argument
                    && (*call).funcid == self.stands_for_policy
                    && is_a(argument, pg_sys::NodeTag::T_Const)
                {
                    let policy = Oid::from((*argument.cast::<pg_sys::Const>()).constvalue.value() as u32);
                    return match (self.condition_of)(policy) {
                        Some(condition) => pg_sys::stringToNode(condition.as_ptr()).cast(),
                        None => node,
                    };
                }
            }
            node
        }
    }
}

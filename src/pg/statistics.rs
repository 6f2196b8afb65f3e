//! What ANALYZE knows of a column that names tenants.

use super::nodes::Expr;
use pgrx::pg_sys;
use std::ffi::c_int;

pub enum Value {
    Uuid([u8; 16]),
    Number(i64),
    Text(String),
}

pub struct Statistics {
    /// Distinct values, at least one.
    pub distinct: f64,
    pub null_fraction: f64,
    /// The most common values, each with its part of all rows.
    pub common: Vec<(Value, f64)>,
}

impl Statistics {
    /// `root` is the planner's, not null.
    pub(super) fn of(root: *mut pg_sys::PlannerInfo, column: Expr, relation: c_int) -> Self {
        let mut data = pg_sys::VariableStatData::default();
        // SAFETY: the planner's own way to a column's statistics (utils/selfuncs.h): examine_variable fills `data`
        // in, its tuple is of pg_statistic if there is one, and is released by the function that comes with it.
        unsafe {
            pg_sys::examine_variable(root, column.raw(), relation, &raw mut data);
            let mut guessed = false;
            let distinct = pg_sys::get_variable_numdistinct(&raw mut data, &raw mut guessed).max(1.0);
            let mut statistics = Self { distinct, null_fraction: 0.0, common: Vec::new() };
            if let Some(tuple) = data.statsTuple.as_mut() {
                let form = tuple.t_data.cast::<u8>().add(usize::from((*tuple.t_data).t_hoff));
                statistics.null_fraction =
                    f64::from((*form.cast::<pg_sys::FormData_pg_statistic>()).stanullfrac);
                statistics.common = common_values(tuple);
            }
            if let (Some(free), false) = (data.freefunc, data.statsTuple.is_null()) {
                free(data.statsTuple);
            }
            statistics
        }
    }
}

/// # Safety
/// `tuple` is of pg_statistic.
unsafe fn common_values(tuple: &mut pg_sys::HeapTupleData) -> Vec<(Value, f64)> {
    let mut slot = pg_sys::AttStatsSlot::default();
    // SAFETY: the caller's promise; a slot found holds so many values, of the type it names, and numbers until it is
    // freed.
    unsafe {
        let found = pg_sys::get_attstatsslot(
            &raw mut slot,
            tuple,
            pg_sys::STATISTIC_KIND_MCV as c_int,
            pg_sys::Oid::INVALID,
            (pg_sys::ATTSTATSSLOT_VALUES | pg_sys::ATTSTATSSLOT_NUMBERS) as c_int,
        );
        if !found {
            return Vec::new();
        }
        let count = usize::try_from(slot.nvalues.min(slot.nnumbers)).unwrap_or(0);
        let common = (0..count)
            .filter_map(|i| {
                Some((value(*slot.values.add(i), slot.valuetype)?, f64::from(*slot.numbers.add(i))))
            })
            .collect();
        pg_sys::free_attstatsslot(&raw mut slot);
        common
    }
}

/// # Safety
/// `datum` is not NULL and of that type.
unsafe fn value(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> Option<Value> {
    // SAFETY: the caller's promise: sixteen bytes by reference, a number by value, or a varlena.
    unsafe {
        match type_oid {
            pg_sys::UUIDOID => Some(Value::Uuid(*datum.cast_mut_ptr::<[u8; 16]>())),
            pg_sys::INT8OID => Some(Value::Number(datum.value() as i64)),
            pg_sys::INT4OID => Some(Value::Number(i64::from(datum.value() as i32))),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => {
                let text = std::str::from_utf8(super::function::text_bytes(datum)).ok()?;
                Some(Value::Text(text.to_owned()))
            }
            _ => None,
        }
    }
}

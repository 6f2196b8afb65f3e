//! jsonb as the server has it, so that what is not ours goes through untouched: serde would round its numbers.

use pgrx::pg_sys::{self, Datum};
use std::ffi::{CStr, CString};

/// Reads JSON text. The text must be valid JSON, or the server's own error is raised.
pub fn parse(text: &str) -> Option<Datum> {
    let text = CString::new(text).ok()?;
    // SAFETY: the input function of jsonb takes a C string and gives a datum in the current memory context.
    unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(Datum::from(text.as_ptr()))]) }
}

/// The text of a jsonb datum, if this database's encoding makes it UTF-8.
///
/// # Safety
/// `value` is a non-null datum of type jsonb.
pub unsafe fn text(value: Datum) -> Option<String> {
    // SAFETY: the caller's promise; the output function gives a palloc'd C string.
    unsafe {
        let text = pgrx::direct_function_call_as_datum(pg_sys::jsonb_out, &[Some(value)])?;
        CStr::from_ptr(text.cast_mut_ptr()).to_str().ok().map(str::to_owned)
    }
}

/// The object with these keys, in place of those it has of `owned`. What was absent, or JSON null, stays so if there is
/// nothing to add; whatever else is no object stays as it is.
///
/// # Safety
/// Both are datums of type jsonb, `new` an object.
pub unsafe fn replace(old: Option<Datum>, owned: &[&str], new: Datum) -> Option<Datum> {
    // SAFETY: the caller's promise; each function is called with the arguments it declares.
    unsafe {
        let kind =
            old.and_then(|old| pgrx::direct_function_call_as_datum(pg_sys::jsonb_typeof, &[Some(old)]));
        match kind.map_or(b"null" as &[u8], |kind| super::function::text_bytes(kind)) {
            b"object" => {}
            b"null" if text(new)? != "{}" => return Some(new),
            _ => return old,
        }
        let keys: Vec<String> = owned.iter().map(|key| (*key).to_owned()).collect();
        let keys = pgrx::IntoDatum::into_datum(keys);
        let rest = pgrx::direct_function_call_as_datum(pg_sys::jsonb_delete_array, &[old, keys])?;
        pgrx::direct_function_call_as_datum(pg_sys::jsonb_concat, &[Some(rest), Some(new)])
    }
}

/// Whether two are the same.
///
/// # Safety
/// Both are datums of type jsonb.
pub unsafe fn equal(one: Option<Datum>, other: Option<Datum>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(_), Some(_)) => {
            // SAFETY: the caller's promise.
            let answer = unsafe { pgrx::direct_function_call_as_datum(pg_sys::jsonb_eq, &[one, other]) };
            answer.is_some_and(|datum| datum.value() != 0)
        }
        _ => false,
    }
}

/// A numeric as text.
///
/// # Safety
/// `value` is a non-null datum of type numeric.
pub(super) unsafe fn numeric_text(value: Datum) -> String {
    // SAFETY: the caller's promise; the output function gives a palloc'd C string, which is freed at once: there may be
    // millions.
    unsafe {
        let Some(text) = pgrx::direct_function_call_as_datum(pg_sys::numeric_out, &[Some(value)]) else {
            return String::new();
        };
        let copy = CStr::from_ptr(text.cast_mut_ptr()).to_string_lossy().into_owned();
        pg_sys::pfree(text.cast_mut_ptr());
        copy
    }
}

/// The number at a path, as text: `None` if nothing is there, or JSON null; `Some(None)` if it is no number.
///
/// # Safety
/// `value` is a non-null datum of type jsonb, `path` one of type text[].
pub(super) unsafe fn number_at(value: Datum, path: Datum) -> Option<Option<String>> {
    // SAFETY: the caller's promise; each function is called with the arguments it declares.
    unsafe {
        let found =
            pgrx::direct_function_call_as_datum(pg_sys::jsonb_extract_path, &[Some(value), Some(path)])?;
        let kind = pgrx::direct_function_call_as_datum(pg_sys::jsonb_typeof, &[Some(found)])?;
        match super::function::text_bytes(kind) {
            b"null" => None,
            b"number" => {
                let number = pgrx::direct_function_call_as_datum(pg_sys::jsonb_numeric, &[Some(found)])?;
                Some(Some(numeric_text(number)))
            }
            _ => Some(None),
        }
    }
}

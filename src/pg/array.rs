//! Arrays of the two element types policies use.

use pgrx::pg_sys::{self, Datum, Oid};

/// A uuid[] in the current memory context.
pub fn of_uuids(ids: &[[u8; 16]]) -> Datum {
    let mut elements: Vec<Datum> = ids.iter().map(|id| Datum::from(id.as_ptr())).collect();
    // SAFETY: uuid is 16 bytes, by reference, char-aligned; construct_array copies the elements.
    unsafe {
        Datum::from(pg_sys::construct_array(
            elements.as_mut_ptr(),
            i32::try_from(elements.len()).unwrap_or(i32::MAX),
            Oid::from(pg_sys::UUIDOID),
            16,
            false,
            pg_sys::TYPALIGN_CHAR as std::ffi::c_char,
        ))
    }
}

/// The elements of a text[]: `None` for a NULL one.
///
/// # Safety
/// `array` is a non-null datum of type text[].
pub unsafe fn texts(array: Datum) -> Vec<Option<Vec<u8>>> {
    let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
    // SAFETY: the caller's promise; deconstruct_array gives `count` datums and flags, palloc'd.
    unsafe {
        let raw = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        pg_sys::deconstruct_array(
            raw,
            Oid::from(pg_sys::TEXTOID),
            -1,
            false,
            pg_sys::TYPALIGN_INT as std::ffi::c_char,
            &raw mut elements,
            &raw mut nulls,
            &raw mut count,
        );
        (0..usize::try_from(count).unwrap_or(0))
            .map(|i| {
                let null = *nulls.add(i);
                (!null).then(|| super::function::text_bytes(*elements.add(i)).to_vec())
            })
            .collect()
    }
}

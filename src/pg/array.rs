//! Arrays of the element types that policies use.

use pgrx::pg_sys::{self, Datum};
use std::marker::PhantomData;

/// A uuid[] in the current memory context.
pub fn of_uuids(ids: &[[u8; 16]]) -> Datum {
    let elements = ids.iter().map(|id| Datum::from(id.as_ptr())).collect();
    // SAFETY: uuid is 16 bytes, by reference, char-aligned.
    unsafe { of(elements, pg_sys::UUIDOID, 16, false, pg_sys::TYPALIGN_CHAR) }
}

/// A bigint[].
pub fn of_bigints(numbers: &[i64]) -> Datum {
    let elements = numbers.iter().map(|number| Datum::from(*number)).collect();
    // SAFETY: bigint is 8 bytes, by value on every 64-bit server, aligned as a double.
    unsafe { of(elements, pg_sys::INT8OID, 8, true, pg_sys::TYPALIGN_DOUBLE) }
}

/// An integer[].
pub fn of_integers(numbers: &[i32]) -> Datum {
    let elements = numbers.iter().map(|number| Datum::from(*number)).collect();
    // SAFETY: integer is 4 bytes, by value, aligned as an int.
    unsafe { of(elements, pg_sys::INT4OID, 4, true, pg_sys::TYPALIGN_INT) }
}

/// A text[].
pub fn of_texts(texts: &[String]) -> Datum {
    let elements = texts.iter().map(|text| super::function::palloc_text(text)).collect();
    // SAFETY: text is of variable length, by reference, aligned as an int.
    unsafe { of(elements, pg_sys::TEXTOID, -1, false, pg_sys::TYPALIGN_INT) }
}

/// # Safety
/// The elements are of that type, and the rest is what pg_type says of it.
unsafe fn of(
    mut elements: Vec<Datum>,
    type_oid: pg_sys::Oid,
    length: i32,
    by_value: bool,
    align: u8,
) -> Datum {
    // SAFETY: the caller's promise; construct_array copies the elements.
    unsafe {
        Datum::from(pg_sys::construct_array(
            elements.as_mut_ptr(),
            i32::try_from(elements.len()).unwrap_or(i32::MAX),
            type_oid,
            length,
            by_value,
            align as std::ffi::c_char,
        ))
    }
}

/// The elements of a text[], in place: `None` for a NULL one.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    elements: *const Datum,
    nulls: *const bool,
    count: usize,
    during: PhantomData<&'a ()>,
}

impl<'a> Texts<'a> {
    /// # Safety
    /// `array` is a non-null datum of type text[] that lives as long as `'a`, as does the current memory context.
    pub unsafe fn of(array: Datum) -> Self {
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        // SAFETY: the caller's promise; deconstruct_array gives `count` datums and flags, palloc'd.
        unsafe {
            let raw = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            pg_sys::deconstruct_array(
                raw,
                pg_sys::TEXTOID,
                -1,
                false,
                pg_sys::TYPALIGN_INT as std::ffi::c_char,
                &raw mut elements,
                &raw mut nulls,
                &raw mut count,
            );
        }
        Self { elements, nulls, count: usize::try_from(count).unwrap_or(0), during: PhantomData }
    }

    pub fn iter(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        (0..self.count).map(move |i| {
            // SAFETY: both hold `count` elements; one that is not NULL is a text.
            unsafe { (!*self.nulls.add(i)).then(|| super::function::text_bytes(*self.elements.add(i))) }
        })
    }
}

//! A row of a table of ours, as it is read.

use super::keyed::Place;
use pgrx::pg_sys::{self, Datum};

mod unguarded {
    use pgrx::pg_sys;
    // SAFETY: declared so in access/htup_details.h; called within a guard.
    unsafe extern "C-unwind" {
        pub fn heap_deform_tuple(
            tuple: pg_sys::HeapTuple,
            descriptor: pg_sys::TupleDesc,
            values: *mut pg_sys::Datum,
            nulls: *mut bool,
        );
    }
}

/// A row being scanned, valid within the callback. Columns by number, as catalogs count, and of the type asked for.
pub struct KeyedRow {
    values: Vec<Datum>,
    nulls: Vec<bool>,
    pub place: Place,
    /// The transaction in progress, if another's, that wrote this version.
    pub written_by: Option<u32>,
    /// The one that has replaced or deleted it.
    pub replaced_by: Option<u32>,
}

impl KeyedRow {
    pub(super) fn of_width(width: usize) -> Self {
        Self {
            values: vec![Datum::from(0); width],
            nulls: vec![true; width],
            place: Place::default(),
            written_by: None,
            replaced_by: None,
        }
    }

    /// Within a guard, which an error leaves without unwinding: no destructor here, and nothing that panics.
    ///
    /// # Safety
    /// A tuple of this descriptor, which has as many columns as the row is wide.
    pub(super) unsafe fn fill(&mut self, tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) {
        // SAFETY: the caller's promise.
        unsafe {
            let (values, nulls) = (self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            unguarded::heap_deform_tuple(tuple, descriptor, values, nulls);
        }
    }

    fn value(&self, column: usize) -> Option<Datum> {
        (!self.nulls.get(column - 1)?).then(|| self.values.get(column - 1).copied()).flatten()
    }

    /// bigint, or timestamptz in microseconds.
    pub fn number(&self, column: usize) -> Option<i64> {
        self.value(column).map(|datum| datum.value() as i64)
    }

    pub fn uuid(&self, column: usize) -> Option<[u8; 16]> {
        // SAFETY: a column of type uuid: sixteen bytes by reference.
        self.value(column).map(|datum| unsafe { *datum.cast_mut_ptr::<[u8; 16]>() })
    }

    pub fn flag(&self, column: usize) -> bool {
        self.value(column).is_some_and(|datum| datum.value() & 0xff != 0)
    }

    pub fn text(&self, column: usize) -> Option<String> {
        self.bytes(column).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Whether a text is this one: as `TextKey` takes it, so that what the encoding makes of it does not matter.
    pub fn is_text(&self, column: usize, text: &str) -> bool {
        self.bytes(column) == Some(text.as_bytes())
    }

    fn bytes(&self, column: usize) -> Option<&[u8]> {
        // SAFETY: a column of type text, short enough never to be toasted out of line.
        self.value(column).map(|datum| unsafe { super::function::text_bytes(datum) })
    }
}

//! A text or jsonb that a call site keeps, to be answered by pointer.

use super::function::{Reply, plain_bytes};
use pgrx::pg_sys::Datum;

#[derive(Default)]
pub struct Varlena {
    present: bool,
    now: Vec<u8>,
    /// The one before, so that a datum handed out a moment ago stays readable while the expression around it ends.
    before: Vec<u8>,
}

impl Varlena {
    /// Takes what pgrx makes of a value, or none.
    pub fn keep<T: pgrx::IntoDatum>(&mut self, value: Option<T>) {
        let datum = value.and_then(pgrx::IntoDatum::into_datum);
        // SAFETY: text and jsonb become varlenas in the current memory context, neither compressed nor elsewhere.
        let bytes = datum.and_then(|datum| unsafe { plain_bytes(datum) });
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.clear();
        self.present = bytes.is_some();
        self.now.extend_from_slice(bytes.unwrap_or_default());
    }

    #[inline]
    pub fn reply(&self) -> Reply {
        match self.present {
            true => Reply::Datum(Datum::from(self.now.as_ptr())),
            false => Reply::Null,
        }
    }
}

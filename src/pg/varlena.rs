//! A text or jsonb that a call site keeps, to be answered by pointer.

use super::function::{Reply, plain_bytes};
use pgrx::pg_sys::Datum;

#[derive(Default)]
pub struct Varlena {
    present: bool,
    /// In words, because a varlena's header and what jsonb holds are aligned.
    now: Vec<u64>,
    /// The one before, so that a datum handed out a moment ago stays readable while the expression around it ends.
    before: Vec<u64>,
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
        let (words, rest) = bytes.unwrap_or_default().as_chunks::<8>();
        self.now.extend(words.iter().map(|word| u64::from_ne_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.now.push(u64::from_ne_bytes(last));
    }

    #[inline]
    pub fn reply(&self) -> Reply {
        match self.present {
            true => Reply::Datum(Datum::from(self.now.as_ptr())),
            false => Reply::Null,
        }
    }
}

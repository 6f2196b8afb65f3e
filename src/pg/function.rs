//! Functions called by the function manager directly, for what policies call per row: arguments are read in
//! place, answers are kept at the call site, text is bytes in whatever encoding, and nothing is allocated.

use super::call::Call;
use pgrx::pg_sys::{self, Datum};

/// Makes a Rust function `fn(&mut Call) -> Reply` callable as a C function of the version-1 convention.
/// The SQL that declares it stands in sql/bootstrap and must agree on the argument types.
macro_rules! export {
    ($($info:ident, $symbol:ident => $body:path;)*) => {$(
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        #[pgrx::pg_guard]
        pub extern "C-unwind" fn $symbol(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            $crate::pg::function::enter(fcinfo, $body)
        }
    )*};
}
pub(crate) use export;

/// What a function answers.
pub enum Reply {
    Null,
    Bool(bool),
    /// Sixteen bytes that outlive the call: at a call site, or palloc'd.
    Datum(Datum),
}

impl From<Option<bool>> for Reply {
    fn from(answer: Option<bool>) -> Self {
        answer.map_or(Self::Null, Self::Bool)
    }
}

#[doc(hidden)]
#[inline]
pub fn enter(fcinfo: pg_sys::FunctionCallInfo, body: fn(&mut Call) -> Reply) -> Datum {
    // SAFETY: fmgr passes a valid FunctionCallInfo for the duration of the call (fmgr.h).
    let mut call = unsafe { Call::new(fcinfo) };
    match body(&mut call) {
        Reply::Bool(answer) => Datum::from(answer),
        Reply::Datum(datum) => datum,
        Reply::Null => {
            call.answer_null();
            Datum::from(0)
        }
    }
}

/// The bytes of a text datum, detoasted if need be.
///
/// # Safety
/// `datum` is a non-null varlena that lives as long as `'a`; a detoasted copy lives in the current memory
/// context, which must do so too.
pub unsafe fn text_bytes<'a>(datum: Datum) -> &'a [u8] {
    // SAFETY: the caller's promise; VARDATA_ANY and VARSIZE_ANY_EXHDR apply to any detoasted varlena.
    unsafe {
        let mut varlena = datum.cast_mut_ptr::<pg_sys::varlena>();
        // What lies plainly in memory, as constants do, is not worth a guarded call per row.
        if pgrx::varatt_is_4b_c(varlena) || pgrx::varatt_is_1b_e(varlena) {
            varlena = pg_sys::pg_detoast_datum_packed(varlena);
        }
        let length = pgrx::varsize_any_exhdr(varlena);
        std::slice::from_raw_parts(pgrx::vardata_any(varlena).cast::<u8>(), length)
    }
}

/// A uuid copied into the current memory context.
pub fn palloc_uuid(id: &[u8; 16]) -> Datum {
    // SAFETY: palloc gives at least sixteen bytes or raises.
    unsafe {
        let copy = pg_sys::palloc(16).cast::<[u8; 16]>();
        copy.write(*id);
        Datum::from(copy)
    }
}

//! Functions called by the function manager directly, for what policies call per row: arguments are read in
//! place, answers are kept at the call site, text is bytes in whatever encoding, and nothing is allocated.

use super::call::Call;
use super::report;
use pgrx::pg_sys::{self, Datum};

/// Makes a Rust function `fn(&mut Call) -> Reply` callable as a C function of the version-1 convention. Before
/// it the other, `fn(&Call) -> Option<Reply>`, is asked, which may only look at what the call site remembers: it
/// runs outside the guard that turns errors into panics and back, because that guard costs more than the look.
/// The SQL that declares the function stands in sql/bootstrap and must agree on the argument types.
macro_rules! export {
    ($($info:ident, $symbol:ident => $recall:expr, $body:expr;)*) => {$(
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C-unwind" fn $symbol(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            $crate::pg::function::enter(fcinfo, |call| $recall(call), $body)
        }
    )*};
}
pub(crate) use export;

/// What a function answers.
pub enum Reply {
    Null,
    Bool(bool),
    /// What outlives the call: at a call site, or palloc'd.
    Datum(Datum),
}

impl From<Option<bool>> for Reply {
    fn from(answer: Option<bool>) -> Self {
        answer.map_or(Self::Null, Self::Bool)
    }
}

#[doc(hidden)]
#[inline(always)]
pub fn enter(
    fcinfo: pg_sys::FunctionCallInfo,
    recall: impl Fn(&Call) -> Option<Reply>,
    body: fn(&mut Call) -> Reply,
) -> Datum {
    // SAFETY: fmgr passes a valid FunctionCallInfo for the duration of the call (fmgr.h).
    let mut call = unsafe { Call::new(fcinfo) };
    match recall(&call) {
        Some(reply) => reply.datum(&mut call),
        None => {
            let datum = guarded(fcinfo, body);
            report::raise_waiting();
            datum
        }
    }
}

#[cold]
#[expect(improper_ctypes_definitions, reason = "called from here only; the guard asks for this ABI")]
#[pgrx::pg_guard]
extern "C-unwind" fn guarded(fcinfo: pg_sys::FunctionCallInfo, body: fn(&mut Call) -> Reply) -> Datum {
    // SAFETY: as above.
    let mut call = unsafe { Call::new(fcinfo) };
    body(&mut call).datum(&mut call)
}

impl Reply {
    #[inline(always)]
    fn datum(self, call: &mut Call) -> Datum {
        match self {
            Self::Bool(answer) => Datum::from(answer),
            Self::Datum(datum) => datum,
            Self::Null => {
                call.answer_null();
                Datum::from(0)
            }
        }
    }
}

/// For a function that remembers nothing.
pub fn nothing(_call: &Call) -> Option<Reply> {
    None
}

/// Whether a varlena is neither compressed nor stored elsewhere.
///
/// # Safety
/// `varlena` is valid.
#[inline]
pub(super) unsafe fn is_plain(varlena: *const pg_sys::varlena) -> bool {
    // SAFETY: the caller's promise; both look at the first header bytes.
    unsafe { !pgrx::varatt_is_4b_c(varlena) && !pgrx::varatt_is_1b_e(varlena) }
}

/// A datum of variable length, header and all, if it is neither compressed nor stored elsewhere.
///
/// # Safety
/// `datum` is a non-null varlena that lives as long as `'a`.
#[inline]
pub unsafe fn plain_bytes<'a>(datum: Datum) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; VARSIZE_ANY counts the header too.
    unsafe {
        let varlena = datum.cast_mut_ptr::<pg_sys::varlena>();
        if !is_plain(varlena) {
            return None;
        }
        Some(std::slice::from_raw_parts(varlena.cast::<u8>(), pgrx::varsize_any(varlena)))
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
        if !is_plain(varlena) {
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

/// A text in the current memory context.
pub fn palloc_text(text: &str) -> Datum {
    // SAFETY: copies so many bytes (utils/adt/varlena.c); an array of that length would not have fitted into a datum
    // either.
    unsafe {
        let length = i32::try_from(text.len()).unwrap_or(i32::MAX);
        Datum::from(pg_sys::cstring_to_text_with_len(text.as_ptr().cast(), length))
    }
}

//! A setting that no SQL can write, only our own code: it ends with the transaction, savepoints restore it, and parallel
//! workers receive it like any other (docs/decisions/0013-the-identity-setting.md).

use super::setting::{Text, assigned};
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether our own code is writing it just now.
static WRITING: AtomicBool = AtomicBool::new(false);
/// Whether it has been defined: what a placeholder of its name held before is not taken over, in a parallel worker either.
static DEFINED: AtomicBool = AtomicBool::new(false);

/// There is one: the hook below knows no other.
pub struct Sealed {
    name: &'static CStr,
    value: Text,
}

/// Writing ends with the scope, also when the server refuses.
struct Writing;

impl Writing {
    fn begin() -> Self {
        WRITING.store(true, Relaxed);
        Self
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.store(false, Relaxed);
    }
}

impl Sealed {
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, value: Text::new() }
    }

    /// The value, empty if unset.
    pub fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.value.with(read)
    }

    pub fn define(&'static self, about: &'static CStr) {
        let flags = pg_sys::GUC_NO_SHOW_ALL
            | pg_sys::GUC_NO_RESET_ALL
            | pg_sys::GUC_NOT_IN_SAMPLE
            | pg_sys::GUC_DISALLOW_IN_FILE
            | pg_sys::GUC_SUPERUSER_ONLY;
        // SAFETY: all pointers are static; the variable is only ever written by guc.c. Not PGC_INTERNAL, which parallel
        // workers do not receive.
        unsafe {
            pg_sys::DefineCustomStringVariable(
                self.name.as_ptr(),
                about.as_ptr(),
                std::ptr::null(),
                self.value.variable(),
                c"".as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                flags as c_int,
                Some(admits),
                Some(sealed_assigned),
                None,
            );
        }
        DEFINED.store(true, Relaxed);
    }

    /// Sets it until the transaction ends, as SET LOCAL would.
    pub fn set(&'static self, value: &CString) {
        let writing = Writing::begin();
        // SAFETY: an ordinary assignment inside a transaction (guc.c), which copies the value.
        unsafe {
            pg_sys::set_config_option(
                self.name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_LOCAL,
                true,
                pg_sys::PGERROR as c_int,
                false,
            );
        }
        drop(writing);
    }
}

/// Asked before every assignment, but for those that put an earlier value back.
#[pgrx::pg_guard]
extern "C-unwind" fn admits(
    new: *mut *mut c_char,
    _extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: guc.c passes the new value; the other is a static variable that a worker's start sets (parallel.c).
    let (is_boot, worker_starts) = unsafe {
        let boot = source == pg_sys::GucSource::PGC_S_DEFAULT && ((*new).is_null() || **new == 0);
        (boot, pg_sys::InitializingParallelWorker)
    };
    if is_boot || WRITING.load(Relaxed) || worker_starts && DEFINED.load(Relaxed) {
        return true;
    }
    // SAFETY: guc.c reads these right after the hook (GUC_check_errmsg and the like of utils/guc.h), and frees none.
    unsafe {
        pg_sys::GUC_check_errcode(
            pg_sys::errcodes::PgSqlErrorCode::ERRCODE_CANT_CHANGE_RUNTIME_PARAM as c_int,
        );
        pg_sys::GUC_check_errmsg_string = c"parameter \"tenancy.identity\" cannot be set".as_ptr().cast_mut();
        pg_sys::GUC_check_errhint_string =
            c"Only tenancy.set_identity() and tenancy.enter_tenant() write it.".as_ptr().cast_mut();
    }
    false
}

#[pgrx::pg_guard]
extern "C-unwind" fn sealed_assigned(_new: *const c_char, _extra: *mut c_void) {
    assigned();
}

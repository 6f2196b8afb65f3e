//! Settings with an assign hook, which pgrx's own kind reads by copying; and taking over a placeholder.

use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// Who may set it.
#[derive(Clone, Copy)]
pub enum Who {
    Anybody,
    Superuser,
    /// Whoever writes the server's configuration: it is read again at SIGHUP.
    Server,
    /// The same, and it is read when the server starts.
    ServerStart,
}

// Listeners see only that something changes: the hook runs before the variable does.
thread_local! {
    static ON_ASSIGN: Cell<Option<fn()>> = const { Cell::new(None) };
    static ON_REQUEST_ASSIGN: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// `any` hears of every setting of ours, `request` of those that last for a transaction only.
pub fn on_assign(any: fn(), request: fn()) {
    ON_ASSIGN.set(Some(any));
    ON_REQUEST_ASSIGN.set(Some(request));
}

pub struct Text(AtomicPtr<c_char>);
pub struct Flag(AtomicBool);
pub struct Number(AtomicI32);

impl Text {
    pub const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// The value, empty if unset. Not text: whoever set it may have used any bytes but NUL.
    pub fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        let value = self.0.load(Ordering::Relaxed);
        if value.is_null() {
            return read(b"");
        }
        // SAFETY: guc.c keeps the variable pointing at a NUL-terminated string; it is replaced only by
        // assignment in this same thread, which `read` must not cause.
        read(unsafe { CStr::from_ptr(value) }.to_bytes())
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        let value = self.0.load(Ordering::Relaxed);
        // SAFETY: as in `with`; the first byte of a NUL-terminated string is always there.
        value.is_null() || unsafe { *value } == 0
    }

    pub fn get(&self) -> String {
        self.with(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Where guc.c keeps the value.
    pub(super) fn variable(&'static self) -> *mut *mut c_char {
        self.0.as_ptr()
    }

    pub fn define(
        &'static self,
        name: &'static CStr,
        about: &'static CStr,
        boot: &'static CStr,
        who: Who,
        request: bool,
    ) {
        let hook: pg_sys::GucStringAssignHook =
            if request { Some(request_assigned) } else { Some(text_assigned) };
        // SAFETY: all pointers are static; the variable is only ever written by guc.c.
        unsafe {
            pg_sys::DefineCustomStringVariable(
                name.as_ptr(),
                about.as_ptr(),
                std::ptr::null(),
                self.0.as_ptr(),
                boot.as_ptr(),
                context(who),
                0,
                None,
                hook,
                None,
            );
        }
    }
}

impl Flag {
    pub const fn new(boot: bool) -> Self {
        Self(AtomicBool::new(boot))
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn define(&'static self, name: &'static CStr, about: &'static CStr, who: Who) {
        let boot = self.get();
        // SAFETY: all pointers are static; the variable is only ever written by guc.c.
        unsafe {
            pg_sys::DefineCustomBoolVariable(
                name.as_ptr(),
                about.as_ptr(),
                std::ptr::null(),
                self.0.as_ptr(),
                boot,
                context(who),
                0,
                None,
                Some(flag_assigned),
                None,
            );
        }
    }
}

impl Number {
    pub const fn new(boot: i32) -> Self {
        Self(AtomicI32::new(boot))
    }

    pub fn get(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }

    /// `kilobytes` lets it be written with a unit of memory.
    pub fn define(
        &'static self,
        name: &'static CStr,
        about: &'static CStr,
        range: (i32, i32),
        who: Who,
        kilobytes: bool,
    ) {
        self.define_in(if kilobytes { pg_sys::GUC_UNIT_KB } else { 0 }, name, about, range, who);
    }

    /// As milliseconds, unless another unit of time is written with it.
    pub fn define_time(
        &'static self,
        name: &'static CStr,
        about: &'static CStr,
        range: (i32, i32),
        who: Who,
    ) {
        self.define_in(pg_sys::GUC_UNIT_MS, name, about, range, who);
    }

    fn define_in(
        &'static self,
        unit: u32,
        name: &'static CStr,
        about: &'static CStr,
        range: (i32, i32),
        who: Who,
    ) {
        let boot = self.get();
        // SAFETY: all pointers are static; the variable is only ever written by guc.c.
        unsafe {
            pg_sys::DefineCustomIntVariable(
                name.as_ptr(),
                about.as_ptr(),
                std::ptr::null(),
                self.0.as_ptr(),
                boot,
                range.0,
                range.1,
                context(who),
                unit as c_int,
                None,
                Some(number_assigned),
                None,
            );
        }
    }

    /// One of these words, the first being 0 and the default.
    pub fn define_choice<const N: usize>(
        &'static self,
        name: &'static CStr,
        about: &'static CStr,
        words: [&'static CStr; N],
    ) {
        let entry = |word: *const c_char, val| pg_sys::config_enum_entry { name: word, val, hidden: false };
        let words = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]);
        // Postgres keeps the list for the life of the process.
        let options: &'static [_] = Vec::leak((0..).zip(words).map(|(val, word)| entry(word, val)).collect());
        // SAFETY: all pointers are static; the list ends with a null name; guc.c alone writes the variable.
        unsafe {
            pg_sys::DefineCustomEnumVariable(
                name.as_ptr(),
                about.as_ptr(),
                std::ptr::null(),
                self.0.as_ptr(),
                0,
                options.as_ptr(),
                context(Who::Superuser),
                0,
                None,
                Some(number_assigned),
                None,
            );
        }
    }
}

/// Whether a name is free to be defined: unknown, or a placeholder somebody has set.
pub fn is_definable(name: &CStr) -> bool {
    if !exists(name) {
        return true;
    }
    // SAFETY: the name exists, so missing_ok changes nothing (guc.c).
    let flags = unsafe { pg_sys::GetConfigOptionFlags(name.as_ptr(), true) };
    flags & pg_sys::GUC_CUSTOM_PLACEHOLDER as c_int != 0
}

/// Refuses, with a warning, whatever else stands under our prefix: a misspelt setting must not pass quietly.
pub fn reserve_prefix(prefix: &CStr) {
    // SAFETY: copies the prefix (guc.c).
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}

/// The present value of any setting, whoever owns it; `None` if there is no such setting.
pub fn show(name: &CStr) -> Option<String> {
    // SAFETY: missing_ok, unrestricted; the string is valid until the next GUC operation and copied at once.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

/// The same as bytes, for what anybody may have written, of any length: no more than `most` of them.
pub fn bytes(name: &CStr, most: usize) -> Vec<u8> {
    // SAFETY: as in `show`.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if value.is_null() {
            return Vec::new();
        }
        let value = CStr::from_ptr(value).to_bytes();
        value.get(..most).unwrap_or(value).to_vec()
    }
}

pub fn exists(name: &CStr) -> bool {
    // SAFETY: missing_ok, unrestricted; the string is not read.
    unsafe { !pg_sys::GetConfigOption(name.as_ptr(), true, false).is_null() }
}

/// Sets a text setting to '' as plain SET would, so that it outlives the transaction as ''.
pub fn blank(name: &CStr) {
    // SAFETY: an ordinary SET of a USERSET variable inside a transaction (guc.c).
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            c"".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
}

fn context(who: Who) -> pg_sys::GucContext::Type {
    match who {
        Who::Anybody => pg_sys::GucContext::PGC_USERSET,
        Who::Superuser => pg_sys::GucContext::PGC_SUSET,
        // Too late in a process of a server that did not preload the library: there it has no effect.
        Who::ServerStart if super::shmem::at_server_start() => pg_sys::GucContext::PGC_POSTMASTER,
        Who::Server | Who::ServerStart => pg_sys::GucContext::PGC_SIGHUP,
    }
}

pub(super) fn assigned() {
    if let Some(listener) = ON_ASSIGN.get() {
        listener();
    }
}

#[pgrx::pg_guard]
extern "C-unwind" fn text_assigned(_new: *const c_char, _extra: *mut c_void) {
    assigned();
}

#[pgrx::pg_guard]
extern "C-unwind" fn request_assigned(_new: *const c_char, _extra: *mut c_void) {
    assigned();
    if let Some(listener) = ON_REQUEST_ASSIGN.get() {
        listener();
    }
}

#[pgrx::pg_guard]
extern "C-unwind" fn flag_assigned(_new: bool, _extra: *mut c_void) {
    assigned();
}

#[pgrx::pg_guard]
extern "C-unwind" fn number_assigned(_new: c_int, _extra: *mut c_void) {
    assigned();
}

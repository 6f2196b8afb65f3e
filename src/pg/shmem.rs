//! Memory, and a lock on it, that all processes of the server share: there if shared_preload_libraries names the library.

use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;
use std::sync::atomic::AtomicU64;

type Hook = Option<unsafe extern "C-unwind" fn()>;

/// What the memory and the lock are called, in pg_shmem_allocations and as a wait event.
const NAME: &CStr = c"pg_tenancy usage";

#[derive(Clone, Copy)]
struct Area {
    words: &'static [AtomicU64],
    lock: *mut pg_sys::LWLock,
}

// The postmaster sets them, and every process is forked from it.
thread_local! {
    static SIZE: Cell<Option<fn() -> usize>> = const { Cell::new(None) };
    static PREVIOUS: Cell<(Hook, Hook)> = const { Cell::new((None, None)) };
    static AREA: Cell<Option<Area>> = const { Cell::new(None) };
}

/// Whether the server is starting and this library is one that it loads for all processes.
pub fn at_server_start() -> bool {
    // SAFETY: reads a static variable (miscinit.c).
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Asks for so many words, zero at first, when the settings are known. Only when the server starts.
pub fn reserve(words: fn() -> usize) {
    if !at_server_start() {
        return;
    }
    SIZE.set(Some(words));
    // SAFETY: the hooks of ipci.c and miscinit.c, set by the one process there is while libraries are preloaded; those that
    // were there before are called by ours.
    unsafe {
        PREVIOUS.set((pg_sys::shmem_request_hook, pg_sys::shmem_startup_hook));
        pg_sys::shmem_request_hook = Some(request);
        pg_sys::shmem_startup_hook = Some(start_up);
    }
}

fn bytes() -> usize {
    SIZE.get().map_or(0, |words| words()).saturating_mul(size_of::<AtomicU64>())
}

#[pgrx::pg_guard]
extern "C-unwind" fn request() {
    // SAFETY: this is the hook in which memory and locks are asked for (ipc.h).
    unsafe {
        if let Some(previous) = PREVIOUS.get().0 {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(bytes());
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

/// After the crash of a process the server starts anew with other memory, and this runs again.
#[pgrx::pg_guard]
extern "C-unwind" fn start_up() {
    // SAFETY: this is the hook in which they are given out, before any other process exists, so that no lock is needed;
    // memory is aligned for any type, and never moved or freed while this server's processes live (shmem.c).
    unsafe {
        if let Some(previous) = PREVIOUS.get().1 {
            previous();
        }
        let mut found = false;
        let start = pg_sys::ShmemInitStruct(NAME.as_ptr(), bytes(), &raw mut found).cast::<AtomicU64>();
        if !found {
            start.cast::<u8>().write_bytes(0, bytes());
        }
        let words = std::slice::from_raw_parts(start, bytes() / size_of::<AtomicU64>());
        let lock = &raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock;
        AREA.set(Some(Area { words, lock }));
    }
}

/// The words, whatever others do with them: for what needs no lock.
pub fn words() -> Option<&'static [AtomicU64]> {
    AREA.get().map(|area| area.words)
}

/// Calls `work`, which must not raise, with the words under the lock that many may hold at once. `None` if there are none.
pub fn shared<T>(work: impl FnOnce(&'static [AtomicU64]) -> T) -> Option<T> {
    locked(pg_sys::LWLockMode::LW_SHARED, work)
}

/// The same under the lock that nobody else holds meanwhile.
pub fn exclusive<T>(work: impl FnOnce(&'static [AtomicU64]) -> T) -> Option<T> {
    locked(pg_sys::LWLockMode::LW_EXCLUSIVE, work)
}

fn locked<T>(mode: pg_sys::LWLockMode::Type, work: impl FnOnce(&'static [AtomicU64]) -> T) -> Option<T> {
    let area = AREA.get()?;
    // SAFETY: a lock of our own tranche, held by nobody in this process: `work` is ours and calls nothing of the server.
    // What would raise in between releases it with the transaction (lwlock.c).
    unsafe { pg_sys::LWLockAcquire(area.lock, mode) };
    let answer = work(area.words);
    // SAFETY: acquired above.
    unsafe { pg_sys::LWLockRelease(area.lock) };
    Some(answer)
}

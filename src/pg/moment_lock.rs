//! Locks of ours: one that is held for a moment, not until the end of the transaction, and one that nobody waits for.

use pgrx::pg_sys;

/// The fourth field distinguishes ours from the advisory locks of SQL, where it is 1 or 2 (lockfuncs.c), and from each other.
const MOMENTS: u16 = 0x7455;
const TURNS: u16 = MOMENTS + 1;

fn tag(key: u64, kind: u16) -> pg_sys::LOCKTAG {
    // SAFETY: reads a static variable (globals.c).
    let database = unsafe { pg_sys::MyDatabaseId };
    pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: (key >> 32) as u32,
        locktag_field3: (key & 0xffff_ffff) as u32,
        locktag_field4: kind,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// Takes what one transaction at a time may do, until this one ends. False, without waiting, if another has it.
pub fn take_turn(key: u64) -> bool {
    let tag = tag(key, TURNS);
    // SAFETY: a lock of the transaction, which its end releases (storage/lock.h).
    let result = unsafe { pg_sys::LockAcquire(&raw const tag, pg_sys::ExclusiveLock as i32, false, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

pub struct MomentLock {
    tag: pg_sys::LOCKTAG,
    mode: pg_sys::LOCKMODE,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// With others that hold it so.
    Shared,
    Alone,
}

impl MomentLock {
    /// Waits for those who hold it otherwise, which is a few microseconds each.
    pub fn take(key: u64, held: Held) -> Self {
        let mode = match held {
            Held::Shared => pg_sys::ShareLock,
            Held::Alone => pg_sys::ExclusiveLock,
        } as pg_sys::LOCKMODE;
        let tag = tag(key, MOMENTS);
        // SAFETY: a lock of the current resource owner, which an error releases with it (storage/lock.h).
        unsafe { pg_sys::LockAcquire(&raw const tag, mode, false, false) };
        Self { tag, mode }
    }
}

impl Drop for MomentLock {
    fn drop(&mut self) {
        // An error on its way up releases it at the end of the subtransaction.
        if !std::thread::panicking() {
            // SAFETY: taken in `take` and released once.
            unsafe { pg_sys::LockRelease(&raw const self.tag, self.mode, false) };
        }
    }
}

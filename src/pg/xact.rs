//! Transactions and statements: what moment this is, and being told when one ends.

use pgrx::pg_sys;

/// Microseconds between 1970-01-01 and 2000-01-01, Postgres's epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

mod unguarded {
    // SAFETY: declared so in access/xact.h, access/xlog.h and utils/timestamp.h. They read the transaction's state, which
    // always exists, shared memory or the clock, and cannot raise, so that the jump buffer that pgrx's wrapper would set
    // up (tens of nanoseconds, per row) guards nothing.
    unsafe extern "C-unwind" {
        pub safe fn GetCurrentStatementStartTimestamp() -> i64;
        pub safe fn GetCurrentTransactionNestLevel() -> i32;
        pub safe fn GetCurrentTimestamp() -> i64;
        pub safe fn IsInParallelMode() -> bool;
        pub safe fn IsTransactionState() -> bool;
        pub safe fn RecoveryInProgress() -> bool;
    }
}

/// When the current statement arrived from the client: microseconds, Postgres epoch.
#[inline]
pub fn statement_timestamp() -> i64 {
    unguarded::GetCurrentStatementStartTimestamp()
}

/// The same since 1970, as tokens count.
pub fn unix_micros(postgres_micros: i64) -> i64 {
    postgres_micros.saturating_add(POSTGRES_EPOCH)
}

/// And back.
pub fn postgres_micros(unix_micros: i64) -> i64 {
    unix_micros.saturating_sub(POSTGRES_EPOCH)
}

/// Whether a transaction is in progress: neither starting, nor ending, nor none.
pub fn in_transaction() -> bool {
    unguarded::IsTransactionState()
}

/// Whether the client began the transaction, and will end it.
pub fn in_block() -> bool {
    // SAFETY: reads the current transaction state, which always exists (xact.c).
    unsafe { pg_sys::IsTransactionBlock() }
}

/// Whether what is set for the transaction ends with the statement that called, because no block was begun. Within a
/// function or DO there may be more of it to come, so not there.
pub fn ends_with_call() -> bool {
    // SAFETY: the first two read the current transaction state (xact.c); the last is a static variable, null where no
    // procedural language, SQL function or SPI call lies between the client's statement and us (elog.h).
    unsafe {
        !pg_sys::IsTransactionBlock() && !pg_sys::IsSubTransaction() && pg_sys::error_context_stack.is_null()
    }
}

/// How deep in subtransactions this is; 1 is the transaction itself.
pub fn depth() -> i32 {
    unguarded::GetCurrentTransactionNestLevel()
}

/// Runs `work` with an active snapshot: at `Moment::PreCommit` there is none any more, and who reads or writes rows of a table
/// that has a TOAST table must hold one (heapam.c asserts it from Postgres 18 on).
pub fn with_snapshot<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: within a transaction, which still is one before it commits (xact.c). What an error leaves pushed its abort takes away.
    let is_set = unsafe { pg_sys::ActiveSnapshotSet() };
    if !is_set {
        // SAFETY: as above.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    }
    let answer = work();
    if !is_set {
        // SAFETY: pops what was pushed above.
        unsafe { pg_sys::PopActiveSnapshot() };
    }
    answer
}

/// The clock, not the statement's time: microseconds, Postgres epoch.
pub fn now() -> i64 {
    unguarded::GetCurrentTimestamp()
}

/// A number that no other process of the server has at this time, from 0.
pub fn backend_number() -> i32 {
    super::compat::backend_number()
}

pub fn in_parallel_mode() -> bool {
    unguarded::IsInParallelMode()
}

/// Whether nothing can be written: READ ONLY, a hot standby, or a parallel worker.
pub fn is_read_only() -> bool {
    // SAFETY: reads a static variable (xact.c).
    let read_only = unsafe { pg_sys::XactReadOnly };
    read_only || in_recovery() || in_parallel_mode()
}

/// Whether this server replays another's log, or its own.
pub fn in_recovery() -> bool {
    unguarded::RecoveryInProgress()
}

/// Whether all statements of this transaction see by one snapshot: REPEATABLE READ and SERIALIZABLE.
pub fn has_one_snapshot() -> bool {
    // SAFETY: reads a static variable (xact.h: IsolationUsesXactSnapshot).
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Whether this process runs a part of another's query. Its settings and its transaction are its leader's.
pub fn in_parallel_worker() -> bool {
    // SAFETY: reads a variable that a worker's main function sets before anything else (parallel.c).
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

/// Whether this transaction may have written: it has a transaction id.
pub fn has_written() -> bool {
    // SAFETY: reads the top transaction state without assigning an id (xact.c).
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// What a transaction can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// About to commit or to be prepared; SQL settings may still be changed.
    PreCommit,
    /// Prepared: its changes are no longer this session's own.
    Prepared,
    /// It was committed.
    Committed,
    /// The transaction was rolled back.
    Aborted,
    /// A subtransaction of this depth was rolled back; what the transaction did around it stands.
    SubtransactionAborted(i32),
    /// One of this depth ended, and what it did is now its parent's.
    SubtransactionCommitted(i32),
}

thread_local! {
    static LISTENERS: std::cell::RefCell<Vec<fn(Moment)>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Registers a listener, while the library loads. It must not raise but before a commit.
pub fn on_moment(listener: fn(Moment)) {
    let is_first = LISTENERS.with_borrow_mut(|listeners| {
        listeners.push(listener);
        listeners.len() == 1
    });
    if is_first {
        // SAFETY: both callbacks have static lifetime and the signatures of access/xact.h.
        unsafe {
            pg_sys::RegisterXactCallback(Some(transaction_event), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(subtransaction_event), std::ptr::null_mut());
        }
    }
}

fn tell(moment: Moment) {
    let count = LISTENERS.with_borrow(Vec::len);
    for index in 0..count {
        if let Some(listener) = LISTENERS.with_borrow(|listeners| listeners.get(index).copied()) {
            listener(moment);
        }
    }
}

#[pgrx::pg_guard]
extern "C-unwind" fn transaction_event(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT | pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => {
            tell(Moment::PreCommit)
        }
        pg_sys::XactEvent::XACT_EVENT_PREPARE => tell(Moment::Prepared),
        pg_sys::XactEvent::XACT_EVENT_COMMIT => tell(Moment::Committed),
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PARALLEL_ABORT => {
            tell(Moment::Aborted)
        }
        _ => {}
    }
}

#[pgrx::pg_guard]
extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => tell(Moment::SubtransactionAborted(depth())),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => tell(Moment::SubtransactionCommitted(depth())),
        _ => {}
    }
}

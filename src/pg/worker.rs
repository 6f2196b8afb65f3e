//! Background workers: asking for one, and what one does with signals, settings and transactions. And what a process that ends
//! may still do.

use super::compat;
use super::subtransaction::{Failure, failure};
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::{self, Datum, Oid};
use std::cell::RefCell;
use std::ffi::CStr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// The database of this process; none in one that has none.
pub fn database() -> u32 {
    // SAFETY: reads a static variable (globals.c).
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

pub fn process() -> u64 {
    // SAFETY: as above.
    u64::try_from(unsafe { pg_sys::MyProcPid }).unwrap_or(0)
}

/// Asks for a worker that ends when it likes and is not started again. False if there are as many workers as there may be.
pub fn ask_for(kind: &str, function: &str, argument: u32) -> bool {
    BackgroundWorkerBuilder::new(&format!("{kind} {argument}"))
        .set_type(kind)
        .set_library("pg_tenancy")
        .set_function(function)
        .set_argument(Some(Datum::from(argument)))
        .enable_spi_access()
        .load_dynamic()
        .is_ok()
}

/// What whoever owns the database may have set for it must not reach the worker.
const SETTINGS: &[(&CStr, &CStr)] = &[
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"statement_timeout", c"0"),
    (c"lock_timeout", c"5s"),
    (c"idle_in_transaction_session_timeout", c"0"),
    (c"idle_session_timeout", c"0"),
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"transaction_timeout", c"0"),
    (c"client_connection_check_interval", c"0"),
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"session_replication_role", c"origin"),
];

/// The first thing a worker does: SIGTERM is remembered, SIGHUP too, and it is in its database, as superuser.
pub fn connect(database: u32) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(Oid::from(database)), None);
    set_settings();
}

fn set_settings() {
    for (name, value) in SETTINGS {
        // SAFETY: as postgres' own workers set theirs (autovacuum.c), outside of a transaction.
        unsafe {
            pg_sys::SetConfigOption(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

thread_local! {
    static AT_EXIT: RefCell<Vec<fn()>> = const { RefCell::new(Vec::new()) };
}

/// Called once when this process ends, in whatever way but by being killed; of several the last one first, and the next one
/// even if that ends the process anew. It must not raise.
pub fn at_exit(work: fn()) {
    AT_EXIT.with_borrow_mut(|works| works.push(work));
    // SAFETY: the callback has static lifetime and the signature of ipc.h; shared memory is still there when it runs.
    unsafe { pg_sys::before_shmem_exit(Some(ending), Datum::from(0)) }
}

#[pgrx::pg_guard]
extern "C-unwind" fn ending(_code: i32, _argument: Datum) {
    if let Some(work) = AT_EXIT.with_borrow_mut(Vec::pop) {
        work();
    }
}

/// Lets what is called at exit run transactions that fail and wait as any other's do: an error can be caught, and a lock is
/// not waited for longer than lock_timeout. Nothing more is said to a client, and whoever ends this process already has.
pub fn while_ending(work: impl FnOnce()) {
    // SAFETY: before_shmem_exit is where transactions can still be run, after the one that was open is aborted, as temporary
    // tables are dropped there (namespace.c: RemoveTempRelationsCallback). The variables are those that proc_exit_prepare
    // (ipc.c) sets, so that errors would be FATAL and no lock_timeout heard of; they are put back to what it left. What was
    // still to be said of the client and of its cancellation is void (postgres.c: ProcessInterrupts). Nothing that is raised
    // leaves the block: whoever called was promised that this process ends.
    unsafe {
        pg_sys::AbortOutOfAnyTransaction();
        pg_sys::whereToSendOutput = pg_sys::CommandDest::DestNone;
        pg_sys::ClientConnectionLost = 0;
        pg_sys::QueryCancelHoldoffCount = 0;
        compat::on_signal(pg_sys::SIGTERM as i32, already_ending);
        set_settings();
        let held = pg_sys::InterruptHoldoffCount;
        pg_sys::InterruptHoldoffCount = 0;
        pg_sys::proc_exit_inprogress = false;
        pgrx::PgTryBuilder::new(AssertUnwindSafe(work)).catch_others(|_| ()).execute();
        pg_sys::proc_exit_inprogress = true;
        pg_sys::InterruptHoldoffCount = held;
    }
}

extern "C-unwind" fn already_ending(_signal: i32) {}

/// Waits that long, or until a signal comes, and reads the settings again if that was asked for. Whether to go on: false
/// once the worker is told to end.
pub fn wait(time: Duration) -> bool {
    // To be cancelled is no reason to end.
    let slept = pgrx::PgTryBuilder::new(move || BackgroundWorker::wait_latch(Some(time)))
        .catch_others(|_| !BackgroundWorker::sigterm_received())
        .execute();
    if BackgroundWorker::sighup_received() {
        // SAFETY: what every process does at SIGHUP, between transactions (guc.c).
        unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) }
    }
    slept
}

/// Whether clients are connected to this database.
pub fn has_clients() -> bool {
    // SAFETY: counts in the process array (procarray.c).
    unsafe { pg_sys::CountDBConnections(pg_sys::MyDatabaseId) > 0 }
}

/// Runs `work` in a transaction. If it raises, that is rolled back and the error is the answer, also when it is that time
/// has run out.
pub fn transaction<T>(doing: &CStr, work: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: as the main loop of a worker of postgres' own does it (worker_spi.c, autovacuum.c): what the body leaves open
    // an abort closes, after which memory context and resource owner are those of no transaction.
    unsafe {
        let body = AssertUnwindSafe(move || {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, doing.as_ptr());
            let answer = work();
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
            Ok(answer)
        });
        let answer = pgrx::PgTryBuilder::new(body)
            .catch_others(|error| {
                pg_sys::AbortCurrentTransaction();
                Err(failure(&error))
            })
            .execute();
        pg_sys::pgstat_report_stat(true);
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
        answer
    }
}

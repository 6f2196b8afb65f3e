//! The snapshot a load reads by.

use pgrx::pg_sys;

/// A registered catalog snapshot: the newest there is, at every isolation level, and also in parallel
/// workers, where GetLatestSnapshot refuses.
pub struct CatalogSnapshot {
    raw: pg_sys::Snapshot,
}

impl CatalogSnapshot {
    /// `relation` must be one without syscache, so that the snapshot is taken anew: any of our tables.
    pub fn take(relation: pg_sys::Oid) -> Self {
        // SAFETY: RegisterSnapshot copies the static catalog snapshot and keeps the copy for the current
        // resource owner (snapmgr.c).
        let raw = unsafe { pg_sys::RegisterSnapshot(pg_sys::GetCatalogSnapshot(relation)) };
        Self { raw }
    }

    /// The newest too, for what is no catalog: what this transaction's earlier commands did is seen. Not in parallel workers.
    pub fn latest() -> Self {
        // SAFETY: RegisterSnapshot copies the static snapshot and keeps the copy for the current resource owner.
        let raw = unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) };
        Self { raw }
    }

    pub(super) fn raw(&self) -> pg_sys::Snapshot {
        self.raw
    }
}

impl Drop for CatalogSnapshot {
    fn drop(&mut self) {
        // An error on its way up releases the snapshot with its resource owner.
        if !std::thread::panicking() {
            // SAFETY: registered by its constructor with the same resource owner, and only once.
            unsafe { pg_sys::UnregisterSnapshot(self.raw) }
        }
    }
}

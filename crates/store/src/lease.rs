//! Leases: what is written or asked for while one lives is not collected until it ends.

use std::fmt;
use std::sync::Arc;

use crate::Store;
use crate::store::Inner;

/// Protects, until it is dropped, every blob and layer that is written or asked for while it lives: a pull takes one
/// at its start. It ends with the daemon: nothing of it is on the disk.
///
/// When the last lease over something that nothing holds ends, that thing goes: a failed pull leaves nothing.
pub struct Lease {
    inner: Arc<Inner>,
    id: u64,
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Lease")
            .field("id", &self.id)
            .finish()
    }
}

impl Store {
    /// A new lease over everything from now on.
    #[must_use]
    pub fn lease(&self) -> Lease {
        let id = self.inner.state().begin_lease();
        Lease {
            inner: Arc::clone(&self.inner),
            id,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let deferred = {
            let mut state = self.inner.state();
            state.end_lease(self.id);
            self.inner.drop_pending(&mut state);
            state.take_deferred()
        };
        if deferred && let Err(error) = self.inner.collect() {
            tracing::warn!(error = %onggi_model::chain(&error), "collection after a lease failed");
        }
    }
}

//! Builds. They are not there yet, and so is no cache of theirs.

use onggi_api::build::PruneReport;
use onggi_model::{Filters, Timestamp};

use crate::Engine;
use crate::container::prune::until;
use crate::error::Result;

impl Engine {
    /// Removes what nobody needs of the cache of builds: there is none. Filters that speak of nothing in it, as the
    /// labels of `system prune`, let nothing through, as Docker has it.
    ///
    /// # Errors
    /// `InvalidParameter` for a time that is none.
    pub fn build_prune(&self, filters: &Filters) -> Result<PruneReport> {
        until(filters, Timestamp::now())?;
        Ok(PruneReport::default())
    }
}

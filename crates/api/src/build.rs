//! Builds.

use crate::go::document;

document! {
    /// What a prune of the cache removed.
    pub struct PruneReport {
        pub caches_deleted: Option<Vec<String>> => "CachesDeleted";
        /// Bytes.
        pub space_reclaimed: u64 => "SpaceReclaimed";
    }
}

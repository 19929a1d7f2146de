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

document! {
    /// Something in the cache of builds.
    pub struct CacheRecord {
        pub id: String => "ID";
        pub parents: Option<Vec<String>> => "Parents" @omitempty;
        /// `regular` for a step, `exec.cachemount` for what RUN mounts.
        pub kind: String => "Type";
        pub description: String => "Description";
        pub in_use: bool => "InUse";
        /// An image has it, too.
        pub shared: bool => "Shared";
        /// Bytes.
        pub size: i64 => "Size";
        /// RFC 3339.
        pub created_at: String => "CreatedAt";
        pub last_used_at: Option<String> => "LastUsedAt";
        pub usage_count: i64 => "UsageCount";
    }
}

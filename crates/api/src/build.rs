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
    /// A build that was done, or is. Ours.
    pub struct BuildRecord {
        pub id: String => "Id";
        /// Its first tag, or where its context is from, or its Dockerfile.
        pub name: String => "Name";
        /// `running`, `completed`, `error` or `canceled`.
        pub status: String => "Status";
        pub dockerfile: String => "Dockerfile";
        pub target: String => "Target" @omitempty;
        pub platform: String => "Platform" @omitempty;
        pub tags: Option<Vec<String>> => "Tags";
        /// RFC 3339.
        pub created_at: String => "CreatedAt";
        pub completed_at: Option<String> => "CompletedAt";
        /// Nanoseconds.
        pub duration: i64 => "Duration";
        pub total_steps: i64 => "TotalSteps";
        pub completed_steps: i64 => "CompletedSteps";
        pub cached_steps: i64 => "CachedSteps";
        /// The ID of the image.
        pub image: String => "Image" @omitempty;
        /// Why there is none.
        pub error: String => "Error" @omitempty;
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

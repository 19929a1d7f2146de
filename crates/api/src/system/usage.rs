//! `GET /system/df`: what takes how much room on disk.

use crate::container;
use crate::go::document;
use crate::image;

document! {
    /// By kind of thing.
    pub struct DiskUsage {
        pub image_usage: Option<ImageUsage> => "ImageUsage" @omitempty;
        pub container_usage: Option<ContainerUsage> => "ContainerUsage" @omitempty;
        pub volume_usage: Option<OtherUsage> => "VolumeUsage" @omitempty;
        pub build_cache_usage: Option<OtherUsage> => "BuildCacheUsage" @omitempty;
    }
}

document! {
    /// Images.
    pub struct ImageUsage {
        /// Those that containers use.
        pub active_count: i64 => "ActiveCount" @omitempty;
        pub items: Vec<image::Summary> => "Items" @omitempty;
        /// Bytes that would be free without the others.
        pub reclaimable: i64 => "Reclaimable" @omitempty;
        pub total_count: i64 => "TotalCount" @omitempty;
        pub total_size: i64 => "TotalSize" @omitempty;
    }
}

document! {
    /// Containers.
    pub struct ContainerUsage {
        /// Those that run.
        pub active_count: i64 => "ActiveCount" @omitempty;
        pub items: Vec<container::Summary> => "Items" @omitempty;
        /// Bytes that would be free without the others.
        pub reclaimable: i64 => "Reclaimable" @omitempty;
        pub total_count: i64 => "TotalCount" @omitempty;
        pub total_size: i64 => "TotalSize" @omitempty;
    }
}

document! {
    /// Volumes, and the cache of builds.
    pub struct OtherUsage {
        pub active_count: i64 => "ActiveCount" @omitempty;
        pub items: Vec<serde_json::Value> => "Items" @omitempty;
        pub reclaimable: i64 => "Reclaimable" @omitempty;
        pub total_count: i64 => "TotalCount" @omitempty;
        pub total_size: i64 => "TotalSize" @omitempty;
    }
}

//! Volumes.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// A volume.
    pub struct Volume {
        /// RFC 3339.
        pub created_at: String => "CreatedAt" @omitempty;
        pub driver: String => "Driver";
        pub labels: Option<BTreeMap<String, String>> => "Labels";
        /// Where its files are on the host.
        pub mountpoint: String => "Mountpoint";
        pub name: String => "Name";
        pub options: Option<BTreeMap<String, String>> => "Options";
        /// `local` or `global`.
        pub scope: String => "Scope";
        /// Only where disk usage was asked for.
        pub usage_data: Option<UsageData> => "UsageData" @omitempty;
    }
}

document! {
    /// Who uses a volume, and how much it holds.
    pub struct UsageData {
        /// Containers that have it among their mounts.
        pub ref_count: i64 => "RefCount";
        /// Bytes.
        pub size: i64 => "Size";
    }
}

document! {
    /// A volume to make.
    pub struct CreateRequest {
        /// Swarm only.
        pub cluster_volume_spec: Option<serde_json::Value> => "ClusterVolumeSpec" @omitempty;
        pub driver: String => "Driver" @omitempty;
        pub driver_opts: Option<BTreeMap<String, String>> => "DriverOpts" @omitempty;
        pub labels: Option<BTreeMap<String, String>> => "Labels" @omitempty;
        pub name: String => "Name" @omitempty;
    }
}

document! {
    /// The volumes there are.
    pub struct List {
        pub volumes: Vec<Volume> => "Volumes";
        pub warnings: Option<Vec<String>> => "Warnings";
    }
}

document! {
    /// What `prune` removed.
    pub struct PruneReport {
        pub volumes_deleted: Option<Vec<String>> => "VolumesDeleted";
        /// Bytes.
        pub space_reclaimed: u64 => "SpaceReclaimed";
    }
}

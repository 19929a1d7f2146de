//! What is mounted in a container: as asked for ([`Mount`]) and as it is ([`MountPoint`]).

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// A mount as asked for.
    pub struct Mount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        pub kind: String => "Type" @omitempty;
        pub source: String => "Source" @omitempty;
        pub target: String => "Target" @omitempty;
        pub read_only: bool => "ReadOnly" @omitempty;
        pub consistency: String => "Consistency" @omitempty;
        pub bind_options: Option<BindOptions> => "BindOptions" @omitempty;
        pub volume_options: Option<VolumeOptions> => "VolumeOptions" @omitempty;
        pub image_options: Option<ImageOptions> => "ImageOptions" @omitempty;
        pub tmpfs_options: Option<TmpfsOptions> => "TmpfsOptions" @omitempty;
        /// Swarm only.
        pub cluster_options: Option<serde_json::Value> => "ClusterOptions" @omitempty;
    }
}

document! {
    /// Options of a bind.
    pub struct BindOptions {
        pub propagation: String => "Propagation" @omitempty;
        pub non_recursive: bool => "NonRecursive" @omitempty;
        pub create_mountpoint: bool => "CreateMountpoint" @omitempty;
        pub read_only_non_recursive: bool => "ReadOnlyNonRecursive" @omitempty;
        pub read_only_force_recursive: bool => "ReadOnlyForceRecursive" @omitempty;
    }
}

document! {
    /// Options of a volume.
    pub struct VolumeOptions {
        pub no_copy: bool => "NoCopy" @omitempty;
        pub labels: Option<BTreeMap<String, String>> => "Labels" @omitempty;
        pub subpath: String => "Subpath" @omitempty;
        pub driver_config: Option<Driver> => "DriverConfig" @omitempty;
    }
}

document! {
    /// Options of an image mount.
    pub struct ImageOptions {
        pub subpath: String => "Subpath" @omitempty;
    }
}

document! {
    /// Options of a tmpfs.
    pub struct TmpfsOptions {
        pub size_bytes: i64 => "SizeBytes" @omitempty;
        pub mode: u32 => "Mode" @omitempty;
        /// `["noexec"]` or `["uid", "1000"]`.
        pub options: Option<Vec<Vec<String>>> => "Options" @omitempty;
    }
}

document! {
    /// The driver of a volume.
    pub struct Driver {
        pub name: String => "Name" @omitempty;
        pub options: Option<BTreeMap<String, String>> => "Options" @omitempty;
    }
}

document! {
    /// A mount as it is.
    pub struct MountPoint {
        /// `bind`, `volume`, `tmpfs`, ...
        pub kind: String => "Type" @omitempty;
        pub name: String => "Name" @omitempty;
        pub source: String => "Source";
        pub destination: String => "Destination";
        pub driver: String => "Driver" @omitempty;
        pub mode: String => "Mode";
        pub rw: bool => "RW";
        pub propagation: String => "Propagation";
    }
}

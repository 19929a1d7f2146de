//! The daemon: what it is, what it can do.

mod adopt; // POST /system/adopt
mod check; // GET and POST /system/check
mod info; // GET /info
mod usage; // GET /system/df

pub use adopt::AdoptedItem;
pub use check::{StoreCheck, StoreChecked};
pub use info::{
    Commit, Containerd, ContainerdNamespaces, DeviceInfo, FirewallInfo, IndexInfo, Info,
    NetworkAddressPool, NriInfo, Plugins, RegistryConfig, Runtime, SwarmInfo,
};

pub use usage::{ContainerUsage, DiskUsage, ImageUsage, OtherUsage};

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// The versions of the daemon and its parts.
    pub struct Version {
        pub platform: PlatformInfo => "Platform";
        pub version: String => "Version";
        pub api_version: String => "ApiVersion";
        pub min_api_version: String => "MinAPIVersion" @omitempty;
        pub os: String => "Os";
        pub arch: String => "Arch";
        pub components: Vec<Component> => "Components" @omitempty;
        pub git_commit: String => "GitCommit";
        pub go_version: String => "GoVersion";
        pub kernel_version: String => "KernelVersion" @omitempty;
        pub experimental: bool => "Experimental" @omitempty;
        pub build_time: String => "BuildTime" @omitempty;
    }
}

document! {
    /// The product.
    pub struct PlatformInfo {
        pub name: String => "Name";
    }
}

document! {
    /// One part of the engine.
    pub struct Component {
        pub name: String => "Name";
        pub version: String => "Version";
        pub details: Option<BTreeMap<String, String>> => "Details" @omitempty;
    }
}

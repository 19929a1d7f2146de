//! A container in a list.

use std::collections::BTreeMap;

use crate::container::{MountPoint, PortList};
use crate::go::document;
use crate::image::Descriptor;
use crate::network::EndpointSettings;

document! {
    /// What `docker ps` needs.
    pub struct Summary {
        pub id: String => "Id";
        /// With leading slashes.
        pub names: Vec<String> => "Names";
        pub image: String => "Image";
        pub image_id: String => "ImageID";
        pub image_manifest_descriptor: Option<Descriptor> => "ImageManifestDescriptor" @omitempty;
        pub command: String => "Command";
        /// Seconds since the epoch.
        pub created: i64 => "Created";
        pub ports: PortList => "Ports";
        pub size_rw: i64 => "SizeRw" @omitempty;
        pub size_root_fs: i64 => "SizeRootFs" @omitempty;
        pub labels: BTreeMap<String, String> => "Labels";
        pub state: String => "State";
        /// `Up 3 minutes (healthy)`
        pub status: String => "Status";
        pub host_config: SummaryHostConfig => "HostConfig";
        pub health: Option<HealthSummary> => "Health" @omitempty;
        pub network_settings: NetworkSettingsSummary => "NetworkSettings";
        pub mounts: Vec<MountPoint> => "Mounts";
    }
}

document! {
    /// A port that is exposed or published.
    pub struct PortSummary {
        pub ip: String => "IP" @omitempty;
        pub private_port: u16 => "PrivatePort";
        pub public_port: u16 => "PublicPort" @omitempty;
        /// `tcp`, `udp` or `sctp`.
        pub kind: String => "Type";
    }
}

document! {
    /// What a list says of the host configuration.
    pub struct SummaryHostConfig {
        pub network_mode: String => "NetworkMode" @omitempty;
        pub annotations: Option<BTreeMap<String, String>> => "Annotations" @omitempty;
    }
}

document! {
    /// What a list says of health; since 1.52.
    pub struct HealthSummary {
        /// `none` without a health check.
        pub status: String => "Status";
        pub failing_streak: i64 => "FailingStreak";
    }
}

document! {
    /// What a list says of networks.
    pub struct NetworkSettingsSummary {
        /// By network name.
        pub networks: BTreeMap<String, EndpointSettings> => "Networks";
    }
}

//! Images: one in full, in a list, its history, and what removing it did.

use std::collections::BTreeMap;

use crate::container::{DriverData, HealthConfig};
use crate::go::{Empty, document};

document! {
    /// Names content in a registry or a store.
    pub struct Descriptor {
        pub media_type: String => "mediaType";
        pub digest: String => "digest";
        /// Bytes.
        pub size: i64 => "size";
        pub urls: Option<Vec<String>> => "urls" @omitempty;
        pub annotations: Option<BTreeMap<String, String>> => "annotations" @omitempty;
        /// The content itself, base64.
        pub data: String => "data" @omitempty;
        pub platform: Option<Platform> => "platform" @omitempty;
        pub artifact_type: String => "artifactType" @omitempty;
    }
}

document! {
    /// What an image runs on.
    pub struct Platform {
        pub architecture: String => "architecture";
        pub os: String => "os";
        pub os_version: String => "os.version" @omitempty;
        pub os_features: Option<Vec<String>> => "os.features" @omitempty;
        pub variant: String => "variant" @omitempty;
    }
}

impl From<&onggi_model::Platform> for Platform {
    fn from(platform: &onggi_model::Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone().unwrap_or_default(),
            ..Self::default()
        }
    }
}

document! {
    /// Everything about an image.
    pub struct Inspect {
        pub id: String => "Id";
        pub repo_tags: Vec<String> => "RepoTags";
        pub repo_digests: Vec<String> => "RepoDigests";
        pub comment: String => "Comment" @omitempty;
        /// RFC 3339; empty when the image does not say.
        pub created: String => "Created" @omitempty;
        pub author: String => "Author" @omitempty;
        pub config: Option<Config> => "Config";
        pub architecture: String => "Architecture";
        pub variant: String => "Variant" @omitempty;
        pub os: String => "Os";
        pub os_version: String => "OsVersion" @omitempty;
        /// Bytes on disk.
        pub size: i64 => "Size";
        pub graph_driver: Option<DriverData> => "GraphDriver" @omitempty;
        pub root_fs: RootFs => "RootFS";
        pub metadata: Metadata => "Metadata";
        pub descriptor: Option<Descriptor> => "Descriptor" @omitempty;
        pub manifests: Option<Vec<ManifestSummary>> => "Manifests" @omitempty;
    }
}

document! {
    /// What an image says about its containers.
    pub struct Config {
        pub user: String => "User" @omitempty;
        pub exposed_ports: Option<BTreeMap<String, Empty>> => "ExposedPorts" @omitempty;
        pub env: Option<Vec<String>> => "Env" @omitempty;
        pub entrypoint: Option<Vec<String>> => "Entrypoint" via StrSlice @omitempty;
        pub cmd: Option<Vec<String>> => "Cmd" via StrSlice @omitempty;
        pub volumes: Option<BTreeMap<String, Empty>> => "Volumes" @omitempty;
        pub working_dir: String => "WorkingDir" @omitempty;
        pub labels: Option<BTreeMap<String, String>> => "Labels" @omitempty;
        pub stop_signal: String => "StopSignal" @omitempty;
        pub args_escaped: bool => "ArgsEscaped" @omitempty;
        pub healthcheck: Option<HealthConfig> => "Healthcheck" @omitempty;
        pub on_build: Option<Vec<String>> => "OnBuild" @omitempty;
        pub shell: Option<Vec<String>> => "Shell" via StrSlice @omitempty;
    }
}

document! {
    /// The layers of an image.
    pub struct RootFs {
        /// `layers`
        pub kind: String => "Type" @omitempty;
        /// Digests of the uncompressed layers.
        pub layers: Option<Vec<String>> => "Layers" @omitempty;
    }
}

document! {
    /// What only this machine knows of an image.
    pub struct Metadata {
        /// RFC 3339; Go's zero time if never.
        pub last_tag_time: String => "LastTagTime" @omitempty;
    }
}

document! {
    /// An image in a list.
    pub struct Summary {
        /// How many containers use it; -1 when not counted.
        pub containers: i64 => "Containers";
        /// Seconds since the epoch.
        pub created: i64 => "Created";
        pub id: String => "Id";
        pub labels: Option<BTreeMap<String, String>> => "Labels";
        pub parent_id: String => "ParentId";
        pub descriptor: Option<Descriptor> => "Descriptor" @omitempty;
        pub manifests: Option<Vec<ManifestSummary>> => "Manifests" @omitempty;
        pub repo_digests: Vec<String> => "RepoDigests";
        pub repo_tags: Vec<String> => "RepoTags";
        /// Bytes of layers shared with other images; -1 when not counted.
        pub shared_size: i64 => "SharedSize";
        /// Bytes on disk.
        pub size: i64 => "Size";
    }
}

document! {
    /// One manifest of an image.
    pub struct ManifestSummary {
        pub id: String => "ID";
        pub descriptor: Descriptor => "Descriptor";
        /// Whether all of its content is here.
        pub available: bool => "Available";
        pub size: ManifestSize => "Size";
        /// `image`, `attestation` or `unknown`.
        pub kind: String => "Kind";
        pub image_data: Option<ImageData> => "ImageData" @omitempty;
        pub attestation_data: Option<AttestationData> => "AttestationData" @omitempty;
    }
}

document! {
    /// Bytes of a manifest and its children.
    pub struct ManifestSize {
        /// Blobs.
        pub content: i64 => "Content";
        /// Blobs and unpacked layers.
        pub total: i64 => "Total";
    }
}

document! {
    /// What a manifest says when it is an image.
    pub struct ImageData {
        pub platform: Platform => "Platform";
        /// Ids of the containers made from it.
        pub containers: Vec<String> => "Containers";
        pub size: ImageDataSize => "Size";
    }
}

document! {
    /// Bytes of an image's layers.
    pub struct ImageDataSize {
        pub unpacked: i64 => "Unpacked";
    }
}

document! {
    /// What a manifest says when it is an attestation.
    pub struct AttestationData {
        /// The digest it speaks of.
        pub of: String => "For";
    }
}

document! {
    /// One step of an image's history, the newest first.
    pub struct HistoryItem {
        pub comment: String => "Comment";
        /// Seconds since the epoch.
        pub created: i64 => "Created";
        pub created_by: String => "CreatedBy";
        /// `<missing>` where the step made no image.
        pub id: String => "Id";
        pub size: i64 => "Size";
        pub tags: Option<Vec<String>> => "Tags";
    }
}

document! {
    /// What pruning removed.
    pub struct PruneResponse {
        pub images_deleted: Option<Vec<DeleteItem>> => "ImagesDeleted";
        /// Bytes.
        pub space_reclaimed: u64 => "SpaceReclaimed";
    }
}

document! {
    /// What removing an image did: one of the two is set.
    pub struct DeleteItem {
        pub deleted: String => "Deleted" @omitempty;
        pub untagged: String => "Untagged" @omitempty;
    }
}

//! What a container has mounted beside the system's own: `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's
//! `VOLUME`s, settled when it is made, and kept in its record.

mod read; // the fields of a request
mod resolve; // what comes from elsewhere: other containers, the image
mod tmpfs; // options of a tmpfs
mod volumes; // made, filled, mounted, given back

use std::collections::BTreeMap;
use std::path::Path;

use onggi_api::container::MountPoint;
use onggi_oci::runtime::Mount as OciMount;
use onggi_volume::Volumes;
use serde::{Deserialize, Serialize};

use super::Record;
use crate::error::{Error, Result};

pub(crate) use resolve::resolve;
pub(crate) use volumes::Made;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) target: String,
    pub(crate) what: What,
    pub(crate) readonly: bool,
    /// As the user wrote it, for `inspect`.
    pub(crate) mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Bind(Bind),
    Tmpfs {
        options: Vec<String>,
        /// Asked for by `--mount`: `inspect` lists those.
        listed: bool,
    },
    Volume(VolumeMount),
    Image(ImageMount),
    /// For a step of a build.
    Step(StepMount),
}

/// A mount of a build's step: as the runtime takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepMount {
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) options: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) source: String,
    pub(crate) propagation: String,
    pub(crate) recursive: bool,
    /// Read-only reaches submounts too.
    pub(crate) recursively_readonly: bool,
    /// A missing source becomes a directory.
    pub(crate) create: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeMount {
    /// Empty until one of ours is made.
    pub(crate) name: String,
    /// Nobody named it: it may go with the container.
    pub(crate) anonymous: bool,
    pub(crate) driver: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) options: BTreeMap<String, String>,
    /// Only this below it.
    pub(crate) subpath: String,
    pub(crate) origin: Origin,
}

/// Where a volume comes from, and so whether it is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// The request; it takes the image's files if it is empty.
    #[default]
    Filled,
    /// The request; it stays as it is.
    Bare,
    /// `VOLUME` of the image or of the configuration: filled, and not over a file.
    Declared,
    /// Another container.
    Inherited,
}

/// The files of an image, read-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageMount {
    /// As the user named it.
    pub(crate) reference: String,
    pub(crate) id: onggi_model::Digest,
    pub(crate) subpath: String,
}

impl Record {
    /// The volumes among its mounts.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = (&Wanted, &VolumeMount)> {
        self.wanted.iter().filter_map(|wanted| match &wanted.what {
            What::Volume(volume) => Some((wanted, volume)),
            _ => None,
        })
    }

    /// Whether it mounts this image.
    pub(crate) fn mounts_image(&self, id: &onggi_model::Digest) -> bool {
        let images = self.wanted.iter().filter_map(|wanted| match &wanted.what {
            What::Image(image) => Some(&image.id),
            _ => None,
        });
        images.into_iter().any(|image| image == id)
    }
}

impl Wanted {
    /// As the OCI document says it. Images are the spec's business: they depend on layers.
    pub(crate) fn to_oci(&self, volumes: &Volumes) -> Option<OciMount> {
        match &self.what {
            What::Bind(bind) => Some(self.bind_to_oci(bind)),
            What::Volume(volume) => {
                let mut options = vec!["rbind".to_owned()];
                options.push(if self.readonly { "rro" } else { "rw" }.to_owned());
                options.push("rprivate".to_owned());
                if !volume.subpath.is_empty() {
                    options.push(format!("subpath={}", volume.subpath));
                }
                Some(OciMount {
                    destination: self.target.clone(),
                    kind: Some("bind".to_owned()),
                    source: Some(volumes.path(&volume.name).display().to_string()),
                    options,
                    ..OciMount::default()
                })
            }
            What::Tmpfs { options, .. } => {
                let mut options = options.clone();
                if self.readonly && !options.iter().any(|o| o == "ro") {
                    options.push("ro".to_owned());
                }
                Some(OciMount {
                    destination: self.target.clone(),
                    kind: Some("tmpfs".to_owned()),
                    source: Some("tmpfs".to_owned()),
                    options,
                    ..OciMount::default()
                })
            }
            What::Step(step) => Some(OciMount {
                destination: self.target.clone(),
                kind: Some(step.kind.clone()),
                source: Some(step.source.clone()),
                options: step.options.clone(),
                ..OciMount::default()
            }),
            What::Image(_) => None,
        }
    }

    fn bind_to_oci(&self, bind: &Bind) -> OciMount {
        let kind = if bind.recursive { "rbind" } else { "bind" };
        let access = match (self.readonly, bind.recursive && bind.recursively_readonly) {
            (true, true) => "rro",
            (true, false) => "ro",
            (false, _) => "rw",
        };
        OciMount {
            destination: self.target.clone(),
            kind: Some("bind".to_owned()),
            source: Some(bind.source.clone()),
            options: [kind, access, &bind.propagation]
                .map(str::to_owned)
                .to_vec(),
            ..OciMount::default()
        }
    }

    /// As `inspect` lists it; `--tmpfs` is not in that list, as Docker's.
    pub(crate) fn to_point(&self, volumes: &Volumes) -> Option<MountPoint> {
        let point = MountPoint {
            destination: self.target.clone(),
            mode: self.mode.clone(),
            rw: !self.readonly,
            ..MountPoint::default()
        };
        match &self.what {
            What::Bind(bind) => Some(MountPoint {
                kind: "bind".to_owned(),
                source: bind.source.clone(),
                propagation: bind.propagation.clone(),
                ..point
            }),
            What::Volume(volume) => Some(MountPoint {
                kind: "volume".to_owned(),
                name: volume.name.clone(),
                source: volumes.path(&volume.name).display().to_string(),
                driver: onggi_volume::DRIVER.to_owned(),
                ..point
            }),
            What::Tmpfs { listed: true, .. } => Some(MountPoint {
                kind: "tmpfs".to_owned(),
                ..point
            }),
            What::Tmpfs { listed: false, .. } | What::Step(_) => None,
            What::Image(image) => Some(MountPoint {
                kind: "image".to_owned(),
                name: image.reference.clone(),
                source: image.id.to_string(),
                ..point
            }),
        }
    }

    /// Makes the source of a bind that may be made.
    pub(crate) fn prepare(&self) -> Result<()> {
        let What::Bind(Bind { source, create, .. }) = &self.what else {
            return Ok(());
        };
        if Path::new(source).exists() {
            return Ok(());
        }
        if !create {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {source}"
            )));
        }
        std::fs::create_dir_all(source).map_err(|e| {
            Error::io(
                format_args!("error while creating mount source path '{source}'"),
                e,
            )
        })
    }
}

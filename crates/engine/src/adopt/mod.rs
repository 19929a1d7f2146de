//! `system adopt`: images, volumes, networks and stopped containers of a stopped dockerd, taken by reading only.
//!
//! Nothing below the other engine's directory is changed. Each image, volume, network and container is here whole or not at all,
//! and what is here already stays as it is: adopting twice, or again after a crash, takes what is missing. The order is
//! images, volumes, networks, containers, because the last need the others. How a record of ours is made of a container of theirs
//! is in `container/adopt.rs`.

mod bolt; // the files dockerd keeps volumes and networks in
mod images; // its images
mod networks; // its networks
mod root; // its data root: what it is, whether it is in use
mod tar_split; // the tars of its layers
mod volumes; // its volumes

use std::path::Path;
use std::sync::Arc;

use onggi_api::stream::Message;
use onggi_api::system::AdoptedItem;
use tokio::sync::mpsc;
use tracing::info;

use crate::Engine;
use crate::error::{Error, Result};

pub(crate) use root::{DataRoot, ForeignContainer};

/// Whether something was taken or was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    Present,
}

/// What there is to say about something that could be had.
#[derive(Clone, Debug)]
pub(crate) struct Had {
    pub(crate) outcome: Outcome,
    pub(crate) detail: String,
}

impl Had {
    pub(crate) fn taken(detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Taken,
            detail: detail.into(),
        }
    }

    pub(crate) fn present(detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Present,
            detail: detail.into(),
        }
    }
}

/// Where lines about what was taken go.
struct Report {
    client: mpsc::Sender<Message>,
}

impl Report {
    async fn tell(&self, kind: &str, id: &str, name: &str, had: Result<Had>) {
        let (outcome, detail) = match had {
            Ok(Had {
                outcome: Outcome::Taken,
                detail,
            }) => ("taken", detail),
            Ok(Had {
                outcome: Outcome::Present,
                detail,
            }) => ("present", detail),
            Err(fault) => ("skipped", fault.to_string()),
        };
        info!(kind, id, name, outcome, detail, "adopt");
        let item = AdoptedItem {
            kind: kind.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            outcome: outcome.to_owned(),
            detail,
        };
        let item = serde_json::to_value(item).unwrap_or_default();
        // A client that left hears nothing; what was taken stays.
        let _ = self.client.send(Message::aux(item)).await;
    }
}

impl Engine {
    /// Takes over what a stopped dockerd left in its data root, and tells `client` thing by thing.
    ///
    /// # Errors
    /// `NotFound` and `InvalidParameter` for what is no data root of dockerd with overlay2; `Conflict` while it is in use.
    pub async fn system_adopt(&self, directory: &str, client: mpsc::Sender<Message>) -> Result<()> {
        let (path, own) = (
            Path::new(directory).to_owned(),
            self.inner.config.data_root.clone(),
        );
        let root = onggi_rt::blocking("open a data root", move || DataRoot::open(&path, &own));
        let root = Arc::new(root.await??);
        let report = Report { client };
        self.adopt_images(&root, &report).await?;
        self.adopt_volumes(&root, &report).await?;
        self.adopt_networks(&root, &report).await?;
        self.adopt_containers(&root, &report).await
    }

    async fn adopt_images(&self, root: &Arc<DataRoot>, report: &Report) -> Result<()> {
        let read = root.clone();
        let (found, lost) =
            onggi_rt::blocking("read foreign images", move || images::find(&read)).await??;
        for (name, why) in lost {
            report.tell("image", "", &name, Err(why)).await;
        }
        for image in found {
            let (inner, root) = (self.inner.clone(), root.clone());
            let (id, name) = (image.id.clone(), image.title());
            let had = onggi_rt::blocking("adopt an image", move || {
                images::adopt(&inner.images, &root, image)
            });
            let had = had.await?;
            if let Ok((had, image)) = &had
                && had.outcome == Outcome::Taken
            {
                self.image_event("load", id.as_str(), image, &name);
            }
            let had = had.map(|(had, _)| had);
            report.tell("image", id.short(), &name, had).await;
        }
        Ok(())
    }

    async fn adopt_volumes(&self, root: &Arc<DataRoot>, report: &Report) -> Result<()> {
        let read = root.clone();
        let found = onggi_rt::blocking("read foreign volumes", move || volumes::find(&read));
        for volume in found.await?? {
            let (inner, root) = (self.inner.clone(), root.clone());
            let name = volume.name.clone();
            let had = onggi_rt::blocking("adopt a volume", move || {
                volumes::adopt(&inner.volumes, &root, &volume)
            });
            let had = had.await?;
            if matches!(&had, Ok(had) if had.outcome == Outcome::Taken) {
                self.volume_event("create", &name, []);
            }
            report.tell("volume", "", &name, had).await;
        }
        Ok(())
    }

    async fn adopt_networks(&self, root: &Arc<DataRoot>, report: &Report) -> Result<()> {
        let read = root.clone();
        let found = onggi_rt::blocking("read foreign networks", move || networks::find(&read));
        for network in found.await?? {
            let (id, name) = (network.id.clone(), network.name.clone());
            let short: String = id.chars().take(12).collect();
            let had = self.adopt_network(network).await;
            report.tell("network", &short, &name, had).await;
        }
        Ok(())
    }

    async fn adopt_containers(&self, root: &Arc<DataRoot>, report: &Report) -> Result<()> {
        let read = root.clone();
        let found = onggi_rt::blocking("read foreign containers", move || read.containers());
        for foreign in found.await?? {
            let (id, name) = (foreign.id.clone(), foreign.name());
            let short: String = id.chars().take(12).collect();
            let had = self.adopt_container(root, foreign).await;
            report.tell("container", &short, &name, had).await;
        }
        Ok(())
    }
}

/// An error about something that cannot be taken.
pub(crate) fn cannot(why: impl Into<String>) -> Error {
    Error::invalid(why)
}

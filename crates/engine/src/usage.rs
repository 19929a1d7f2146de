//! `system df`: what takes how much room, from the catalogue's counters and the roots of the containers.

use std::collections::BTreeSet;

use onggi_api::container::ListOptions;
use onggi_api::system::{ContainerUsage, DiskUsage, ImageUsage, OtherUsage};
use onggi_model::Digest;
use onggi_store::Store;

use crate::Engine;
use crate::error::{Error, Result};
use crate::image::ImageListOptions;

/// What a client wants to know the size of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageOptions {
    /// Images and their layers.
    pub images: bool,
    /// Containers.
    pub containers: bool,
    /// Volumes.
    pub volumes: bool,
    /// The cache of builds.
    pub build_cache: bool,
}

impl Engine {
    /// What takes how much room on disk, with every item.
    ///
    /// # Errors
    /// What the catalogue or the disk says when they cannot be read.
    pub async fn disk_usage(&self, options: UsageOptions) -> Result<DiskUsage> {
        Ok(DiskUsage {
            image_usage: match options.images {
                true => Some(self.image_usage().await?),
                false => None,
            },
            container_usage: match options.containers {
                true => Some(self.container_usage().await?),
                false => None,
            },
            volume_usage: match options.volumes {
                true => Some(self.volumes_usage().await?),
                false => None,
            },
            build_cache_usage: match options.build_cache {
                false => None,
                true => {
                    let engine = self.clone();
                    let counted =
                        onggi_rt::blocking("count the build cache", move || engine.build_usage());
                    Some(counted.await??)
                }
            },
        })
    }

    async fn volumes_usage(&self) -> Result<OtherUsage> {
        let mut usage = OtherUsage::default();
        for volume in self.volume_usage().await? {
            let (holders, size) = volume
                .usage_data
                .as_ref()
                .map_or((0, 0), |data| (data.ref_count, data.size));
            usage.total_count += 1;
            usage.total_size += size;
            match holders {
                0 => usage.reclaimable += size,
                _ => usage.active_count += 1,
            }
            let item = serde_json::to_value(&volume)
                .map_err(|e| Error::internal(format!("write a volume: {e}")))?;
            usage.items.push(item);
        }
        Ok(usage)
    }

    async fn container_usage(&self) -> Result<ContainerUsage> {
        let options = ListOptions {
            all: true,
            size: true,
            ..ListOptions::default()
        };
        let items = self.container_list(options).await?;
        let runs = |state: &str| matches!(state, "running" | "paused" | "restarting");
        let mut usage = ContainerUsage::default();
        for item in &items {
            usage.total_count += 1;
            usage.total_size += item.size_rw;
            match runs(&item.state) {
                true => usage.active_count += 1,
                false => usage.reclaimable += item.size_rw,
            }
        }
        usage.items = items;
        Ok(usage)
    }

    async fn image_usage(&self) -> Result<ImageUsage> {
        let used: Vec<Digest> = self
            .inner
            .containers
            .all()
            .iter()
            .map(|container| container.record().image.clone())
            .collect();
        let options = ImageListOptions {
            all: true,
            shared_size: true,
            ..ImageListOptions::default()
        };
        let mut items = self.image_list(Default::default(), options).await?;
        let store = self.inner.store.clone();
        let in_use: BTreeSet<_> = used.iter().cloned().collect();
        let engine = self.clone();
        let counted = onggi_rt::blocking("count images", move || {
            let held = held(&store, &in_use)?;
            Ok::<_, Error>((store.usage()?, held, engine.build_bytes()?))
        });
        let (counted, held, of_builds) = counted.await??;
        // What only the cache of builds has is told there.
        let total = (counted.layer_bytes + counted.blob_bytes).saturating_sub(of_builds);
        let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut usage = ImageUsage {
            total_size: number(total),
            reclaimable: number(total.saturating_sub(held)),
            ..ImageUsage::default()
        };
        for item in &mut items {
            let users = used.iter().filter(|id| id.to_string() == item.id).count();
            item.containers = i64::try_from(users).unwrap_or(i64::MAX);
            usage.total_count += 1;
            usage.active_count += i64::from(users > 0);
        }
        usage.items = items;
        Ok(usage)
    }
}

/// Bytes that the images of containers hold, of layers and blobs; what several of them share counts once.
fn held(store: &Store, images: &BTreeSet<Digest>) -> Result<u64, onggi_store::Error> {
    let (mut layers, mut blobs) = (BTreeSet::new(), BTreeSet::new());
    for id in images {
        if let Some(image) = store.image(id)? {
            blobs.extend(image.kept_blobs());
            layers.extend(image.layers);
        }
    }
    let mut bytes = 0;
    for layer in &layers {
        bytes += store.layer(layer)?.map_or(0, |layer| layer.size);
    }
    for blob in &blobs {
        bytes += store.blob_size(blob)?.unwrap_or(0);
    }
    Ok(bytes)
}

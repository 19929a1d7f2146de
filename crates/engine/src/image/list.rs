//! Images in lists, and their manifests.

use std::collections::{BTreeMap, BTreeSet};

use onggi_api::image::{
    self as api, AttestationData, ImageData, ImageDataSize, ManifestSize, ManifestSummary, Summary,
};
use onggi_image::{Image, ImageManifest, Images, ManifestKind};
use onggi_model::{Digest, Filters};

use super::{descriptor, summary};
use crate::Engine;
use crate::error::{Error, Result};

/// What a list of images is to have.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageListOptions {
    /// Also images without a name that others were made from.
    pub all: bool,
    /// The manifests of each.
    pub manifests: bool,
    /// How many bytes of each are in layers of others, too.
    pub shared_size: bool,
}

/// The containers of each image.
type Users = BTreeMap<Digest, Vec<String>>;

impl Engine {
    /// The images that fit, newest first.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that does not exist.
    pub async fn image_list(
        &self,
        filters: Filters,
        options: ImageListOptions,
    ) -> Result<Vec<Summary>> {
        let engine = self.clone();
        let list = onggi_rt::blocking("list images", move || {
            let images = &engine.inner.images;
            let mut found = images.list(&filters)?;
            if !options.all {
                // Nobody asks for what is only on the way to something else.
                found.retain(|image| {
                    let named = !image.tags.is_empty() || !image.digests.is_empty();
                    named || !images.has_children(image.id()).unwrap_or(false)
                });
            }
            let mut list: Vec<Summary> = found.iter().map(summary).collect();
            if options.manifests {
                let users = engine.users();
                for (image, summary) in found.iter().zip(&mut list) {
                    summary.manifests = Some(manifests(images, image, &users)?);
                }
            }
            if options.shared_size {
                let shared = shared_sizes(images)?;
                for (image, summary) in found.iter().zip(&mut list) {
                    let bytes = shared.get(image.id()).copied().unwrap_or(0);
                    summary.shared_size = i64::try_from(bytes).unwrap_or(i64::MAX);
                }
            }
            Ok::<_, Error>(list)
        });
        list.await?
    }

    /// The manifests of an image, as `inspect` and lists show them. Blocks.
    pub(super) fn manifests_of(&self, image: &Image) -> Result<Vec<ManifestSummary>> {
        manifests(&self.inner.images, image, &self.users())
    }

    fn users(&self) -> Users {
        let mut users = Users::new();
        for container in self.inner.containers.all() {
            let record = container.record();
            let ids = users.entry(record.image.clone()).or_default();
            ids.push(record.id.to_string());
        }
        users
    }
}

fn manifests(images: &Images, image: &Image, users: &Users) -> Result<Vec<ManifestSummary>> {
    let found = images.manifests(image)?;
    let all = found.into_iter().map(|one| manifest_summary(one, users));
    Ok(all.collect())
}

fn manifest_summary(manifest: ImageManifest, users: &Users) -> ManifestSummary {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut summary = ManifestSummary {
        id: manifest.descriptor.digest.to_string(),
        descriptor: descriptor_of(&manifest.descriptor),
        available: manifest.available,
        size: ManifestSize {
            content: number(manifest.content),
            total: number(manifest.content),
        },
        ..ManifestSummary::default()
    };
    let kind = match manifest.kind {
        ManifestKind::Image {
            platform,
            id,
            unpacked,
        } => {
            summary.size.total = number(manifest.content.saturating_add(unpacked));
            let containers = id.and_then(|id| users.get(&id)).cloned();
            summary.image_data = Some(ImageData {
                platform: platform_of(&platform),
                containers: containers.unwrap_or_default(),
                size: ImageDataSize {
                    unpacked: number(unpacked),
                },
            });
            "image"
        }
        ManifestKind::Attestation(of) => {
            summary.attestation_data = Some(AttestationData { of });
            "attestation"
        }
        ManifestKind::Unknown => "unknown",
    };
    kind.clone_into(&mut summary.kind);
    summary
}

/// As an index names a manifest.
fn descriptor_of(named: &onggi_oci::image::Descriptor) -> api::Descriptor {
    api::Descriptor {
        urls: Some(named.urls.clone()).filter(|urls| !urls.is_empty()),
        annotations: Some(named.annotations.clone()).filter(|map| !map.is_empty()),
        platform: named.platform.as_ref().map(platform_of),
        artifact_type: named.artifact_type.clone().unwrap_or_default(),
        ..descriptor(named)
    }
}

/// A platform of a document in the API's words.
fn platform_of(platform: &onggi_oci::image::Platform) -> api::Platform {
    api::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        os_version: platform.os_version.clone().unwrap_or_default(),
        os_features: Some(platform.os_features.clone()).filter(|list| !list.is_empty()),
        variant: platform.variant.clone().unwrap_or_default(),
    }
}

/// Bytes of each image in layers that other images have, too.
fn shared_sizes(images: &Images) -> Result<BTreeMap<Digest, u64>> {
    let store = images.store();
    let sizes = store.layers()?.into_iter();
    let sizes: BTreeMap<_, _> = sizes.map(|layer| (layer.chain_id, layer.size)).collect();
    let records = store.images()?;
    let mut holders: BTreeMap<_, u32> = BTreeMap::new();
    // An image may have the same layer twice.
    let own = |layers: &[_]| -> BTreeSet<_> { layers.iter().cloned().collect() };
    for record in &records {
        for layer in own(&record.layers) {
            *holders.entry(layer).or_default() += 1;
        }
    }
    let shared = records.iter().map(|record| {
        let layers = own(&record.layers);
        let common = layers.iter().filter(|layer| holders[*layer] > 1);
        let bytes = common.filter_map(|layer| sizes.get(layer)).sum();
        (record.id.clone(), bytes)
    });
    Ok(shared.collect())
}

//! The manifests of an image: its own, and those of other machines that its index names, as far as they are here.

use onggi_model::Digest;
use onggi_oci::image::{
    Descriptor, ImageConfig, MAX_DOCUMENT_SIZE, Manifest, Parsed, Platform, annotation, media_type,
};

use crate::Error;
use crate::images::{Image, Images};

/// One manifest of an image.
#[derive(Debug, Clone)]
pub struct ImageManifest {
    /// As the index names it.
    pub descriptor: Descriptor,
    /// What it describes.
    pub kind: ManifestKind,
    /// Whether everything it names is here.
    pub available: bool,
    /// Bytes of the blobs that are here: itself, configuration, layers.
    pub content: u64,
}

/// What a manifest describes.
#[derive(Debug, Clone)]
pub enum ManifestKind {
    /// An image.
    Image {
        /// What it runs on.
        platform: Platform,
        /// The image it is here, if it is.
        id: Option<Digest>,
        /// Bytes of the files in its layers, where they are unpacked.
        unpacked: u64,
    },
    /// What a builder says about the image with this manifest.
    Attestation(String),
    /// Something else.
    Unknown,
}

impl Images {
    /// The manifests of an image: those here first, each kind in the order of the index. Blocks.
    ///
    /// # Errors
    /// As the store's.
    pub fn manifests(&self, image: &Image) -> Result<Vec<ImageManifest>, Error> {
        let record = &image.record;
        let mut named = match record.target.digest == record.manifest {
            true => Vec::new(),
            false => self.named_by(&record.target.digest)?,
        };
        if !named.iter().any(|child| child.digest == record.manifest) {
            let size = self.inner.store.blob_size(&record.manifest)?.unwrap_or(0);
            let kind = match record.target.digest == record.manifest {
                true => record.target.media_type.as_str(),
                false => media_type::DOCKER_MANIFEST,
            };
            named.push(Descriptor::new(kind, record.manifest.clone(), size));
        }
        let mut manifests = Vec::with_capacity(named.len());
        for descriptor in named {
            manifests.push(self.manifest(image, descriptor)?);
        }
        manifests.sort_by_key(|manifest| !manifest.available);
        Ok(manifests)
    }

    /// What an index names; nothing when it is not here, or none.
    fn named_by(&self, index: &Digest) -> Result<Vec<Descriptor>, Error> {
        if !self.inner.store.has_blob(index)? {
            return Ok(Vec::new());
        }
        let bytes = self.inner.store.blob_bytes(index, MAX_DOCUMENT_SIZE)?;
        match Parsed::from_bytes(&bytes, None)? {
            Parsed::Index(index) => Ok(index.manifests),
            Parsed::Manifest(_) => Ok(Vec::new()),
        }
    }

    fn manifest(&self, image: &Image, descriptor: Descriptor) -> Result<ImageManifest, Error> {
        let store = &self.inner.store;
        let own = descriptor.digest == image.record.manifest;
        let mut found = ImageManifest {
            kind: ManifestKind::Unknown,
            available: false,
            content: 0,
            descriptor,
        };
        let is_image = match found.descriptor.annotations.get(annotation::REFERENCE_TYPE) {
            Some(_) => {
                let of = found
                    .descriptor
                    .annotations
                    .get(annotation::REFERENCE_DIGEST);
                found.kind = ManifestKind::Attestation(of.cloned().unwrap_or_default());
                false
            }
            None => media_type::is_manifest(&found.descriptor.media_type),
        };
        let mut platform = found.descriptor.platform.clone();
        let mut here = None;
        if let Some(size) = store.blob_size(&found.descriptor.digest)? {
            found.content += size;
            let bytes = store.blob_bytes(&found.descriptor.digest, MAX_DOCUMENT_SIZE)?;
            if let Parsed::Manifest(manifest) = Parsed::from_bytes(&bytes, None)? {
                found.available = self.weigh(&manifest, &mut found.content)?;
                here = store.image(&manifest.config.digest)?;
                if platform.is_none() && is_image {
                    platform = self.platform_of(&manifest)?;
                }
            }
        }
        if is_image {
            found.kind = ManifestKind::Image {
                platform: match own {
                    true => platform.unwrap_or_else(|| image.record.platform.clone()),
                    false => platform.unwrap_or_default(),
                },
                unpacked: here.as_ref().map_or(0, |image| image.size),
                id: here.map(|image| image.id),
            };
        }
        Ok(found)
    }

    /// Adds what is here of what a manifest names, and says whether that is all.
    fn weigh(&self, manifest: &Manifest, content: &mut u64) -> Result<bool, Error> {
        let mut whole = true;
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            match self.inner.store.blob_size(&blob.digest)? {
                Some(size) => *content += size,
                None => whole &= media_type::is_foreign(&blob.media_type),
            }
        }
        Ok(whole)
    }

    fn platform_of(&self, manifest: &Manifest) -> Result<Option<Platform>, Error> {
        let digest = &manifest.config.digest;
        if !self.inner.store.has_blob(digest)? {
            return Ok(None);
        }
        let bytes = self.inner.store.blob_bytes(digest, MAX_DOCUMENT_SIZE)?;
        Ok(ImageConfig::from_bytes(&bytes)
            .ok()
            .map(|config| config.platform()))
    }
}

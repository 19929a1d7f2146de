//! What an image is made of, for those who give it away: push and save.

use std::collections::BTreeSet;
use std::io::Write as _;

use bytes::Bytes;
use onggi_model::{Algorithm, Digest};
use onggi_oci::image::{Descriptor, MAX_DOCUMENT_SIZE, Manifest, Parsed, media_type};
use onggi_store::ImageRecord;

use crate::Error;
use crate::images::Images;
use crate::unpack::digest_of;

/// An index inside an index is as deep as it goes.
const DEPTH: usize = 3;

/// The documents and blobs of an image, all of them there.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Manifests and indexes, those first that others name. The last one is the image.
    pub(crate) documents: Vec<(Descriptor, Bytes)>,
    /// Configurations.
    pub(crate) configs: Vec<Descriptor>,
    /// Layers, base first.
    pub(crate) layers: Vec<Part>,
    /// The blobs of the layers that containers of it are made of; an index has those of other machines, too.
    pub(crate) own: Vec<Digest>,
}

/// A layer.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) blob: Descriptor,
    /// Digest of its tar, where it is known.
    pub(crate) diff_id: Option<Digest>,
}

impl Part {
    /// A layer that may not be given to others: they fetch it from where it is.
    pub(crate) fn is_foreign(&self) -> bool {
        media_type::is_foreign(&self.blob.media_type)
    }
}

impl Parts {
    /// The manifest or index of the image.
    pub(crate) fn target(&self) -> Option<&(Descriptor, Bytes)> {
        self.documents.last()
    }
}

impl Images {
    /// The parts of an image: of its index, where every image in it is here; else, or `alone`, of its own manifest.
    ///
    /// # Errors
    /// [`Error::Incomplete`]; as the store's. Blocks.
    pub(crate) fn parts(&self, image: &ImageRecord, alone: bool) -> Result<Parts, Error> {
        if !alone && image.target.digest != image.manifest {
            let mut parts = Parts::default();
            if self.gather(&image.target.digest, 0, &mut parts)? {
                self.know_own(image, &mut parts)?;
                return Ok(parts);
            }
        }
        let mut parts = Parts::default();
        if !self.gather(&image.manifest, 0, &mut parts)? {
            return Err(Error::NotFound(image.manifest.to_string()));
        }
        self.know_own(image, &mut parts)?;
        for part in parts.layers.iter().filter(|part| !part.is_foreign()) {
            if !self.inner.store.has_blob(&part.blob.digest)? {
                return Err(Error::Incomplete {
                    layer: part.blob.digest.clone(),
                });
            }
        }
        Ok(parts)
    }

    /// Adds a document and all it names; false when something of an index is not here.
    fn gather(&self, digest: &Digest, depth: usize, parts: &mut Parts) -> Result<bool, Error> {
        let store = &self.inner.store;
        if depth >= DEPTH || !store.has_blob(digest)? {
            return Ok(false);
        }
        let bytes = store.blob_bytes(digest, MAX_DOCUMENT_SIZE)?;
        let parsed = Parsed::from_bytes(&bytes, None)?;
        let own = Descriptor::new(parsed.media_type(), digest.clone(), bytes.len() as u64);
        match parsed {
            Parsed::Manifest(manifest) => {
                for layer in &manifest.layers {
                    let foreign = media_type::is_foreign(&layer.media_type);
                    if depth > 0 && !foreign && !store.has_blob(&layer.digest)? {
                        return Ok(false);
                    }
                }
                if !store.has_blob(&manifest.config.digest)? {
                    return Ok(false);
                }
                parts.configs.push(manifest.config);
                parts
                    .layers
                    .extend(manifest.layers.into_iter().map(|blob| Part {
                        blob,
                        diff_id: None,
                    }));
            }
            Parsed::Index(index) => {
                for child in &index.manifests {
                    if !self.gather(&child.digest, depth + 1, parts)? {
                        return Ok(false);
                    }
                }
            }
        }
        parts.documents.push((own, bytes.into()));
        Ok(true)
    }

    /// Tells the layers of the image itself what their tars are.
    fn know_own(&self, image: &ImageRecord, parts: &mut Parts) -> Result<(), Error> {
        let config = self.image(image.clone())?.config;
        let bytes = self
            .inner
            .store
            .blob_bytes(&image.manifest, MAX_DOCUMENT_SIZE)?;
        let Parsed::Manifest(manifest) = Parsed::from_bytes(&bytes, None)? else {
            return Ok(());
        };
        parts.own = manifest.layers.iter().map(|l| l.digest.clone()).collect();
        for (layer, diff_id) in manifest.layers.iter().zip(&config.rootfs.diff_ids) {
            for part in &mut parts.layers {
                if part.blob.digest == layer.digest {
                    part.diff_id = Some(diff_id.clone());
                }
            }
        }
        Ok(())
    }

    /// Compresses the layers that this engine made (by commit or import) or got without compression in an archive:
    /// registries and those who pull from them want them small. The image keeps its ID; its manifest was ours and no
    /// registry's. Blocks.
    pub(crate) fn compress(&self, image: ImageRecord) -> Result<ImageRecord, Error> {
        let store = &self.inner.store;
        // A registry has this very manifest: it stays.
        let is_known = |name: &String| name.ends_with(image.manifest.as_str());
        if image.target.digest != image.manifest || image.repo_digests.iter().any(is_known) {
            return Ok(image);
        }
        let bytes = store.blob_bytes(&image.manifest, MAX_DOCUMENT_SIZE)?;
        let Parsed::Manifest(mut manifest) = Parsed::from_bytes(&bytes, None)? else {
            return Ok(image);
        };
        let plain = |layer: &&mut Descriptor| layer.media_type == media_type::DOCKER_LAYER;
        let mut changed = false;
        for layer in manifest.layers.iter_mut().filter(plain) {
            if !store.has_blob(&layer.digest)? {
                return Ok(image);
            }
            let mut ingest = store.ingest()?;
            onggi_archive::gzip(store.blob(&layer.digest)?, &mut ingest).map_err(Error::Layer)?;
            ingest.flush().map_err(Error::Write)?;
            let size = ingest.size();
            let digest = ingest.commit(None)?;
            *layer = Descriptor::new(media_type::DOCKER_LAYER_GZIP, digest, size);
            changed = true;
        }
        if !changed {
            return Ok(image);
        }
        self.rewrite(&image, &manifest)
    }

    fn rewrite(&self, image: &ImageRecord, manifest: &Manifest) -> Result<ImageRecord, Error> {
        let store = &self.inner.store;
        let bytes = serde_json::to_vec(manifest).map_err(|e| Error::Load(e.to_string()))?;
        let digest = digest_of(Algorithm::Sha256, &bytes);
        store.put_blob(&bytes, Some(&digest))?;
        let kind = manifest.media_type.as_deref();
        let target = Descriptor::new(
            kind.unwrap_or(media_type::DOCKER_MANIFEST),
            digest,
            bytes.len() as u64,
        );
        let mut blobs = BTreeSet::new();
        for layer in &manifest.layers {
            if store.has_blob(&layer.digest)? {
                blobs.insert(layer.digest.clone());
            }
        }
        Ok(store.replace_manifest(&image.id, &image.manifest, target, blobs)?)
    }
}

//! An image on top of another: the changes of a container as one more layer.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use onggi_archive::Packed;
use onggi_model::{Algorithm, Digest, ImageRef, Timestamp};
use onggi_oci::image::{
    ContainerConfig, Descriptor, History, MAX_DOCUMENT_SIZE, Parsed, media_type,
};

use crate::Error;
use crate::document::{self, record};
use crate::images::{Image, Images, reserved, with_tag};
use crate::jobs;
use crate::unpack::{Keep, Reading, Unpacked, digest_of, unpack};

/// What the new image is to be.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The image below.
    pub parent: Digest,
    /// Its name; without one it is dangling.
    pub reference: Option<ImageRef>,
    /// Who made it.
    pub author: String,
    /// Remark.
    pub comment: String,
    /// What made the changes, for the history.
    pub created_by: String,
    /// What a container of it runs.
    pub config: ContainerConfig,
}

impl Images {
    /// Makes an image of `commit.parent` and the layer whose tar `write` writes; of the parent alone when that tar is
    /// empty. In one pass: hashed, kept and unpacked as it is written. Blocks.
    ///
    /// # Errors
    /// NotFound: no such parent; InvalidParameter for a name that cannot be meant; Internal when the disk is full.
    pub fn derive(
        &self,
        commit: Commit,
        write: impl FnOnce(&mut dyn Write) -> Result<Packed, onggi_archive::Error> + Send,
    ) -> Result<Image, Error> {
        let reference = commit.reference.as_ref().map(with_tag).transpose()?;
        if let Some(reference) = &reference {
            reserved(reference)?;
            if reference.digest().is_some() {
                return Err(Error::TagWithDigest);
            }
        }
        let lease = Arc::new(self.inner.store.lease());
        let parent = self.get(commit.parent.as_str())?;
        let layer = self.layer_of(write)?;
        let now = Timestamp::now().to_string();
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut config = (*parent.config).clone();
        config.created = Some(now.clone());
        config.author = some(commit.author.clone());
        config.comment = some(commit.comment.clone());
        config.config = commit.config;
        config.history.push(History {
            created: Some(now),
            created_by: some(commit.created_by),
            author: some(commit.author),
            comment: some(commit.comment),
            empty_layer: layer.is_none(),
        });
        let manifest = self
            .inner
            .store
            .blob_bytes(&parent.record.manifest, MAX_DOCUMENT_SIZE)?;
        let mut layers = match Parsed::from_bytes(&manifest, None)? {
            Parsed::Manifest(manifest) => manifest.layers,
            Parsed::Index(_) => return Err(Error::NotFound(parent.record.manifest.to_string())),
        };
        let (mut chain, mut size) = (parent.record.layers.clone(), parent.record.size);
        if let Some(unpacked) = layer {
            let Some((blob, blob_size)) = unpacked.blob.clone() else {
                return Err(Error::Cancelled);
            };
            config.rootfs.diff_ids.push(unpacked.diff_id.clone());
            let layer = jobs::commit(&self.inner, unpacked, chain.last())?;
            size += layer.size;
            chain.push(layer.chain_id);
            layers.push(Descriptor::new(media_type::DOCKER_LAYER, blob, blob_size));
        }
        let blobs: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        let bytes = serde_json::to_vec(&config).map_err(|e| Error::Load(e.to_string()))?;
        let id = digest_of(Algorithm::Sha256, &bytes);
        let manifest = document::manifest(&bytes, &id, layers.into_iter().map(dockers).collect())?;
        let manifest_digest = digest_of(Algorithm::Sha256, &manifest);
        let target = Descriptor::new(
            media_type::DOCKER_MANIFEST,
            manifest_digest.clone(),
            manifest.len() as u64,
        );
        let mut image = record(&id, &config, target, manifest_digest.clone(), chain, size);
        let named = reference.map(|reference| reference.to_string());
        image.references.extend(named);
        image.parent = Some(parent.id().clone());
        let documents: Vec<(Digest, Bytes)> =
            vec![(id, bytes.into()), (manifest_digest, manifest.into())];
        let image = self.commit(image, &blobs, &documents);
        drop(lease);
        image
    }

    /// Unpacks what `write` writes; nothing where that has no entries.
    fn layer_of(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<Packed, onggi_archive::Error> + Send,
    ) -> Result<Option<Unpacked>, Error> {
        let (reader, mut writer) = io::pipe().map_err(Error::Read)?;
        thread::scope(|scope| {
            // The pipe's end goes with the closure: the reader sees the end of the tar, or that it broke off.
            let packing = scope.spawn(move || write(&mut writer));
            let unpacked = unpack(&self.inner, &mut Reading(reader), Keep::Any);
            let packed = packing
                .join()
                .map_err(|_| Error::Read(io::Error::other("the thread that packs panicked")))?;
            match (packed, unpacked) {
                (Ok(packed), Ok(_)) if packed.entries == 0 => Ok(None),
                (Ok(_), Ok(unpacked)) => Ok(Some(unpacked)),
                // What was written to is the reason when nobody reads any more.
                (Err(onggi_archive::Error::Write(_)) | Ok(_), Err(error)) => Err(error),
                (Err(error), _) => Err(Error::Layer(error)),
            }
        })
    }
}

/// The descriptor of a layer in the words of Docker's manifest.
fn dockers(mut layer: Descriptor) -> Descriptor {
    let kind = match layer.media_type.as_str() {
        media_type::LAYER => media_type::DOCKER_LAYER,
        media_type::LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
        media_type::LAYER_ZSTD => media_type::DOCKER_LAYER_ZSTD,
        _ => return layer,
    };
    kind.clone_into(&mut layer.media_type);
    layer
}

//! Images of another engine on this disk: a configuration, and for each of its layers a way to the tar.
//!
//! Where those are, and how a tar is put together from another engine's files, is the caller's knowledge. Kept true: the
//! configuration is what its ID names, every layer what the configuration names; an image is there whole or not at all.

use std::io::{self, Read};
use std::sync::Arc;

use onggi_model::{Algorithm, Digest, ImageRef};
use onggi_oci::image::{Descriptor, ImageConfig, media_type};
use onggi_store::{ChainId, LayerRecord};

use crate::Error;
use crate::document::{self, check, record};
use crate::images::{Image, Images};
use crate::jobs;
use crate::unpack::{Keep, Reading, digest_of, unpack};

/// Where the tar of a layer comes from: asked at most once for a layer, and only for those that are not here.
pub type Tar = Box<dyn Read + Send>;

/// An image as another engine has it.
#[derive(Debug, Clone, Default)]
pub struct Foreign {
    /// The configuration, to the byte.
    pub config: Vec<u8>,
    /// Its names: tags, and names by digest.
    pub names: Vec<ImageRef>,
    /// The image it was made from.
    pub parent: Option<Digest>,
    /// When it got its last tag, RFC 3339.
    pub tagged: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The image.
    pub image: Image,
    /// Whether it was not here before.
    pub is_new: bool,
    /// Names it got.
    pub named: Vec<ImageRef>,
    /// Names that stay with other images, which had them here already.
    pub refused: Vec<ImageRef>,
}

impl Images {
    /// Takes an image with its names. `tar` gives the tar of a layer, which must have the digest that the configuration
    /// says; it is unpacked and kept, as `load` keeps it. A name that another image has here stays there. Blocks.
    ///
    /// # Errors
    /// InvalidParameter for a configuration that is none or for another system; Internal when a layer is another than
    /// the configuration says, or the disk is full; what `tar` says.
    pub fn adopt<E: From<Error>>(
        &self,
        foreign: Foreign,
        mut tar: impl FnMut(&ChainId, &Digest) -> Result<Tar, E>,
    ) -> Result<Adopted, E> {
        let lease = Arc::new(self.inner.store.lease());
        let id = digest_of(Algorithm::Sha256, &foreign.config);
        let is_new = self.inner.store.image(&id).map_err(Error::from)?.is_none();
        if is_new {
            self.adopt_new(&id, &foreign, &mut tar)?;
        }
        let (mut named, mut refused) = (Vec::new(), Vec::new());
        for name in foreign.names {
            match self.give_name(&id, &name, foreign.tagged.clone())? {
                Given::Now => named.push(name),
                Given::Before => {}
                Given::ToAnother => refused.push(name),
            }
        }
        drop(lease);
        Ok(Adopted {
            image: self.get(id.as_str())?,
            is_new,
            named,
            refused,
        })
    }

    fn adopt_new<E: From<Error>>(
        &self,
        id: &Digest,
        foreign: &Foreign,
        tar: &mut impl FnMut(&ChainId, &Digest) -> Result<Tar, E>,
    ) -> Result<(), E> {
        let config = ImageConfig::from_bytes(&foreign.config).map_err(Error::from)?;
        check(&config, config.rootfs.diff_ids.len())?;
        let mut chain: Vec<ChainId> = Vec::new();
        let (mut size, mut layers) = (0, Vec::new());
        for diff_id in &config.rootfs.diff_ids {
            let made = self.adopt_layer(chain.last(), diff_id, tar)?;
            size += made.size;
            chain.push(made.chain_id);
            // What is not compressed is named by the digest of the tar.
            let bytes = self.inner.store.blob_size(diff_id).map_err(Error::from)?;
            let bytes = bytes.ok_or_else(|| Error::Incomplete {
                layer: diff_id.clone(),
            })?;
            layers.push(Descriptor::new(
                media_type::DOCKER_LAYER,
                diff_id.clone(),
                bytes,
            ));
        }
        let manifest = document::manifest(&foreign.config, id, layers)?;
        let digest = digest_of(Algorithm::Sha256, &manifest);
        let kind = media_type::DOCKER_MANIFEST;
        let target = Descriptor::new(kind, digest.clone(), manifest.len() as u64);
        let mut image = record(id, &config, target, digest.clone(), chain, size);
        image.parent.clone_from(&foreign.parent);
        image.tagged.clone_from(&foreign.tagged);
        let blobs = config.rootfs.diff_ids.clone();
        let documents = [
            (id.clone(), foreign.config.clone().into()),
            (digest, manifest.into()),
        ];
        self.commit(image, &blobs, &documents)?;
        Ok(())
    }

    /// The layer and the blob of its tar, from the source only where one of them is not here.
    fn adopt_layer<E: From<Error>>(
        &self,
        parent: Option<&ChainId>,
        diff_id: &Digest,
        tar: &mut impl FnMut(&ChainId, &Digest) -> Result<Tar, E>,
    ) -> Result<LayerRecord, E> {
        let (inner, store) = (&self.inner, &self.inner.store);
        let chain_id = ChainId::new(parent, diff_id);
        let layer = store.layer(&chain_id).map_err(Error::from)?;
        let kept = store.has_blob(diff_id).map_err(Error::from)?;
        if let Some(layer) = layer {
            if !kept {
                let mut ingest = store.ingest().map_err(Error::from)?;
                io::copy(&mut tar(&chain_id, diff_id)?, &mut ingest).map_err(Error::Read)?;
                ingest.commit(Some(diff_id)).map_err(Error::from)?;
            }
            return Ok(layer);
        }
        let unpacked = if kept {
            let file = store.blob(diff_id).map_err(Error::from)?;
            unpack(inner, &mut Reading(file), Keep::Nothing)?
        } else {
            unpack(inner, &mut Reading(tar(&chain_id, diff_id)?), Keep::Any)?
        };
        if unpacked.diff_id != *diff_id {
            return Err(Error::Changed(diff_id.clone()).into());
        }
        Ok(jobs::commit(inner, unpacked, parent)?)
    }

    fn give_name(
        &self,
        id: &Digest,
        name: &ImageRef,
        when: Option<String>,
    ) -> Result<Given, Error> {
        let (store, text) = (&self.inner.store, name.to_string());
        match store.reference(&text)? {
            Some(owner) if owner == *id => return Ok(Given::Before),
            Some(_) => return Ok(Given::ToAnother),
            None => {}
        }
        match name.digest() {
            Some(_) => store.name_by_digest(id, &text)?,
            None => drop(store.tag(id, &text, when)?),
        }
        Ok(Given::Now)
    }
}

/// The ID of the image with this configuration.
#[must_use]
pub fn id_of(config: &[u8]) -> Digest {
    digest_of(Algorithm::Sha256, config)
}

/// Who has a name.
enum Given {
    Now,
    Before,
    ToAnother,
}

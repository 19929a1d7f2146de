//! Layers made here, by commits and by the steps of builds, and images put together of layers.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::thread;

use bytes::Bytes;
use onggi_archive::{PackOptions, Packed};
use onggi_model::{Algorithm, Digest, ErrorKind, Fault as _, ImageRef};
use onggi_oci::image::{Descriptor, ImageConfig, MAX_DOCUMENT_SIZE, Parsed, media_type};
use onggi_snapshot::{LayerCommit, LayerDir};
use onggi_store::ChainId;

use crate::Error;
use crate::document::{self, record};
use crate::images::{Image, Images, reserved, with_tag};
use crate::jobs;
use crate::unpack::{Keep, Reading, Unpacked, digest_of, unpack};

/// A layer of an image, and what it is to registries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name with all below it.
    pub chain_id: ChainId,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// Its blob, as the manifest names it.
    pub blob: Descriptor,
    /// Bytes of its files.
    pub size: u64,
}

/// Whether a layer had to be made where it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Its files were unpacked.
    Yes,
    /// It was there.
    No,
}

/// What an image is to be put together of.
#[derive(Clone, Debug)]
pub struct Assembly {
    /// What containers of it run and how it came to be; the digests of the layers are filled in.
    pub config: ImageConfig,
    /// Its layers, base first. They, and their blobs, must stay: hold a lease.
    pub layers: Vec<Layer>,
    /// The image here that it was made from.
    pub parent: Option<Digest>,
    /// Its names; without one it is dangling.
    pub references: Vec<ImageRef>,
}

impl Images {
    /// The layers of an image, base first.
    ///
    /// # Errors
    /// As the store's; NotFound for an image whose manifest is none.
    pub fn layers_of(&self, image: &Image) -> Result<Vec<Layer>, Error> {
        let store = &self.inner.store;
        let manifest = store.blob_bytes(&image.record.manifest, MAX_DOCUMENT_SIZE)?;
        let Parsed::Manifest(manifest) = Parsed::from_bytes(&manifest, None)? else {
            return Err(Error::NotFound(image.record.manifest.to_string()));
        };
        let chain = image.record.layers.iter();
        let diffs = image.config.rootfs.diff_ids.iter();
        let mut layers = Vec::new();
        for ((chain_id, diff_id), mut blob) in chain.zip(diffs).zip(manifest.layers) {
            let size = store.layer(chain_id)?.map_or(0, |layer| layer.size);
            blob.media_type = media_type::as_docker(&blob.media_type).to_owned();
            layers.push(Layer {
                chain_id: chain_id.clone(),
                diff_id: diff_id.clone(),
                blob,
                size,
            });
        }
        Ok(layers)
    }

    /// A layer on top of `parent` of the tar that `write` writes; none where that has no entries. In one pass: hashed,
    /// kept as a blob and unpacked as it is written. It stays as long as a lease, or what it becomes part of. Blocks.
    ///
    /// # Errors
    /// What `write` says; Internal when the disk is full.
    pub fn make_layer(
        &self,
        parent: Option<&ChainId>,
        write: impl FnOnce(&mut dyn Write) -> Result<Packed, onggi_archive::Error> + Send,
    ) -> Result<Option<Layer>, Error> {
        let Some(unpacked) = self.unpack_written(write)? else {
            return Ok(None);
        };
        let Some((blob, bytes)) = unpacked.blob.clone() else {
            return Err(Error::Cancelled);
        };
        let diff_id = unpacked.diff_id.clone();
        let layer = jobs::commit(&self.inner, unpacked, parent)?;
        Ok(Some(Layer {
            chain_id: layer.chain_id,
            diff_id,
            blob: Descriptor::new(media_type::DOCKER_LAYER, blob, bytes),
            size: layer.size,
        }))
    }

    /// A layer on top of `parent` of what lies in `dir` as overlayfs has it on top; none where that is nothing. The files
    /// are read once, for the blob and its digest, and are the layer then: see [`onggi_archive::settle`], also for the
    /// options. It stays as long as a lease, or what it becomes part of. Blocks.
    ///
    /// # Errors
    /// What cannot be in a layer; Internal when the disk is full.
    pub fn settle_layer(
        &self,
        parent: Option<&ChainId>,
        dir: LayerDir,
        options: &PackOptions,
    ) -> Result<Option<Layer>, Error> {
        let inner = &self.inner;
        let mut ingest = inner.store.ingest()?;
        let root = File::open(&dir.path).map_err(Error::Read)?;
        let packed = onggi_archive::settle(root.as_fd(), &mut ingest, options);
        let packed = packed.map_err(|error| match error {
            onggi_archive::Error::Write(error) => Error::Write(error),
            error => Error::Layer(error),
        })?;
        if packed.entries == 0 {
            return Ok(None);
        }
        let bytes = ingest.size();
        let diff_id = ingest.commit(None)?;
        let commit = LayerCommit {
            parent,
            diff_id: &diff_id,
            size: packed.size,
            implied: &[],
        };
        let layer = inner.snapshots.commit_layer(dir, &commit)?;
        Ok(Some(Layer {
            chain_id: layer.chain_id,
            blob: Descriptor::new(media_type::DOCKER_LAYER, diff_id.clone(), bytes),
            diff_id,
            size: layer.size,
        }))
    }

    /// The same files on top of another parent: unpacked from the blob, unless they lie there already. Says which of the
    /// two. Blocks.
    ///
    /// # Errors
    /// What the blob says; Internal when the disk is full.
    pub fn layer_on(
        &self,
        parent: Option<&ChainId>,
        layer: &Layer,
    ) -> Result<(Layer, Moved), Error> {
        let inner = &self.inner;
        let on = |chain_id, size| Layer {
            chain_id,
            size,
            ..layer.clone()
        };
        if let Some(found) = inner.store.layer(&ChainId::new(parent, &layer.diff_id))? {
            return Ok((on(found.chain_id, found.size), Moved::No));
        }
        let blob = inner.store.blob(&layer.blob.digest)?;
        let unpacked = unpack(inner, &mut Reading(blob), Keep::Nothing)?;
        if unpacked.diff_id != layer.diff_id {
            return Err(Error::DiffId {
                expected: layer.diff_id.clone(),
                found: unpacked.diff_id,
            });
        }
        let made = jobs::commit(inner, unpacked, parent)?;
        Ok((on(made.chain_id, made.size), Moved::Yes))
    }

    /// Under a live lease: whether the image has all it is built on with. Then it keeps that until the lease ends, whoever
    /// removes the image.
    ///
    /// # Errors
    /// As the store's.
    pub fn hold(&self, image: &Image) -> Result<bool, Error> {
        let store = &self.inner.store;
        let gone = |error: &Error| error.kind() == ErrorKind::NotFound;
        let layers = match self.layers_of(image) {
            Err(error) if gone(&error) => return Ok(false),
            layers => layers?,
        };
        for layer in layers {
            if !store.has_layer(&layer.chain_id)? {
                return Ok(false);
            }
            // One that is put aside until the next pull is missed where it is needed.
            store.has_blob(&layer.blob.digest)?;
        }
        Ok(true)
    }

    /// Puts an image together, with its names, in one transaction. Blocks.
    ///
    /// # Errors
    /// InvalidParameter for a name that cannot be meant; as the store's.
    pub fn assemble(&self, assembly: Assembly) -> Result<Image, Error> {
        let mut names = Vec::new();
        for reference in &assembly.references {
            names.push(self.check_name(reference)?.to_string());
        }
        let mut config = assembly.config;
        let layers = assembly.layers;
        config.rootfs.kind = "layers".to_owned();
        config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let blobs: Vec<Digest> = layers
            .iter()
            .map(|layer| layer.blob.digest.clone())
            .collect();
        let size = layers.iter().map(|layer| layer.size).sum();
        let chain = layers.iter().map(|layer| layer.chain_id.clone()).collect();
        let descriptors = layers.into_iter().map(|layer| layer.blob).collect();
        let bytes = serde_json::to_vec(&config).map_err(|e| Error::Load(e.to_string()))?;
        let id = digest_of(Algorithm::Sha256, &bytes);
        if let Some(known) = self.known(&id, &names)? {
            return Ok(known);
        }
        let manifest = document::manifest(&bytes, &id, descriptors)?;
        let digest = digest_of(Algorithm::Sha256, &manifest);
        let length = manifest.len() as u64;
        let target = Descriptor::new(media_type::DOCKER_MANIFEST, digest.clone(), length);
        let mut image = record(&id, &config, target, digest.clone(), chain, size);
        image.references.extend(names);
        image.parent = assembly.parent;
        let documents: [(Digest, Bytes); 2] = [(id, bytes.into()), (digest, manifest.into())];
        self.commit(image, &blobs, &documents)
    }

    /// The image with this ID, if it is here whole and has all these names.
    fn known(&self, id: &Digest, names: &[String]) -> Result<Option<Image>, Error> {
        let store = &self.inner.store;
        let Some(record) = store.image(id)? else {
            return Ok(None);
        };
        let is_same = names.iter().all(|name| record.references.contains(name));
        match is_same && !store.is_incomplete(id)? {
            true => self.image(record).map(Some),
            false => Ok(None),
        }
    }

    /// The name that an image gets, with its tag.
    ///
    /// # Errors
    /// InvalidParameter for one that cannot be meant.
    pub fn check_name(&self, reference: &ImageRef) -> Result<ImageRef, Error> {
        let reference = with_tag(reference)?;
        reserved(&reference)?;
        match reference.digest() {
            None => Ok(reference),
            Some(_) => Err(Error::TagWithDigest),
        }
    }

    /// Unpacks what `write` writes; nothing where that has no entries.
    fn unpack_written(
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

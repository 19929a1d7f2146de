//! Giving away what is known: the layers that are lacking where it goes, then the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use onggi_image::{Images, Layer};
use onggi_model::{Digest, ImageRef};
use onggi_oci::image::{Descriptor, Manifest, annotation, media_type};
use onggi_registry::{Auth, Claim, Target, Upload, digest};
use onggi_store::{ChainId, Store};

use super::{
    CONFIG, CacheTarget, Compression, Document, Gathered, Imports, Known, KnownLayer, KnownStep,
    Layout, Local, Mode, import, layout,
};
use crate::execute::Finished;
use crate::{Error, Plan};

/// Layers that are compressed and sent at the same time.
const AT_ONCE: usize = 4;

/// What was given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The digest of its manifest.
    pub digest: Digest,
    /// How many steps it tells of.
    pub steps: usize,
    /// How many layers it has.
    pub layers: usize,
}

/// What is to be given away: steps, and the layers that they left, each with those below it that lead to it.
#[derive(Debug, Default)]
struct Parts {
    steps: Vec<KnownStep>,
    /// With what is below, base first, that of images included.
    layers: BTreeMap<ChainId, Vec<Layer>>,
}

/// Where layers are, and where they go.
#[derive(Clone, Copy)]
struct Here<'a> {
    to: To<'a>,
    /// What is under the name already.
    before: &'a Known,
    images: &'a Images,
    imports: &'a Imports,
}

/// Where layers and documents go.
#[derive(Clone, Copy)]
enum To<'a> {
    Registry(&'a Target),
    /// A directory that another holds; and the blobs it lacks.
    Layout(&'a dyn Layout, &'a Mutex<Vec<Digest>>),
}

impl To<'_> {
    async fn has(self, blob: &Digest) -> Result<bool, Error> {
        match self {
            Self::Registry(target) => target.has(blob).await.map_err(|fault| Error::of(&fault)),
            Self::Layout(layout, _) => Ok(layout.size(blob).is_some()),
        }
    }

    /// Gives a blob that is in the store.
    async fn put(self, store: &Store, blob: &Descriptor) -> Result<(), Error> {
        match self {
            Self::Registry(target) => upload(target, store, blob).await,
            Self::Layout(layout, lacking) => {
                let mut lacking = lacking.lock().unwrap_or_else(PoisonError::into_inner);
                if layout.size(&blob.digest).is_none() && !lacking.contains(&blob.digest) {
                    lacking.push(blob.digest.clone());
                }
                Ok(())
            }
        }
    }
}

impl CacheTarget {
    /// Gives the steps of a build to a registry, under `name`. What is there already is not sent again; layers are
    /// compressed as they go. The layers must stay meanwhile: hold a lease.
    ///
    /// # Errors
    /// As the registry says, and the disk.
    pub async fn export(
        &self,
        name: &ImageRef,
        auth: &Auth,
        images: &Images,
        imports: &Imports,
        build: (&Plan, &[Arc<Finished>]),
    ) -> Result<Exported, Error> {
        let failed = |fault: onggi_registry::Error| Error::of(&fault);
        let client = images.registry();
        let target = client.target(name, auth).await.map_err(failed)?;
        // What is under the name now says how its layers look compressed: they are not compressed to be compared.
        let platform = onggi_model::Platform::host();
        let before = import::read(images, name, &platform, auth).await;
        let here = Here {
            to: To::Registry(&target),
            before: &before.map(|(known, _)| known).unwrap_or_default(),
            images,
            imports,
        };
        let (exported, manifest, bytes) = self.put(here, build).await?;
        let tag = name.tag().unwrap_or("latest");
        let put = target.put_manifest(tag, &manifest.media_type, bytes);
        let digest = put.await.map_err(failed)?;
        Ok(Exported { digest, ..exported })
    }

    /// Puts the steps of a build together in the store, for a directory that another holds, which has what `layout` says.
    /// The layers must stay meanwhile, and what is lacking until it was given: hold a lease.
    ///
    /// # Errors
    /// As the disk says.
    pub async fn gather(
        &self,
        local: &Local,
        layout: Arc<dyn Layout>,
        images: &Images,
        imports: &Imports,
        build: (&Plan, &[Arc<Finished>]),
    ) -> Result<Gathered, Error> {
        let (from, tag) = (layout.clone(), local.clone());
        let read = move || layout::read(&*from, &tag, &onggi_model::Platform::host());
        let before = onggi_rt::blocking("read a build cache", read).await?;
        let lacking = Mutex::new(Vec::new());
        let here = Here {
            to: To::Layout(&*layout, &lacking),
            before: &before.unwrap_or_default(),
            images,
            imports,
        };
        let (exported, mut manifest, bytes) = self.put(here, build).await?;
        let (keeper, kept) = (images.store().clone(), manifest.digest.clone());
        let keep = move || keeper.put_blob(&bytes, Some(&kept));
        onggi_rt::blocking("write what is known of a build", keep).await??;
        here.to.put(images.store(), &manifest).await?;
        let tag = (annotation::REF_NAME.to_owned(), local.tag.clone());
        manifest.annotations.extend([tag]);
        let blobs = lacking.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Gathered {
            exported,
            blobs,
            manifest,
        })
    }

    /// Gives all but the manifest, which is described, and its bytes.
    async fn put(
        &self,
        here: Here<'_>,
        build: (&Plan, &[Arc<Finished>]),
    ) -> Result<(Exported, Descriptor, Bytes), Error> {
        let (plan, finished) = build;
        let parts = self.parts(here.images, plan, finished).await?;
        let mut sending = Vec::new();
        for layers in parts.layers.values() {
            sending.push(self.send(here, layers));
        }
        let mut sent: Vec<_> = stream::iter(sending)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        sent.sort_by(|one, other| (one.0, &one.1.chain).cmp(&(other.0, &other.1.chain)));
        let mut blobs: Vec<Descriptor> = Vec::new();
        let mut layers = Vec::new();
        for (_, layer, blob) in sent {
            if !blobs.iter().any(|known| known.digest == blob.digest) {
                blobs.push(blob);
            }
            layers.push(layer);
        }
        let document = Document {
            layers,
            steps: parts.steps,
        };
        let (manifest, bytes) = self.write(here, &document, blobs).await?;
        let exported = Exported {
            digest: manifest.digest.clone(),
            steps: document.steps.len(),
            layers: document.layers.len(),
        };
        Ok((exported, manifest, bytes))
    }

    /// The steps that the mode asks for.
    async fn parts(
        &self,
        images: &Images,
        plan: &Plan,
        finished: &[Arc<Finished>],
    ) -> Result<Parts, Error> {
        let numbers: Vec<usize> = match self.mode {
            Mode::Max => (0..plan.steps.len()).collect(),
            Mode::Min => {
                let below = |step: &usize| plan.steps[*step].below;
                std::iter::successors(plan.image.files, below).collect()
            }
        };
        let store = images.store().clone();
        let known = onggi_rt::blocking("read the build cache", move || store.steps()).await??;
        // A step is known by several keys, of which a build that finds it by one does not meet the others.
        let mut others: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (key, step) in known {
            let layer = step.layer.map(|layer| layer.chain_id);
            let name = (step.below, layer, step.description);
            others.entry(name).or_default().insert(key);
        }
        let mut parts = Parts::default();
        for number in numbers {
            let (step, done) = (&plan.steps[number], &finished[number]);
            if done.keys.is_empty() {
                continue;
            }
            let layer = done.layers.last().filter(|_| done.changed);
            let below = match done.changed {
                true => done.layers.iter().rev().nth(1),
                false => done.layers.last(),
            };
            let name = (
                below.map(|below| below.chain_id.clone()),
                layer.map(|layer| layer.chain_id.clone()),
                step.name.clone(),
            );
            let mut keys = others.get(&name).cloned().unwrap_or_default();
            keys.extend(done.keys.iter().cloned());
            parts.steps.push(KnownStep {
                keys,
                layer: layer.map(|layer| layer.chain_id.as_digest().clone()),
                created: done.created.clone().unwrap_or_default(),
                description: step.name.clone(),
            });
            if let Some(layer) = layer {
                let chain = layer.chain_id.clone();
                parts.layers.insert(chain, done.layers.clone());
            }
        }
        Ok(parts)
    }

    /// Gives the topmost of these layers: how many there are, it, and its blob there.
    async fn send(
        &self,
        here: Here<'_>,
        layers: &[Layer],
    ) -> Result<(usize, KnownLayer, Descriptor), Error> {
        let Some(layer) = layers.last() else {
            return Err(Error::new("a step without layers"));
        };
        let blob = self.send_blob(here, layer, layers).await?;
        let below = layers.iter().rev().nth(1);
        let known = KnownLayer {
            chain: layer.chain_id.as_digest().clone(),
            below: below.map(|below| below.chain_id.as_digest().clone()),
            diff: layer.diff_id.clone(),
            blob: blob.digest.clone(),
            size: layer.size,
        };
        Ok((layers.len(), known, blob))
    }

    async fn send_blob(
        &self,
        here: Here<'_>,
        layer: &Layer,
        layers: &[Layer],
    ) -> Result<Descriptor, Error> {
        let images = here.images;
        let said = here.before.layers.get(&layer.chain_id);
        let said = said.map(|layer| &layer.blob);
        for blob in said.into_iter().chain([&layer.blob]) {
            if self.fits(&blob.media_type) && here.to.has(&blob.digest).await? {
                return Ok(self.described(blob));
            }
        }
        // One that was never needed here is still in the registry that told of it.
        if !images.store().has_blob(&layer.blob.digest)? {
            here.imports.bring(images, layers).await?;
        }
        let blob = match self.fits(&layer.blob.media_type) {
            true => layer.blob.clone(),
            false => {
                let (store, digest) = (images.store().clone(), layer.blob.digest.clone());
                let compression = self.compression;
                let work = move || compressed(&store, &digest, compression);
                onggi_rt::blocking("compress a layer", work).await??
            }
        };
        here.to.put(images.store(), &blob).await?;
        Ok(self.described(&blob))
    }

    /// Whether a layer may stay as it is compressed.
    fn fits(&self, kind: &str) -> bool {
        let wanted = match self.compression {
            Compression::Gzip => media_type::DOCKER_LAYER_GZIP,
            Compression::Zstd => media_type::DOCKER_LAYER_ZSTD,
            Compression::None => media_type::DOCKER_LAYER,
        };
        let kind = media_type::as_docker(kind);
        kind == wanted || (!self.force && kind != media_type::DOCKER_LAYER)
    }

    fn described(&self, blob: &Descriptor) -> Descriptor {
        let kind = match self.oci {
            true => media_type::as_oci(&blob.media_type),
            false => media_type::as_docker(&blob.media_type),
        };
        Descriptor::new(kind, blob.digest.clone(), blob.size)
    }

    /// Gives the configuration; the manifest.
    async fn write(
        &self,
        here: Here<'_>,
        document: &Document,
        blobs: Vec<Descriptor>,
    ) -> Result<(Descriptor, Bytes), Error> {
        let written = |error: serde_json::Error| Error::new(error.to_string());
        let config = serde_json::to_vec(document).map_err(written)?;
        let size = config.len() as u64;
        if size > onggi_registry::MANIFEST_LIMIT {
            return Err(Error::new(format!(
                "{} steps are more than a cache can tell of",
                document.steps.len()
            )));
        }
        let store = here.images.store();
        let config_digest = digest(&config);
        let described = Descriptor::new(CONFIG, config_digest.clone(), size);
        let keeper = store.clone();
        let keep = move || keeper.put_blob(&config, Some(&config_digest));
        onggi_rt::blocking("write what is known of a build", keep).await??;
        here.to.put(store, &described).await?;
        let kind = match self.oci {
            true => media_type::MANIFEST,
            false => media_type::DOCKER_MANIFEST,
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(kind.to_owned()),
            artifact_type: None,
            config: described,
            layers: blobs,
            subject: None,
            annotations: BTreeMap::new(),
        };
        let bytes = Bytes::from(serde_json::to_vec(&manifest).map_err(written)?);
        let manifest = Descriptor::new(kind, digest(&bytes), bytes.len() as u64);
        Ok((manifest, bytes))
    }
}

/// Gives the registry a blob, if it lacks it.
async fn upload(target: &Target, store: &Store, blob: &Descriptor) -> Result<(), Error> {
    let failed = |fault: onggi_registry::Error| Error::of(&fault);
    let (store, digest) = (store.clone(), blob.digest.clone());
    let upload = Upload {
        descriptor: blob.clone(),
        open: Arc::new(move || store.blob(&digest).map_err(std::io::Error::other)),
        progress: Arc::new(|_| ()),
    };
    match target.claim(blob).await {
        Some(Claim::There) => Ok(()),
        Some(Claim::Send(place)) => target.send_to(place, &upload).await.map_err(failed),
        None if target.has(&blob.digest).await.map_err(failed)? => Ok(()),
        None => target.upload(&upload, None).await.map(drop).map_err(failed),
    }
}

/// A layer compressed in another way. Blocks.
fn compressed(store: &Store, blob: &Digest, compression: Compression) -> Result<Descriptor, Error> {
    let failed = |fault: onggi_archive::Error| Error::of(&fault);
    let (_, tar) = onggi_archive::decompress(store.blob(blob)?).map_err(failed)?;
    let mut ingest = store.ingest()?;
    let kind = match compression {
        Compression::Gzip => {
            onggi_archive::gzip(tar, &mut ingest).map_err(failed)?;
            media_type::DOCKER_LAYER_GZIP
        }
        Compression::Zstd => {
            onggi_archive::zstd(tar, &mut ingest).map_err(failed)?;
            media_type::DOCKER_LAYER_ZSTD
        }
        Compression::None => {
            let mut tar = tar;
            std::io::copy(&mut tar, &mut ingest)
                .map_err(onggi_archive::Error::Write)
                .map_err(failed)?;
            media_type::DOCKER_LAYER
        }
    };
    ingest
        .flush()
        .map_err(onggi_archive::Error::Write)
        .map_err(failed)?;
    let size = ingest.size();
    let digest = ingest.commit(None)?;
    Ok(Descriptor::new(kind, digest, size))
}

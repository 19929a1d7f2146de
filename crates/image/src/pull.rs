//! From a registry: resolve, choose the platform, fetch the layers at the same time, commit once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use onggi_model::{Digest, ImageRef, Platform};
use onggi_oci::image::{Descriptor, ImageConfig, MAX_DOCUMENT_SIZE, Manifest, Parsed, media_type};
use onggi_registry::{Auth, Document, Resolved, select};
use onggi_store::{ChainId, ImageRecord, Lease};

use crate::document::{check, record};
use crate::images::{Images, reserved, with_tag};
use crate::jobs::{Below, Job, Order, Phase};
use crate::progress::{Progress, Sink};
use crate::{Error, Image};

/// How often the progress of one layer is told.
const TICK: Duration = Duration::from_millis(100);

/// An index inside an index inside an index is nobody's image.
const DEPTH: usize = 3;

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The image.
    pub image: Image,
    /// What the reference stands for: digest of the manifest or index.
    pub digest: Digest,
    /// Whether anything changed.
    pub newer: bool,
}

/// The documents of an image, as they came.
struct Found {
    target: Descriptor,
    manifest: Descriptor,
    layers: Manifest,
    config: ImageConfig,
    /// Those that must be written: digest and bytes.
    documents: Vec<(Digest, bytes::Bytes)>,
}

impl Images {
    /// Pulls an image and gives it its name. `platform` chooses from an index; without it this machine's is
    /// taken. Dropped before its end it leaves nothing.
    ///
    /// # Errors
    /// As `registry` says; InvalidParameter for what is no image; Internal when bytes are not what their
    /// digests name, and when the disk is full.
    pub async fn pull(
        &self,
        reference: &ImageRef,
        platform: Option<Platform>,
        auth: &Auth,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<Pulled, Error> {
        let sink: Sink<'_> = &progress;
        let reference = with_tag(reference)?;
        let pulled = self.pull_one(&reference, platform, auth, sink).await?;
        status(&reference, pulled.newer, sink);
        Ok(pulled)
    }

    /// Pulls what has one name, without the last word about it.
    pub(crate) async fn pull_one(
        &self,
        reference: &ImageRef,
        platform: Option<Platform>,
        auth: &Auth,
        sink: Sink<'_>,
    ) -> Result<Pulled, Error> {
        reserved(reference)?;
        let lease = Arc::new(self.inner.store.lease());
        let resolved = self.inner.registry.resolve(reference, auth).await?;
        let tag = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let heading = Progress::status(tag, format!("Pulling from {}", reference.path()));
        if let Some(image) = self.up_to_date(reference, &resolved, platform.as_ref())? {
            sink(heading);
            return Ok(told(image, resolved.digest, false, sink));
        }
        let document = self.document(&resolved).await?;
        sink(heading);
        let found = self
            .documents(reference, &resolved, document, platform.as_ref())
            .await?;
        let chain = ChainId::chain(&found.config.rootfs.diff_ids);
        let layers = self.layers(&resolved, &found, &chain, &lease, sink).await;
        let size = layers.inspect_err(|error| {
            if error.is_full() {
                // What came would only be in the way of whoever makes room.
                let blobs = found.layers.layers.iter();
                blobs.for_each(|blob| self.inner.store.forget_partial(&blob.digest));
            }
        })?;
        let mut image = record(
            &found.layers.config.digest,
            &found.config,
            found.target,
            found.manifest.digest,
            chain,
            size,
        );
        image
            .repo_digests
            .insert(reference.with_digest(resolved.digest.clone()).to_string());
        if reference.digest().is_none() {
            image.references.insert(reference.to_string());
        }
        let blobs: Vec<Digest> = found
            .layers
            .layers
            .iter()
            .map(|l| l.digest.clone())
            .collect();
        let images = self.clone();
        let image = onggi_rt::blocking("commit image", move || {
            let _lease = lease;
            images.commit(image, &blobs, &found.documents)
        })
        .await??;
        Ok(told(image, resolved.digest, true, sink))
    }

    /// Writes the documents, then the image with all its names in one transaction.
    pub(crate) fn commit(
        &self,
        mut image: ImageRecord,
        blobs: &[Digest],
        documents: &[(Digest, bytes::Bytes)],
    ) -> Result<Image, Error> {
        let store = &self.inner.store;
        for (digest, bytes) in documents {
            store.put_blob(bytes, Some(digest))?;
        }
        // A layer that was there already may have come without its blob.
        let mut kept = BTreeSet::new();
        for digest in blobs {
            if store.has_blob(digest)? {
                kept.insert(digest.clone());
            }
        }
        image.blobs = kept;
        store.put_image(&image)?;
        let record = store.image(&image.id)?;
        self.image(record.ok_or_else(|| Error::NotFound(image.id.to_string()))?)
    }

    /// The image, when name and digest stand for it already.
    fn up_to_date(
        &self,
        reference: &ImageRef,
        resolved: &Resolved,
        platform: Option<&Platform>,
    ) -> Result<Option<Image>, Error> {
        let store = &self.inner.store;
        let Some(id) = store.reference(&reference.to_string())? else {
            return Ok(None);
        };
        let Some(record) = store.image(&id)? else {
            return Ok(None);
        };
        let by_digest = reference.with_digest(resolved.digest.clone()).to_string();
        if record.target.digest != resolved.digest || !record.repo_digests.contains(&by_digest) {
            return Ok(None);
        }
        if store.is_incomplete(&id)? {
            return Ok(None);
        }
        let image = self.image(record)?;
        let host = Platform::host();
        let fits = platform.unwrap_or(&host).matches(&image.platform());
        // Without a wish, an image that is all there is for this name is as good as it gets.
        let single = media_type::is_manifest(&image.record.target.media_type);
        Ok((fits || (platform.is_none() && single)).then_some(image))
    }

    /// The manifest or index; from our own store when it is there.
    async fn document(&self, resolved: &Resolved) -> Result<Document, Error> {
        match self.kept(&resolved.digest)? {
            Some(document) => Ok(document),
            None => Ok(resolved.document().await?),
        }
    }

    fn kept(&self, digest: &Digest) -> Result<Option<Document>, Error> {
        let store = &self.inner.store;
        if !store.has_blob(digest)? {
            return Ok(None);
        }
        let bytes = store.blob_bytes(digest, MAX_DOCUMENT_SIZE)?.into();
        Ok(Some(Document {
            bytes,
            media_type: None,
            digest: digest.clone(),
        }))
    }

    async fn documents(
        &self,
        reference: &ImageRef,
        resolved: &Resolved,
        document: Document,
        platform: Option<&Platform>,
    ) -> Result<Found, Error> {
        let host = Platform::host();
        let wanted = platform.unwrap_or(&host);
        let mut documents = Vec::new();
        let mut document = document;
        let mut target: Option<Descriptor> = None;
        let (manifest, layers) = loop {
            let parsed = document.parse(reference)?;
            let descriptor = Descriptor::new(
                parsed.media_type(),
                document.digest.clone(),
                document.bytes.len() as u64,
            );
            documents.push((document.digest.clone(), document.bytes.clone()));
            target.get_or_insert_with(|| descriptor.clone());
            match parsed {
                Parsed::Manifest(manifest) => break (descriptor, manifest),
                Parsed::Index(_) if documents.len() >= DEPTH => {
                    return Err(Error::NotAnImage {
                        media_type: descriptor.media_type,
                        class: "nested index",
                    });
                }
                Parsed::Index(index) => {
                    let chosen = select(&index, wanted).map_err(onggi_registry::Error::from)?;
                    document = match self.kept(&chosen.digest)? {
                        Some(document) => document,
                        None => resolved.source.manifest(&chosen.digest).await?,
                    };
                }
            }
        };
        an_image(&layers.config)?;
        let id = layers.config.digest.clone();
        let bytes = match self.kept(&id)? {
            Some(document) => document.bytes,
            None => {
                resolved
                    .source
                    .bytes(&layers.config, "image config")
                    .await?
            }
        };
        let config = ImageConfig::from_bytes(&bytes)?;
        documents.push((id, bytes));
        check(&config, layers.layers.len())?;
        if let Some(wanted) = platform {
            fits(reference, &config, wanted)?;
        }
        let target = target.unwrap_or_else(|| manifest.clone());
        Ok(Found {
            target,
            manifest,
            layers,
            config,
            documents,
        })
    }

    /// Brings all layers; the bytes of their files together.
    async fn layers(
        &self,
        resolved: &Resolved,
        found: &Found,
        chain: &[ChainId],
        lease: &Arc<Lease>,
        sink: Sink<'_>,
    ) -> Result<u64, Error> {
        match self.layers_once(resolved, found, chain, lease, sink).await {
            // Another pull failed in its way (its registry, its credentials); now in ours.
            Err((error, true)) if !error.is_full() => {
                tracing::debug!(%error, "the pull this one waited for failed; trying itself");
                let again = self.layers_once(resolved, found, chain, lease, sink).await;
                again.map_err(|(error, _)| error)
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    /// As [`Images::layers`]; a failure says whether other pulls had a hand in it.
    async fn layers_once(
        &self,
        resolved: &Resolved,
        found: &Found,
        chain: &[ChainId],
        lease: &Arc<Lease>,
        sink: Sink<'_>,
    ) -> Result<u64, (Error, bool)> {
        let own = |error: onggi_store::Error| (Error::from(error), false);
        let mut size = 0;
        let mut below = Below::Nothing;
        let mut jobs: Vec<(String, u64, Arc<Job>)> = Vec::new();
        let mut joined = false;
        let layers = found
            .layers
            .layers
            .iter()
            .zip(&found.config.rootfs.diff_ids)
            .zip(chain);
        for ((blob, diff_id), chain_id) in layers {
            let short = blob.digest.short().to_owned();
            // A layer whose files came otherwise is fetched all the same: what was pulled can be pushed.
            let kept = self.inner.store.has_blob(&blob.digest).map_err(own)?;
            if let Some(layer) = self.inner.store.layer(chain_id).map_err(own)?
                && kept
            {
                sink(Progress::status(short, "Already exists"));
                size += layer.size;
                below = Below::Layer(chain_id.clone());
                continue;
            }
            sink(Progress::status(short.clone(), "Pulling fs layer"));
            let order = Order {
                source: Some(resolved.source.clone()),
                blob: blob.clone(),
                diff_id: diff_id.clone(),
                chain_id: chain_id.clone(),
                parent: below,
                lease: lease.clone(),
            };
            let (job, running) = self.inner.jobs.start(&self.inner, order);
            joined |= running;
            jobs.push((short, blob.size, job.clone()));
            below = Below::Job(job);
        }
        let watching = jobs
            .iter()
            .enumerate()
            .map(|(at, (short, total, job))| async move {
                // Docker says so of those that do not begin at once.
                if at >= 3 {
                    sink(Progress::status(short.clone(), "Waiting"));
                }
                watch(short, *total, job, sink).await
            });
        match try_join_all(watching).await {
            Ok(sizes) => Ok(size + sizes.into_iter().sum::<u64>()),
            Err(error) => Err((error, joined)),
        }
    }
}

/// Tells how far a layer is until it is done; the bytes of its files.
async fn watch(short: &str, total: u64, job: &Job, sink: Sink<'_>) -> Result<u64, Error> {
    let mut phases = job.phase.clone();
    let mut told = Told {
        short,
        total,
        sink,
        stage: 0,
        at: None,
    };
    loop {
        let phase = phases.borrow_and_update().clone();
        match phase {
            Phase::Waiting => {}
            Phase::Downloading(current) => told.transfer(1, "Downloading", current),
            Phase::Retrying(after) => {
                let seconds = after.as_secs_f64().ceil().max(1.0);
                let unit = if seconds > 1.0 { "seconds" } else { "second" };
                sink(Progress::status(
                    short.to_owned(),
                    format!("Retrying in {seconds} {unit}"),
                ));
            }
            Phase::Extracting(current) => {
                told.downloaded();
                told.transfer(2, "Extracting", current);
            }
            Phase::Done(layer) => {
                told.downloaded();
                if told.stage < 2 {
                    told.transfer(2, "Extracting", total);
                }
                sink(Progress::status(short.to_owned(), "Pull complete"));
                return Ok(layer.size);
            }
            Phase::Failed(error) => return Err(Error::Shared(error)),
        }
        if phases.changed().await.is_err() && !matches!(&*phases.borrow(), Phase::Done(_)) {
            return Err(Error::Cancelled);
        }
    }
}

/// What was told about one layer.
struct Told<'a> {
    short: &'a str,
    total: u64,
    sink: Sink<'a>,
    stage: u8,
    at: Option<Instant>,
}

impl Told<'_> {
    fn transfer(&mut self, stage: u8, action: &'static str, current: u64) {
        let soon = self.stage == stage && self.at.is_some_and(|at| at.elapsed() < TICK);
        if soon && current < self.total {
            return;
        }
        (self.stage, self.at) = (stage, Some(Instant::now()));
        let (id, total) = (self.short.to_owned(), self.total);
        (self.sink)(Progress::Transfer {
            id,
            action,
            current,
            total,
        });
    }

    /// The words between download and unpacking, once.
    fn downloaded(&mut self) {
        if self.stage < 2 {
            self.stage = self.stage.max(1);
            (self.sink)(Progress::status(
                self.short.to_owned(),
                "Verifying Checksum",
            ));
            (self.sink)(Progress::status(self.short.to_owned(), "Download complete"));
        }
    }
}

fn told(image: Image, digest: Digest, newer: bool, sink: Sink<'_>) -> Pulled {
    sink(Progress::status(None, format!("Digest: {digest}")));
    Pulled {
        image,
        digest,
        newer,
    }
}

/// The last word about a pull.
pub(crate) fn status(reference: &ImageRef, newer: bool, sink: Sink<'_>) {
    let name = reference.familiar();
    sink(Progress::status(
        None,
        match newer {
            true => format!("Status: Downloaded newer image for {name}"),
            false => format!("Status: Image is up to date for {name}"),
        },
    ));
}

/// Refuses plugins, charts and other things registries hold.
fn an_image(config: &Descriptor) -> Result<(), Error> {
    let name = config.media_type.as_str();
    // Some tools say nothing, or only that it is bytes.
    if media_type::is_image_config(name) || matches!(name, "" | "application/octet-stream") {
        return Ok(());
    }
    let class = match name {
        "application/vnd.docker.plugin.v1+json" => "plugin",
        _ => "unknown",
    };
    Err(Error::NotAnImage {
        media_type: name.to_owned(),
        class,
    })
}

/// Refuses an image that is for another platform than the one asked for.
pub(crate) fn fits(
    reference: &ImageRef,
    config: &ImageConfig,
    wanted: &Platform,
) -> Result<(), Error> {
    let platform = config.platform();
    let actual = Platform::new(
        &platform.os,
        &platform.architecture,
        platform.variant.as_deref(),
    );
    if platform.architecture.is_empty() || wanted.matches(&actual) {
        return Ok(());
    }
    Err(Error::Platform {
        reference: reference.familiar(),
        actual: actual.to_string(),
        wanted: wanted.to_string(),
    })
}

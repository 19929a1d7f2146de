//! The entry, and finding an image by any of its names: tag, digest, ID, beginning of an ID.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use onggi_model::{Digest, ImageRef, Platform, Timestamp, is_hex};
use onggi_oci::image::{ImageConfig, MAX_DOCUMENT_SIZE};
use onggi_registry::Client;
use onggi_snapshot::Snapshots;
use onggi_store::{ImageRecord, Store};

use crate::Error;
use crate::jobs::Jobs;
use crate::slots::Slots;

/// Configurations kept in memory: they never change.
const CONFIGS: usize = 1024;

/// How images are had.
#[derive(Debug, Clone)]
pub struct Options {
    /// Layers that are fetched at the same time, over all pulls.
    pub concurrent_downloads: usize,
    /// Layers that are sent at the same time, over all pushes; of small ones four times as many, unless it is one.
    pub concurrent_uploads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            concurrent_downloads: 3,
            concurrent_uploads: 5,
        }
    }
}

/// The images of one store. Clones are the same.
#[derive(Debug, Clone)]
pub struct Images {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) snapshots: Snapshots,
    pub(crate) registry: Client,
    pub(crate) jobs: Jobs,
    pub(crate) uploads: Slots,
    /// Of small layers.
    pub(crate) small_uploads: Slots,
    configs: Mutex<HashMap<Digest, Arc<ImageConfig>>>,
}

/// An image with its configuration and its names as people see them.
#[derive(Debug, Clone)]
pub struct Image {
    /// What the catalogue knows.
    pub record: ImageRecord,
    /// What a container of it runs, and how it came to be.
    pub config: Arc<ImageConfig>,
    /// `busybox:latest`
    pub tags: Vec<String>,
    /// `busybox@sha256:..`
    pub digests: Vec<String>,
}

impl Image {
    /// The image ID: digest of the configuration.
    pub fn id(&self) -> &Digest {
        &self.record.id
    }

    /// What it runs on.
    pub fn platform(&self) -> Platform {
        let platform = &self.record.platform;
        Platform::new(
            &platform.os,
            &platform.architecture,
            platform.variant.as_deref(),
        )
    }

    /// When it was made; Go's zero time when nobody said.
    pub fn created(&self) -> Timestamp {
        let text = self.record.created.as_deref();
        text.and_then(|text| Timestamp::parse(text).ok())
            .unwrap_or_default()
    }

    /// All its names, tags and digests, in full.
    pub(crate) fn references(&self) -> Vec<ImageRef> {
        self.record
            .references
            .iter()
            .chain(&self.record.repo_digests)
            .filter_map(|name| ImageRef::parse(name).ok())
            .collect()
    }
}

/// How many small layers are sent at the same time: a registry spends their time on syncs, which those that come together
/// share. Who wants one at a time gets that.
fn small(count: usize) -> usize {
    match count {
        0 | 1 => 1,
        count => count.saturating_mul(4),
    }
}

impl Images {
    /// The images in `store`, whose layers `snapshots` makes and which come from registries through `registry`.
    pub fn open(store: Store, snapshots: Snapshots, registry: Client) -> Images {
        Images::open_with(store, snapshots, registry, &Options::default())
    }

    /// As [`Images::open`], with options.
    pub fn open_with(
        store: Store,
        snapshots: Snapshots,
        registry: Client,
        options: &Options,
    ) -> Images {
        let jobs = Jobs::new(options.concurrent_downloads);
        let uploads = Slots::new(options.concurrent_uploads);
        let configs = Mutex::default();
        Images {
            inner: Arc::new(Inner {
                store,
                snapshots,
                registry,
                jobs,
                uploads,
                small_uploads: Slots::new(small(options.concurrent_uploads)),
                configs,
            }),
        }
    }

    /// Fetches this many layers at the same time from now on.
    pub fn set_concurrent_downloads(&self, count: usize) {
        self.inner.jobs.downloads.allow(count);
    }

    /// The store they are in.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The client for registries.
    #[must_use]
    pub fn registry(&self) -> &Client {
        &self.inner.registry
    }

    /// Sends this many layers at the same time from now on.
    pub fn set_concurrent_uploads(&self, count: usize) {
        self.inner.uploads.allow(count);
        self.inner.small_uploads.allow(small(count));
    }

    /// The image that has this name: tag (`busybox`, `busybox:1`), digest (`busybox@sha256:..`), ID, or the
    /// beginning of an ID. Names come before beginnings of IDs.
    ///
    /// # Errors
    /// NotFound; InvalidParameter for what can be no name and for an ambiguous beginning.
    pub fn get(&self, name: &str) -> Result<Image, Error> {
        let record = self.find(name)?;
        self.image(record)
    }

    /// As [`Images::get`], for those who want it for a platform.
    ///
    /// # Errors
    /// As [`Images::get`]; NotFound where the image is for another platform.
    pub fn get_for(&self, name: &str, platform: Option<&Platform>) -> Result<Image, Error> {
        let image = self.get(name)?;
        let Some(wanted) = platform.filter(|wanted| !wanted.matches(&image.platform())) else {
            return Ok(image);
        };
        Err(Error::Platform {
            reference: name.to_owned(),
            actual: image.platform().to_string(),
            wanted: wanted.to_string(),
        })
    }

    /// The configuration document of an image, as it came.
    ///
    /// # Errors
    /// As the store's.
    pub fn config_bytes(&self, image: &Image) -> Result<Vec<u8>, Error> {
        Ok(self.inner.store.blob_bytes(image.id(), MAX_DOCUMENT_SIZE)?)
    }

    /// The configuration of an image.
    pub fn config(&self, image: &Image) -> Arc<ImageConfig> {
        image.config.clone()
    }

    /// Gives an image another name. A name that another image had is taken from it.
    ///
    /// # Errors
    /// NotFound; InvalidParameter when the name carries a digest.
    pub fn tag(&self, source: &str, target: &ImageRef) -> Result<Image, Error> {
        if target.digest().is_some() {
            return Err(Error::TagWithDigest);
        }
        reserved(target)?;
        let image = self.find(source)?;
        let name = with_tag(target)?.to_string();
        self.inner
            .store
            .tag(&image.id, &name, Some(Timestamp::now().to_string()))?;
        let record = self.inner.store.image(&image.id)?;
        self.image(record.ok_or_else(|| Error::NotFound(source.to_owned()))?)
    }

    pub(crate) fn find(&self, name: &str) -> Result<ImageRecord, Error> {
        let store = &self.inner.store;
        let unknown = || Error::NotFound(name.to_owned());
        let plain = name.strip_prefix("sha256:").unwrap_or(name);
        if plain.len() == 64 && is_hex(plain) {
            let id = Digest::parse(&format!("sha256:{plain}")).map_err(|_| unknown())?;
            return store.image(&id)?.ok_or_else(unknown);
        }
        let reference = ImageRef::parse(name);
        if let Ok(reference) = &reference {
            let full = match reference.digest() {
                Some(digest) => reference.with_digest(digest.clone()),
                None => reference.clone(),
            };
            if let Some(id) = store.reference(&full.to_string())?
                && let Some(image) = store.image(&id)?
            {
                return Ok(image);
            }
        }
        if !plain.is_empty() && is_hex(plain) {
            let mut found = store.images_by_prefix(plain)?;
            if found.len() > 1 {
                return Err(Error::Ambiguous(plain.to_owned()));
            }
            if let Some(image) = found.pop() {
                return Ok(image);
            }
        }
        Err(Error::NotFound(reference?.familiar()))
    }

    pub(crate) fn image(&self, record: ImageRecord) -> Result<Image, Error> {
        let config = self.read_config(&record.id)?;
        let familiar = |names: &std::collections::BTreeSet<String>| {
            let mut names: Vec<String> = names
                .iter()
                .filter_map(|n| Some(ImageRef::parse(n).ok()?.familiar()))
                .collect();
            names.sort_unstable();
            names
        };
        let (tags, digests) = (familiar(&record.references), familiar(&record.repo_digests));
        Ok(Image {
            tags,
            digests,
            config,
            record,
        })
    }

    fn read_config(&self, id: &Digest) -> Result<Arc<ImageConfig>, Error> {
        let configs = || {
            self.inner
                .configs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(config) = configs().get(id) {
            return Ok(config.clone());
        }
        let bytes = self.inner.store.blob_bytes(id, MAX_DOCUMENT_SIZE)?;
        let config = Arc::new(ImageConfig::from_bytes(&bytes)?);
        let mut configs = configs();
        if configs.len() >= CONFIGS {
            configs.clear();
        }
        configs.insert(id.clone(), config.clone());
        Ok(config)
    }

    pub(crate) fn forget_config(&self, id: &Digest) {
        self.inner
            .configs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}

/// The name with a tag: `latest` where there is none.
pub(crate) fn with_tag(reference: &ImageRef) -> Result<ImageRef, Error> {
    Ok(match (reference.tag(), reference.digest()) {
        (None, None) => reference.with_tag("latest")?,
        _ => reference.clone(),
    })
}

/// `scratch` means no image at all, everywhere.
pub(crate) fn reserved(reference: &ImageRef) -> Result<(), Error> {
    match reference.familiar_name().as_str() {
        "scratch" => Err(Error::Reserved("scratch".to_owned())),
        _ => Ok(()),
    }
}

//! Taking up what others know: read at once, its layers when they are needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use onggi_image::{Images, Layer};
use onggi_model::{Digest, ImageRef, Platform, chain};
use onggi_oci::image::{ImageConfig, Index, Manifest, Parsed, media_type};
use onggi_registry::{Auth, Source, select};
use onggi_store::{ChainId, Store};

use super::{BUILDKIT, CONFIG, Known, Layout, Local, layout};
use crate::Error;
use crate::cache::Outcome;

/// What others know, for one build. What turns out not to be as it is said is forgotten, and the build goes on without.
#[derive(Debug, Default)]
pub struct Imports {
    all: Mutex<Vec<Import>>,
    /// Why some were forgotten.
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Import {
    name: String,
    origin: Origin,
    known: Known,
}

/// Where the layers are that a cache tells of.
#[derive(Clone, Debug)]
enum Origin {
    Registry(Source),
    Layout(Arc<dyn Layout>),
}

impl Imports {
    /// Takes up the cache, or the image that says of its steps, under a name in a registry; how many steps it tells of.
    ///
    /// # Errors
    /// As the registry says; what is no cache.
    pub async fn add(
        &self,
        images: &Images,
        name: &ImageRef,
        platform: &Platform,
        auth: &Auth,
    ) -> Result<usize, Error> {
        let (known, source) = read(images, name, platform, auth).await?;
        Ok(self.take(name.familiar(), Origin::Registry(source), known))
    }

    /// As [`Imports::add`], of a cache in a directory that another holds.
    ///
    /// # Errors
    /// As whoever holds it says; what is no cache.
    pub async fn add_layout(
        &self,
        layout: Arc<dyn Layout>,
        local: &Local,
        platform: &Platform,
    ) -> Result<usize, Error> {
        let (from, local, platform) = (layout.clone(), local.clone(), platform.clone());
        let name = local.path.clone();
        let read = move || layout::read(&*from, &local, &platform);
        let known = onggi_rt::blocking("read a build cache", read).await??;
        Ok(self.take(name, Origin::Layout(layout), known))
    }

    fn take(&self, name: String, origin: Origin, known: Known) -> usize {
        let steps = known.steps.len();
        self.all().push(Import {
            name,
            origin,
            known,
        });
        steps
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Why caches were forgotten, since this was last asked.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut warnings)
    }

    /// What the step under this key left, on top of `below`.
    pub(crate) fn find(&self, key: &str, below: Option<&ChainId>) -> Option<Outcome> {
        self.all().iter().find_map(|import| {
            let step = import.known.steps.get(key)?;
            let layer = match &step.layer {
                None => None,
                Some(layer) => {
                    let layer = import.known.layers.get(&ChainId::from(layer.clone()))?;
                    // It must stand on what is below here: a key that lies leads nowhere else.
                    if ChainId::new(below, &layer.diff_id) != layer.chain_id {
                        return None;
                    }
                    Some(layer.clone())
                }
            };
            Some(Outcome {
                layer,
                created: step.created.clone(),
                // By all its keys it is known from now on.
                keys: step.keys.iter().cloned().collect(),
            })
        })
    }

    /// Brings these layers, base first, as far as they are not here.
    ///
    /// # Errors
    /// What could not be had. Caches that did not have what they told of are forgotten now, which [`Imports::warnings`]
    /// says, and what was built on their word is to be done again.
    pub(crate) async fn bring(&self, images: &Images, layers: &[Layer]) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let (layer, error) = match self.bring_blobs(images.store(), layers).await {
            Err(failed) => failed,
            Ok(()) => match images.bring(layers, |layer| self.source(layer)).await {
                Ok(()) => return Ok(()),
                Err(missing) if missing.error.is_full() => return Err(Error::of(&missing.error)),
                Err(missing) => (missing.layer, Error::of(&missing.error)),
            },
        };
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        self.all().retain(|import| {
            let stays = !import.known.layers.contains_key(&layer);
            if !stays {
                warnings.push(format!(
                    "{} is no cache: {error}: the build goes on without it",
                    import.name
                ));
            }
            stays
        });
        Err(error)
    }

    /// Brings the blobs of those of these layers that only a directory has which another holds.
    async fn bring_blobs(&self, store: &Store, layers: &[Layer]) -> Result<(), (ChainId, Error)> {
        for layer in layers {
            let failed = |error: Error| (layer.chain_id.clone(), error);
            let Some(Origin::Layout(layout)) = self.origin(layer) else {
                continue;
            };
            let (store, blob) = (store.clone(), layer.blob.digest.clone());
            let work = move || -> Result<(), Error> {
                if !store.has_blob(&blob)? {
                    let mut ingest = store.ingest()?;
                    layout.read(&blob, &mut ingest)?;
                    ingest.commit(Some(&blob))?;
                }
                Ok(())
            };
            let done = onggi_rt::blocking("bring a layer of a build cache", work).await;
            done.map_err(|error| failed(error.into()))?
                .map_err(failed)?;
        }
        Ok(())
    }

    fn source(&self, layer: &Layer) -> Option<Source> {
        match self.origin(layer)? {
            Origin::Registry(source) => Some(source),
            Origin::Layout(_) => None,
        }
    }

    fn origin(&self, layer: &Layer) -> Option<Origin> {
        self.all().iter().find_map(|import| {
            let known = import.known.layers.get(&layer.chain_id)?;
            (known.blob.digest == layer.blob.digest).then(|| import.origin.clone())
        })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Import>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a cache in a registry says, and where its layers are.
pub(super) async fn read(
    images: &Images,
    name: &ImageRef,
    platform: &Platform,
    auth: &Auth,
) -> Result<(Known, Source), Error> {
    let failed = |fault: onggi_registry::Error| Error::of(&fault);
    let client = images.registry();
    let resolved = client.resolve(name, auth).await.map_err(failed)?;
    let document = resolved.document().await.map_err(failed)?;
    let mut parsed = document.parse(name).map_err(failed)?;
    if let Parsed::Index(index) = &parsed {
        let chosen = chosen(index, platform)?;
        let document = resolved.source.manifest(chosen).await;
        parsed = document.and_then(|it| it.parse(name)).map_err(failed)?;
    }
    let manifest = manifest(parsed, platform, |_| Err(nested()))?;
    let bytes = resolved
        .source
        .bytes(&manifest.config, "cache config")
        .await;
    Ok((known(manifest, &bytes.map_err(failed)?)?, resolved.source))
}

/// Reads a manifest or an index.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Error> {
    Parsed::from_bytes(bytes, None).map_err(|fault| Error::of(&fault))
}

/// The manifest that a cache is, or that `get` has of those its index names. It is one that can be taken up.
pub(super) fn manifest(
    mut parsed: Parsed,
    platform: &Platform,
    get: impl FnOnce(&Digest) -> Result<Parsed, Error>,
) -> Result<Manifest, Error> {
    if let Parsed::Index(index) = &parsed {
        parsed = get(chosen(index, platform)?)?;
    }
    let Parsed::Manifest(manifest) = parsed else {
        return Err(nested());
    };
    match manifest.config.media_type.as_str() {
        BUILDKIT => Err(buildkits()),
        kind if kind == CONFIG || media_type::is_image_config(kind) => Ok(manifest),
        kind => Err(Error::new(format!("it is of the type {kind}"))),
    }
}

/// What a manifest and its configuration say.
pub(super) fn known(manifest: Manifest, config: &[u8]) -> Result<Known, Error> {
    if manifest.config.media_type == CONFIG {
        return Known::read(config, manifest.layers);
    }
    let config = ImageConfig::from_bytes(config).map_err(|fault| Error::of(&fault))?;
    Ok(Known::of_image(config, manifest.layers))
}

fn chosen<'a>(index: &'a Index, platform: &Platform) -> Result<&'a Digest, Error> {
    if index.manifests.iter().any(|one| one.media_type == BUILDKIT) {
        return Err(buildkits());
    }
    let chosen = select(index, platform).map_err(|error| Error::new(chain(&error)))?;
    Ok(&chosen.digest)
}

fn nested() -> Error {
    Error::new("it is an index of indexes")
}

fn buildkits() -> Error {
    Error::new(
        "it is a cache of BuildKit, whose keys say nothing of our steps: write another with --cache-to",
    )
}

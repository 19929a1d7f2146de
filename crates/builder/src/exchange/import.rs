//! Taking up what others know: read at once, its layers when they are needed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use onggi_image::{Images, Layer};
use onggi_model::{ImageRef, Platform, chain};
use onggi_oci::image::{ImageConfig, Manifest, Parsed, media_type};
use onggi_registry::{Auth, Source, select};
use onggi_store::ChainId;

use super::{BUILDKIT, CONFIG, Known};
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
    source: Source,
    known: Known,
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
        let steps = known.steps.len();
        let name = name.familiar();
        self.all().push(Import {
            name,
            source,
            known,
        });
        Ok(steps)
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
        let missing = match images.bring(layers, |layer| self.source(layer)).await {
            Ok(()) => return Ok(()),
            Err(missing) => missing,
        };
        let error = Error::of(&missing.error);
        if missing.error.is_full() {
            return Err(error);
        }
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        self.all().retain(|import| {
            let stays = !import.known.layers.contains_key(&missing.layer);
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

    fn source(&self, layer: &Layer) -> Option<Source> {
        self.all().iter().find_map(|import| {
            let known = import.known.layers.get(&layer.chain_id)?;
            (known.blob.digest == layer.blob.digest).then(|| import.source.clone())
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
        if index.manifests.iter().any(|one| one.media_type == BUILDKIT) {
            return Err(buildkits());
        }
        let chosen = select(index, platform).map_err(|error| Error::new(chain(&error)))?;
        let document = resolved.source.manifest(&chosen.digest).await;
        parsed = document.and_then(|it| it.parse(name)).map_err(failed)?;
    }
    let Parsed::Manifest(manifest) = parsed else {
        return Err(Error::new("it is an index of indexes"));
    };
    let Manifest { config, layers, .. } = manifest;
    let kind = config.media_type.as_str();
    if kind == BUILDKIT {
        return Err(buildkits());
    }
    let is_ours = kind == CONFIG;
    if !is_ours && !media_type::is_image_config(kind) {
        return Err(Error::new(format!("it is of the type {kind}")));
    }
    let bytes = resolved.source.bytes(&config, "cache config").await;
    let bytes = bytes.map_err(failed)?;
    let known = match is_ours {
        true => Known::read(&bytes, layers)?,
        false => {
            let config = ImageConfig::from_bytes(&bytes).map_err(|fault| Error::of(&fault))?;
            Known::of_image(config, layers)
        }
    };
    Ok((known, resolved.source))
}

fn buildkits() -> Error {
    Error::new(
        "it is a cache of BuildKit, whose keys say nothing of our steps: write another with --cache-to",
    )
}

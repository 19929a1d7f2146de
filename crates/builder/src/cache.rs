//! What is known of steps that were done: by what they do, on which files, with which others.
//!
//! A key is made of content alone (S: never of names, times or parents guessed): the same key is the same result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use onggi_image::{Image, Images, Layer};
use onggi_model::Timestamp;
use onggi_store::{ChainId, StepLayer, StepRecord};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex as AsyncMutex;

use crate::Error;

/// The cache of all builds of an engine. Clones are the same.
#[derive(Clone, Debug)]
pub struct Cache {
    images: Images,
    running: Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>,
}

/// What a step left, this time or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The layer; none where it changed nothing.
    pub(crate) layer: Option<Layer>,
    /// When it was done, RFC 3339.
    pub(crate) created: String,
    /// What it is known by.
    pub(crate) keys: Vec<String>,
}

/// A step that others knew.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// What it stands on.
    pub(crate) below: Option<ChainId>,
    /// What it is to people.
    pub(crate) description: String,
    /// What it left.
    pub(crate) outcome: Outcome,
}

impl Cache {
    /// The cache of these images' store.
    #[must_use]
    pub fn new(images: Images) -> Self {
        Self {
            images,
            running: Arc::default(),
        }
    }

    /// One at a time for each key: builds that do the same wait for the one that does it.
    pub(crate) fn turn(&self, key: &str) -> Arc<AsyncMutex<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = running.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        running.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(AsyncMutex::new(()));
        running.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// What the step under this key left. Hold a lease: it stays as long.
    ///
    /// # Errors
    /// As the store's.
    pub(crate) fn find(&self, key: &str) -> Result<Option<Outcome>, Error> {
        let Some(step) = self.images.store().step(key)? else {
            return Ok(None);
        };
        let layer = match &step.layer {
            None => None,
            Some(layer) => match self.images.store().layer(&layer.chain_id)? {
                None => return Ok(None),
                Some(found) => Some(Layer {
                    chain_id: layer.chain_id.clone(),
                    diff_id: layer.diff_id.clone(),
                    blob: layer.blob.clone(),
                    size: found.size,
                }),
            },
        };
        Ok(Some(Outcome {
            layer,
            created: step.created,
            keys: vec![key.to_owned()],
        }))
    }

    /// Takes up the steps that an image was made of, as far as they are not known; how many there were. The image stays
    /// as long as what is known of it.
    ///
    /// # Errors
    /// As the store's.
    pub fn take_up(&self, image: &Image) -> Result<usize, Error> {
        let _lease = self.images.store().lease();
        let layers = self.images.layers_of(image)?;
        for step in &image.config.build_cache {
            let known = step.keys.iter().map(|key| self.find(key));
            if known
                .collect::<Result<Vec<_>, _>>()?
                .iter()
                .all(Option::is_some)
            {
                continue;
            }
            // What an image says of itself is not believed: the layer is one of its own, or nothing.
            let layer = match step.layer {
                None => None,
                Some(at) => match layers.get(at) {
                    None => continue,
                    layer => layer.cloned(),
                },
            };
            let below = step.layer.and_then(|at| layers.get(at.checked_sub(1)?));
            let outcome = Outcome {
                layer,
                created: step.created.clone(),
                keys: step.keys.clone(),
            };
            let below = below.map(|layer| &layer.chain_id);
            self.keep(below, &step.description, &outcome)?;
        }
        Ok(image.config.build_cache.len())
    }

    /// Writes down what a step left, under each of its keys.
    ///
    /// # Errors
    /// As the store's.
    pub(crate) fn keep(
        &self,
        below: Option<&ChainId>,
        description: &str,
        outcome: &Outcome,
    ) -> Result<(), Error> {
        let record = record(below, description, outcome);
        Ok(self.images.store().put_step(&outcome.keys, &record)?)
    }

    /// Writes down what steps left that others knew, all at once; those whose layers were not needed here are left out.
    ///
    /// # Errors
    /// As the store's.
    pub(crate) fn keep_taken(&self, taken: &[Taken]) -> Result<(), Error> {
        let store = self.images.store();
        let mut here = Vec::new();
        for step in taken {
            if let Some(layer) = &step.outcome.layer
                && !(store.has_layer(&layer.chain_id)? && store.has_blob(&layer.blob.digest)?)
            {
                continue;
            }
            here.push(step);
        }
        if here.is_empty() {
            return Ok(());
        }
        store.flush()?;
        store
            .write(|tx| {
                for step in here {
                    let record = record(step.below.as_ref(), &step.description, &step.outcome);
                    for key in &step.outcome.keys {
                        tx.put_step(key, &record)?;
                    }
                }
                Ok::<_, onggi_store::Error>(())
            })
            .map_err(Error::from)
    }

    /// Writes down that steps were used, once for all of them.
    ///
    /// # Errors
    /// As the store's.
    pub fn used(&self, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now().seconds();
        self.images
            .store()
            .write(|tx| {
                for key in keys {
                    if let Some(mut step) = tx.step(key)? {
                        (step.used, step.uses) = (now, step.uses + 1);
                        tx.put_step(key, &step)?;
                    }
                }
                Ok::<_, onggi_store::Error>(())
            })
            .map_err(Error::from)
    }
}

fn record(below: Option<&ChainId>, description: &str, outcome: &Outcome) -> StepRecord {
    StepRecord {
        layer: outcome.layer.as_ref().map(|layer| StepLayer {
            chain_id: layer.chain_id.clone(),
            diff_id: layer.diff_id.clone(),
            blob: layer.blob.clone(),
        }),
        description: description.to_owned(),
        created: outcome.created.clone(),
        used: Timestamp::now().seconds(),
        uses: 0,
        below: below.cloned(),
    }
}

/// The key of a step: what it does (`text`), on which files, with which others.
pub(crate) fn key(below: Option<&ChainId>, text: &str, inputs: &[String]) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    // A change of what keys mean needs another number here.
    part(b"step 1");
    part(
        below
            .map(ToString::to_string)
            .unwrap_or_default()
            .as_bytes(),
    );
    part(text.as_bytes());
    for input in inputs {
        part(input.as_bytes());
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key_do_not_run_into_each_other() {
        let inputs = |inputs: &[&str]| inputs.iter().map(|&i| i.to_owned()).collect::<Vec<_>>();
        let keys = [
            key(None, "ab", &[]),
            key(None, "a", &inputs(&["b"])),
            key(None, "", &inputs(&["ab"])),
            key(None, "", &inputs(&["a", "b"])),
        ];
        let all: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(all.len(), keys.len());
        assert_eq!(keys[0].len(), 64);
    }
}

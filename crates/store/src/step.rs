//! Steps of builds: what each left, under the key that says what it did to which files. The cache of builds.
//!
//! How keys are made is the builder's business. A step holds its layer and the blob of that layer's tar.

use onggi_model::Digest;
use onggi_oci::image::Descriptor;
use serde::{Deserialize, Serialize};

use crate::catalogue::{WriteTx, table};
use crate::{ChainId, Error, Store};

/// What a step of a build left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The layer, with all below it; none where the step changed nothing.
    pub layer: Option<StepLayer>,
    /// `RUN make`, for people.
    pub description: String,
    /// When it was done, RFC 3339.
    pub created: String,
    /// When it was last used, seconds since the epoch.
    pub used: i64,
    /// How often it was used after that.
    pub uses: u64,
    /// The layer it stands on.
    pub below: Option<ChainId>,
}

/// The layer of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLayer {
    /// Its name with all below it.
    pub chain_id: ChainId,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// Its blob, as manifests name it; kept.
    pub blob: Descriptor,
}

impl Store {
    /// The step under this key. Under a live lease its layer and blob then stay until the lease ends.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn step(&self, key: &str) -> Result<Option<StepRecord>, Error> {
        let found: Option<StepRecord> = self.inner.catalogue.reader()?.fetch(table::STEPS, key)?;
        if let Some(layer) = found.as_ref().and_then(|step| step.layer.as_ref()) {
            // Removed between the two: nobody's any more.
            if !self.has_layer(&layer.chain_id)? || !self.has_blob(&layer.blob.digest)? {
                return Ok(None);
            }
        }
        Ok(found)
    }

    /// All steps with their keys.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn steps(&self) -> Result<Vec<(String, StepRecord)>, Error> {
        self.inner.catalogue.reader()?.fetch_all(table::STEPS, "")
    }

    /// Writes down what a step left, under each of `keys`. One that is there already is replaced.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::NoBlob`], [`Error::Catalogue`], [`Error::File`].
    pub fn put_step(&self, keys: &[String], step: &StepRecord) -> Result<(), Error> {
        // Not inside the transaction, as with images.
        self.flush()?;
        self.write(|tx| keys.iter().try_for_each(|key| tx.put_step(key, step)))
    }
}

impl WriteTx<'_> {
    /// The step under this key, with what this change did to it.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn step(&self, key: &str) -> Result<Option<StepRecord>, Error> {
        self.fetch(table::STEPS, key)
    }

    /// Writes down what a step left. One that is there already is replaced.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::NoBlob`], [`Error::Catalogue`].
    pub fn put_step(&mut self, key: &str, step: &StepRecord) -> Result<(), Error> {
        let before = self.step(key)?;
        // The new one first: what both hold must not go in between.
        if let Some(layer) = &step.layer {
            self.hold_layer(&layer.chain_id)?;
            self.hold_blob(&layer.blob.digest)?;
        }
        if let Some(before) = &before {
            self.release_step(before)?;
        }
        self.store(table::STEPS, key, step)
    }

    /// Forgets a step. Says whether there was one.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn remove_step(&mut self, key: &str) -> Result<bool, Error> {
        let Some(step) = self.step(key)? else {
            return Ok(false);
        };
        self.release_step(&step)?;
        self.erase(table::STEPS, key)?;
        Ok(true)
    }

    fn release_step(&mut self, step: &StepRecord) -> Result<(), Error> {
        let Some(layer) = &step.layer else {
            return Ok(());
        };
        self.release_layer(&layer.chain_id)?;
        self.release_blob(&layer.blob.digest)
    }
}

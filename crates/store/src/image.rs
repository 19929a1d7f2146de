//! Images in the catalogue: the record, its names, what it holds.
//!
//! What the documents of an image say, and when an image may go, is the `image` crate's business.

use std::collections::{BTreeMap, BTreeSet};

use onggi_model::Digest;
use onggi_oci::image::{Descriptor, Platform};
use serde::{Deserialize, Serialize};

use crate::catalogue::{WriteTx, table};
use crate::{ChainId, Error, Store};

/// An image as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The image ID: digest of its configuration.
    pub id: Digest,
    /// The manifest or index as it was pulled or loaded.
    pub target: Descriptor,
    /// Its manifest.
    pub manifest: Digest,
    /// Its layers, base first.
    pub layers: Vec<ChainId>,
    /// Further blobs it keeps: compressed layers. `id`, `manifest` and `target` are always kept.
    #[serde(default)]
    pub blobs: BTreeSet<Digest>,
    /// Its tags, `docker.io/library/busybox:latest`.
    #[serde(default)]
    pub references: BTreeSet<String>,
    /// Its names by digest, `docker.io/library/busybox@sha256:..`.
    #[serde(default)]
    pub repo_digests: BTreeSet<String>,
    /// Bytes of the files in its layers.
    pub size: u64,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created: Option<String>,
    /// The machine it is for.
    #[serde(default)]
    pub platform: Platform,
    /// When it got its last tag here, RFC 3339.
    #[serde(default)]
    pub tagged: Option<String>,
    /// The image here that it was made from, by commit or build. It holds nothing: that one may go before.
    #[serde(default)]
    pub parent: Option<Digest>,
}

impl ImageRecord {
    /// All blobs the image keeps.
    #[must_use]
    pub fn kept_blobs(&self) -> BTreeSet<Digest> {
        let mut blobs = self.blobs.clone();
        blobs.extend([
            self.id.clone(),
            self.manifest.clone(),
            self.target.digest.clone(),
        ]);
        blobs
    }
}

/// What went with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedImage {
    /// The image as it was.
    pub image: ImageRecord,
    /// Layers nothing else held, topmost first.
    pub layers: Vec<ChainId>,
}

impl Store {
    /// Writes an image with its names in one transaction; what it names must be there. An image that is there already
    /// keeps its other names and blobs. Says which names were taken from which images.
    ///
    /// # Errors
    /// [`Error::NoBlob`] and [`Error::NoLayer`] for what is missing, [`Error::Catalogue`], [`Error::File`].
    pub fn put_image(&self, image: &ImageRecord) -> Result<BTreeMap<String, Digest>, Error> {
        // Not inside the transaction: the disk may need seconds, and starts of containers wait for the writer.
        self.flush()?;
        self.write(|tx| tx.put_image(image))
    }

    /// The image with this ID.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn image(&self, id: &Digest) -> Result<Option<ImageRecord>, Error> {
        self.inner
            .catalogue
            .reader()?
            .fetch(table::IMAGES, id.as_str())
    }

    /// All images, in the order of their IDs.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn images(&self) -> Result<Vec<ImageRecord>, Error> {
        let rows = self
            .inner
            .catalogue
            .reader()?
            .fetch_all(table::IMAGES, "")?;
        Ok(rows.into_iter().map(|(_, image)| image).collect())
    }

    /// The images whose ID starts with these hex digits.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn images_by_prefix(&self, hex: &str) -> Result<Vec<ImageRecord>, Error> {
        let prefix = format!("sha256:{hex}");
        let rows = self
            .inner
            .catalogue
            .reader()?
            .fetch_all(table::IMAGES, &prefix)?;
        Ok(rows.into_iter().map(|(_, image)| image).collect())
    }

    /// The images here that were made from this one.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn children(&self, id: &Digest) -> Result<Vec<Digest>, Error> {
        let reader = self.inner.catalogue.reader()?;
        let rows = reader.fetch_all::<Digest>(table::CHILDREN, &format!("{id} "))?;
        let mut children = Vec::new();
        for (_, child) in rows {
            let image = reader.fetch::<ImageRecord>(table::IMAGES, child.as_str())?;
            children.extend(image.map(|_| child));
        }
        Ok(children)
    }

    /// The image that has this name, a tag or a name by digest, written in full.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn reference(&self, name: &str) -> Result<Option<Digest>, Error> {
        self.inner
            .catalogue
            .reader()?
            .fetch(table::REFERENCES, name)
    }

    /// Gives an image a tag, taking it from the image that may have it; `when` becomes the time of its last tag.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::Catalogue`].
    pub fn tag(
        &self,
        id: &Digest,
        name: &str,
        when: Option<String>,
    ) -> Result<Option<Digest>, Error> {
        self.write(|tx| {
            let mut image = tx
                .image(id)?
                .ok_or_else(|| Error::NoImage(id.to_string()))?;
            let before = tx.name_image(&image.id, name)?;
            image.references.insert(name.to_owned());
            image.tagged = when.or(image.tagged);
            tx.store(table::IMAGES, id.as_str(), &image)?;
            Ok(before)
        })
    }

    /// Gives an image a name by digest.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::Catalogue`].
    pub fn name_by_digest(&self, id: &Digest, name: &str) -> Result<(), Error> {
        self.write(|tx| {
            let mut image = tx
                .image(id)?
                .ok_or_else(|| Error::NoImage(id.to_string()))?;
            tx.name_image(&image.id, name)?;
            image.repo_digests.insert(name.to_owned());
            tx.store(table::IMAGES, id.as_str(), &image)
        })
    }

    /// Gives an image another manifest in the place of `old`, and with it other blobs, which must be there; what only
    /// the one before held goes. Its names and layers stay. One that has another manifest by now stays as it is.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::NoBlob`], [`Error::Catalogue`].
    pub fn replace_manifest(
        &self,
        id: &Digest,
        old: &Digest,
        manifest: Descriptor,
        blobs: BTreeSet<Digest>,
    ) -> Result<ImageRecord, Error> {
        self.flush()?;
        self.write(|tx| {
            let before = tx
                .image(id)?
                .ok_or_else(|| Error::NoImage(id.to_string()))?;
            if before.manifest != *old || before.target.digest != *old {
                return Ok(before);
            }
            let after = ImageRecord {
                manifest: manifest.digest.clone(),
                target: manifest,
                blobs,
                ..before.clone()
            };
            let (old, new) = (before.kept_blobs(), after.kept_blobs());
            for blob in new.difference(&old) {
                tx.hold_blob(blob)?;
            }
            for blob in old.difference(&new) {
                tx.release_blob(blob)?;
            }
            tx.store(table::IMAGES, id.as_str(), &after)?;
            Ok(after)
        })
    }

    /// Takes a name, a tag or a name by digest, from its image. The image stays, perhaps without a name. Says which
    /// image it was.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn untag(&self, name: &str) -> Result<Option<Digest>, Error> {
        self.write(|tx| tx.unname_image(name))
    }

    /// Removes an image with all its names, and what nothing else holds. Whether it may go is for the caller to know.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::Catalogue`].
    pub fn remove_image(&self, id: &Digest) -> Result<RemovedImage, Error> {
        let (image, discarded) = self.write_discarding(|tx| tx.remove_image(id))?;
        Ok(RemovedImage {
            image,
            layers: discarded.layers,
        })
    }
}

impl WriteTx<'_> {
    /// As [`Store::put_image`], inside a larger change. Call [`Store::flush`] before the transaction begins, or this
    /// one waits for the disk while it keeps others waiting.
    ///
    /// # Errors
    /// As [`Store::put_image`].
    pub fn put_image(&mut self, image: &ImageRecord) -> Result<BTreeMap<String, Digest>, Error> {
        let before = self.image(&image.id)?;
        let mut image = image.clone();
        for blob in &image.kept_blobs() {
            if !before
                .as_ref()
                .is_some_and(|before| before.kept_blobs().contains(blob))
            {
                self.hold_blob(blob)?;
            }
        }
        match before {
            None => {
                if let Some(top) = image.layers.last() {
                    self.hold_layer(top)?;
                }
                self.usage()?.images += 1;
            }
            Some(before) => {
                // The configuration fixes the layers, so they are the same.
                image.layers.clone_from(&before.layers);
                image.blobs.extend(before.kept_blobs());
                image.references.extend(before.references);
                image.repo_digests.extend(before.repo_digests);
                image.tagged = image.tagged.or(before.tagged);
                image.parent = image.parent.or(before.parent);
            }
        }
        let mut moved = BTreeMap::new();
        for name in image.references.iter().chain(&image.repo_digests) {
            if let Some(other) = self.name_image(&image.id, name)? {
                moved.insert(name.clone(), other);
            }
        }
        if let Some(parent) = &image.parent {
            self.store(table::CHILDREN, &child_key(parent, &image.id), &image.id)?;
        }
        self.store(table::IMAGES, image.id.as_str(), &image)?;
        self.complete(&image)?;
        Ok(moved)
    }

    /// The image with this ID, with what this change did to it.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn image(&self, id: &Digest) -> Result<Option<ImageRecord>, Error> {
        self.fetch(table::IMAGES, id.as_str())
    }

    /// As [`Store::remove_image`], inside a larger change.
    ///
    /// # Errors
    /// As [`Store::remove_image`].
    pub fn remove_image(&mut self, id: &Digest) -> Result<ImageRecord, Error> {
        let image = self
            .image(id)?
            .ok_or_else(|| Error::NoImage(id.to_string()))?;
        for name in image.references.iter().chain(&image.repo_digests) {
            self.erase(table::REFERENCES, name)?;
        }
        if let Some(parent) = &image.parent {
            self.erase(table::CHILDREN, &child_key(parent, &image.id))?;
        }
        for blob in &image.kept_blobs() {
            self.release_blob(blob)?;
        }
        if let Some(top) = image.layers.last() {
            self.release_layer(top)?;
        }
        self.erase(table::IMAGES, id.as_str())?;
        self.erase(table::INCOMPLETE, id.as_str())?;
        let usage = self.usage()?;
        usage.images = usage.images.saturating_sub(1);
        Ok(image)
    }

    /// Forgets that the image lacks blobs, when it has them again.
    fn complete(&mut self, image: &ImageRecord) -> Result<(), Error> {
        let lacking: Option<BTreeSet<Digest>> = self.fetch(table::INCOMPLETE, image.id.as_str())?;
        if lacking.is_some_and(|lacking| lacking.is_subset(&image.blobs)) {
            self.erase(table::INCOMPLETE, image.id.as_str())?;
        }
        Ok(())
    }

    /// Points `name` at the image, and takes it out of the record of the image that had it, which is returned.
    fn name_image(&mut self, id: &Digest, name: &str) -> Result<Option<Digest>, Error> {
        let before: Option<Digest> = self.fetch(table::REFERENCES, name)?;
        if before.as_ref() == Some(id) {
            return Ok(None);
        }
        if let Some(other) = &before {
            self.forget_name(other, name)?;
        }
        self.store(table::REFERENCES, name, id)?;
        Ok(before)
    }

    fn unname_image(&mut self, name: &str) -> Result<Option<Digest>, Error> {
        let Some(id) = self.fetch::<Digest>(table::REFERENCES, name)? else {
            return Ok(None);
        };
        self.erase(table::REFERENCES, name)?;
        self.forget_name(&id, name)?;
        Ok(Some(id))
    }

    fn forget_name(&mut self, id: &Digest, name: &str) -> Result<(), Error> {
        let Some(mut image) = self.image(id)? else {
            return Ok(());
        };
        image.references.remove(name);
        image.repo_digests.remove(name);
        self.store(table::IMAGES, id.as_str(), &image)
    }
}

fn child_key(parent: &Digest, child: &Digest) -> String {
    format!("{parent} {child}")
}

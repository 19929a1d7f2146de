//! Putting right what a check found: nothing that is whole is touched, nothing that is broken is believed.
//!
//! A broken blob is put aside (`quarantine`), and the images that kept it are marked, so that the next pull fetches it
//! anew; an image that means nothing without it goes, with its names. Counts and counters are made from what is there.
//! A layer's files are made again by `image`, who can unpack: it comes here with those it could not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use onggi_model::Digest;

use crate::blob::{BlobRecord, hash_file};
use crate::catalogue::{WriteTx, table};
use crate::check::Records;
use crate::store::Inner;
use crate::{ChainId, Error, ImageRecord, Problem, Report, StagedLayer, Store};

impl Store {
    /// Puts right what `report` names, and removes the images that stand on the layers `lost`. Says what was done, a
    /// line for each thing. What is still wrong is for another check to say.
    ///
    /// # Errors
    /// [`Error::Catalogue`], [`Error::File`].
    pub fn repair(&self, report: &Report, lost: &BTreeSet<ChainId>) -> Result<Vec<String>, Error> {
        if report.is_clean() && lost.is_empty() {
            return Ok(Vec::new());
        }
        let broken = self.inner.broken_blobs(report)?;
        let mut done = Vec::new();
        self.write(|tx| tx.repair(&broken, lost, &mut done))?;
        self.inner.quarantine(&broken, &mut done)?;
        self.inner.drop_orphans(&mut done)?;
        Ok(done)
    }

    /// Whether blobs of this image were put aside and have not come again.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn is_incomplete(&self, id: &Digest) -> Result<bool, Error> {
        let reader = self.inner.catalogue.reader()?;
        let found: Option<BTreeSet<Digest>> = reader.fetch(table::INCOMPLETE, id.as_str())?;
        Ok(found.is_some())
    }

    /// Puts the staged directory into the place of the layer's. Nobody may be using that one. What is in the staged one
    /// is on the disk first.
    ///
    /// # Errors
    /// [`Error::NoLayer`] when the layer is gone by now; [`Error::File`].
    pub fn replace_layer(&self, chain_id: &ChainId, mut staged: StagedLayer) -> Result<(), Error> {
        let inner = &self.inner;
        inner.sync_files()?;
        let mut state = inner.state();
        let record = inner
            .find_layer(&mut state, chain_id)?
            .ok_or_else(|| Error::NoLayer(chain_id.clone()))?;
        let path = inner.layout.layer(record.number);
        inner.try_discard(&path)?;
        std::fs::rename(staged.path(), &path).map_err(Error::file("rename", staged.path()))?;
        state.not_temporary(staged.path());
        staged.disarm();
        drop(state);
        inner.sync_files()
    }
}

impl Inner {
    /// The blobs of the report that are broken still.
    fn broken_blobs(&self, report: &Report) -> Result<BTreeSet<Digest>, Error> {
        let mut broken = BTreeSet::new();
        for problem in &report.problems {
            let digest = match problem {
                Problem::Size { digest, .. } | Problem::Content(digest) => Some(digest.clone()),
                Problem::Missing(path) => self.blob_at(path),
                _ => None,
            };
            let Some(digest) = digest else { continue };
            let found = hash_file(digest.algorithm(), &self.layout.blob(&digest));
            if found.ok().as_ref() != Some(&digest) {
                broken.insert(digest);
            }
        }
        Ok(broken)
    }

    /// Puts broken blobs where nobody takes them for whole ones.
    fn quarantine(&self, broken: &BTreeSet<Digest>, done: &mut Vec<String>) -> Result<(), Error> {
        let mut state = self.state();
        for digest in broken {
            // It came again in the meantime.
            if self.find_blob(&mut state, digest)?.is_some() {
                continue;
            }
            let path = self.layout.blob(digest);
            if !path.exists() {
                continue;
            }
            let folder = self.layout.root.join("quarantine");
            std::fs::create_dir_all(&folder).map_err(Error::file("mkdir", &folder))?;
            let name = format!("{}-{}", digest.algorithm().as_str(), digest.hex());
            let to = folder.join(name);
            std::fs::rename(&path, &to).map_err(Error::file("rename", &path))?;
            done.push(format!("moved {digest} to {}", to.display()));
        }
        Ok(())
    }

    fn drop_orphans(&self, done: &mut Vec<String>) -> Result<(), Error> {
        // The writer first: what a change is about to rename into place is no orphan.
        let tx = WriteTx::begin(self)?;
        let records = Records::of(&tx);
        let state = self.state();
        let dropped = records.and_then(|records| {
            let orphans: Vec<PathBuf> = self.orphans(&state, &records)?;
            for path in orphans {
                self.try_discard(&path)?;
                done.push(format!("removed {}", path.display()));
            }
            Ok(())
        });
        drop(state);
        tx.abandon();
        dropped
    }
}

impl WriteTx<'_> {
    fn repair(
        &mut self,
        broken: &BTreeSet<Digest>,
        lost: &BTreeSet<ChainId>,
        done: &mut Vec<String>,
    ) -> Result<(), Error> {
        for key in self.bad_keys()? {
            self.erase(table::BLOBS, &key)?;
            done.push(format!("removed the record {key:?}"));
        }
        for digest in broken {
            self.erase(table::BLOBS, digest.as_str())?;
        }
        let records = Records::of(self)?;
        for image in records.images.values() {
            self.repair_image(&records, image, lost, done)?;
        }
        self.repair_steps(&records, lost, done)?;
        let records = Records::of(self)?;
        for (name, id) in &records.names {
            if !records.is_named(id.as_str(), name) {
                self.erase(table::REFERENCES, name)?;
                done.push(format!("removed the name {name}, which no image has"));
            }
        }
        self.recount(done)
    }

    fn bad_keys(&self) -> Result<Vec<String>, Error> {
        let blobs = self.fetch_all::<BlobRecord>(table::BLOBS)?.into_iter();
        let keys = blobs.map(|(key, _)| key);
        Ok(keys.filter(|key| Digest::parse(key).is_err()).collect())
    }

    /// Removes an image that cannot be used, or takes out of its record what is not there.
    fn repair_image(
        &mut self,
        records: &Records,
        image: &ImageRecord,
        lost: &BTreeSet<ChainId>,
        done: &mut Vec<String>,
    ) -> Result<(), Error> {
        let id = &image.id;
        let has = |blob: &Digest| records.blobs.contains_key(blob.as_str());
        let needed = [id, &image.manifest, &image.target.digest];
        let stands = |layer: &ChainId| {
            records.layers.contains_key(&layer.to_string()) && !lost.contains(layer)
        };
        if !needed.into_iter().all(has) || !image.layers.iter().all(stands) {
            self.erase(table::IMAGES, id.as_str())?;
            self.erase(table::INCOMPLETE, id.as_str())?;
            for name in image.references.union(&image.repo_digests) {
                if records.names.get(name) == Some(id) {
                    self.erase(table::REFERENCES, name)?;
                }
            }
            let names = match image.references.is_empty() {
                true => "without a name".to_owned(),
                false => image
                    .references
                    .iter()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            done.push(format!(
                "removed image {id} ({names}), of which parts are lost: pull it again"
            ));
            return Ok(());
        }
        let mut after = image.clone();
        after.blobs.retain(has);
        if after.blobs != image.blobs {
            let gone: BTreeSet<Digest> = image.blobs.difference(&after.blobs).cloned().collect();
            self.store(table::INCOMPLETE, id.as_str(), &gone)?;
            done.push(format!(
                "image {id} goes on without {} compressed layers: the next pull fetches them",
                gone.len()
            ));
        }
        for name in image.references.union(&image.repo_digests) {
            match records.names.get(name) {
                Some(owner) if owner == id => {}
                Some(owner) if records.is_named(owner.as_str(), name) => {
                    after.references.remove(name);
                    after.repo_digests.remove(name);
                    done.push(format!("{name} is the name of {owner} alone"));
                }
                _ => {
                    self.store(table::REFERENCES, name, id)?;
                    done.push(format!("{name} is a name of {id} again"));
                }
            }
        }
        if after != *image {
            self.store(table::IMAGES, id.as_str(), &after)?;
        }
        Ok(())
    }

    /// Forgets the steps of builds whose layer or blob is not whole: the next build does them again.
    fn repair_steps(
        &mut self,
        records: &Records,
        lost: &BTreeSet<ChainId>,
        done: &mut Vec<String>,
    ) -> Result<(), Error> {
        for (key, step) in &records.steps {
            let Some(layer) = &step.layer else { continue };
            let stands = records.layers.contains_key(&layer.chain_id.to_string())
                && !lost.contains(&layer.chain_id);
            if !stands || !records.blobs.contains_key(layer.blob.digest.as_str()) {
                self.erase(table::STEPS, key)?;
                done.push(format!(
                    "removed a step of the build cache, of which parts are lost: {}",
                    step.description
                ));
            }
        }
        Ok(())
    }

    /// Counts anew. What nothing holds goes with the end of this change.
    fn recount(&mut self, done: &mut Vec<String>) -> Result<(), Error> {
        let records = Records::of(self)?;
        let mut changed = 0;
        let holders = records.blob_holders();
        for (key, blob) in &records.blobs {
            let references = holders.get(key).copied().unwrap_or(0);
            if references == 0
                && let Ok(digest) = Digest::parse(key)
            {
                self.loose.blobs.insert(digest);
            }
            if references != blob.references {
                let blob = BlobRecord {
                    references,
                    ..*blob
                };
                self.store(table::BLOBS, key, &blob)?;
                changed += 1;
            }
        }
        let holders = records.layer_holders();
        for (key, layer) in &records.layers {
            let references = holders.get(key).copied().unwrap_or(0);
            if references == 0 {
                self.loose.layers.insert(layer.chain_id.clone());
            }
            if references != layer.references {
                let layer = crate::LayerRecord {
                    references,
                    ..layer.clone()
                };
                self.store(table::LAYERS, key, &layer)?;
                changed += 1;
            }
        }
        let usage = records.usage();
        if *self.usage()? != usage {
            *self.usage()? = usage;
            changed += 1;
        }
        if changed > 0 {
            done.push(format!("counted anew: {changed} counts were wrong"));
        }
        Ok(())
    }
}

//! Proving the store: every record against every file, every count against its holders.
//!
//! The daemon runs it on its own open store (`system check`); tests run it after every crash they make. Nothing is
//! changed here: `repair.rs`. Whether a layer has all its files is for `image` to say, who can unpack.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use onggi_model::Digest;

use crate::blob::{BlobRecord, hash_file};
use crate::catalogue::{ReadTx, WriteTx, table};
use crate::store::{Inner, State, list};
use crate::{
    ChainId, Error, ImageRecord, LayerRecord, RootRecord, StepLayer, StepRecord, Store, Usage,
};

/// How much of the disk a check reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Names and sizes.
    Names,
    /// Also the content of every blob, hashed.
    Content,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Everything that is not as it should be.
    pub problems: Vec<Problem>,
    /// What there is, counted.
    pub usage: Usage,
}

impl Report {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A file or directory that no record knows.
    Orphan(PathBuf),
    /// A record whose file or directory is not there.
    Missing(PathBuf),
    /// A blob of another size than its record says.
    Size {
        /// The blob.
        digest: Digest,
        /// Size by the record.
        expected: u64,
        /// Size of the file.
        found: u64,
    },
    /// A blob whose content is not what its name says.
    Content(Digest),
    /// A record that names another that is not there.
    Dangling {
        /// Who names it.
        from: String,
        /// What is not there.
        to: String,
    },
    /// A reference count that is not the number of holders.
    References {
        /// Of what.
        of: String,
        /// Count in the record.
        expected: u64,
        /// Holders found.
        found: u64,
    },
    /// A key that does not read as what it should be.
    Key(String),
    /// Counters that do not match the records.
    Usage {
        /// Counters in the catalogue.
        expected: Usage,
        /// Counted.
        found: Usage,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Orphan(path) => write!(formatter, "{} belongs to nothing", path.display()),
            Problem::Missing(path) => write!(formatter, "{} is missing", path.display()),
            Problem::Size {
                digest,
                expected,
                found,
            } => {
                write!(
                    formatter,
                    "blob {digest} has {found} bytes instead of {expected}"
                )
            }
            Problem::Content(digest) => write!(formatter, "blob {digest} has other content"),
            Problem::Dangling { from, to } => {
                write!(formatter, "{from} names {to}, which is not there")
            }
            Problem::References {
                of,
                expected,
                found,
            } => {
                write!(formatter, "{of} has {found} holders instead of {expected}")
            }
            Problem::Key(key) => write!(formatter, "{key:?} is no valid key"),
            Problem::Usage { expected, found } => {
                write!(formatter, "counters say {expected:?}, counted {found:?}")
            }
        }
    }
}

/// Everything the catalogue has, at one moment.
pub(crate) struct Records {
    pub(crate) images: BTreeMap<String, ImageRecord>,
    /// Names and the images that have them.
    pub(crate) names: BTreeMap<String, Digest>,
    pub(crate) layers: BTreeMap<String, LayerRecord>,
    pub(crate) blobs: BTreeMap<String, BlobRecord>,
    pub(crate) roots: BTreeMap<String, RootRecord>,
    pub(crate) steps: BTreeMap<String, StepRecord>,
}

impl Records {
    fn read(tx: &ReadTx) -> Result<Records, Error> {
        Ok(Records {
            images: tx.fetch_all(table::IMAGES, "")?.into_iter().collect(),
            names: tx.fetch_all(table::REFERENCES, "")?.into_iter().collect(),
            layers: tx.fetch_all(table::LAYERS, "")?.into_iter().collect(),
            blobs: tx.fetch_all(table::BLOBS, "")?.into_iter().collect(),
            roots: tx.fetch_all(table::ROOTS, "")?.into_iter().collect(),
            steps: tx.fetch_all(table::STEPS, "")?.into_iter().collect(),
        })
    }

    /// With what the change did to them.
    pub(crate) fn of(tx: &WriteTx<'_>) -> Result<Records, Error> {
        Ok(Records {
            images: tx.fetch_all(table::IMAGES)?.into_iter().collect(),
            names: tx.fetch_all(table::REFERENCES)?.into_iter().collect(),
            layers: tx.fetch_all(table::LAYERS)?.into_iter().collect(),
            blobs: tx.fetch_all(table::BLOBS)?.into_iter().collect(),
            roots: tx.fetch_all(table::ROOTS)?.into_iter().collect(),
            steps: tx.fetch_all(table::STEPS)?.into_iter().collect(),
        })
    }

    /// How many hold each blob.
    pub(crate) fn blob_holders(&self) -> BTreeMap<String, u64> {
        let mut holders: BTreeMap<String, u64> = BTreeMap::new();
        let images = self.images.values().flat_map(ImageRecord::kept_blobs);
        let steps = self.step_layers().map(|layer| layer.blob.digest.clone());
        for blob in images.chain(steps) {
            *holders.entry(blob.to_string()).or_default() += 1;
        }
        holders
    }

    /// The layers that steps of builds left.
    fn step_layers(&self) -> impl Iterator<Item = &StepLayer> {
        self.steps.values().filter_map(|step| step.layer.as_ref())
    }

    /// How many hold each layer: images, roots, steps and layers above.
    pub(crate) fn layer_holders(&self) -> BTreeMap<String, u64> {
        let mut holders: BTreeMap<String, u64> = BTreeMap::new();
        let images = self.images.values().filter_map(|image| image.layers.last());
        let roots = self.roots.values().filter_map(|root| root.top.as_ref());
        let layers = self
            .layers
            .values()
            .filter_map(|layer| layer.parent.as_ref());
        let steps = self.step_layers().map(|layer| &layer.chain_id);
        for layer in images.chain(roots).chain(steps).chain(layers) {
            *holders.entry(layer.to_string()).or_default() += 1;
        }
        holders
    }

    /// What the counters should say.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            blobs: self.blobs.len() as u64,
            blob_bytes: self.blobs.values().map(|record| record.size).sum(),
            layers: self.layers.len() as u64,
            layer_bytes: self.layers.values().map(|record| record.size).sum(),
            images: self.images.len() as u64,
            roots: self.roots.len() as u64,
        }
    }

    /// Whether that image has that name.
    pub(crate) fn is_named(&self, id: &str, name: &String) -> bool {
        self.images.get(id).is_some_and(|image| {
            image.references.contains(name) || image.repo_digests.contains(name)
        })
    }

    /// The catalogue against itself.
    fn compare(&self, problems: &mut Vec<Problem>) {
        let mut dangling = |from: &str, to: String| {
            let from = from.to_owned();
            problems.push(Problem::Dangling { from, to });
        };
        let has_layer = |layer: &ChainId| self.layers.contains_key(&layer.to_string());
        for (id, image) in &self.images {
            for layer in image.layers.iter().filter(|layer| !has_layer(layer)) {
                dangling(id, layer.to_string());
            }
            for name in image.references.union(&image.repo_digests) {
                if self
                    .names
                    .get(name)
                    .is_none_or(|owner| owner.as_str() != id)
                {
                    dangling(id, name.clone());
                }
            }
            for blob in image.kept_blobs() {
                if !self.blobs.contains_key(blob.as_str()) {
                    dangling(id, blob.to_string());
                }
            }
        }
        for (name, id) in &self.names {
            if !self.is_named(id.as_str(), name) {
                dangling(name, id.to_string());
            }
        }
        for (container, root) in &self.roots {
            if let Some(top) = root.top.as_ref().filter(|top| !has_layer(top)) {
                dangling(container, top.to_string());
            }
        }
        for (key, step) in &self.steps {
            let Some(layer) = &step.layer else { continue };
            if !has_layer(&layer.chain_id) {
                dangling(key, layer.chain_id.to_string());
            }
            if !self.blobs.contains_key(layer.blob.digest.as_str()) {
                dangling(key, layer.blob.digest.to_string());
            }
        }
        for (key, layer) in &self.layers {
            if let Some(parent) = layer.parent.as_ref().filter(|parent| !has_layer(parent)) {
                dangling(key, parent.to_string());
            }
        }
        let mut count = |kind: &str, key: &str, expected: u64, holders: &BTreeMap<String, u64>| {
            let found = holders.get(key).copied().unwrap_or(0);
            if found != expected {
                problems.push(Problem::References {
                    of: format!("{kind} {key}"),
                    expected,
                    found,
                });
            }
        };
        let holders = self.layer_holders();
        for (key, layer) in &self.layers {
            count("layer", key, layer.references, &holders);
        }
        let holders = self.blob_holders();
        for (key, blob) in &self.blobs {
            count("blob", key, blob.references, &holders);
        }
    }
}

impl Store {
    /// Compares the catalogue with itself and with the disk. Pending objects are in order while they are pending, and so
    /// is what is being written. Others wait while names are compared, not while content is read.
    ///
    /// # Errors
    /// [`Error::Catalogue`] and [`Error::File`] when looking fails; what is found wrong is in the report.
    pub fn check(&self, depth: Depth) -> Result<Report, Error> {
        self.inner.check(depth)
    }
}

impl Inner {
    fn check(&self, depth: Depth) -> Result<Report, Error> {
        let mut problems = Vec::new();
        // Held while names are compared, so that nothing moves.
        let state = self.state();
        let reader = self.catalogue.reader()?;
        let records = Records::read(&reader)?;
        let counters = reader.usage()?;
        drop(reader);
        records.compare(&mut problems);
        let digests = self.compare_files(&records, &mut problems);
        let orphans = self.orphans(&state, &records)?;
        drop(state);
        problems.extend(orphans.into_iter().map(Problem::Orphan));
        let usage = records.usage();
        if usage != counters {
            problems.push(Problem::Usage {
                expected: counters,
                found: usage,
            });
        }
        if depth == Depth::Content {
            for digest in digests {
                let path = self.layout.blob(&digest);
                match hash_file(digest.algorithm(), &path) {
                    Ok(found) if found == digest => {}
                    Ok(_) => problems.push(Problem::Content(digest)),
                    // Removed since: in order.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    // A disk that cannot read it back: the content is lost all the same.
                    Err(error) => {
                        tracing::error!(path = %path.display(), %error, "a blob cannot be read");
                        problems.push(Problem::Content(digest));
                    }
                }
            }
        }
        Ok(Report { problems, usage })
    }

    /// Records against their files; the blobs whose content can be read.
    fn compare_files(&self, records: &Records, problems: &mut Vec<Problem>) -> Vec<Digest> {
        let mut digests = Vec::new();
        for (key, record) in &records.blobs {
            let Ok(digest) = Digest::parse(key) else {
                problems.push(Problem::Key(key.clone()));
                continue;
            };
            let path = self.layout.blob(&digest);
            match std::fs::symlink_metadata(&path) {
                Ok(status) if status.is_file() && status.len() == record.size => {
                    digests.push(digest);
                }
                Ok(status) => problems.push(Problem::Size {
                    digest,
                    expected: record.size,
                    found: status.len(),
                }),
                Err(_) => problems.push(Problem::Missing(path)),
            }
        }
        for record in records.layers.values() {
            let path = self.layout.layer(record.number);
            if !path.is_dir() {
                problems.push(Problem::Missing(path));
            }
        }
        digests
    }

    /// Files and directories that belong to nothing.
    pub(crate) fn orphans(&self, state: &State, records: &Records) -> Result<Vec<PathBuf>, Error> {
        let layout = &self.layout;
        let mut known: HashSet<PathBuf> = HashSet::from([layout.layer(0), layout.trash.clone()]);
        known.extend(state.temporary.iter().cloned());
        known.extend(state.blobs.keys().map(|digest| layout.blob(digest)));
        let pending = state.layers.values().map(|layer| layer.record.number);
        let layers = records.layers.values().map(|layer| layer.number);
        known.extend(layers.chain(pending).map(|number| layout.layer(number)));
        let blobs = records
            .blobs
            .keys()
            .filter_map(|key| Digest::parse(key).ok());
        known.extend(blobs.map(|digest| layout.blob(&digest)));
        let containers = records.roots.keys();
        known.extend(containers.map(|container| layout.containers.join(container)));
        let mut orphans = Vec::new();
        for place in [
            &layout.blobs.join("sha256"),
            &layout.blobs.join("sha512"),
            &layout.layers,
            &layout.containers,
            &layout.tmp,
        ] {
            let found = list(place)?.into_iter();
            orphans.extend(found.filter(|path| !known.contains(path)));
        }
        // A blob that the catalogue has does not come from afar any more.
        let is_of_use = |digest: &Digest| {
            state.partials.contains(digest) || !records.blobs.contains_key(digest.as_str())
        };
        let partials = layout.partials()?.into_iter();
        let useless = partials.filter(|(_, digest)| !digest.as_ref().is_some_and(is_of_use));
        orphans.extend(useless.map(|(path, _)| path));
        Ok(orphans)
    }

    /// The blob that lies, or lay, there.
    pub(crate) fn blob_at(&self, path: &Path) -> Option<Digest> {
        let algorithm = path.parent()?.file_name()?.to_str()?;
        let hex = path.file_name()?.to_str()?;
        let digest = Digest::parse(&format!("{algorithm}:{hex}")).ok()?;
        (self.layout.blob(&digest) == path).then_some(digest)
    }
}

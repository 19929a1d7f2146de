//! Proving the store: every record against every file, every count against its holders.
//!
//! The daemon runs it on its own open store (`system check`); tests run it after every crash they make.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::path::PathBuf;

use onggi_model::Digest;

use crate::blob::{BlobRecord, hash_file};
use crate::catalogue::table;
use crate::store::{Inner, list};
use crate::{ChainId, Error, ImageRecord, LayerRecord, RootRecord, Store, Usage};

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

impl Store {
    /// Compares the catalogue with itself and with the disk. Pending objects are in order while they are pending.
    ///
    /// # Errors
    /// [`Error::Catalogue`] and [`Error::File`] when looking fails; what is found wrong is in the report.
    pub fn check(&self, depth: Depth) -> Result<Report, Error> {
        self.inner.check(depth)
    }
}

impl Inner {
    fn check(&self, depth: Depth) -> Result<Report, Error> {
        let mut report = Report::default();
        // Held while names are compared, so that nothing moves; not while content is read.
        let state = self.state();
        let reader = self.catalogue.reader()?;
        let images = reader.fetch_all::<ImageRecord>(table::IMAGES, "")?;
        let names = reader.fetch_all::<Digest>(table::REFERENCES, "")?;
        let layers = reader.fetch_all::<LayerRecord>(table::LAYERS, "")?;
        let blobs = reader.fetch_all::<BlobRecord>(table::BLOBS, "")?;
        let roots = reader.fetch_all::<RootRecord>(table::ROOTS, "")?;
        let counters = reader.usage()?;
        let problems = &mut report.problems;

        let mut blob_holders: BTreeMap<String, u64> = BTreeMap::new();
        let mut layer_holders: BTreeMap<ChainId, u64> = BTreeMap::new();
        let known: BTreeMap<ChainId, &LayerRecord> = layers
            .iter()
            .map(|(_, record)| (record.chain_id.clone(), record))
            .collect();
        for (id, image) in &images {
            for blob in image.kept_blobs() {
                *blob_holders.entry(blob.to_string()).or_default() += 1;
            }
            if let Some(top) = image.layers.last() {
                *layer_holders.entry(top.clone()).or_default() += 1;
            }
            for layer in image
                .layers
                .iter()
                .filter(|layer| !known.contains_key(layer))
            {
                problems.push(Problem::Dangling {
                    from: id.clone(),
                    to: layer.to_string(),
                });
            }
            let named: BTreeSet<&String> =
                image.references.iter().chain(&image.repo_digests).collect();
            for name in named {
                if !names
                    .iter()
                    .any(|(key, owner)| key == name && owner.as_str() == id)
                {
                    problems.push(Problem::Dangling {
                        from: id.clone(),
                        to: name.clone(),
                    });
                }
            }
        }
        for (name, id) in &names {
            let owner = images.iter().find(|(key, _)| key == id.as_str());
            if !owner.is_some_and(|(_, image)| {
                image.references.contains(name) || image.repo_digests.contains(name)
            }) {
                problems.push(Problem::Dangling {
                    from: name.clone(),
                    to: id.to_string(),
                });
            }
        }
        for (container, root) in &roots {
            if let Some(top) = &root.top {
                *layer_holders.entry(top.clone()).or_default() += 1;
                if !known.contains_key(top) {
                    problems.push(Problem::Dangling {
                        from: container.clone(),
                        to: top.to_string(),
                    });
                }
            }
        }
        for (_, layer) in &layers {
            if let Some(parent) = &layer.parent {
                *layer_holders.entry(parent.clone()).or_default() += 1;
                if !known.contains_key(parent) {
                    let from = layer.chain_id.to_string();
                    problems.push(Problem::Dangling {
                        from,
                        to: parent.to_string(),
                    });
                }
            }
        }
        for (_, layer) in &layers {
            let found = layer_holders.get(&layer.chain_id).copied().unwrap_or(0);
            if found != layer.references {
                let of = format!("layer {}", layer.chain_id);
                problems.push(Problem::References {
                    of,
                    expected: layer.references,
                    found,
                });
            }
        }
        for (key, record) in &blobs {
            let found = blob_holders.remove(key).unwrap_or(0);
            if found != record.references {
                let of = format!("blob {key}");
                problems.push(Problem::References {
                    of,
                    expected: record.references,
                    found,
                });
            }
        }
        for blob in blob_holders.into_keys() {
            problems.push(Problem::Dangling {
                from: "an image".to_owned(),
                to: blob,
            });
        }

        let mut paths: HashSet<PathBuf> = HashSet::new();
        paths.insert(self.layout.layer(0));
        paths.extend(state.blobs.keys().map(|digest| self.layout.blob(digest)));
        paths.extend(
            state
                .layers
                .values()
                .map(|layer| self.layout.layer(layer.record.number)),
        );
        let mut digests = Vec::new();
        for (key, record) in &blobs {
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
                Err(_) => problems.push(Problem::Missing(path.clone())),
            }
            paths.insert(path);
        }
        for (_, record) in &layers {
            let path = self.layout.layer(record.number);
            if !path.is_dir() {
                problems.push(Problem::Missing(path.clone()));
            }
            paths.insert(path);
        }
        for (container, _) in &roots {
            paths.insert(self.layout.containers.join(container));
        }
        let places = [
            self.layout.blobs.join("sha256"),
            self.layout.blobs.join("sha512"),
            self.layout.layers.clone(),
            self.layout.containers.clone(),
        ];
        for place in places {
            let found = list(&place)?;
            problems.extend(
                found
                    .into_iter()
                    .filter(|path| !paths.contains(path))
                    .map(Problem::Orphan),
            );
        }

        report.usage = Usage {
            blobs: blobs.len() as u64,
            blob_bytes: blobs.iter().map(|(_, record)| record.size).sum(),
            layers: layers.len() as u64,
            layer_bytes: layers.iter().map(|(_, record)| record.size).sum(),
            images: images.len() as u64,
            roots: roots.len() as u64,
        };
        if report.usage != counters {
            let problem = Problem::Usage {
                expected: counters,
                found: report.usage,
            };
            report.problems.push(problem);
        }
        drop(reader);
        drop(state);
        if depth == Depth::Content {
            for digest in digests {
                let path = self.layout.blob(&digest);
                match hash_file(digest.algorithm(), &path) {
                    Ok(found) if found == digest => {}
                    Ok(_) => report.problems.push(Problem::Content(digest)),
                    // Removed since: in order.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Error::file("read", &path)(error)),
                }
            }
        }
        Ok(report)
    }
}

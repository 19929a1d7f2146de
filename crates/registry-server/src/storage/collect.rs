//! Collection while serving: what nothing holds goes.
//!
//! A blob goes from a repository when this process saw it unheld and unasked for during the whole grace: a push begins
//! with its blobs and ends with the manifest that holds them, and asking whether a blob is there (which lets a client
//! leave out its upload) counts as a lease. It is checked and removed under the locks that a manifest is put under, so
//! a manifest is refused because a blob is missing or holds it, nothing in between. The pool's file goes when the file
//! system counts no other link.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use onggi_model::{Algorithm, Digest, Timestamp};

use super::index::Index;
use super::{Error, Repository, Result, Storage, files};

/// What may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How long a blob that nothing holds stays.
    pub(crate) grace: Duration,
    /// How long a manifest stays that no tag leads to; `None` for ever.
    pub(crate) untagged: Option<Duration>,
    /// How long an upload stays that nobody goes on with.
    pub(crate) uploads: Duration,
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Manifests.
    pub(crate) manifests: u64,
    /// Links of blobs in repositories.
    pub(crate) blobs: u64,
    /// Files of the pool.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Uploads nobody went on with.
    pub(crate) uploads: u64,
}

impl Storage {
    /// One round.
    ///
    /// # Errors
    /// When the storage cannot be listed; what a single repository has wrong is logged and left alone.
    pub(crate) fn collect(&self, policy: &Policy, now: Instant) -> Result<Collected> {
        let mut collected = Collected {
            uploads: self.uploads.expire(policy.uploads, SystemTime::now()),
            ..Collected::default()
        };
        for name in self.names()? {
            let round = match self.find(&name) {
                Ok(Some(repository)) => repository.collect(policy, now),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match round {
                Ok((manifests, blobs)) => {
                    collected.manifests += manifests;
                    collected.blobs += blobs;
                }
                Err(error) => {
                    let error = onggi_model::chain(&error);
                    tracing::warn!(repository = %name, error, "not collected");
                }
            }
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let folder = self.root.join("blobs").join(algorithm.as_str());
            for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
                let entry = entry.map_err(Error::file("read", &folder))?;
                let Ok(data) = entry.metadata() else {
                    continue;
                };
                // Somebody may take a link just now: then the repository has the bytes, and the pool does not.
                if data.is_file() && data.nlink() == 1 && files::remove(&entry.path())? {
                    collected.files += 1;
                    collected.bytes += data.len();
                }
            }
        }
        Ok(collected)
    }
}

impl Repository {
    /// How many manifests and blobs went.
    fn collect(&self, policy: &Policy, now: Instant) -> Result<(u64, u64)> {
        let manifests = match policy.untagged {
            Some(age) => self.remove_untagged(age)?,
            None => 0,
        };
        // Most manifests are read before anybody has to wait.
        let before = self.index();
        let mut live = HashSet::new();
        self.mark(&before, None, &mut live)?;
        let _changing = self.changing();
        let index = self.index();
        self.mark(&index, Some(&before), &mut live)?;
        let mut blobs = 0;
        let mut found = HashSet::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let folder = self.folder().join("blobs").join(algorithm.as_str());
            for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
                let entry = entry.map_err(Error::file("read", &folder))?;
                let name = entry.file_name();
                let text = format!("{}:{}", algorithm.as_str(), name.to_string_lossy());
                let Ok(digest) = Digest::parse(&text) else {
                    continue;
                };
                if live.contains(&digest) {
                    continue;
                }
                let mut suspects = self.suspects();
                let since = *suspects.entry(digest.clone()).or_insert(now);
                if now.saturating_duration_since(since) >= policy.grace {
                    blobs += u64::from(files::remove(&entry.path())?);
                    suspects.remove(&digest);
                } else {
                    found.insert(digest);
                }
            }
        }
        self.suspects().retain(|digest, _| found.contains(digest));
        Ok((manifests, blobs))
    }

    /// Adds what the manifests of an index hold, but for those that another index has, too.
    fn mark(&self, index: &Index, known: Option<&Index>, live: &mut HashSet<Digest>) -> Result<()> {
        for (digest, _) in index.manifests() {
            if known.is_some_and(|known| known.manifest(digest).is_some()) {
                continue;
            }
            live.extend(self.document(index, digest)?.names().cloned());
            live.insert(digest.clone());
        }
        Ok(())
    }

    /// Manifests that no tag leads to, that no index lists and that speak about nothing that is there.
    fn remove_untagged(&self, age: Duration) -> Result<u64> {
        let old = |since: Timestamp| Timestamp::now().since(since) >= age;
        let candidate = |index: &Index| {
            let mut entries = index.manifests();
            entries.any(|(_, entry)| entry.untagged.is_some_and(old))
        };
        if !candidate(&self.index()) {
            return Ok(0);
        }
        let changing = self.changing();
        let mut index = Index::clone(&self.index());
        let mut removed = 0;
        // What an index listed may go after it, in the same round.
        loop {
            let mut held = HashSet::new();
            for (digest, _) in index.manifests() {
                held.extend(self.document(&index, digest)?.manifests().iter().cloned());
            }
            let speaks = |subject: &Digest| index.manifest(subject).is_some();
            let gone: Vec<Digest> = index
                .manifests()
                .filter(|(digest, entry)| {
                    entry.untagged.is_some_and(old)
                        && !held.contains(digest)
                        && !entry.subject.as_ref().is_some_and(speaks)
                })
                .map(|(digest, _)| digest.clone())
                .collect();
            if gone.is_empty() {
                break;
            }
            for digest in gone {
                removed += u64::from(index.remove(&digest));
            }
        }
        if removed > 0 {
            self.publish(&changing, index)?;
        }
        Ok(removed)
    }
}

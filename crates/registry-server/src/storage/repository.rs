//! One repository: an OCI image layout.
//!
//! Kept true: the index names only manifests whose content is there whole, checked under the same lock that collection
//! takes. Readers take a snapshot of the index and never wait for a writer.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use onggi_model::{Digest, Timestamp};

use super::index::{Entry, Index};
use super::{Error, Result, files};
use crate::document::Document;

/// A repository. All changes go through one value: see `Storage::load`.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The storage's root, which has the folder for temporary files.
    root: PathBuf,
    folder: PathBuf,
    index: RwLock<Arc<Index>>,
    /// Held by who changes the index or collects.
    change: Mutex<()>,
    /// Blobs that nothing held when collection last looked, and since when.
    pub(super) suspects: Mutex<HashMap<Digest, Instant>>,
}

/// What became of an attempt to link a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// The repository has the blob.
    Done,
    /// There is no such file.
    Missing,
    /// The file has all the links it can have.
    Full,
}

/// What of a manifest's content must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Blobs, and the manifests of an index.
    Everything,
    /// Blobs; an index may list manifests that are elsewhere.
    Blobs,
    /// Nothing: it will be fetched.
    Nothing,
}

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there.
    Done,
    /// It names content that the repository does not have.
    Missing(Vec<Digest>),
}

/// What became of a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is gone.
    Done,
    /// It was not there.
    Absent,
    /// This manifest needs it.
    Held(Digest),
}

impl Repository {
    pub(super) fn open(root: &Path, folder: &Path) -> Result<Repository> {
        let path = folder.join("index.json");
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        let index = Index::parse(&bytes).map_err(|source| Error::Index { path, source })?;
        Ok(Repository {
            root: root.to_owned(),
            folder: folder.to_owned(),
            index: RwLock::new(Arc::new(index)),
            change: Mutex::new(()),
            suspects: Mutex::default(),
        })
    }

    /// Tags and manifests as they are just now.
    pub(crate) fn index(&self) -> Arc<Index> {
        self.index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps everybody else from changing the index.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an index and shows it to everybody. The caller holds the lock.
    pub(super) fn publish(&self, _: &MutexGuard<'_, ()>, index: Index) -> Result<()> {
        let path = self.folder.join("index.json");
        files::replace(&self.root, &path, &index.to_bytes())?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        Ok(())
    }

    /// Opens a blob; `None` when the repository does not have it. Asking for it keeps collection away for a while.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<Option<(File, u64)>> {
        let path = files::blob(&self.folder, digest);
        let mut suspects = self.suspects();
        suspects.remove(digest);
        let Some(file) = files::open(&path)? else {
            return Ok(None);
        };
        drop(suspects);
        let size = file.metadata().map_err(Error::file("stat", &path))?.len();
        Ok(Some((file, size)))
    }

    /// The whole bytes of a manifest.
    ///
    /// # Errors
    /// When they are not there, or the disk says so.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = files::blob(&self.folder, digest);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(Error::file("read", &path))?;
        Ok(bytes)
    }

    /// Links a file as the blob of that digest, which the caller has checked and has on disk. It is durable when this
    /// returns.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn link(&self, from: &Path, digest: &Digest) -> Result<Linked> {
        let path = files::blob(&self.folder, digest);
        let mut suspects = self.suspects();
        suspects.remove(digest);
        match fs::hard_link(from, &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Linked::Done),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Linked::Missing),
            Err(error) if error.kind() == io::ErrorKind::TooManyLinks => return Ok(Linked::Full),
            Err(error) => return Err(Error::file("link", &path)(error)),
        }
        drop(suspects);
        files::sync_folder(path.parent().unwrap_or(&self.folder))?;
        Ok(Linked::Done)
    }

    /// Takes a blob over from another repository; whether it could.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn mount(&self, from: &Repository, digest: &Digest) -> Result<bool> {
        let linked = self.link(&files::blob(&from.folder, digest), digest)?;
        Ok(linked == Linked::Done)
    }

    /// Puts a manifest, and a tag if one is given, when what it names is there as far as `check` says.
    ///
    /// # Errors
    /// When the disk says so; nothing has changed then.
    pub(crate) fn put(
        &self,
        digest: &Digest,
        bytes: &[u8],
        document: &Document,
        tag: Option<&str>,
        check: Check,
    ) -> Result<Put> {
        let changing = self.changing();
        let before = self.index();
        let mut missing = Vec::new();
        if check != Check::Nothing {
            let there = |digest: &&Digest| files::blob(&self.folder, digest).is_file();
            missing.extend(document.blobs().filter(|d| !there(d)).cloned());
        }
        if check == Check::Everything {
            let there = |digest: &&Digest| before.manifest(digest).is_some();
            missing.extend(document.manifests().iter().filter(|d| !there(d)).cloned());
        }
        if !missing.is_empty() {
            return Ok(Put::Missing(missing));
        }
        let new = files::temporary(&self.root);
        let linked = files::write(&new, bytes).and_then(|()| self.link(&new, digest));
        let _ = fs::remove_file(&new);
        linked?;
        let now = Timestamp::now();
        let mut index = Index::clone(&before);
        let entry = Entry {
            media_type: document.media_type().to_owned(),
            size: bytes.len() as u64,
            subject: document.subject().cloned(),
            untagged: match before.manifest(digest) {
                Some(entry) => entry.untagged,
                None => Some(now),
            },
        };
        index.insert(digest, entry);
        if let Some(tag) = tag {
            index.set_tag(tag, digest, now);
        }
        if index != *before {
            self.publish(&changing, index)?;
        }
        Ok(Put::Done)
    }

    /// Lets a tag lead to a manifest that is there.
    ///
    /// # Errors
    /// When the disk says so; nothing has changed then.
    pub(crate) fn tag(&self, tag: &str, digest: &Digest) -> Result<bool> {
        let changing = self.changing();
        let before = self.index();
        if before.manifest(digest).is_none() {
            return Ok(false);
        }
        if before.tag(tag) != Some(digest) {
            let mut index = Index::clone(&before);
            index.set_tag(tag, digest, Timestamp::now());
            self.publish(&changing, index)?;
        }
        Ok(true)
    }

    /// Takes a tag away.
    ///
    /// # Errors
    /// When the disk says so; nothing has changed then.
    pub(crate) fn remove_tag(&self, tag: &str) -> Result<Removal> {
        let changing = self.changing();
        let mut index = Index::clone(&self.index());
        if !index.remove_tag(tag, Timestamp::now()) {
            return Ok(Removal::Absent);
        }
        self.publish(&changing, index)?;
        Ok(Removal::Done)
    }

    /// Takes a manifest and its tags away, unless an index needs it.
    ///
    /// # Errors
    /// When the disk says so; nothing has changed then.
    pub(crate) fn remove_manifest(&self, digest: &Digest) -> Result<Removal> {
        let changing = self.changing();
        let mut index = Index::clone(&self.index());
        if !index.remove(digest) {
            return Ok(Removal::Absent);
        }
        if let Some(holder) = self.holder(&index, digest)? {
            return Ok(Removal::Held(holder));
        }
        self.publish(&changing, index)?;
        Ok(Removal::Done)
    }

    /// Takes a blob away, unless a manifest needs it.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn remove_blob(&self, digest: &Digest) -> Result<Removal> {
        let _changing = self.changing();
        let index = self.index();
        let path = files::blob(&self.folder, digest);
        if !path.is_file() {
            return Ok(Removal::Absent);
        }
        if index.manifest(digest).is_some() {
            return Ok(Removal::Held(digest.clone()));
        }
        if let Some(holder) = self.holder(&index, digest)? {
            return Ok(Removal::Held(holder));
        }
        Ok(match files::remove(&path)? {
            true => Removal::Done,
            false => Removal::Absent,
        })
    }

    /// A manifest of the index that names this digest.
    fn holder(&self, index: &Index, digest: &Digest) -> Result<Option<Digest>> {
        for (manifest, _) in index.manifests() {
            if self.document(index, manifest)?.names().any(|d| d == digest) {
                return Ok(Some(manifest.clone()));
            }
        }
        Ok(None)
    }

    /// Reads a manifest of the index.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub(crate) fn document(&self, index: &Index, digest: &Digest) -> Result<Document> {
        let said = index
            .manifest(digest)
            .map(|entry| entry.media_type.as_str());
        let bytes = self.read(digest)?;
        Document::parse(&bytes, said).map_err(|error| {
            let path = files::blob(&self.folder, digest);
            Error::file("understand", &path)(io::Error::new(io::ErrorKind::InvalidData, error))
        })
    }

    pub(super) fn suspects(&self) -> MutexGuard<'_, HashMap<Digest, Instant>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

//! What is on disk: one OCI image layout for each repository, and a pool of blobs that they share by hard links.
//!
//! ```text
//! ROOT/lock                                   one process a root
//!      tmp/                                   files on their way; emptied at start
//!      uploads/ID/{repository,data}           uploads, across restarts
//!      blobs/ALGORITHM/HEX                    the pool
//!      repositories/NAME/oci-layout           a layout anybody can read; a slash of NAME is written `+`
//!                       /index.json           tags and manifests
//!                       /blobs/ALGORITHM/HEX  hard links of the pool's files
//! ```
//!
//! Kept true: a file has its final name only when its bytes are on disk; a repository has a blob exactly when it has
//! a link of it, so the file system counts the references; `index.json` is replaced as a whole, after everything it
//! names is on disk.
//!
//! Everything here blocks: callers use `onggi_rt::blocking`.

mod collect; // what goes, and when
mod files; // files that are whole or absent
mod index; // index.json
mod repository; // one repository
mod upload; // blobs on their way in

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use onggi_model::{Algorithm, Digest};
use rustix::fs::FlockOperation;

use crate::name::RepositoryName;

pub(crate) use collect::{Collected, Policy};
pub(crate) use repository::{Check, Linked, Put, Removal, Repository};
pub(crate) use upload::{Appending, Upload, UploadId, Uploads, digest_of};

/// Repositories whose index is kept in memory though nobody uses them just now; few in tests, so that they come and go.
const REMEMBERED: usize = if cfg!(test) { 1 } else { 512 };

/// Why the storage did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What the system said.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process serves this root.
    #[error("{} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The file system cannot do what we build on.
    #[error("{} is on a file system without hard links", .0.display())]
    NoLinks(PathBuf),
    /// An `index.json` that is none.
    #[error("{} is not an OCI image index", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Bytes that are not what they were said to be.
    #[error("the content does not have the digest {0}")]
    Digest(Digest),
}

impl Error {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { what, path, source }
    }

    /// Whether the disk is full, or the quota.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Error::File { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The storage of one registry.
#[derive(Debug)]
pub(crate) struct Storage {
    root: PathBuf,
    uploads: Arc<Uploads>,
    repositories: Mutex<HashMap<RepositoryName, Arc<Repository>>>,
    _lock: File,
}

impl Storage {
    /// Opens the storage at `root`, which is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it; [`Error::NoLinks`].
    pub(crate) fn open(root: &Path) -> Result<Storage> {
        files::folder(root)?;
        let lock = lock(root)?;
        let tmp = root.join("tmp");
        // What is left there belongs to nobody.
        match fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &tmp)(error));
            }
            _ => files::folder(&tmp)?,
        }
        files::folder(&root.join("repositories"))?;
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            files::folder(&root.join("blobs").join(algorithm.as_str()))?;
        }
        probe(&tmp)?;
        let uploads = Arc::new(Uploads::open(&root.join("uploads"))?);
        Ok(Storage {
            root: root.to_owned(),
            uploads,
            repositories: Mutex::default(),
            _lock: lock,
        })
    }

    /// Blobs on their way in.
    pub(crate) fn uploads(&self) -> &Arc<Uploads> {
        &self.uploads
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The repository, when there is one.
    ///
    /// # Errors
    /// When its index cannot be read.
    pub(crate) fn find(&self, name: &RepositoryName) -> Result<Option<Arc<Repository>>> {
        self.load(name, false)
    }

    /// The repository, made when there is none.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub(crate) fn make(&self, name: &RepositoryName) -> Result<Arc<Repository>> {
        match self.load(name, true)? {
            Some(repository) => Ok(repository),
            // `load` made it.
            None => Err(Error::file("make", &self.folder(name))(
                io::ErrorKind::NotFound.into(),
            )),
        }
    }

    fn load(&self, name: &RepositoryName, make: bool) -> Result<Option<Arc<Repository>>> {
        // Held over the reading: two copies of one repository would not see each other's changes.
        let mut known = self
            .repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = known.get(name) {
            return Ok(Some(repository.clone()));
        }
        let folder = self.folder(name);
        if !folder.is_dir() {
            if !make {
                return Ok(None);
            }
            self.make_layout(&folder)?;
        }
        let repository = Arc::new(Repository::open(&self.root, &folder)?);
        if known.len() >= REMEMBERED {
            // Those under suspicion are known to no file.
            known.retain(|_, repository| {
                Arc::strong_count(repository) > 1 || !repository.suspects().is_empty()
            });
        }
        known.insert(name.clone(), repository.clone());
        Ok(Some(repository))
    }

    fn folder(&self, name: &RepositoryName) -> PathBuf {
        self.root.join("repositories").join(name.file_name())
    }

    /// An empty layout, put in place as a whole.
    fn make_layout(&self, folder: &Path) -> Result<()> {
        let new = files::temporary(&self.root);
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            files::folder(&new.join("blobs").join(algorithm.as_str()))?;
        }
        files::write(
            &new.join("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        files::write(&new.join("index.json"), index::EMPTY)?;
        files::sync_folder(&new.join("blobs"))?;
        files::sync_folder(&new)?;
        fs::rename(&new, folder).map_err(Error::file("make", folder))?;
        files::sync_folder(&self.root.join("repositories"))
    }

    /// The names of all repositories, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<RepositoryName>> {
        let folder = self.root.join("repositories");
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
            let entry = entry.map_err(Error::file("read", &folder))?;
            let name = entry.file_name();
            // What we did not make is not ours to show.
            names.extend(name.to_str().and_then(RepositoryName::from_file_name));
        }
        names.sort();
        Ok(names)
    }

    /// Gives a finished file to a repository, under its digest, which the caller has checked. The file is gone
    /// afterwards.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn adopt(
        &self,
        repository: &Repository,
        file: &Path,
        digest: &Digest,
    ) -> Result<()> {
        let pooled = files::blob(&self.root, digest);
        let linked = repository.link(&pooled, digest)?;
        if linked != Linked::Done {
            files::sync(file)?;
            repository.link(file, digest)?;
            if linked == Linked::Full {
                let _ = fs::remove_file(&pooled);
            }
            match fs::hard_link(file, &pooled) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::file("link", &pooled)(error));
                }
                _ => {}
            }
        }
        fs::remove_file(file).map_err(Error::file("remove", file))
    }

    /// A new file for bytes on their way in; whoever asks for it removes it or has it adopted.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn temporary(&self) -> Result<(PathBuf, File)> {
        let path = files::temporary(&self.root);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        Ok((path, file))
    }
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::file("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked(root.to_owned())),
        Err(errno) => Err(Error::file("lock", &path)(errno.into())),
    }
}

/// Whether the file system has hard links.
fn probe(tmp: &Path) -> Result<()> {
    let (one, two) = (tmp.join("probe"), tmp.join("probe-link"));
    files::write(&one, b"")?;
    let linked = fs::hard_link(&one, &two);
    let _ = fs::remove_file(&two);
    let _ = fs::remove_file(&one);
    linked.map_err(|_| Error::NoLinks(tmp.to_owned()))
}

#[cfg(test)]
mod tests;

//! Uploads: blobs on their way in, in pieces, across connections and across restarts of ours.
//!
//! An upload is a folder with the name of its repository and the bytes so far. The length of that file is how far the
//! upload is. The hash runs along in memory; after a restart it is made of the file when the upload ends.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest as hash;
use onggi_model::{Algorithm, Digest};
use tokio::sync::OwnedMutexGuard;

use super::{Error, Repository, Result, Storage, files};
use crate::name::RepositoryName;

/// The name of an upload: 32 hex digits, not to be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UploadId(String);

impl UploadId {
    /// Parses 32 hex digits; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let good = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| Self(text.to_ascii_lowercase()))
    }

    fn new() -> Self {
        let mut bytes = [0; 16];
        // aws-lc fails here only when the machine has no randomness at all; a name that is taken is refused below.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All uploads.
#[derive(Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
    open: Mutex<HashMap<UploadId, Arc<Upload>>>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    id: UploadId,
    repository: RepositoryName,
    folder: PathBuf,
    offset: AtomicU64,
    /// Held by the request that writes.
    writer: Arc<tokio::sync::Mutex<Writer>>,
}

#[derive(Default)]
struct Writer {
    /// The SHA-256 of all bytes so far, unless we restarted in between.
    hash: Option<hash::Context>,
    /// Nothing may be added any more.
    ended: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The right to add to an upload. Whoever else wants it waits.
#[derive(Debug)]
pub(crate) struct Appending {
    upload: Arc<Upload>,
    writer: OwnedMutexGuard<Writer>,
    file: File,
}

impl Uploads {
    pub(super) fn open(folder: &Path) -> Result<Uploads> {
        files::folder(folder)?;
        Ok(Uploads {
            folder: folder.to_owned(),
            open: Mutex::default(),
        })
    }

    fn open_ones(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Arc<Upload>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are that were begun or gone on with since the start.
    pub(crate) fn count(&self) -> usize {
        self.open_ones().len()
    }

    /// Begins one.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn begin(&self, repository: &RepositoryName) -> Result<Arc<Upload>> {
        let id = UploadId::new();
        let folder = self.folder.join(&id.0);
        fs::create_dir(&folder).map_err(Error::file("make", &folder))?;
        let name = folder.join("repository");
        fs::write(&name, repository.as_str()).map_err(Error::file("write", &name))?;
        let data = folder.join("data");
        File::create(&data).map_err(Error::file("create", &data))?;
        let writer = Writer {
            hash: Some(hash::Context::new(&hash::SHA256)),
            ended: false,
        };
        let upload = Arc::new(Upload {
            id: id.clone(),
            repository: repository.clone(),
            folder,
            offset: AtomicU64::new(0),
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
        });
        self.open_ones().insert(id, upload.clone());
        Ok(upload)
    }

    /// The upload of that name to that repository, even if it was begun before a restart.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) fn find(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<Arc<Upload>>> {
        let mut open = self.open_ones();
        if let Some(upload) = open.get(id) {
            return Ok((upload.repository == *repository).then(|| upload.clone()));
        }
        let folder = self.folder.join(&id.0);
        let name = fs::read_to_string(folder.join("repository")).unwrap_or_default();
        if name != repository.as_str() {
            return Ok(None);
        }
        let Ok(data) = fs::metadata(folder.join("data")) else {
            return Ok(None);
        };
        let upload = Arc::new(Upload {
            id: id.clone(),
            repository: repository.clone(),
            folder,
            offset: AtomicU64::new(data.len()),
            writer: Arc::default(),
        });
        open.insert(id.clone(), upload.clone());
        Ok(Some(upload))
    }

    /// Forgets an upload and what came of it.
    pub(crate) fn discard(&self, upload: &Upload) {
        self.open_ones().remove(&upload.id);
        // What is left, age takes.
        if let Err(error) = fs::remove_dir_all(&upload.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, upload = %upload.id, "not removed");
        }
    }

    /// Removes uploads nobody goes on with; says how many.
    pub(super) fn expire(&self, age: Duration, now: SystemTime) -> u64 {
        let mut expired = 0;
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let folder = entry.path();
            let touched = fs::metadata(folder.join("data")).or_else(|_| fs::metadata(&folder));
            let old = touched
                .and_then(|data| data.modified())
                .is_ok_and(|at| now.duration_since(at).is_ok_and(|passed| passed >= age));
            if !old {
                continue;
            }
            let id = entry.file_name().to_str().and_then(UploadId::parse);
            if let Some(id) = id {
                let mut open = self.open_ones();
                // Somebody writes to it, only slowly.
                if open.get(&id).is_some_and(|u| u.writer.try_lock().is_err()) {
                    continue;
                }
                open.remove(&id);
            }
            if fs::remove_dir_all(&folder).is_ok() {
                expired += 1;
            }
        }
        expired
    }
}

impl Upload {
    /// Its name.
    pub(crate) fn id(&self) -> &UploadId {
        &self.id
    }

    /// Where it goes.
    pub(crate) fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// How many bytes came.
    pub(crate) fn offset(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Waits for the right to add bytes; `None` when somebody else has it for too long, or the upload has ended.
    ///
    /// # Errors
    /// When the disk says so.
    pub(crate) async fn append(self: &Arc<Self>, patience: Duration) -> Result<Option<Appending>> {
        let lock = self.writer.clone().lock_owned();
        let Ok(writer) = tokio::time::timeout(patience, lock).await else {
            return Ok(None);
        };
        let path = self.folder.join("data");
        let file = files::open_for_writing(&path)?;
        let Some(file) = file.filter(|_| !writer.ended) else {
            return Ok(None);
        };
        Ok(Some(Appending {
            upload: self.clone(),
            writer,
            file,
        }))
    }
}

impl Appending {
    /// How many bytes came.
    pub(crate) fn offset(&self) -> u64 {
        self.upload.offset()
    }

    /// Adds bytes. Blocks.
    ///
    /// # Errors
    /// When the disk says so; the bytes so far stay.
    pub(crate) fn add(&mut self, pieces: &[bytes::Bytes]) -> Result<()> {
        for bytes in pieces {
            let offset = self.offset();
            let written = self.file.write_all_at(bytes, offset);
            written.map_err(Error::file("write", &self.upload.folder))?;
            if let Some(hash) = &mut self.writer.hash {
                hash.update(bytes);
            }
            let offset = offset + bytes.len() as u64;
            self.upload.offset.store(offset, Ordering::Release);
        }
        Ok(())
    }

    /// Ends the upload: the bytes become a blob of the repository, if they have that digest. The upload is gone
    /// afterwards. Blocks.
    ///
    /// # Errors
    /// [`Error::Digest`] when they have not.
    pub(crate) fn finish(
        mut self,
        storage: &Storage,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<()> {
        let path = self.upload.folder.join("data");
        let running = self.writer.hash.take();
        // A failed write may have left bytes behind the last good one.
        let cut = self.file.set_len(self.offset());
        cut.map_err(Error::file("truncate", &path))?;
        let hash = match (digest.algorithm(), running) {
            (Algorithm::Sha256, Some(hash)) => Ok(hash.finish()),
            (algorithm, _) => hash_of(&path, algorithm),
        };
        let ended = hash.and_then(|hash| {
            if Digest::from_bytes(digest.algorithm(), hash.as_ref()).as_ref() != Ok(digest) {
                return Err(Error::Digest(digest.clone()));
            }
            storage.adopt(repository, &path, digest)
        });
        // After a full disk the bytes are all there, and the client may end it once more.
        let again = ended
            .as_ref()
            .is_err_and(|error| !matches!(error, Error::Digest(_)));
        if !again {
            self.writer.ended = true;
            storage.uploads().discard(&self.upload);
        }
        ended
    }
}

/// The hash of a file.
fn hash_of(path: &Path, algorithm: Algorithm) -> Result<hash::Digest> {
    let mut hash = hasher(algorithm);
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(Error::file("read", path))? {
            0 => return Ok(hash.finish()),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// A running hash.
fn hasher(algorithm: Algorithm) -> hash::Context {
    hash::Context::new(match algorithm {
        Algorithm::Sha256 => &hash::SHA256,
        Algorithm::Sha512 => &hash::SHA512,
    })
}

/// The digest of bytes.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Option<Digest> {
    let mut hash = hasher(algorithm);
    hash.update(bytes);
    Digest::from_bytes(algorithm, hash.finish().as_ref()).ok()
}

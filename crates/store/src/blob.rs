//! Blobs: immutable files named by the digest of their content.
//!
//! Written under a temporary name while the hash is taken, then renamed. Nothing is synced here: a change that takes
//! a blob into the catalogue syncs first, once for all it takes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use onggi_model::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use crate::catalogue::{WriteTx, table};
use crate::partial::KeepUp;
use crate::{Error, Store};

/// A blob as the catalogue knows it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct BlobRecord {
    pub(crate) size: u64,
    pub(crate) references: u64,
}

/// A blob being written. Dropped before its commit it leaves nothing.
pub struct Ingest {
    pub(crate) store: Store,
    pub(crate) file: File,
    pub(crate) path: Option<PathBuf>,
    pub(crate) algorithm: Algorithm,
    pub(crate) hash: Context,
    pub(crate) size: u64,
    /// Bytes that are in the file already and are only hashed.
    pub(crate) known: u64,
    /// Set when the file is what is left of a transfer of this blob ([`Store::resume`]).
    pub(crate) partial: Option<Digest>,
    pub(crate) keep_up: Option<KeepUp>,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ingest")
            .field("path", &self.path)
            .field("size", &self.size)
            .finish()
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match usize::try_from(self.known.saturating_sub(self.size)) {
            Ok(0) => self.file.write(bytes)?,
            Ok(known) => known.min(bytes.len()),
            Err(_) => bytes.len(),
        };
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        if let Some(keep_up) = &mut self.keep_up {
            keep_up.written(&self.file);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Ingest {
    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes what was written a blob, if it is what was expected. It is pending: there for everyone, but gone after a
    /// crash and subject to collection when no lease protects it, until something that holds it is committed.
    ///
    /// # Errors
    /// [`Error::Digest`] when the content is something else; [`Error::File`].
    pub fn commit(mut self, expected: Option<&Digest>) -> Result<Digest, Error> {
        let path = self.path.clone().unwrap_or_default();
        let hash = std::mem::replace(&mut self.hash, context(self.algorithm));
        let mut found = finish(self.algorithm, hash);
        if let Some(expected) = expected {
            if expected.algorithm() != self.algorithm {
                let file = File::open(&path).map_err(Error::file("open", &path))?;
                found = hash_of(expected.algorithm(), file).map_err(Error::file("read", &path))?;
            }
            if *expected != found {
                return Err(Error::Digest {
                    expected: expected.clone(),
                    found,
                });
            }
        }
        let inner = Arc::clone(&self.store.inner);
        let mut state = inner.state();
        if inner.find_blob(&mut state, &found)?.is_some() {
            return Ok(found);
        }
        let to = inner.layout.blob(&found);
        // Under its old name it is what the next pull begins with, should nothing come of this one.
        let linked = self.partial.is_some() && std::fs::hard_link(&path, &to).is_ok();
        if !linked {
            std::fs::rename(&path, &to).map_err(Error::file("rename", &path))?;
        }
        self.path = None;
        state.not_temporary(&path);
        state.add_blob(found.clone(), self.size);
        Ok(found)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "temporary blob stays until the next start");
            }
            self.store.inner.state().not_temporary(path);
        }
        if let Some(digest) = &self.partial {
            self.store.inner.release_partial(digest);
        }
    }
}

impl Store {
    /// A new blob to write, hashed with SHA-256 while it comes in.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn ingest(&self) -> Result<Ingest, Error> {
        self.ingest_as(Algorithm::Sha256)
    }

    /// As [`Store::ingest`], for content named by another algorithm.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn ingest_as(&self, algorithm: Algorithm) -> Result<Ingest, Error> {
        let name = format!("blob-{}", self.inner.next_temporary());
        let path = self.inner.layout.tmp.join(name);
        self.inner.state().temporary.insert(path.clone());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .inspect_err(|_| self.inner.state().not_temporary(&path))
            .map_err(Error::file("create", &path))?;
        let hash = context(algorithm);
        Ok(Ingest {
            store: self.clone(),
            file,
            path: Some(path),
            algorithm,
            hash,
            size: 0,
            known: 0,
            partial: None,
            keep_up: None,
        })
    }

    /// Writes a whole small blob: a manifest, a configuration.
    ///
    /// # Errors
    /// As [`Ingest::commit`].
    pub fn put_blob(&self, bytes: &[u8], expected: Option<&Digest>) -> Result<Digest, Error> {
        let algorithm = expected.map_or(Algorithm::Sha256, Digest::algorithm);
        let mut ingest = self.ingest_as(algorithm)?;
        ingest
            .write_all(bytes)
            .map_err(Error::file("write", self.inner.layout.tmp.as_path()))?;
        ingest.commit(expected)
    }

    /// Opens a blob for reading. Under a live lease it stays until the lease ends.
    ///
    /// # Errors
    /// [`Error::NoBlob`], [`Error::Catalogue`], [`Error::File`].
    pub fn blob(&self, digest: &Digest) -> Result<File, Error> {
        let mut state = self.inner.state();
        if self.inner.find_blob(&mut state, digest)?.is_none() {
            return Err(Error::NoBlob(digest.clone()));
        }
        let path = self.inner.layout.blob(digest);
        File::open(&path).map_err(Error::file("open", &path))
    }

    /// The content of a blob of at most `limit` bytes: documents.
    ///
    /// # Errors
    /// As [`Store::blob`]; a larger blob is [`Error::File`] with `FileTooLarge`.
    pub fn blob_bytes(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Error> {
        let file = self.blob(digest)?;
        let path = self.inner.layout.blob(digest);
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::file("read", &path))?;
        if bytes.len() as u64 > limit {
            return Err(Error::file("read", &path)(io::Error::from(
                io::ErrorKind::FileTooLarge,
            )));
        }
        Ok(bytes)
    }

    /// Whether the blob is there. Under a live lease it then stays until the lease ends.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.blob_size(digest)?.is_some())
    }

    /// The size of the blob in bytes; `None` when it is not there. Under a live lease it stays until the lease ends.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let mut state = self.inner.state();
        self.inner.find_blob(&mut state, digest)
    }

    /// Where a blob lies. The file may go at any moment that no lease protects it.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.layout.blob(digest)
    }
}

impl WriteTx<'_> {
    /// Adds a holder to a blob, taking it out of the pending ones if need be.
    ///
    /// # Errors
    /// [`Error::NoBlob`], [`Error::Catalogue`].
    pub fn hold_blob(&mut self, digest: &Digest) -> Result<(), Error> {
        let mut record = match self.fetch::<BlobRecord>(table::BLOBS, digest.as_str())? {
            Some(record) => record,
            None => {
                let size = self.inner.adopt_blob(&mut self.adopted, digest)?;
                let usage = self.usage()?;
                usage.blobs += 1;
                usage.blob_bytes += size;
                BlobRecord {
                    size,
                    references: 0,
                }
            }
        };
        record.references += 1;
        self.store(table::BLOBS, digest.as_str(), &record)
    }

    /// Takes a holder from a blob. Without holders it goes with this change, unless a lease protects it.
    ///
    /// # Errors
    /// [`Error::NoBlob`], [`Error::Catalogue`].
    pub fn release_blob(&mut self, digest: &Digest) -> Result<(), Error> {
        let mut record: BlobRecord = self
            .fetch(table::BLOBS, digest.as_str())?
            .ok_or_else(|| Error::NoBlob(digest.clone()))?;
        record.references = record.references.saturating_sub(1);
        self.store(table::BLOBS, digest.as_str(), &record)?;
        if record.references == 0 {
            self.loose.blobs.insert(digest.clone());
        }
        Ok(())
    }
}

pub(crate) fn context(algorithm: Algorithm) -> Context {
    match algorithm {
        Algorithm::Sha256 => Context::new(&SHA256),
        Algorithm::Sha512 => Context::new(&SHA512),
    }
}

fn finish(algorithm: Algorithm, context: Context) -> Digest {
    let hash = context.finish();
    match Digest::from_bytes(algorithm, hash.as_ref()) {
        Ok(digest) => digest,
        // The length is the algorithm's by construction.
        Err(error) => unreachable!("{error}"),
    }
}

/// The digest of everything `reader` has.
pub(crate) fn hash_of(algorithm: Algorithm, mut reader: impl Read) -> io::Result<Digest> {
    let mut context = context(algorithm);
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(finish(algorithm, context)),
            Ok(count) => context.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of the file at `path`.
pub(crate) fn hash_file(algorithm: Algorithm, path: &Path) -> io::Result<Digest> {
    hash_of(algorithm, File::open(path)?)
}

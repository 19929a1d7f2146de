//! Files that are whole or absent, and what their names are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use onggi_model::Digest;

use super::{Error, Result};

/// Where the blob is below a root or a layout.
pub(super) fn blob(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs")
        .join(digest.algorithm().as_str())
        .join(digest.hex())
}

/// A name nobody has used since the start.
pub(super) fn temporary(root: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    root.join("tmp").join(number.to_string())
}

/// A folder for nobody else, with those above it.
pub(super) fn folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::file("make", path))
}

/// Writes a new file and has it on disk; its name is not, yet.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    };
    write().map_err(Error::file("write", path))
}

/// Puts new content in place of a file: the old or the new is there, whatever happens.
pub(super) fn replace(root: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let new = temporary(root);
    let put = write(&new, bytes)
        .and_then(|()| fs::rename(&new, path).map_err(Error::file("replace", path)));
    if put.is_err() {
        let _ = fs::remove_file(&new);
    }
    put?;
    sync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Has a file's bytes on disk.
pub(super) fn sync(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_data())
        .map_err(Error::file("sync", path))
}

/// Has a folder's names on disk.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::file("sync", path))
}

/// The file, when there is one.
pub(super) fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("open", path)(error)),
    }
}

/// Removes a file or notes that somebody else did.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

/// The file to write to, when there is one.
pub(super) fn open_for_writing(path: &Path) -> Result<Option<File>> {
    match File::options().write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("open", path)(error)),
    }
}

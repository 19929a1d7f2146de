//! The rotated set on disk: `<path>`, `<path>.1` (newer) ... `<path>.n` (older). Renaming it, and opening it while someone
//! else renames it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Error, pack};

/// The `n`th file; 0 is the current one.
pub(crate) fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

/// The name of a file once it is compressed.
pub(crate) fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

pub(crate) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> Error + use<'a> {
    move |source| Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Opens the current file for appending, makes it if it is not there.
pub(crate) fn open_current(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .map_err(failed("open log", path))
}

/// Moves every file one place back, so that the current name is free. At most `files` are left, with the one to come.
pub(crate) fn rotate(path: &Path, files: u32) -> Result<(), Error> {
    let ignore_missing = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if files < 2 {
        // Readers keep what they have open: the file goes, it is not emptied.
        return ignore_missing(std::fs::remove_file(path)).map_err(failed("rotate log", path));
    }
    for n in (0..files - 1).rev() {
        let (from, to) = (numbered(path, n), numbered(path, n + 1));
        // What is in the way is the oldest, plain or compressed.
        ignore_missing(std::fs::remove_file(packed(&to))).map_err(failed("rotate log", &to))?;
        if n > 0 {
            ignore_missing(std::fs::rename(packed(&from), packed(&to)))
                .map_err(failed("rotate log", &from))?;
        }
        let moved = std::fs::rename(&from, &to);
        if moved.is_err() {
            // Of the two forms of a file only one may be found.
            ignore_missing(std::fs::remove_file(&to)).map_err(failed("rotate log", &to))?;
        }
        ignore_missing(moved).map_err(failed("rotate log", &from))?;
    }
    Ok(())
}

/// A file of the set, known by its inode: names move, inodes do not while they are open.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: File,
    /// Device and inode; of a compressed file those that it had before.
    pub(crate) identity: (u64, u64),
    /// It is still compressed.
    pub(crate) packed: bool,
}

impl Part {
    /// The file of this name, or its compressed form.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Error> {
        match File::open(path) {
            Ok(file) => {
                let meta = file.metadata().map_err(failed("read log", path))?;
                return Ok(Some(Self {
                    file,
                    identity: (meta.dev(), meta.ino()),
                    packed: false,
                }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("open log", path)(error)),
        }
        let path = packed(path);
        match File::open(&path) {
            Ok(file) => {
                let identity = pack::identity(&file).map_err(failed("read log", &path))?;
                Ok(Some(Self {
                    file,
                    identity,
                    packed: true,
                }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open log", &path)(error)),
        }
    }

    /// Makes what is compressed readable; only files that are read are unpacked.
    pub(crate) fn unpack(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.packed) {
            self.file = pack::unpacked(&self.file)?;
        }
        Ok(())
    }
}

/// Opens the whole set, oldest first. Looks until nothing has moved under its hands.
pub(crate) fn open_all(path: &Path) -> Result<Vec<Part>, Error> {
    let mut parts = scan(path)?;
    loop {
        let again = scan(path)?;
        if again
            .iter()
            .map(|part| part.identity)
            .eq(parts.iter().map(|part| part.identity))
        {
            return Ok(parts);
        }
        parts = again;
    }
}

fn scan(path: &Path) -> Result<Vec<Part>, Error> {
    let mut parts: Vec<Part> = Part::open(path)?.into_iter().collect();
    for n in 1.. {
        match Part::open(&numbered(path, n))? {
            Some(part) => parts.push(part),
            // During a rotation (and after a crash in one) a single name is free.
            None if Part::open(&numbered(path, n + 1))?.is_none() => break,
            None => {}
        }
    }
    parts.reverse();
    Ok(parts)
}

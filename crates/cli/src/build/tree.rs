//! A directory into the tar of a context: sorted, without what is ignored, everything root's, times in whole seconds. The
//! same tree always gives the same bytes.
//!
//! Sockets mean nothing elsewhere and are left out, as Docker does. What is ignored is not looked into, unless a later
//! rule may take something below it back in; its directories come along then.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use onggi_archive::{Entry, Kind, TarWriter, Time, Xattrs};
use onggi_dockerfile::ignore::{Ignore, Verdict};
use rustix::fs::{OFlags, lgetxattr, llistxattr};

use crate::error::{Error, Result, path_error};

/// What is sent of a directory.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) ignore: Ignore,
    /// Files that are sent though they are ignored.
    pub(super) keep: Vec<String>,
    /// Files with another text than they have, or that are not there at all. Sorted by name.
    pub(super) instead: Vec<(String, Vec<u8>)>,
}

/// A directory on the way down.
struct Level {
    path: PathBuf,
    /// Its name in the context, with a slash at its end; empty for the root.
    name: Vec<u8>,
    /// Names still to do, the last one first.
    names: Vec<Vec<u8>>,
    /// Its entry, where nothing of it was sent yet and it is sent only for what is below.
    entry: Option<Entry>,
    /// What the rules say of it; nothing of the root.
    verdict: Option<Verdict>,
}

/// Who takes what a tree has.
pub(super) trait Take {
    /// Something without bytes of its own.
    fn entry(&mut self, entry: Entry) -> Result<()>;
    /// A file, at this path.
    fn file(&mut self, entry: Entry, path: &Path, status: &Metadata) -> Result<()>;
    /// A file with these bytes.
    fn text(&mut self, entry: Entry, text: &[u8]) -> Result<()>;
}

struct Walk<'a> {
    tree: &'a Tree,
    take: &'a mut dyn Take,
    levels: Vec<Level>,
    /// The first name of every file that has several.
    linked: HashMap<(u64, u64), Vec<u8>>,
    /// Directories that were read.
    listed: u64,
}

impl Tree {
    /// Writes the entries. Says how many directories were looked into.
    ///
    /// # Errors
    /// Files that may not be read, and files that change while they are read.
    pub(super) fn write<W: Write>(&self, tar: &mut TarWriter<W>) -> Result<u64> {
        self.walk(&mut Tar(tar))
    }

    /// Has all of it taken. Says how many directories were looked into.
    ///
    /// # Errors
    /// As [`Tree::write`]; what whoever takes it says.
    pub(super) fn walk(&self, take: &mut dyn Take) -> Result<u64> {
        for (name, text) in &self.instead {
            take.text(Entry::new(name.as_str(), Kind::File, 0o600), text)?;
        }
        let mut walk = Walk {
            tree: self,
            take,
            levels: Vec::new(),
            linked: HashMap::new(),
            listed: 0,
        };
        walk.enter(self.root.clone(), Vec::new(), None, None)?;
        while let Some(level) = walk.levels.last_mut() {
            match level.names.pop() {
                None => drop(walk.levels.pop()),
                Some(name) => {
                    let path = level.path.join(std::ffi::OsStr::from_bytes(&name));
                    let name = [&level.name[..], &name].concat();
                    walk.one(path, name)?;
                }
            }
        }
        Ok(walk.listed)
    }

    fn keeps(&self, name: &str) -> bool {
        self.keep.iter().any(|kept| kept == name)
    }

    fn keeps_below(&self, directory: &str) -> bool {
        let inside = |kept: &String| {
            let rest = kept.strip_prefix(directory);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        self.keep.iter().any(inside)
    }
}

/// Writes a file of root's with these bytes.
///
/// # Errors
/// What whoever takes the archive says.
pub(super) fn file<W: Write>(
    tar: &mut TarWriter<W>,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> Result<()> {
    let mut entry = Entry::new(name, Kind::File, mode);
    entry.size = bytes.len() as u64;
    tar.file(&entry, bytes).map(drop).map_err(sent)
}

/// An error of the archive: nobody took what was written, or it could not be written so.
pub(super) fn sent(error: onggi_archive::Error) -> Error {
    Error::new(onggi_model::chain(&error))
}

impl Walk<'_> {
    fn one(&mut self, path: PathBuf, name: Vec<u8>) -> Result<()> {
        let shown = String::from_utf8_lossy(&name).into_owned();
        if self
            .tree
            .instead
            .iter()
            .any(|(instead, _)| *instead == shown)
        {
            return Ok(());
        }
        let parent = self.levels.last().and_then(|level| level.verdict.as_ref());
        let verdict = self.tree.ignore.look(parent, &shown);
        let ignored = verdict.is_ignored() && !self.tree.keeps(&shown);
        let status = match path.symlink_metadata() {
            Ok(status) => status,
            // It went since its directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // What nobody asks for may be out of reach.
            Err(_) if ignored => return Ok(()),
            Err(error) => return Err(refused(&path, &error)),
        };
        if status.is_dir() {
            let below = !ignored
                || !self.tree.ignore.prunes(&verdict, &shown)
                || self.tree.keeps_below(&shown);
            if !below {
                return Ok(());
            }
            let name = [&name[..], b"/"].concat();
            let mut entry = Self::describe(Kind::Directory, &name, &status);
            entry.xattrs = xattrs(&path)?;
            if !ignored {
                self.flush()?;
                self.take.entry(entry.clone())?;
            }
            return self.enter(path, name, ignored.then_some(entry), Some(verdict));
        }
        if ignored {
            return Ok(());
        }
        self.leaf(&path, &name, &status)
    }

    /// Reads the names of a directory.
    fn enter(
        &mut self,
        path: PathBuf,
        name: Vec<u8>,
        entry: Option<Entry>,
        verdict: Option<Verdict>,
    ) -> Result<()> {
        let read = || -> io::Result<Vec<Vec<u8>>> {
            let names = std::fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name().into_vec()));
            names.collect()
        };
        let mut names = match read() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(&path, &error)),
        };
        names.sort_unstable_by(|one, other| other.cmp(one));
        self.listed += 1;
        self.levels.push(Level {
            path,
            name,
            names,
            entry,
            verdict,
        });
        Ok(())
    }

    /// Writes the directories above that were held back.
    fn flush(&mut self) -> Result<()> {
        for level in &mut self.levels {
            if let Some(entry) = level.entry.take() {
                self.take.entry(entry)?;
            }
        }
        Ok(())
    }

    fn leaf(&mut self, path: &Path, name: &[u8], status: &Metadata) -> Result<()> {
        let kind = match status.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Symlink,
            kind if kind.is_fifo() => Kind::Fifo,
            kind if kind.is_block_device() => Kind::BlockDevice,
            kind if kind.is_char_device() => Kind::CharacterDevice,
            _ => return Ok(()),
        };
        self.flush()?;
        let mut entry = Self::describe(kind, name, status);
        if status.nlink() > 1 {
            let key = (status.dev(), status.ino());
            if let Some(first) = self.linked.get(&key) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.take.entry(entry);
            }
            self.linked.insert(key, entry.path.clone());
        }
        entry.xattrs = xattrs(path)?;
        match kind {
            Kind::File => return self.take.file(entry, path, status),
            Kind::Symlink => {
                let target = std::fs::read_link(path).map_err(|error| refused(path, &error))?;
                entry.link = target.into_os_string().into_vec();
                entry.mode = 0o777;
            }
            Kind::Fifo => {}
            _ => {
                entry.device = (
                    rustix::fs::major(status.rdev()),
                    rustix::fs::minor(status.rdev()),
                )
            }
        }
        self.take.entry(entry)
    }

    fn describe(kind: Kind, name: &[u8], status: &Metadata) -> Entry {
        let mut entry = Entry::new(name, kind, status.mode() & 0o7777);
        entry.mtime = Time {
            seconds: status.mtime(),
            nanoseconds: 0,
        };
        entry
    }
}

/// Into an archive.
struct Tar<'a, W: Write>(&'a mut TarWriter<W>);

impl<W: Write> Take for Tar<'_, W> {
    fn entry(&mut self, entry: Entry) -> Result<()> {
        self.0.header(&entry).map_err(sent)
    }

    fn file(&mut self, mut entry: Entry, path: &Path, _: &Metadata) -> Result<()> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = File::options()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(path, &error)),
        };
        let before = file.metadata().map_err(|error| refused(path, &error))?;
        if !before.is_file() {
            return Err(changed(path));
        }
        entry.size = before.len();
        let missing = self
            .0
            .file(&entry, &mut file)
            .map_err(|error| match error {
                onggi_archive::Error::Read(error) => refused(path, &error),
                error => sent(error),
            })?;
        let after = file.metadata().map_err(|error| refused(path, &error))?;
        let time = |status: &Metadata| (status.mtime(), status.mtime_nsec());
        match missing > 0 || after.len() != before.len() || time(&after) != time(&before) {
            true => Err(changed(path)),
            false => Ok(()),
        }
    }

    fn text(&mut self, mut entry: Entry, text: &[u8]) -> Result<()> {
        entry.size = text.len() as u64;
        self.0.file(&entry, text).map(drop).map_err(sent)
    }
}

/// A file that is another one than it was.
pub(super) fn changed(path: &Path) -> Error {
    Error::new(format!(
        "{} changed while it was sent: build again when nobody writes to it, or name it in .dockerignore",
        path.display()
    ))
}

/// A file that cannot be read.
pub(super) fn refused(path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::new(format!(
            "error checking context: no permission to read from '{shown}'"
        )),
        _ => path_error("read", &shown.to_string(), error),
    }
}

/// Capabilities, and what users set; the rest is the host's own business.
fn xattrs(path: &Path) -> Result<Xattrs> {
    // Most files have none, and are many.
    let length = llistxattr(path, &mut [0_u8; 0][..]);
    if !length.is_ok_and(|length| length > 0) {
        return Ok(Xattrs::new());
    }
    let mut names = vec![0_u8; 64 << 10];
    let Ok(length) = llistxattr(path, &mut names) else {
        return Ok(Xattrs::new());
    };
    let mut found = Xattrs::new();
    for name in names[..length].split(|byte| *byte == 0) {
        let wanted = name == b"security.capability" || name.starts_with(b"user.");
        if !wanted || name.contains(&b'=') {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        // One that is gone, or not for this user, is not sent.
        if let Ok(length) = lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value) {
            value.truncate(length);
            found.push((name.to_vec(), value));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ignored_tests.rs"]
mod ignored_tests;

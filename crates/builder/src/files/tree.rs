//! Files to be read: a directory, and what of it does not count.

use std::borrow::Cow;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use onggi_dockerfile::ignore::Ignore;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;

pub(crate) use onggi_sys::inside::{clean, follow, open, parts, split};

use super::Error;
use super::index::{Index, Number, ROOT, What};
use super::item::Folder;

/// Files to be read: a directory, and what of it does not count.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    pub(crate) ignore: Ignore,
    pub(crate) name: String,
    pub(crate) keeps_owners: bool,
    pub(crate) identity: Option<String>,
}

/// Where the files are.
#[derive(Debug)]
enum Root {
    Directory(OwnedFd),
    /// In memory, and below this directory of it.
    Index(Arc<Index>, Number),
}

/// Whether a link at the end of a path is followed; those on the way always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

impl Tree {
    /// All files below `root`, a directory. `name` is what errors call it: `context`, a stage, an image.
    pub fn new(root: OwnedFd, name: impl Into<String>) -> Self {
        Self::of(Root::Directory(root), name)
    }

    /// All that an index has below `path`, if that is a directory.
    #[must_use]
    pub fn listed(index: Arc<Index>, path: &str, name: impl Into<String>) -> Option<Self> {
        let root = index.find_plain(ROOT, path.as_bytes()).ok()?;
        index.children(root).ok()?;
        Some(Self::of(Root::Index(index, root), name))
    }

    fn of(root: Root, name: impl Into<String>) -> Self {
        Self {
            root,
            ignore: Ignore::default(),
            name: name.into(),
            keeps_owners: false,
            identity: None,
        }
    }

    /// What says all that is in it, so that nobody needs to read it to know it: a commit.
    #[must_use]
    pub fn known_by(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Whether something says all that is in it.
    #[must_use]
    pub fn is_identified(&self) -> bool {
        self.identity.is_some()
    }

    /// Files belong to whom they belong even if a context has them: a context that is an image.
    #[must_use]
    pub fn keeping_owners(mut self) -> Self {
        self.keeps_owners = true;
        self
    }

    /// Where it is, if it is made of files: below a directory that nobody else changes.
    #[must_use]
    pub fn path(&self) -> Option<std::path::PathBuf> {
        match &self.root {
            Root::Directory(root) => {
                std::fs::read_link(format!("/proc/self/fd/{}", root.as_raw_fd())).ok()
            }
            Root::Index(..) => None,
        }
    }

    /// The index it is of, if it is no directory.
    pub(crate) fn index(&self) -> Option<&Index> {
        match &self.root {
            Root::Directory(_) => None,
            Root::Index(index, _) => Some(index),
        }
    }

    /// Without those that `.dockerignore` names.
    #[must_use]
    pub fn ignoring(mut self, ignore: Ignore) -> Self {
        self.ignore = ignore;
        self
    }

    /// The content of a file, also of one that is ignored: a Dockerfile, a `.dockerignore`. `None` if it is not there.
    ///
    /// # Errors
    /// If it is no file, larger than `limit`, or cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let there = match self.follow(path.as_bytes()) {
            Ok(there) => there,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(Error::file("open", path)(errno)),
        };
        let (above, name) = split(&there);
        let folder = match self.folder(above) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(Error::file("open", path)(errno)),
        };
        let item = match name {
            b"" => Ok(folder.item()),
            name => folder.at(name),
        };
        let item = match item {
            Ok(item) => item,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::file("stat", path)(errno)),
        };
        if item.facts.kind() != FileType::RegularFile {
            return Err(Error::wrong(format!("{path} is not a file")));
        }
        let opened = item.open()?;
        opened.fetch()?;
        let bytes = opened.with(|part| {
            let mut bytes = Vec::new();
            let read = std::io::Read::take(part.reader(), limit + 1);
            let read = std::io::Read::read_to_end(&mut { read }, &mut bytes);
            read.map_err(Error::file("read", path))?;
            Ok(bytes)
        })?;
        if bytes.len() as u64 > limit {
            return Err(Error::wrong(format!("{path} is larger than {limit} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Where a path leads: see [`onggi_sys::inside::follow`].
    pub(crate) fn follow(&self, path: &[u8]) -> Result<Vec<u8>, Errno> {
        match &self.root {
            Root::Directory(root) => follow(root.as_fd(), path),
            Root::Index(index, root) => index.follow(*root, path),
        }
    }

    /// What is at a path.
    pub(crate) fn kind(&self, path: &[u8], last: Last) -> Result<FileType, Errno> {
        match &self.root {
            Root::Directory(root) => {
                let flags = match last {
                    Last::Follow => OFlags::PATH,
                    Last::Keep => OFlags::PATH | OFlags::NOFOLLOW,
                };
                let found = open(root.as_fd(), path, flags)?;
                Ok(FileType::from_raw_mode(fstat(&found)?.st_mode))
            }
            Root::Index(index, root) => {
                let found = index.find(*root, path, last == Last::Follow)?;
                Ok(FileType::from_raw_mode(index.node(found).mode))
            }
        }
    }

    /// Whether something is at a path that has no links on the way.
    pub(crate) fn has(&self, path: &[u8]) -> Result<(), Errno> {
        match &self.root {
            Root::Directory(root) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let resolve =
                    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                openat2(root, path, flags, Mode::empty(), resolve).map(drop)
            }
            Root::Index(index, root) => index.find_plain(*root, path).map(drop),
        }
    }

    /// The directory at a path.
    pub(crate) fn folder(&self, path: &[u8]) -> Result<Folder<'_>, Errno> {
        match &self.root {
            Root::Directory(root) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                Folder::open(open(root.as_fd(), path, flags)?)
            }
            Root::Index(index, root) => {
                let found = index.find(*root, path, true)?;
                match &index.node(found).what {
                    What::Directory(_) => Ok(Folder::Listed(index, found)),
                    _ => Err(Errno::NOTDIR),
                }
            }
        }
    }
}

/// The directory `name` in another; a link is none.
pub(crate) fn directory(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// The names in a directory with what they are, as far as the file system says at once. Sorted.
pub(crate) fn names(directory: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

/// One clean path below another.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match (path.is_empty(), name.is_empty()) {
        (true, _) => name.to_vec(),
        (_, true) => path.to_vec(),
        _ => [path, b"/", name].concat(),
    }
}

/// A path as people and patterns have it.
pub(crate) fn text(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(path)
}

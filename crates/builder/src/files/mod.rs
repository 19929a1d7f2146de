//! What COPY, ADD and WORKDIR do to files, and what they are known by. Synchronous; every path is resolved below a
//! descriptor and used as one (S1). As BuildKit does it, which is not always as `cp` does: of a directory its content
//! is copied, what a directory meets that is none is an error, links in the destination are followed inside the root.
//!
//! A [`Tree`] is what is read: the context, a stage, an image. A [`Selection`] is what one instruction takes of it:
//! [`Selection::digest`] says what would come out, [`Selection::place`] makes it so. Sources of ADD that have to be
//! fetched are not in it ([`is_remote`]).
//!
//! A tree is a directory, or an [`Index`]: one that is told and of which no file is made until somebody needs it.

mod attributes; // owner, mode, extended attributes, time
mod chmod; // --chmod
mod content; // bytes: copied, and known by
mod digest; // what files are known by
mod error; // what went wrong
mod find; // from sources to files
mod glob; // wildcards
mod index; // trees in memory
mod item; // what is at a name of a tree
mod listing; // from entries to an index
mod near; // what is said of a source that is not there
mod owner; // --chown
mod place; // files into a root
mod receive; // from a tar to an index
mod target; // where they go
mod tree; // where files are read
mod unfold; // a part of a tree as files
mod unpack; // archives of ADD
mod walk; // what of a directory counts

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use onggi_archive::{ApplyOptions, Conflicts, Owner};
use onggi_dockerfile::ignore::Ignore;
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::plan::{CopyFiles, Directory, Input};

use attributes::{Attributes, Place, times};
use chmod::Chmod;
use content::Copier;
use digest::Digest;
use find::Found;
use item::Item;
use place::{Change, Placer};
use target::Destination;
use walk::{Filter, Visit as _, absolute, walk};

pub(crate) use content::PartReader;
pub use error::Error;
pub use find::is_remote;
pub use index::{Bounds, Content, Contents, Index};
pub use listing::Listing;
pub use receive::receive;
pub use tree::Tree;
pub use unfold::unfold;
pub(crate) use unpack::{is_archive, unpack};

/// Here-documents as files are read by everybody.
const DOCUMENT: u32 = 0o644;

/// What a COPY or ADD takes: found, not yet read.
#[derive(Debug)]
pub struct Selection<'a> {
    tree: &'a Tree,
    copy: &'a CopyFiles,
    exclude: Ignore,
    chmod: Chmod,
    found: Vec<Found>,
}

impl<'a> Selection<'a> {
    /// Finds what `copy` names in `tree`. What it has of owners stays for steps and images; what a context has belongs
    /// to root ([`Tree::keeping_owners`]).
    ///
    /// # Errors
    /// [`Error::Wrong`] for sources that are not there and options that mean nothing.
    pub fn of(tree: &'a Tree, copy: &'a CopyFiles) -> Result<Self, Error> {
        let (chmod, exclude) = options(copy)?;
        let mut found = Vec::new();
        for source in &copy.sources {
            if is_remote(source) {
                continue;
            }
            let excluded = (!exclude.is_empty()).then_some(&exclude);
            found.extend(match copy.parents {
                true => find::find_with_parents(tree, source)?,
                false => find::find(tree, source, excluded)?,
            });
        }
        Ok(Self {
            tree,
            copy,
            exclude,
            chmod,
            found,
        })
    }

    /// What it is known by: names, kinds, modes as they will be, owners that stay, links, attributes and content; never
    /// times. The same digest makes the same layer on the same files.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn digest(&self) -> Result<String, Error> {
        self.digest_by(self.tree.identity.as_deref())
    }

    /// As [`Selection::digest`], by the files alone: another commit may have the same of them.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn content_digest(&self) -> Result<String, Error> {
        self.digest_by(None)
    }

    fn digest_by(&self, identity: Option<&str>) -> Result<String, Error> {
        let with_owners = self.copy.chown.is_none() && self.keeps_owners();
        let mut digest = Digest::new(&self.chmod, with_owners);
        if let Some(identity) = identity {
            digest.source("identity", identity.as_bytes());
        }
        let is_known = identity.is_some();
        for found in self.found.iter().filter(|_| is_known) {
            digest.word(&found.path);
        }
        for found in self.found.iter().filter(|_| !is_known) {
            if found.is_directory {
                digest.source("directory", b"");
                walk(self.tree, &found.path, &self.filter(found), &mut digest)?;
                digest.word(b"end");
            } else {
                digest.source("source", &found.name);
                with_item(self.tree, &found.path, |item| {
                    digest.file(&found.name, item)
                })?;
            }
        }
        for (name, text) in &self.copy.files {
            digest.source("document", name.as_bytes());
            digest.word(text.as_bytes());
        }
        Ok(digest.finish())
    }

    /// Puts it into a root file system. Links in the destination are followed inside the root.
    ///
    /// # Errors
    /// [`Error::Wrong`] when what is there is in the way or `--chown` names somebody the root does not know;
    /// [`Error::Archive`] for archives that break their bounds.
    pub fn place(&self, root: BorrowedFd<'_>) -> Result<(), Error> {
        for found in &self.found {
            unfold::fetch(self.tree, found, &self.filter(found))?;
        }
        let named = match &self.copy.chown {
            Some(text) => Some(owner::find(root, text)?),
            None => None,
        };
        let change = Change {
            owner: named.or((!self.keeps_owners()).then_some((0, 0))),
            chmod: self.chmod.clone(),
        };
        let mut placing = Placing {
            selection: self,
            root,
            destination: Destination::parse(&self.copy.destination),
            change,
            named,
            copier: Copier::default(),
            has_written: false,
        };
        for found in &self.found {
            placing.found(found)?;
        }
        for (name, text) in &self.copy.files {
            placing.document(name, text)?;
        }
        Ok(())
    }

    fn keeps_owners(&self) -> bool {
        matches!(self.copy.input, Input::Step(_)) || self.tree.keeps_owners
    }

    fn filter<'b>(&'b self, found: &'b Found) -> Filter<'b> {
        Filter {
            exclude: (!self.exclude.is_empty()).then_some(&self.exclude),
            only: found.only.as_ref(),
        }
    }
}

/// Calls `take` with what is at a clean path that has no links in it.
fn with_item<T>(
    tree: &Tree,
    path: &[u8],
    take: impl FnOnce(&Item<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (above, name) = tree::split(path);
    let refused = |errno: Errno| Error::file("open", absolute(path))(errno);
    let parent = tree.folder(above).map_err(refused)?;
    take(&parent.at(name).map_err(refused)?)
}

/// `--chmod` and `--exclude`.
fn options(copy: &CopyFiles) -> Result<(Chmod, Ignore), Error> {
    let chmod = Chmod::parse(copy.chmod.as_deref())?;
    let mut exclude = Ignore::default();
    for pattern in &copy.exclude {
        let refused = |error: onggi_dockerfile::Error| Error::wrong(error.to_string());
        exclude.push(pattern).map_err(refused)?;
    }
    Ok((chmod, exclude))
}

/// Whether the options of an instruction can be meant, before any file is looked at.
///
/// # Errors
/// Modes and patterns that are none.
pub fn check(copy: &CopyFiles) -> Result<(), Error> {
    options(copy).map(drop)
}

/// A selection on its way into a root.
struct Placing<'a, 'b> {
    selection: &'a Selection<'b>,
    root: BorrowedFd<'a>,
    destination: Destination,
    change: Change,
    /// Whom `--chown` names.
    named: Option<(u32, u32)>,
    copier: Copier,
    /// A file is where the destination says.
    has_written: bool,
}

impl Placing<'_, '_> {
    fn found(&mut self, found: &Found) -> Result<(), Error> {
        if found.is_directory {
            return self.directory(found);
        }
        let unpacks = self.selection.copy.add.as_ref();
        if unpacks.is_some_and(|add| add.unpack.unwrap_or(true)) && self.archive(found)? {
            return Ok(());
        }
        let (directory, path, name) = self.file_target(&found.name)?;
        let mut placer = Placer::new(self.root, &self.change, &mut self.copier, directory, path)?;
        with_item(self.selection.tree, &found.path, |item| {
            placer.copy(item, &name)
        })
    }

    /// The content of a directory.
    fn directory(&mut self, found: &Found) -> Result<(), Error> {
        let path = target::follow(self.root, &self.destination.path)?;
        let is_other = self
            .kind(&path)?
            .is_some_and(|kind| kind != FileType::Directory);
        if is_other && !self.destination.is_directory {
            return Err(Error::wrong(format!(
                "cannot copy to non-directory: /{}",
                tree::text(&path)
            )));
        }
        let directory = target::make(self.root, &path, self.named)?;
        let mut placer = Placer::new(self.root, &self.change, &mut self.copier, directory, path)?;
        let filter = self.selection.filter(found);
        walk(self.selection.tree, &found.path, &filter, &mut placer)?;
        placer.finish()
    }

    /// Unpacks a file if it is an archive.
    fn archive(&mut self, found: &Found) -> Result<bool, Error> {
        with_item(self.selection.tree, &found.path, |item| {
            if item.facts.kind() != FileType::RegularFile {
                return Ok(false);
            }
            let on = |error: Error| error.on(&absolute(&found.path));
            let opened = item.open().map_err(on)?;
            opened.with(|part| {
                if !is_archive(part.reader()) {
                    return Ok(false);
                }
                let path = target::follow(self.root, &self.destination.path)?;
                target::make(self.root, &path, self.named)?;
                let owner = match self.named {
                    Some((user, group)) => Owner::Fixed(user, group),
                    None => Owner::Archive,
                };
                let options = ApplyOptions::copy(Conflicts::Replace, owner);
                unpack(part.reader(), &found.name, self.root, &path, &options)?;
                Ok(true)
            })
        })
    }

    /// A here-document as a file.
    fn document(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let name = tree::clean(name.as_bytes());
        let (directory, path, name) = self.file_target(tree::split(&name).1)?;
        let path = tree::join(&path, &name);
        let at = directory.as_fd();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = target::replacing(at, &name, &path, || {
            openat(at, name.as_slice(), flags, Mode::RUSR | Mode::WUSR)
        })?;
        let mut file = File::from(file);
        file.write_all(text.as_bytes())
            .map_err(Error::file("write", absolute(&path)))?;
        let status = fstat(&file).map_err(Error::file("stat", absolute(&path)))?;
        let attributes = Attributes {
            owner: self.named.unwrap_or_default(),
            mode: Some(self.change.chmod.apply(DOCUMENT, false)),
            time: times(&status),
            xattrs: Vec::new(),
        };
        let written = attributes.write(Place::Open(file.as_fd()));
        written.map_err(Error::file("write attributes of", absolute(&path)))
    }

    /// Where a file goes that is called `name` in directories: the directory, its path, and its name there.
    fn file_target(&mut self, name: &[u8]) -> Result<(OwnedFd, Vec<u8>, Vec<u8>), Error> {
        if self.destination.is_directory {
            let path = target::follow(self.root, &self.destination.path)?;
            let directory = target::make(self.root, &path, self.named)?;
            return Ok((directory, path, name.to_vec()));
        }
        let path = target::follow(self.root, &self.destination.path)?;
        if self.kind(&path)? == Some(FileType::Directory) {
            let directory = target::make(self.root, &path, self.named)?;
            return Ok((directory, path, name.to_vec()));
        }
        if std::mem::replace(&mut self.has_written, true) {
            let instruction = match self.selection.copy.add {
                Some(_) => "ADD",
                None => "COPY",
            };
            return Err(Error::wrong(format!(
                "When using {instruction} with more than one source file, the destination must be a directory and end with a /"
            )));
        }
        let (above, name) = tree::split(&path);
        let directory = target::make(self.root, above, self.named)?;
        Ok((directory, above.to_vec(), name.to_vec()))
    }

    /// What is at a path without links.
    fn kind(&self, path: &[u8]) -> Result<Option<FileType>, Error> {
        let refused = |errno| Error::file("open", absolute(path))(errno);
        match tree::open(self.root, path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(file) => {
                let status = fstat(&file).map_err(refused)?;
                Ok(Some(FileType::from_raw_mode(status.st_mode)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(refused(errno)),
        }
    }
}

/// WORKDIR: makes the directory and those above it, if they are not there, for the user of the image. One that the root
/// does not know is root.
///
/// # Errors
/// When something else is there.
pub fn make_directory(root: BorrowedFd<'_>, directory: &Directory) -> Result<(), Error> {
    let owner = match &directory.user {
        Some(user) => owner::find(root, user).ok(),
        None => None,
    };
    let path = target::follow(root, &tree::clean(directory.path.as_bytes()))?;
    target::make(root, &path, owner).map(drop)
}

/// What one path of a tree is known by, as [`Selection::digest`]: a directory with its own mode and owner.
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn digest_of(from: &Tree, path: &str) -> Result<String, Error> {
    let found = find::at(from, path)?;
    let refused = |errno: Errno| Error::file("open", absolute(&found.path))(errno);
    let mut digest = Digest::new(&Chmod::Kept, true);
    if found.is_directory {
        let directory = from.folder(&found.path).map_err(refused)?;
        let item = directory.item();
        digest.source("directory", b"");
        digest.attributes(&found.path, &item.facts, item.xattrs())?;
        walk(from, &found.path, &Filter::default(), &mut digest)?;
    } else {
        digest.source("source", b"");
        with_item(from, &found.path, |item| digest.file(b"", item))?;
    }
    Ok(digest.finish())
}

#[cfg(test)]
mod tests;

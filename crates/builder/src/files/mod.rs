//! What COPY, ADD and WORKDIR do to files, and what they are known by. Synchronous; every path is resolved below a
//! descriptor and used as one (S1).
//!
//! A [`Tree`] is what is read: the context, a stage, an image. A [`Selection`] is what one instruction takes of it:
//! [`Selection::digest`] says what would come out, [`Selection::place`] makes it so.

mod error; // what went wrong, and what is near
mod tree; // where files are read

use std::os::fd::BorrowedFd;

use crate::plan::{CopyFiles, Directory};

pub use error::Error;
pub use tree::Tree;

/// What a COPY or ADD takes: found, not yet read.
#[derive(Debug)]
pub struct Selection<'a> {
    tree: &'a Tree,
    copy: &'a CopyFiles,
}

impl<'a> Selection<'a> {
    /// Finds what `copy` names in `tree`.
    ///
    /// # Errors
    /// [`Error::Wrong`] for sources that are not there.
    pub fn of(tree: &'a Tree, copy: &'a CopyFiles) -> Result<Self, Error> {
        Ok(Self { tree, copy })
    }

    /// What it is known by: names, kinds, modes, owners as they will be, links, attributes and content; never times.
    /// The same digest makes the same layer on the same files.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn digest(&self) -> Result<String, Error> {
        Err(Error::wrong(format!("cannot read {}", self.tree.name)))
    }

    /// Puts it into a root file system.
    ///
    /// # Errors
    /// When files cannot be read or written, or what is there is in the way.
    pub fn place(&self, _root: BorrowedFd<'_>) -> Result<(), Error> {
        Err(Error::wrong(format!(
            "cannot write {}",
            self.copy.destination
        )))
    }
}

/// Whether a source of ADD is on the web or in a repository.
#[must_use]
pub fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"]
        .iter()
        .any(|start| source.starts_with(start))
}

/// WORKDIR: makes the directory and those above it, if they are not there.
///
/// # Errors
/// When something else is there.
pub fn make_directory(_root: BorrowedFd<'_>, directory: &Directory) -> Result<(), Error> {
    Err(Error::wrong(format!("cannot make {}", directory.path)))
}

/// What one path of a tree is known by, as [`Selection::digest`].
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn digest_of(tree: &Tree, path: &str) -> Result<String, Error> {
    Err(Error::wrong(format!("cannot read {path} of {}", tree.name)))
}

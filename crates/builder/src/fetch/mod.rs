//! What ADD has from elsewhere: files from the web ([`web`]) and repositories of git ([`git`]), each into a directory of
//! its own that nobody else sees. Contexts that are elsewhere come the same way.

mod checksum; // --checksum
mod context; // contexts that are elsewhere
mod git; // repositories
mod git_source; // how repositories are written
mod web; // files

use std::os::fd::OwnedFd;
use std::path::Path;

use onggi_model::{ErrorKind, Fault};
use onggi_registry::Client;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::files::Tree;
use crate::plan::{AddOptions, CopyFiles, Input};

pub use checksum::check;
pub use context::context;

/// Why something could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever wrote the Dockerfile can help it.
    #[error("{0}")]
    Wrong(String),
    /// The web did not give it.
    #[error(transparent)]
    Web(#[from] onggi_registry::FetchError),
    /// It could not be kept, or stopped coming.
    #[error("{what} {name}")]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        name: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What git says.
    #[error("failed to fetch {remote}: git {what}: {said}")]
    Git {
        /// The repository, without a password.
        remote: String,
        /// Which of its commands.
        what: &'static str,
        /// The end of what it printed.
        said: String,
    },
}

impl Error {
    fn io(what: &'static str, name: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let name = name.into();
        move |source| Self::Io { what, name, source }
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Wrong(_) | Self::Git { .. } => ErrorKind::InvalidParameter,
            Self::Web(error) => error.kind(),
            Self::Io { .. } => ErrorKind::Internal,
        }
    }
}

/// Fetches one source of an ADD into the directory `into`, which is empty. What comes out is a tree, and what is to be
/// copied from it: as `copy` says, but for the source.
///
/// # Errors
/// Sources that cannot be had, and that are not what `--checksum` says.
pub async fn fetch(
    client: &Client,
    source: &str,
    copy: &CopyFiles,
    into: &Path,
) -> Result<(Tree, CopyFiles), Error> {
    let options = copy.add.clone().unwrap_or(AddOptions {
        checksum: None,
        keep_git_dir: false,
        unpack: None,
    });
    let (tree, path, unpack) = match git_source::parse(source)? {
        Some(repository) => (
            git::fetch(&repository, &options, into).await?,
            "/".to_owned(),
            false,
        ),
        None => {
            let name = web::fetch(client, source, &options, into).await?;
            let tree = Tree::new(open(into)?, source);
            (
                tree,
                format!("/{}", literal(&name)),
                options.unpack.unwrap_or(false),
            )
        }
    };
    let copy = CopyFiles {
        input: Input::Context(None),
        sources: vec![path],
        files: Vec::new(),
        parents: false,
        add: Some(AddOptions {
            unpack: Some(unpack),
            ..options
        }),
        ..copy.clone()
    };
    Ok((tree, copy))
}

fn open(directory: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, directory, flags, Mode::empty())
        .map_err(|errno| Error::io("open", directory.display().to_string())(errno.into()))
}

/// A name in which no character stands for others.
fn literal(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            '\\' => text += "[\\\\]",
            '*' | '?' | '[' => text += &format!("[{c}]"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests;

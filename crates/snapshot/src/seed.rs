//! What the layers of an image show at a path, copied: the first content of a volume.
//!
//! The layers are walked as overlayfs would merge them; nothing is mounted. Links are followed inside the image only:
//! every step opens one name below a descriptor, and `..` takes back a step.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use onggi_store::ChainId;
use rustix::fs::{AtFlags, CWD, FileType, readlinkat, statat};
use rustix::io::Errno;

use crate::copy;
use crate::furnish;
use crate::inherit::open;
use crate::{Error, Snapshots};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What was at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// A directory: it was copied.
    Copied,
    /// Nothing.
    Nothing,
    /// Something that is no directory.
    NotDirectory,
}

/// A directory of the merged tree: the directories it is merged from, topmost first.
type Merged = Vec<Part>;

/// A directory in one layer.
struct Part {
    path: PathBuf,
    directory: OwnedFd,
}

enum Found {
    Directory(Merged),
    Link(Vec<u8>),
    /// Something else, by its path on the host.
    Other(PathBuf),
    Nothing,
}

impl Snapshots {
    /// Copies what the image with this topmost layer has at `path` into the empty directory `into`, which takes owner, mode
    /// and times of the directory there; and what every container has there, whatever its image.
    ///
    /// # Errors
    /// [`Error::NoLayer`], [`Error::File`], [`Error::Store`].
    pub fn seed(&self, top: Option<&ChainId>, path: &str, into: &Path) -> Result<Seed, Error> {
        let (found, place) = self.find(top, path)?;
        let merged = match found {
            Found::Directory(merged) => merged,
            Found::Nothing => Merged::new(),
            Found::Link(_) | Found::Other(_) => return Ok(Seed::NotDirectory),
        };
        let target = open(CWD, into).map_err(Error::file("open", into))?;
        for part in merged.iter().rev() {
            copy::directory(part.directory.as_fd(), target.as_fd())
                .map_err(|(path, errno)| Error::file("copy", into.join(path))(errno))?;
        }
        let furnished = furnish::volume(target.as_fd(), &place, merged.is_empty())
            .map_err(Error::file("furnish", into))?;
        Ok(match merged.is_empty() && !furnished {
            true => Seed::Nothing,
            false => Seed::Copied,
        })
    }

    /// What to mount, read-only, to see what the image with this topmost layer has at `path`: directories to be stacked,
    /// topmost first, or one file; nothing where nothing is.
    ///
    /// # Errors
    /// As [`Snapshots::seed`].
    pub fn view(&self, top: Option<&ChainId>, path: &str) -> Result<Vec<PathBuf>, Error> {
        Ok(match self.find(top, path)?.0 {
            Found::Directory(merged) => merged.into_iter().map(|part| part.path).collect(),
            Found::Other(path) => vec![path],
            Found::Link(_) | Found::Nothing => Vec::new(),
        })
    }

    fn find(&self, top: Option<&ChainId>, path: &str) -> Result<(Found, PathBuf), Error> {
        let mut root = Merged::new();
        for path in self.layers(top)? {
            let directory = open(CWD, &path).map_err(Error::file("open", &path))?;
            root.push(Part { path, directory });
        }
        find(root, path).map_err(Error::file("find in the image", path))
    }
}

/// What is at a path, and where that is when all links are followed.
fn find(root: Merged, path: &str) -> Result<(Found, PathBuf), Errno> {
    let mut ahead: VecDeque<OsString> = names(Path::new(path)).collect();
    let mut behind = vec![root];
    let mut place = PathBuf::new();
    let mut followed = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            if behind.len() > 1 {
                behind.pop();
                place.pop();
            }
            continue;
        }
        let Some(here) = behind.last() else {
            return Ok((Found::Nothing, place));
        };
        match look(here, &name)? {
            Found::Directory(merged) => {
                behind.push(merged);
                place.push(name);
            }
            Found::Link(text) => {
                followed += 1;
                if followed > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let text = OsString::from_vec(text);
                if Path::new(&text).is_absolute() {
                    behind.truncate(1);
                    place = PathBuf::new();
                }
                for name in names(Path::new(&text))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .rev()
                {
                    ahead.push_front(name);
                }
            }
            found => {
                place.push(name);
                place.extend(&ahead);
                let found = match ahead.is_empty() {
                    true => found,
                    false => Found::Nothing,
                };
                return Ok((found, place));
            }
        }
    }
    Ok((Found::Directory(behind.pop().unwrap_or_default()), place))
}

/// What is called so in a directory: overlayfs's rules, one name at a time.
fn look(here: &Merged, name: &OsString) -> Result<Found, Errno> {
    let mut merged = Merged::new();
    for Part { path, directory } in here {
        let status = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let child = open(directory.as_fd(), name)?;
                let opaque = copy::is_opaque(child.as_fd())?;
                merged.push(Part {
                    path: path.join(name),
                    directory: child,
                });
                if opaque {
                    break;
                }
            }
            // Something else ends the directory that lies above it, and hides what lies below.
            _ if !merged.is_empty() => break,
            FileType::CharacterDevice if status.st_rdev == 0 => break,
            FileType::Symlink => {
                return Ok(Found::Link(
                    readlinkat(directory, name, Vec::new())?.into_bytes(),
                ));
            }
            _ => return Ok(Found::Other(path.join(name))),
        }
    }
    Ok(match merged.is_empty() {
        true => Found::Nothing,
        false => Found::Directory(merged),
    })
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

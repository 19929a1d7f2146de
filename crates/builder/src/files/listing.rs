//! From entries, in the order of an archive, to an index: what they mean is what `onggi_archive::apply` makes of them.
//! Nothing leads out of the root, later entries of a name replace earlier ones, links are followed inside the root.

use std::sync::Arc;

use onggi_archive::{Entry, Error, Kind, Limits, Time, clean};
use onggi_model::Timestamp;
use rustix::fs::{FileType, makedev};
use rustix::io::Errno;

use super::index::{Bounds, Content, Contents, Dress, Index, Number, PATH, ROOT, What};
use super::tree::split;

/// An index that is being made.
#[derive(Debug)]
pub struct Listing {
    index: Index,
    /// Bytes of all files.
    size: u64,
    /// What directories are that no entry speaks of.
    implied: Dress,
    /// The directory that was asked for last. Forgotten when names may mean something else.
    last: Option<(Vec<u8>, Number)>,
}

impl Listing {
    /// Of files whose bytes `contents` has.
    #[must_use]
    pub fn new(contents: Arc<dyn Contents>, bounds: Bounds) -> Self {
        let implied = Dress {
            mode: 0o755,
            mtime: Time {
                seconds: Timestamp::now().seconds(),
                nanoseconds: 0,
            },
            ..Dress::default()
        };
        Self {
            index: Index::new(contents, bounds, &implied),
            size: 0,
            implied,
            last: None,
        }
    }

    /// When all has come.
    #[must_use]
    pub fn finish(self) -> Index {
        self.index
    }

    /// Takes in an entry; of a file its bytes are known as `content`.
    ///
    /// # Errors
    /// Names that lead out of the root or cannot be; more than the bounds allow.
    pub fn add(&mut self, entry: &Entry, content: Option<Content>) -> Result<(), Error> {
        self.entry(entry, || {
            let content = content.ok_or_else(|| refused("read", &entry.path)(Errno::INVAL))?;
            Ok((content, false))
        })
    }

    /// As [`Listing::add`]: `file` takes in the bytes, and says whether there are holes between them.
    pub(crate) fn entry(
        &mut self,
        entry: &Entry,
        file: impl FnOnce() -> Result<(Content, bool), Error>,
    ) -> Result<(), Error> {
        let size = match entry.kind {
            Kind::Symlink => entry.link.len() as u64,
            _ => entry.size,
        };
        self.size = self.size.saturating_add(size);
        let limit = Limits::default().bytes;
        if self.size > limit {
            let what = "bytes";
            return Err(Error::TooLarge { what, limit });
        }
        let path = clean(&entry.path)?;
        let (above, name) = split(&path);
        let refused = |what: &'static str| refused(what, &entry.path);
        if name.is_empty() {
            if entry.kind != Kind::Directory {
                return Err(named(&entry.path, "only a directory can be the root"));
            }
            let dressed = self.index.dress(ROOT, dress(entry.clone()));
            return dressed.map_err(|errno| self.told(refused("chmod"), errno));
        }
        if entry.kind == Kind::HardLink {
            return self.hard_link(entry, above, name);
        }
        let parent = self.directory(above, &entry.path)?;
        let (what, kind, made) = match entry.kind {
            Kind::Directory => {
                let there = self.index.child(parent, name).ok();
                let there = there.filter(|there| self.index.children(*there).is_ok());
                if let Some(there) = there {
                    let dressed = self.index.dress(there, dress(entry.clone()));
                    return dressed.map_err(|errno| self.told(refused("chmod"), errno));
                }
                let what = What::Directory(std::collections::BTreeMap::new());
                ("mkdir", FileType::Directory, what)
            }
            Kind::File => {
                let (content, has_holes) = file()?;
                let what = What::File { content, has_holes };
                ("create", FileType::RegularFile, what)
            }
            Kind::Symlink => {
                let wrong = match &entry.link[..] {
                    [] => Some(Errno::NOENT),
                    link if link.len() >= PATH => Some(Errno::NAMETOOLONG),
                    link if link.contains(&0) => Some(Errno::INVAL),
                    _ => None,
                };
                if let Some(errno) = wrong {
                    return Err(refused("symlink")(errno));
                }
                let target = What::Link(entry.link.as_slice().into());
                ("symlink", FileType::Symlink, target)
            }
            Kind::Fifo => ("mknod", FileType::Fifo, What::Device(0)),
            Kind::CharacterDevice | Kind::BlockDevice => {
                let device = makedev(entry.device.0, entry.device.1);
                let kind = match entry.kind {
                    Kind::BlockDevice => FileType::BlockDevice,
                    _ => FileType::CharacterDevice,
                };
                ("mknod", kind, What::Device(device))
            }
            Kind::HardLink => return Ok(()),
        };
        self.clear(parent, name);
        let dressed = dress(entry.clone());
        let done = self.index.make(parent, name, kind, dressed, made);
        done.map(drop)
            .map_err(|errno| self.told(refused(what), errno))
    }

    fn hard_link(&mut self, entry: &Entry, above: &[u8], name: &[u8]) -> Result<(), Error> {
        let target = clean(&entry.link)?;
        let (from, other) = split(&target);
        if other.is_empty() {
            return Err(named(&entry.path, "it is a hard link to the root"));
        }
        let linked = self.index.directory(from, None);
        let linked = linked.and_then(|from| self.index.child(from, other));
        let linked = linked.map_err(refused("link", &entry.path))?;
        let parent = self.directory(above, &entry.path)?;
        if self.index.child(parent, name) == Ok(linked) {
            return Ok(());
        }
        self.clear(parent, name);
        let done = self.index.link(parent, name, linked);
        done.map_err(|errno| self.told(refused("link", &entry.path), errno))
    }

    /// The directory that something goes to.
    fn directory(&mut self, path: &[u8], asked: &[u8]) -> Result<Number, Error> {
        if let Some((last, number)) = &self.last
            && last == path
        {
            return Ok(*number);
        }
        let found = self.index.directory(path, Some(&self.implied));
        let found = match found {
            Ok(found) => found,
            Err(Errno::NAMETOOLONG) if path.len() < 256 => {
                return Err(named(asked, "too long with its links followed"));
            }
            Err(errno) => return Err(self.told(refused("open", path), errno)),
        };
        self.last = Some((path.to_vec(), found));
        Ok(found)
    }

    /// What is at a name goes.
    fn clear(&mut self, parent: Number, name: &[u8]) {
        if self.index.child(parent, name).is_ok() {
            self.index.remove(parent, name);
            self.last = None;
        }
    }

    /// An error, or that there is too much.
    fn told(&self, error: impl FnOnce(Errno) -> Error, errno: Errno) -> Error {
        match errno {
            Errno::TOOBIG => {
                let (what, limit) = self.index.excess();
                Error::TooLarge { what, limit }
            }
            errno => error(errno),
        }
    }
}

fn dress(entry: Entry) -> Dress {
    Dress {
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        xattrs: entry.xattrs,
    }
}

fn named(path: &[u8], reason: &'static str) -> Error {
    Error::Name {
        name: String::from_utf8_lossy(path).into_owned(),
        reason,
    }
}

pub(crate) fn refused(what: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Error {
    let name = String::from_utf8_lossy(path).into_owned();
    move |errno| Error::File {
        what,
        name,
        source: errno.into(),
    }
}

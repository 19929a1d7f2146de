//! From a tar to an index: each file's bytes are hashed as they come and go to one file, the spool. What an archive means
//! is what `onggi_archive::apply` makes of it: nothing leads out of the root, later entries of a name replace earlier
//! ones, links are followed inside the root.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use onggi_archive::{Entry, Error, Kind, Limits, TarReader, Time, clean};
use onggi_model::Timestamp;
use rustix::fs::{FileType, makedev};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::index::{Bounds, Content, Contents, Dress, Index, Number, PATH, ROOT, What};
use super::tree::{parts, split};

/// Read and written at a time.
const BUFFER: usize = 256 << 10;
/// Bytes after the end of an archive that are read, so that whoever sends it is not cut off.
const TRAILER: u64 = 64 << 20;

/// One file with the bytes of all.
#[derive(Debug)]
struct Spool(Arc<File>);

impl Contents for Spool {
    fn fetch(&self, _: &[Content]) -> Result<(), super::Error> {
        Ok(())
    }

    fn open(&self, content: &Content) -> Result<(Arc<File>, u64), super::Error> {
        Ok((self.0.clone(), content.at))
    }
}

/// Takes files out of an archive that are not for the index.
pub trait Aside {
    /// Whether this file, by its clean name, is such a one.
    fn takes(&self, path: &[u8]) -> bool;

    /// Its bytes.
    ///
    /// # Errors
    /// Why the archive is refused.
    fn take(&mut self, path: &[u8], bytes: &mut dyn Read) -> Result<(), Error>;
}

/// Nothing is taken aside.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Aside for Nothing {
    fn takes(&self, _: &[u8]) -> bool {
        false
    }

    fn take(&mut self, _: &[u8], _: &mut dyn Read) -> Result<(), Error> {
        Ok(())
    }
}

/// Reads a tar, not compressed, to its end. The bytes of its files go to `spool`, which is empty; it may have no name.
///
/// # Errors
/// Archives that are broken, lead out of their root or hold more than `bounds`; what the disk says.
pub fn receive(
    tar: impl Read,
    spool: File,
    bounds: Bounds,
    aside: &mut dyn Aside,
) -> Result<Index, Error> {
    let now = Timestamp::now();
    let implied = Dress {
        mode: 0o755,
        mtime: Time {
            seconds: now.seconds(),
            nanoseconds: 0,
        },
        ..Dress::default()
    };
    let kept = spool
        .try_clone()
        .map_err(|error| written("keep the build context")(error))?;
    let contents = Arc::new(Spool(Arc::new(kept)));
    let mut receiver = Receiver {
        index: Index::new(contents, bounds, &implied),
        spool: BufWriter::with_capacity(BUFFER, spool),
        at: 0,
        size: 0,
        implied,
        last: None,
    };
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, tar));
    while let Some(entry) = tar.next()? {
        receiver.entry(entry, &mut tar, aside)?;
    }
    receiver
        .spool
        .flush()
        .map_err(written("keep the build context"))?;
    tar.drain(TRAILER)?;
    Ok(receiver.index)
}

struct Receiver {
    index: Index,
    spool: BufWriter<File>,
    /// Where in the spool the next file goes.
    at: u64,
    /// Bytes of all files.
    size: u64,
    /// What directories are that no entry speaks of.
    implied: Dress,
    /// The directory that was asked for last. Forgotten when names may mean something else.
    last: Option<(Vec<u8>, Number)>,
}

impl Receiver {
    fn entry<R: BufRead>(
        &mut self,
        entry: Entry,
        tar: &mut TarReader<R>,
        aside: &mut dyn Aside,
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
        if entry.kind == Kind::File && aside.takes(&path) {
            return aside.take(&path, &mut Data(tar));
        }
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
            return self.hard_link(&entry, above, name);
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
            Kind::File => ("create", FileType::RegularFile, self.file(&entry, tar)?),
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
        // Names of more parts than there may be directories above each other cannot be: `clean` saw to their length.
        debug_assert!(parts(path).count() < PATH);
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

    /// Takes in the bytes of a file.
    fn file<R: BufRead>(&mut self, entry: &Entry, tar: &mut TarReader<R>) -> Result<What, Error> {
        let begin = self.at;
        let mut hash = Sha256::new();
        let mut has_holes = false;
        loop {
            let hole = tar.hole();
            if hole > 0 {
                has_holes = true;
                let zeros = [0; 16 << 10];
                let mut left = hole;
                while left > 0 {
                    let count = left.min(zeros.len() as u64);
                    hash.update(&zeros[..usize::try_from(count).unwrap_or(0)]);
                    left -= count;
                }
                self.at += hole;
                self.spool
                    .seek(SeekFrom::Start(self.at))
                    .map_err(written(&entry.path))?;
                continue;
            }
            let bytes = tar.data()?;
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            self.spool.write_all(bytes).map_err(written(&entry.path))?;
            let count = bytes.len();
            self.at += count as u64;
            tar.consume(count);
        }
        if has_holes {
            // One at the end is none until the spool has its size.
            let grown = self.spool.flush();
            let grown = grown.and_then(|()| self.spool.get_ref().set_len(self.at));
            grown.map_err(written(&entry.path))?;
        }
        let content = Content {
            digest: hash.finalize().into(),
            size: self.at - begin,
            at: begin,
        };
        Ok(What::File { content, has_holes })
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

/// The bytes of the entry that a reader of tars is at.
struct Data<'a, R>(&'a mut TarReader<R>);

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.0.data().map_err(std::io::Error::other)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

fn named(path: &[u8], reason: &'static str) -> Error {
    Error::Name {
        name: String::from_utf8_lossy(path).into_owned(),
        reason,
    }
}

fn refused(what: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Error {
    let name = String::from_utf8_lossy(path).into_owned();
    move |errno| Error::File {
        what,
        name,
        source: errno.into(),
    }
}

fn written(path: impl AsRef<[u8]>) -> impl FnOnce(std::io::Error) -> Error {
    let name = String::from_utf8_lossy(path.as_ref()).into_owned();
    move |source| Error::File {
        what: "write",
        name,
        source,
    }
}

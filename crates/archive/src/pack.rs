//! Making a tar of a tree: names sorted, the same tree always gives the same bytes.
//!
//! Everything is opened below descriptors of our own without following links, so a tree that a container changes
//! meanwhile gives an odd archive at worst.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, SeekFrom, Stat, fgetxattr, flistxattr, fstat,
    lgetxattr, llistxattr, major, minor, openat, readlinkat, seek, statat,
};
use rustix::io::Errno;

use crate::header::{Entry, Kind, Time, Xattrs};
use crate::reader::MAX_PIECES;
use crate::tree::{self, join};
use crate::{Error, TarWriter, Whiteouts, settle, shows_the_kernel};

/// What extended attributes and their names may take; the kernel's limit for either.
const XATTR: usize = 64 << 10;

/// overlayfs's mark on a directory that hides those below.
const OPAQUE: &str = "trusted.overlay.opaque";

/// Which times an archive has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// To the nanosecond.
    #[default]
    Exact,
    /// Whole seconds, as Docker packs.
    Seconds,
    /// This one for all: reproducible builds.
    Fixed(Time),
}

/// How a tree is packed.
#[derive(Clone, Debug, Default)]
pub struct PackOptions {
    /// `Overlay` for an upper directory, whose removals become `.wh.` names.
    pub whiteouts: Whiteouts,
    /// Times.
    pub times: Times,
    /// Whether an entry `./` for the root comes first.
    pub with_root: bool,
    /// In front of every name, without a slash at its end unless it is one: `cp` of `/a/b` packs below `b`.
    pub prefix: Vec<u8>,
    /// Owner and group of all entries instead of their own.
    pub owner: Option<(u32, u32)>,
    /// Paths, without slashes at their ends, that are left out with all below them.
    pub without: Vec<Vec<u8>>,
    /// Whether holes in files stay holes, in GNU's format. Without it they are zeros, which every reader understands.
    pub holes: bool,
}

impl PackOptions {
    /// For the upper directory of a container, as a layer.
    #[must_use]
    pub fn layer() -> PackOptions {
        PackOptions {
            whiteouts: Whiteouts::Overlay,
            ..PackOptions::default()
        }
    }
}

/// What was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Entries.
    pub entries: u64,
    /// Bytes of the files, and of what symbolic links say.
    pub size: u64,
    /// Sockets, which a tar cannot hold and which mean nothing without their process.
    pub skipped: u64,
    /// Files that were shorter than they said when they were read; the rest is zeros.
    pub changed: u64,
}

/// Packs the directory at `path`; see [`pack`].
///
/// # Errors
/// As [`pack`].
pub fn pack_at(path: &Path, sink: impl Write, options: &PackOptions) -> Result<Packed, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, path, flags, Mode::empty())
        .map_err(Error::file("open", path.as_os_str().as_bytes()))?;
    pack(root.as_fd(), sink, options)
}

/// Writes a tar, not compressed, of everything below `root` to `sink`, with the end of the archive. Hard links inside
/// the tree stay hard links.
///
/// # Errors
/// [`Error::File`], [`Error::Write`]; [`Error::Unsupported`] for an overlay upper directory that was mounted with
/// redirects or metadata-only copies, which only the kernel can put together again.
pub fn pack(
    root: BorrowedFd<'_>,
    sink: impl Write,
    options: &PackOptions,
) -> Result<Packed, Error> {
    let mut pack = Pack::new(sink, options);
    pack.tree(root)?;
    pack.finish()
}

/// Writes a tar of what is at `name` in `parent`, with all below it when it is a directory. In the archive it is called
/// as [`PackOptions::prefix`] says.
///
/// # Errors
/// As [`pack`]; [`Error::File`] also when nothing is there.
pub fn pack_one(
    parent: BorrowedFd<'_>,
    name: &[u8],
    sink: impl Write,
    options: &PackOptions,
) -> Result<Packed, Error> {
    let status =
        statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::file("stat", name))?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
        let directory = tree::open(parent, name).map_err(Error::file("open", name))?;
        let options = PackOptions {
            with_root: true,
            ..options.clone()
        };
        return pack(directory.as_fd(), sink, &options);
    }
    let mut pack = Pack::new(sink, options);
    pack.entry(parent, name, b"", &status)?;
    pack.finish()
}

pub(crate) struct Pack<'a, W: Write> {
    tar: TarWriter<BufWriter<W>>,
    options: &'a PackOptions,
    packed: Packed,
    /// First name of every file that has several.
    linked: HashMap<(u64, u64), Vec<u8>>,
    /// What is left out goes from the tree as well: see [`settle`].
    pub(crate) settles: bool,
}

/// A directory on the way down, with the names in it still to pack, last one first.
struct Level {
    directory: OwnedFd,
    device: u64,
    path: Vec<u8>,
    names: Vec<Vec<u8>>,
    /// The time it gets when it is left, where it does not have it.
    time: Option<Time>,
}

impl<'a, W: Write> Pack<'a, W> {
    pub(crate) fn new(sink: W, options: &'a PackOptions) -> Self {
        Pack {
            tar: TarWriter::new(BufWriter::with_capacity(128 << 10, sink)),
            options,
            packed: Packed::default(),
            linked: HashMap::new(),
            settles: false,
        }
    }

    /// The end of the archive.
    pub(crate) fn finish(self) -> Result<Packed, Error> {
        let mut sink = self.tar.finish()?;
        sink.flush().map_err(Error::Write)?;
        Ok(self.packed)
    }

    pub(crate) fn tree(&mut self, root: BorrowedFd<'_>) -> Result<(), Error> {
        let directory = tree::open(root, b".").map_err(Error::file("open", b"."))?;
        let status = fstat(&directory).map_err(Error::file("stat", b"."))?;
        if self.options.with_root {
            self.directory(directory.as_fd(), b"", &status)?;
        } else {
            self.opaque(directory.as_fd(), b"")?;
        }
        if self.settles {
            self.plain(directory.as_fd(), &status)?;
        }
        if shows_the_kernel(directory.as_fd()) {
            return Ok(());
        }
        let mut levels = vec![self.level(directory, Vec::new(), &status)?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                if let Some(time) = level.time {
                    settle::set_time(level.directory.as_fd(), &level.path, time)?;
                }
                levels.pop();
                continue;
            };
            let path = join(&level.path, &name);
            let at = level.directory.as_fd();
            if self.options.without.contains(&path) {
                if self.settles {
                    settle::remove(at, &name, &path)?;
                }
                continue;
            }
            let status = match statat(at, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(Error::file("stat", &path)(errno)),
            };
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                let directory = match tree::open(at, &name) {
                    Ok(directory) => directory,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                    Err(errno) => return Err(Error::file("open", &path)(errno)),
                };
                // What was opened may not be what was looked at.
                let status = fstat(&directory).map_err(Error::file("stat", &path))?;
                self.directory(directory.as_fd(), &path, &status)?;
                let crossed = status.st_dev != level.device;
                if crossed && shows_the_kernel(directory.as_fd()) {
                    continue;
                }
                let level = self.level(directory, path, &status)?;
                levels.push(level);
            } else {
                self.entry(at, &name, &path, &status)?;
            }
        }
        Ok(())
    }

    /// The names in a directory in descending order.
    fn level(&self, directory: OwnedFd, path: Vec<u8>, status: &Stat) -> Result<Level, Error> {
        let read = || -> Result<Vec<Vec<u8>>, Errno> {
            let mut names = Vec::new();
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if !matches!(name, b"." | b"..") {
                    names.push(name.to_vec());
                }
            }
            Ok(names)
        };
        let mut names = read().map_err(Error::file("list", &path))?;
        names.sort_unstable_by(|one, other| other.cmp(one));
        // Of the root the archive of a layer does not speak.
        let time = (self.settles && !path.is_empty()).then(|| self.time(status));
        Ok(Level {
            directory,
            device: status.st_dev,
            path,
            names,
            time,
        })
    }

    fn directory(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &[u8],
        status: &Stat,
    ) -> Result<(), Error> {
        let mut entry = self.describe(Kind::Directory, path, status);
        entry.path = match entry.path.is_empty() {
            true => b"./".to_vec(),
            false if entry.path.ends_with(b"/") => entry.path,
            false => [&entry.path[..], b"/"].concat(),
        };
        entry.xattrs = self.xattrs(path, Source::Open(directory))?;
        self.write(&entry)?;
        self.opaque(directory, path)
    }

    /// The name that tells that a directory hides those below.
    fn opaque(&mut self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Error> {
        if self.options.whiteouts != Whiteouts::Overlay {
            return Ok(());
        }
        let mut value = [0; 8];
        match fgetxattr(directory, OPAQUE, value.as_mut_slice()) {
            Ok(1) if value[0] == b'y' => self.removal(&join(path, b".wh..wh..opq")),
            // Another mark, of which archives know nothing.
            Ok(_) | Err(Errno::RANGE) if self.settles => {
                settle::strip(Source::Open(directory), path, OPAQUE.as_bytes())
            }
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
            Err(errno) => Err(Error::file("read attribute of", path)(errno)),
        }
    }

    fn removal(&mut self, path: &[u8]) -> Result<(), Error> {
        let mut entry = Entry::new(self.prefixed(path), Kind::File, 0o600);
        if let Times::Fixed(time) = self.options.times {
            entry.mtime = time;
        }
        self.write(&entry)
    }

    fn entry(
        &mut self,
        at: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        status: &Stat,
    ) -> Result<(), Error> {
        let kind = match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            FileType::BlockDevice => Kind::BlockDevice,
            FileType::CharacterDevice => {
                if self.options.whiteouts == Whiteouts::Overlay && status.st_rdev == 0 {
                    let (parent, name) = tree::split(path);
                    return self.removal(&join(parent, &[b".wh.", name].concat()));
                }
                if self.settles && status.st_rdev == 0 {
                    return Err(Error::name(path, "as a layer it would be a removal"));
                }
                Kind::CharacterDevice
            }
            _ => {
                self.packed.skipped += 1;
                return match self.settles {
                    true => settle::unlink(at, name, path),
                    false => Ok(()),
                };
            }
        };
        let is_layer = self.settles || self.options.whiteouts == Whiteouts::Overlay;
        if is_layer && name.starts_with(b".wh.") {
            return Err(Error::name(path, "as a layer it would be a removal"));
        }
        let mut entry = self.describe(kind, path, status);
        if status.st_nlink > 1 {
            let key = (status.st_dev, status.st_ino);
            if let Some(first) = self.linked.get(&key) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.write(&entry);
            }
        }
        match kind {
            Kind::File => return self.file(at, name, entry),
            Kind::Symlink => match readlinkat(at, name, Vec::new()) {
                Ok(target) => {
                    entry.link = target.into_bytes();
                    self.packed.size += entry.link.len() as u64;
                }
                // It has gone since it was looked at, or is no link any more.
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(errno) => return Err(Error::file("read link", path)(errno)),
            },
            _ => entry.device = (major(status.st_rdev), minor(status.st_rdev)),
        }
        entry.xattrs = self.xattrs(path, Source::Name(at, name))?;
        self.remember(&entry, status);
        self.write(&entry)?;
        match self.settles {
            true => settle::entry_time(at, name, path, status, entry.mtime),
            false => Ok(()),
        }
    }

    /// Further names of a file are hard links to this one, which the archive has.
    fn remember(&mut self, entry: &Entry, status: &Stat) {
        if status.st_nlink > 1 {
            let key = (status.st_dev, status.st_ino);
            self.linked.insert(key, entry.path.clone());
        }
    }

    fn file(&mut self, at: BorrowedFd<'_>, name: &[u8], mut entry: Entry) -> Result<(), Error> {
        // What is there now may not be what was looked at, and to open a device is to use it: known first, then opened.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let known = match openat(at, name, flags, Mode::empty()) {
            Ok(known) => known,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::file("open", &entry.path)(errno)),
        };
        let status = fstat(&known).map_err(Error::file("stat", &entry.path))?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(CWD, way(known.as_fd()), flags, Mode::empty())
            .map_err(Error::file("open", &entry.path))?;
        let file = File::from(file);
        self.remember(&entry, &status);
        entry.size = u64::try_from(status.st_size).unwrap_or(0);
        entry.xattrs = self.xattrs(&entry.path, Source::Open(file.as_fd()))?;
        self.packed.entries += 1;
        self.packed.size += entry.size;
        // Blocks of 512 bytes: a file without holes takes as many as its size, or more.
        let on_disk = u64::try_from(status.st_blocks).unwrap_or(0) * 512;
        let pieces = match self.options.holes && on_disk < entry.size {
            true => pieces(&file, entry.size).map_err(Error::file("read", &entry.path))?,
            false => None,
        };
        let missing = match pieces {
            Some(pieces) => {
                let read = |bytes: &mut [u8], at| file.read_at(bytes, at);
                self.tar.sparse(&entry, &pieces, read)?
            }
            None => self.tar.file(&entry, &file)?,
        };
        self.packed.changed += u64::from(missing > 0);
        match self.settles {
            true => settle::file_time(file.as_fd(), &entry.path, &status, entry.mtime),
            false => Ok(()),
        }
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        self.packed.entries += 1;
        self.tar.header(entry)
    }

    fn prefixed(&self, path: &[u8]) -> Vec<u8> {
        match (self.options.prefix.is_empty(), path.is_empty()) {
            (true, _) => path.to_vec(),
            (false, true) => self.options.prefix.clone(),
            (false, false) if self.options.prefix.ends_with(b"/") => {
                [&self.options.prefix, path].concat()
            }
            (false, false) => join(&self.options.prefix, path),
        }
    }

    fn describe(&self, kind: Kind, path: &[u8], status: &Stat) -> Entry {
        let mut entry = Entry::new(self.prefixed(path), kind, status.st_mode & 0o7777);
        (entry.uid, entry.gid) = self.options.owner.unwrap_or((status.st_uid, status.st_gid));
        entry.mtime = self.time(status);
        entry
    }

    /// The time that something has in the archive.
    fn time(&self, status: &Stat) -> Time {
        match self.options.times {
            Times::Exact => Time {
                seconds: status.st_mtime,
                nanoseconds: u32::try_from(status.st_mtime_nsec).unwrap_or(0),
            },
            Times::Seconds => Time {
                seconds: status.st_mtime,
                nanoseconds: 0,
            },
            Times::Fixed(time) => time,
        }
    }

    /// The root of a tree that becomes a layer.
    fn plain(&self, root: BorrowedFd<'_>, status: &Stat) -> Result<(), Error> {
        for (name, _) in self.xattrs(b".", Source::Open(root))? {
            settle::strip(Source::Open(root), b".", &name)?;
        }
        settle::plain(root, status)
    }

    /// The extended attributes in the order of their names, but for those of overlayfs and of the host's SELinux policy.
    fn xattrs(&self, path: &[u8], source: Source<'_>) -> Result<Xattrs, Error> {
        let refused = |errno| Error::file("read attributes of", path)(errno);
        let mut names = vec![0; 256];
        let length = loop {
            match source.list(&mut names) {
                Ok(length) => break length,
                Err(Errno::RANGE) if names.len() < XATTR => names.resize(XATTR, 0),
                Err(Errno::NOTSUP | Errno::NOENT) => break 0,
                Err(errno) => return Err(refused(errno)),
            }
        };
        let mut found = Vec::new();
        for name in names[..length]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            if self.leaves_out(path, name)? {
                // The mark of an opaque directory is told otherwise, and stays.
                let is_told =
                    name == OPAQUE.as_bytes() && self.options.whiteouts == Whiteouts::Overlay;
                if self.settles && !is_told {
                    settle::strip(source, path, name)?;
                }
                continue;
            }
            let mut value = vec![0; XATTR];
            match source.value(name, &mut value) {
                Ok(length) => {
                    value.truncate(length);
                    found.push((name.to_vec(), value));
                }
                Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Whether an extended attribute is none of the archive's.
    fn leaves_out(&self, path: &[u8], name: &[u8]) -> Result<bool, Error> {
        if let Some(own) = name.strip_prefix(b"trusted.overlay.") {
            if self.options.whiteouts == Whiteouts::Overlay
                && matches!(own, b"redirect" | b"metacopy")
            {
                return Err(Error::Unsupported(format!(
                    "overlay {} on {:?}",
                    String::from_utf8_lossy(own),
                    String::from_utf8_lossy(path)
                )));
            }
            return Ok(true);
        }
        // A "=" in a name cannot be told in PAX. And nobody takes an overlay's own from the archive of a layer.
        Ok(name == b"security.selinux"
            || name.contains(&b'=')
            || self.settles && name.starts_with(b"user.overlay."))
    }
}

/// Where a file has data: offsets and lengths, unless those are more than readers take. A file that is written to
/// meanwhile tells what was so at one moment or another.
fn pieces(file: &File, size: u64) -> Result<Option<Vec<(u64, u64)>>, Errno> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        if start >= size {
            break;
        }
        let end = match seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            Err(Errno::NXIO) => size,
            Err(errno) => return Err(errno),
        };
        pieces.push((start, end - start));
        if pieces.len() >= MAX_PIECES {
            seek(file, SeekFrom::Start(0))?;
            return Ok(None);
        }
        at = end;
    }
    Ok(Some(pieces))
}

/// Where extended attributes are read.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Open(BorrowedFd<'a>),
    /// Links and devices, which cannot be opened for this.
    Name(BorrowedFd<'a>, &'a [u8]),
}

impl Source<'_> {
    fn list(self, names: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Source::Open(file) => flistxattr(file, names),
            Source::Name(at, name) => llistxattr(below(at, name), names),
        }
    }

    fn value(self, name: &[u8], value: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Source::Open(file) => fgetxattr(file, name, value),
            Source::Name(at, file) => lgetxattr(below(at, file), name, value),
        }
    }
}

/// A name that leads to what we have open (proc_pid_fd(5)).
fn way(open: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

/// A name that leads through our own open directory.
pub(crate) fn below(at: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    way(at).join(std::ffi::OsStr::from_bytes(name))
}

//! Applying a tar to a directory.
//!
//! Speed is system calls: a small file costs open, write, utimensat, close, and chown or chmod only when what open made
//! is not what the archive asks for. Nothing is looked at before it is made; what stands in the way is found by EEXIST.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fsetxattr, futimens, linkat, lsetxattr, makedev, mkdirat, mknodat, openat, openat2, statat,
    symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::header::{Entry, Kind, Xattrs};
use crate::tree::{self, Missing, Open, Tree, clean, set_opaque, split, timestamps};
use crate::{Error, TarReader, Whiteouts};

/// Read from the source at a time.
const BUFFER: usize = 256 << 10;
/// Bytes after the end of an archive that are read for whoever hashes the source.
const TRAILER: u64 = 64 << 20;

/// What names of removals start with.
const WHITEOUT: &[u8] = b".wh.";
/// The name that makes its directory opaque.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the names of AUFS's own files start with.
const AUFS: &[u8] = b".wh..wh.";

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

impl Default for Limits {
    /// Ten million entries, 1 TiB: no image comes near, and the disk is full before.
    fn default() -> Limits {
        Limits {
            entries: 10_000_000,
            bytes: 1 << 40,
        }
    }
}

/// What happens where a directory is to become something else, or something else a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflicts {
    /// What is there goes.
    #[default]
    Replace,
    /// [`Error::Overwrite`].
    Refuse,
}

/// To whom belongs what is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// To whom the archive says.
    #[default]
    Archive,
    /// To this process.
    Process,
    /// To this user and group.
    Fixed(u32, u32),
}

/// How an archive is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// What names of removals mean.
    pub whiteouts: Whiteouts,
    /// How much it may hold.
    pub limits: Limits,
    /// Directories and others in each other's place.
    pub conflicts: Conflicts,
    /// Owners.
    pub owner: Owner,
    /// The tree is one where others live: what the archive says about its root is left alone, and nothing is written
    /// to file systems that show the kernel ([`crate::shows_the_kernel`]).
    pub shared: bool,
}

impl ApplyOptions {
    /// For a layer of an image into an empty directory for overlayfs.
    #[must_use]
    pub fn layer() -> ApplyOptions {
        ApplyOptions {
            whiteouts: Whiteouts::Overlay,
            ..ApplyOptions::default()
        }
    }

    /// For `cp` into a tree where others live, which keeps its directories unless `conflicts` says else.
    #[must_use]
    pub fn copy(conflicts: Conflicts, owner: Owner) -> ApplyOptions {
        ApplyOptions {
            conflicts,
            owner,
            shared: true,
            ..ApplyOptions::default()
        }
    }
}

/// What was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of its files, and of what its symbolic links say.
    pub size: u64,
    /// Directories that names needed but no entry spoke of: mode 0755, root's. Sorted.
    pub implied: Vec<PathBuf>,
    /// Extended attributes the file system could not take.
    pub skipped_xattrs: u64,
}

/// Applies the tar that `reader` has, not compressed, to the directory at `path`.
///
/// # Errors
/// As [`apply`].
pub fn apply_at(reader: impl Read, path: &Path, options: &ApplyOptions) -> Result<Applied, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, path, flags, Mode::empty())
        .map_err(Error::file("open", path.as_os_str().as_bytes()))?;
    apply(reader, root.as_fd(), options)
}

/// Applies the tar that `reader` has, not compressed, to the directory `root`. Later entries of a name replace earlier
/// ones, but for directories, which are kept and changed. Reads `reader` to its end, past the end of the archive. What
/// was made before an error stays: throw the directory away.
///
/// Attributes of overlayfs itself are never taken from an archive: they could make other files show up in a container.
///
/// # Errors
/// Every [`Error`] but [`Error::Write`].
pub fn apply(
    reader: impl Read,
    root: BorrowedFd<'_>,
    options: &ApplyOptions,
) -> Result<Applied, Error> {
    apply_below(reader, root, b"", options)
}

/// As [`apply`], with all names of the archive taken below `base`, a directory below `root`. Links are followed as if
/// `root` were `/`: they may lead out of `base`, never out of `root`. Names of the archive themselves never lead out
/// of `base`.
///
/// # Errors
/// As [`apply`].
pub fn apply_below(
    reader: impl Read,
    root: BorrowedFd<'_>,
    base: &[u8],
    options: &ApplyOptions,
) -> Result<Applied, Error> {
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, reader));
    let mut apply = Apply::new(root, base, options)?;
    while let Some(mut entry) = tar.next()? {
        if let Owner::Fixed(user, group) = options.owner {
            (entry.uid, entry.gid) = (user, group);
        }
        apply.entry(&entry, &mut tar)?;
    }
    let applied = apply.finish()?;
    tar.drain(TRAILER)?;
    Ok(applied)
}

struct Apply<'a> {
    tree: Tree,
    /// Where the archive's root is.
    base: Vec<u8>,
    options: &'a ApplyOptions,
    applied: Applied,
    umask: u32,
    user: u32,
    group: u32,
    /// What directories get at the end, because it would rub off on what is made in them.
    late: BTreeMap<Vec<u8>, Late>,
}

#[derive(Default)]
struct Late {
    mode: Option<u32>,
    xattrs: Xattrs,
}

impl<'a> Apply<'a> {
    fn new(
        root: BorrowedFd<'_>,
        base: &[u8],
        options: &'a ApplyOptions,
    ) -> Result<Apply<'a>, Error> {
        let mut tree = Tree::new(root, options.whiteouts)?;
        if options.shared {
            tree.spare_the_kernel();
        }
        let status = rustix::fs::fstat(root).map_err(Error::file("stat", b"."))?;
        let acl = rustix::fs::fgetxattr(root, "system.posix_acl_default", &mut [0_u8; 0][..]);
        if status.st_mode & 0o2000 == 0 && matches!(acl, Err(Errno::NODATA | Errno::NOTSUP)) {
            tree.root_is_plain();
        }
        Ok(Apply {
            tree,
            base: clean(base)?,
            options,
            applied: Applied::default(),
            umask: umask(),
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            late: BTreeMap::new(),
        })
    }

    fn entry<R: std::io::BufRead>(
        &mut self,
        entry: &Entry,
        tar: &mut TarReader<R>,
    ) -> Result<(), Error> {
        let limits = &self.options.limits;
        self.applied.entries += 1;
        if self.applied.entries > limits.entries {
            return Err(Error::TooLarge {
                what: "entries",
                limit: limits.entries,
            });
        }
        // Where a link leads is content, too; directories, devices and further names of a file are none.
        let size = match entry.kind {
            Kind::Symlink => entry.link.len() as u64,
            _ => entry.size,
        };
        self.applied.size = self.applied.size.saturating_add(size);
        if self.applied.size > limits.bytes {
            return Err(Error::TooLarge {
                what: "bytes",
                limit: limits.bytes,
            });
        }
        let path = clean(&entry.path)?;
        if path.is_empty() && entry.kind == Kind::Directory && self.options.shared {
            return Ok(());
        }
        let path = self.placed(&path);
        let (parent, name) = split(&path);
        if self.options.whiteouts == Whiteouts::Overlay && name.starts_with(WHITEOUT) {
            return self.whiteout(parent, name, entry);
        }
        match (entry.kind, name.is_empty()) {
            (Kind::Directory, true) => self.root(entry),
            (_, true) => Err(Error::name(&entry.path, "only a directory can be the root")),
            (Kind::Directory, false) => self.directory(parent, name, entry),
            (Kind::File, false) => self.file(parent, name, entry, tar),
            (Kind::HardLink, false) => self.hard_link(parent, name, entry),
            (Kind::Symlink, false) => self.symlink(parent, name, entry),
            (Kind::CharacterDevice | Kind::BlockDevice | Kind::Fifo, false) => {
                self.node(parent, name, entry)
            }
        }
    }

    /// A clean name of the archive as one of the tree; the root's own stays empty only where both are one.
    fn placed(&self, path: &[u8]) -> Vec<u8> {
        match (self.base.is_empty(), path.is_empty()) {
            (true, _) => path.to_vec(),
            (false, true) => self.base.clone(),
            (false, false) => tree::join(&self.base, path),
        }
    }

    /// An error where what is at `name` must not give way to what comes.
    fn yields(
        &self,
        at: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        comes: Kind,
    ) -> Result<(), Error> {
        if self.options.conflicts == Conflicts::Replace {
            return Ok(());
        }
        let status = match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => status,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::file("stat", path)(errno)),
        };
        let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        match (directory, comes == Kind::Directory) {
            (true, true) | (false, false) => Ok(()),
            _ => Err(Error::overwrite(path, &self.base, directory)),
        }
    }

    fn finish(mut self) -> Result<Applied, Error> {
        self.tree.reset()?;
        let root = self.tree.root()?;
        for (path, late) in std::mem::take(&mut self.late) {
            let name = if path.is_empty() {
                b"."
            } else {
                path.as_slice()
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_SYMLINKS;
            let directory = match openat2(&*root.directory, name, flags, Mode::empty(), resolve) {
                Ok(directory) => directory,
                // Replaced by a later entry.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(Error::file("open", &path)(errno)),
            };
            for (name, value) in &late.xattrs {
                self.set_xattr(directory.as_fd(), &path, name, value)?;
            }
            if let Some(mode) = late.mode {
                fchmod(&directory, Mode::from_raw_mode(mode))
                    .map_err(Error::file("chmod", &path))?;
            }
        }
        let implied = self.tree.into_implied();
        self.applied.implied = implied
            .iter()
            .map(|path| PathBuf::from(OsStr::from_bytes(path)))
            .collect();
        Ok(self.applied)
    }

    fn whiteout(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<(), Error> {
        if name == OPAQUE {
            let open = self.tree.directory(parent, Missing::Make)?;
            return set_opaque(open.directory.as_fd()).map_err(Error::file("hide below", parent));
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        let name = &name[WHITEOUT.len()..];
        if matches!(name, b"" | b"." | b"..") {
            return Err(Error::name(
                &entry.path,
                "it removes nothing that has a name",
            ));
        }
        let open = self.tree.directory(parent, Missing::Make)?;
        let at = open.directory.as_fd();
        let path = tree::join(parent, name);
        match mknodat(at, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                // A removal is about layers below; what this layer has here stays, and hides them.
                match tree::open(at, name) {
                    Ok(directory) => {
                        set_opaque(directory.as_fd()).map_err(Error::file("hide below", &path))
                    }
                    Err(Errno::NOTDIR | Errno::LOOP) => Ok(()),
                    Err(errno) => Err(Error::file("open", &path)(errno)),
                }
            }
            Err(errno) => Err(Error::file("white out", &path)(errno)),
        }
    }

    fn root(&mut self, entry: &Entry) -> Result<(), Error> {
        let open = self.tree.root()?;
        self.existing_directory(open.directory.as_fd(), b"", entry)?;
        self.tree.set_time(b"", entry.mtime);
        Ok(())
    }

    fn directory(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<(), Error> {
        let open = self.tree.directory(parent, Missing::Make)?;
        let at = open.directory.as_fd();
        let path = tree::join(&open.path, name);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        match mkdirat(at, name, mode) {
            Ok(()) => self.new_directory(&open, name, &path, entry)?,
            Err(Errno::EXIST) => match tree::open(at, name) {
                Ok(directory) => {
                    self.existing_directory(directory.as_fd(), &path, entry)?;
                    self.tree.named(&path);
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    self.yields(at, name, &path, Kind::Directory)?;
                    let hides = self.options.whiteouts == Whiteouts::Overlay
                        && tree::is_whiteout(at, name)?;
                    unlinkat(at, name, AtFlags::empty()).map_err(Error::file("replace", &path))?;
                    self.tree.reset()?;
                    mkdirat(at, name, mode).map_err(Error::file("mkdir", &path))?;
                    self.new_directory(&open, name, &path, entry)?;
                    if hides {
                        tree::open(at, name)
                            .and_then(|directory| set_opaque(directory.as_fd()))
                            .map_err(Error::file("hide below", &path))?;
                    }
                }
                Err(errno) => return Err(Error::file("open", &path)(errno)),
            },
            Err(errno) => return Err(Error::file("mkdir", &path)(errno)),
        }
        self.tree.set_time(&path, entry.mtime);
        utimensat(
            at,
            name,
            &timestamps(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(Error::file("set time of", &path))
    }

    fn new_directory(
        &mut self,
        parent: &Open,
        name: &[u8],
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), Error> {
        let at = parent.directory.as_fd();
        let owned = self.owned_already(parent.plain, entry);
        if !owned {
            chownat(
                at,
                name,
                Some(user(entry)),
                Some(group(entry)),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(Error::file("chown", path))?;
        }
        if !parent.plain || entry.mode & (self.umask | 0o1000) != 0 {
            // Not a link: it was made a moment ago, and nobody else is here.
            chmodat(
                at,
                name,
                Mode::from_raw_mode(entry.mode & 0o1777),
                AtFlags::empty(),
            )
            .map_err(Error::file("chmod", path))?;
        }
        if !entry.xattrs.is_empty() {
            let directory = tree::open(at, name).map_err(Error::file("open", path))?;
            self.directory_xattrs(directory.as_fd(), path, entry)?;
        }
        self.late_mode(path, entry)?;
        self.tree.made(path);
        Ok(())
    }

    /// Gives a directory that is there what the entry says.
    fn existing_directory(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), Error> {
        if self.options.owner != Owner::Process {
            fchown(directory, Some(user(entry)), Some(group(entry)))
                .map_err(Error::file("chown", path))?;
        }
        fchmod(directory, Mode::from_raw_mode(entry.mode & 0o1777))
            .map_err(Error::file("chmod", path))?;
        self.late.remove(path);
        self.directory_xattrs(directory, path, entry)?;
        self.late_mode(path, entry)
    }

    fn late_mode(&mut self, path: &[u8], entry: &Entry) -> Result<(), Error> {
        if entry.mode & 0o6000 != 0 {
            self.later(path)?.mode = Some(entry.mode);
        }
        Ok(())
    }

    fn later(&mut self, path: &[u8]) -> Result<&mut Late, Error> {
        if self.late.len() as u64 >= tree::MOST_HELD && !self.late.contains_key(path) {
            return Err(Error::TooLarge {
                what: "directories whose attributes pass on",
                limit: tree::MOST_HELD,
            });
        }
        Ok(self.late.entry(path.to_vec()).or_default())
    }

    fn directory_xattrs(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &[u8],
        entry: &Entry,
    ) -> Result<(), Error> {
        for (name, value) in &entry.xattrs {
            if name.starts_with(b"system.") {
                let late = self.later(path)?;
                late.xattrs.push((name.clone(), value.clone()));
            } else {
                self.set_xattr(directory, path, name, value)?;
            }
        }
        Ok(())
    }

    fn file<R: std::io::BufRead>(
        &mut self,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
        tar: &mut TarReader<R>,
    ) -> Result<(), Error> {
        let open = self.tree.directory(parent, Missing::Make)?;
        let path = &entry.path;
        self.yields(
            open.directory.as_fd(),
            name,
            &tree::join(parent, name),
            entry.kind,
        )?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let file: OwnedFd = self
            .replacing(&open, name, |at| openat(at, name, flags, mode))
            .map_err(Error::file("create", path))?;
        let mut holes = false;
        loop {
            let hole = tar.hole();
            if hole > 0 {
                holes = true;
                let by = i64::try_from(hole).map_err(|_| Error::invalid("impossible size"))?;
                rustix::fs::seek(&file, rustix::fs::SeekFrom::Current(by))
                    .map_err(Error::file("write", path))?;
                continue;
            }
            let count = {
                let bytes = tar.data()?;
                if bytes.is_empty() {
                    break;
                }
                match rustix::io::write(&file, bytes) {
                    Ok(count) => count,
                    Err(Errno::INTR) => 0,
                    Err(errno) => return Err(Error::file("write", path)(errno)),
                }
            };
            tar.consume(count);
        }
        if holes {
            // One at the end is none until the file has its size.
            rustix::fs::ftruncate(&file, entry.size).map_err(Error::file("write", path))?;
        }
        let owned = self.owned_already(open.plain, entry);
        if !owned {
            fchown(&file, Some(user(entry)), Some(group(entry)))
                .map_err(Error::file("chown", path))?;
        }
        // After chown, which takes set-user-id bits away.
        if !open.plain || entry.mode & (self.umask | 0o7000) != 0 {
            fchmod(&file, Mode::from_raw_mode(entry.mode & 0o7777))
                .map_err(Error::file("chmod", path))?;
        }
        for (name, value) in &entry.xattrs {
            self.set_xattr(file.as_fd(), path, name, value)?;
        }
        futimens(&file, &timestamps(entry.mtime)).map_err(Error::file("set time of", path))
    }

    fn hard_link(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<(), Error> {
        let target = self.placed(&clean(&entry.link)?);
        let (target_parent, target_name) = split(&target);
        if target_name.is_empty() {
            return Err(Error::name(&entry.path, "it is a hard link to the root"));
        }
        let path = &entry.path;
        let from = self.tree.directory(target_parent, Missing::Refuse)?;
        let open = self.tree.directory(parent, Missing::Make)?;
        self.yields(
            open.directory.as_fd(),
            name,
            &tree::join(parent, name),
            entry.kind,
        )?;
        // Never through a link in the last component: that links the link itself.
        let link = |at: BorrowedFd<'_>| {
            linkat(
                from.directory.as_fd(),
                target_name,
                at,
                name,
                AtFlags::empty(),
            )
        };
        match link(open.directory.as_fd()) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(Error::file("link", path)),
        }
        let (at, from_at) = (open.directory.as_fd(), from.directory.as_fd());
        let there =
            statat(at, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::file("stat", path))?;
        let wanted = statat(from_at, target_name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::file("stat", &target))?;
        if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino) {
            return Ok(());
        }
        self.replacing(&open, name, link)
            .map_err(Error::file("link", path))
    }

    fn symlink(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<(), Error> {
        let open = self.tree.directory(parent, Missing::Make)?;
        let path = &entry.path;
        self.yields(
            open.directory.as_fd(),
            name,
            &tree::join(parent, name),
            entry.kind,
        )?;
        self.replacing(&open, name, |at| symlinkat(entry.link.as_slice(), at, name))
            .map_err(Error::file("symlink", path))?;
        self.attributes(&open, name, entry)
    }

    fn node(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<(), Error> {
        let open = self.tree.directory(parent, Missing::Make)?;
        let kind = match entry.kind {
            Kind::CharacterDevice => FileType::CharacterDevice,
            Kind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = match kind {
            FileType::Fifo => 0,
            _ => makedev(entry.device.0, entry.device.1),
        };
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        self.yields(
            open.directory.as_fd(),
            name,
            &tree::join(parent, name),
            entry.kind,
        )?;
        self.replacing(&open, name, |at| mknodat(at, name, kind, mode, device))
            .map_err(Error::file("mknod", &entry.path))?;
        self.attributes(&open, name, entry)
    }

    /// Owner, mode, attributes and time of what has no descriptor to write to.
    fn attributes(&mut self, open: &Open, name: &[u8], entry: &Entry) -> Result<(), Error> {
        let (at, path) = (open.directory.as_fd(), &entry.path);
        if !self.owned_already(open.plain, entry) {
            chownat(
                at,
                name,
                Some(user(entry)),
                Some(group(entry)),
                AtFlags::SYMLINK_NOFOLLOW,
            )
            .map_err(Error::file("chown", path))?;
        }
        let masked = !open.plain || entry.mode & (self.umask | 0o7000) != 0;
        if entry.kind != Kind::Symlink && masked {
            chmodat(
                at,
                name,
                Mode::from_raw_mode(entry.mode & 0o7777),
                AtFlags::empty(),
            )
            .map_err(Error::file("chmod", path))?;
        }
        for (key, value) in &entry.xattrs {
            if is_overlays(key) {
                continue;
            }
            // There is no call by descriptor for links and devices; this name leads to our own open directory.
            let name = OsStr::from_bytes(name);
            let way = PathBuf::from(format!("/proc/self/fd/{}", at.as_raw_fd())).join(name);
            match lsetxattr(&way, key.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                // The kernel has user attributes on files and directories only.
                Err(Errno::NOTSUP | Errno::PERM) => self.applied.skipped_xattrs += 1,
                Err(errno) => return Err(Error::file("set attribute of", path)(errno)),
            }
        }
        utimensat(
            at,
            name,
            &timestamps(entry.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(Error::file("set time of", path))
    }

    /// Makes something; what is in its place goes first.
    fn replacing<T>(
        &mut self,
        open: &Open,
        name: &[u8],
        mut make: impl FnMut(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let at = open.directory.as_fd();
        match make(at) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
        tree::remove(at, name)?;
        // Open directories may have been reached through what is gone.
        self.tree.reset().map_err(|_| Errno::IO)?;
        make(at)
    }

    /// Whether what this process makes belongs to whom the entry says.
    fn owned_already(&self, plain: bool, entry: &Entry) -> bool {
        self.options.owner == Owner::Process
            || plain && entry.uid == self.user && entry.gid == self.group
    }

    fn set_xattr(
        &mut self,
        file: BorrowedFd<'_>,
        path: &[u8],
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Error> {
        if is_overlays(name) {
            return Ok(());
        }
        match fsetxattr(file, name, value, XattrFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::NOTSUP) => {
                self.applied.skipped_xattrs += 1;
                Ok(())
            }
            Err(errno) => Err(Error::file("set attribute of", path)(errno)),
        }
    }
}

fn is_overlays(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

fn user(entry: &Entry) -> Uid {
    Uid::from_raw(entry.uid)
}

fn group(entry: &Entry) -> Gid {
    Gid::from_raw(entry.gid)
}

/// The umask of this process; everything when it cannot be read, so that modes are always set.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok())
        .unwrap_or(0o777)
}

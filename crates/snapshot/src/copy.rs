//! Copying a layer onto a directory, for the native driver and for new volumes: overlayfs's merge, done once and for all.
//! And copying a tree as it is, with overlayfs's marks or with everything.
//!
//! Every directory is reached by a descriptor of the root, without links: who moves things about in the target meanwhile
//! gets an odd copy, never one outside.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Uid, chownat, fgetxattr,
    ftruncate, linkat, mkdirat, mknodat, openat, readlinkat, seek, statat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::Errno;

use crate::Error;
use crate::inherit::{
    Extended, all_extended, extended, inside, open, set_extended, set_owner_and_mode, set_time,
    times,
};

/// What becomes of overlayfs's marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// They do what they say: whiteouts remove, opaque directories empty.
    Applied,
    /// They stay what they are, for another overlay of the same layers. Those that speak of places are refused.
    Kept,
    /// They are nothing but files and attributes.
    Literal,
}

const OPAQUE: &str = "trusted.overlay.opaque";

/// Copies the tree at `from` into the directory at `to`.
pub(crate) fn tree(from: &Path, to: &Path, marks: Marks) -> Result<(), Error> {
    let source = open(CWD, from).map_err(Error::file("open", from))?;
    let target = open(CWD, to).map_err(Error::file("open", to))?;
    run(source.as_fd(), target.as_fd(), marks).map_err(|(path, errno)| match errno {
        Errno::OPNOTSUPP if marks == Marks::Kept => Error::Redirected(from.join(path)),
        errno => Error::file("copy", from.join(path))(errno),
    })
}

/// Copies the layer at `from`, in the form overlayfs reads, onto `to`: whiteouts remove, opaque directories empty.
pub(crate) fn layer(from: &Path, to: &Path) -> Result<(), Error> {
    let source = open(CWD, from).map_err(Error::file("open", from))?;
    let target = open(CWD, to).map_err(Error::file("open", to))?;
    directory(source.as_fd(), target.as_fd())
        .map_err(|(path, errno)| Error::file("copy", from.join(path))(errno))
}

/// As [`layer`], by descriptors; an error comes with the path it happened at.
pub(crate) fn directory(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
) -> Result<(), (PathBuf, Errno)> {
    run(source, target, Marks::Applied)
}

fn run(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    marks: Marks,
) -> Result<(), (PathBuf, Errno)> {
    let mut copy = Copy {
        target,
        marks,
        linked: HashMap::new(),
    };
    let mut waiting = vec![PathBuf::new()];
    // Times last: filling a directory changes its own.
    let mut visited = Vec::new();
    while let Some(path) = waiting.pop() {
        copy.directory(source, &path, &mut waiting)
            .map_err(|errno| (path.clone(), errno))?;
        visited.push(path);
    }
    for path in visited.into_iter().rev() {
        let finish = || -> Result<(), Errno> {
            let status = rustix::fs::fstat(inside(source, &path)?)?;
            set_time(inside(target, &path)?.as_fd(), &status)
        };
        finish().map_err(|errno| (path.clone(), errno))?;
    }
    Ok(())
}

struct Copy<'a> {
    target: BorrowedFd<'a>,
    marks: Marks,
    /// First name of every file that has several.
    linked: HashMap<u64, PathBuf>,
}

impl Copy<'_> {
    fn directory(
        &mut self,
        source: BorrowedFd<'_>,
        path: &Path,
        waiting: &mut Vec<PathBuf>,
    ) -> Result<(), Errno> {
        let from = inside(source, path)?;
        let to = inside(self.target, path)?;
        if self.marks == Marks::Applied && is_opaque(from.as_fd())? {
            for entry in Dir::read_from(&to)? {
                let entry = entry?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    remove(to.as_fd(), entry.file_name().to_bytes())?;
                }
            }
        }
        set_owner_and_mode(to.as_fd(), &rustix::fs::fstat(&from)?)?;
        for (name, value) in self.extended(from.as_fd())? {
            set_extended(to.as_fd(), &name, &value)?;
        }
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let status = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let child = path.join(std::ffi::OsStr::from_bytes(name));
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
                match mkdirat(&to, name, Mode::RWXU) {
                    Err(Errno::EXIST) => {
                        let there = statat(&to, name, AtFlags::SYMLINK_NOFOLLOW)?;
                        if FileType::from_raw_mode(there.st_mode) != FileType::Directory {
                            unlinkat(&to, name, AtFlags::empty())?;
                            mkdirat(&to, name, Mode::RWXU)?;
                        }
                    }
                    other => other?,
                }
                waiting.push(child);
            } else {
                remove(to.as_fd(), name)?;
                self.file(from.as_fd(), to.as_fd(), name, child, &status)?;
            }
        }
        Ok(())
    }

    /// The attributes that go along.
    fn extended(&self, file: BorrowedFd<'_>) -> Result<Extended, Errno> {
        if self.marks == Marks::Applied {
            return extended(file);
        }
        let mut found = all_extended(file)?;
        if self.marks == Marks::Kept {
            // A name or the content is to be found elsewhere below: kernel's overlayfs documentation, "redirect_dir" and
            // "metadata only copy up".
            let elsewhere = [
                "trusted.overlay.redirect".as_bytes(),
                b"trusted.overlay.metacopy",
            ];
            if found.iter().any(|(n, _)| elsewhere.contains(&n.as_slice())) {
                return Err(Errno::OPNOTSUPP);
            }
            // The others speak of inodes of the tree copied from.
            found.retain(|(name, _)| {
                !name.starts_with(b"trusted.overlay.") || name == OPAQUE.as_bytes()
            });
        }
        Ok(found)
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &[u8],
        path: PathBuf,
        status: &Stat,
    ) -> Result<(), Errno> {
        let kind = FileType::from_raw_mode(status.st_mode);
        let is_whiteout = kind == FileType::CharacterDevice && status.st_rdev == 0;
        if is_whiteout && self.marks == Marks::Applied {
            return Ok(());
        }
        if status.st_nlink > 1 {
            if let Some(first) = self.linked.get(&status.st_ino) {
                let parent = inside(self.target, first.parent().unwrap_or(Path::new("")))?;
                let first = first.file_name().ok_or(Errno::INVAL)?;
                return linkat(parent, first, to, name, AtFlags::empty());
            }
            self.linked.insert(status.st_ino, path);
        }
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let source = File::from(openat(from, name, flags, Mode::empty())?);
                let flags = OFlags::WRONLY
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                let target = File::from(openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
                content(&source, &target, status)?;
                set_owner_and_mode(target.as_fd(), status)?;
                for (name, value) in self.extended(source.as_fd())? {
                    set_extended(target.as_fd(), &name, &value)?;
                }
                return set_time(target.as_fd(), status);
            }
            FileType::Symlink => symlinkat(readlinkat(from, name, Vec::new())?, to, name)?,
            _ => {
                let mode = Mode::from_raw_mode(status.st_mode & 0o7777);
                mknodat(to, name, kind, mode, status.st_rdev)?;
            }
        }
        let (user, group) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
        chownat(to, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            // Not left to the umask.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = openat(to, name, flags, Mode::empty())?;
            let mode = Mode::from_raw_mode(status.st_mode & 0o7777);
            rustix::fs::chmod(format!("/proc/self/fd/{}", made.as_raw_fd()), mode)?;
        }
        utimensat(to, name, &times(status), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Copies the bytes of a file; holes stay holes.
fn content(mut source: &File, mut target: &File, status: &Stat) -> Result<(), Errno> {
    let size = u64::try_from(status.st_size).unwrap_or(0);
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    if u64::try_from(status.st_blocks).unwrap_or(0) * 512 >= size {
        return std::io::copy(&mut source, &mut target)
            .map(drop)
            .map_err(failed);
    }
    let mut at = 0;
    while at < size {
        let start = match seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        let end = seek(source, SeekFrom::Hole(start))?;
        seek(source, SeekFrom::Start(start))?;
        seek(target, SeekFrom::Start(start))?;
        std::io::copy(&mut source.take(end - start), &mut target).map_err(failed)?;
        at = end;
    }
    ftruncate(target, size)
}

pub(crate) fn is_opaque(directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut value = [0; 4];
    match fgetxattr(directory, OPAQUE, value.as_mut_slice()) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes what may be at `name`, with all below it.
fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    let mut levels = vec![(open(parent, name)?, name.to_vec())];
    while let Some((directory, name)) = levels.last() {
        let mut child = None;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            match unlinkat(directory, name, AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::ISDIR | Errno::PERM) => {
                    child = Some((open(directory.as_fd(), name)?, name.to_vec()));
                    break;
                }
                Err(errno) => return Err(errno),
            }
        }
        match child {
            Some(child) => levels.push(child),
            None => {
                let name = name.clone();
                levels.pop();
                let parent = levels
                    .last()
                    .map_or(parent, |(directory, _)| directory.as_fd());
                unlinkat(parent, name.as_slice(), AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

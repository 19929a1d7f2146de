//! What is at a name of a tree, be that a directory of the disk or an index.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;

use super::attributes::{Place, Xattrs, times, xattrs};
use super::content::Part;
use super::index::{Content, Index, Number, What};
use super::{Error, tree};

/// What is told of a file at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Kind and permissions.
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) device: u64,
    pub(crate) size: u64,
    /// When it was changed.
    pub(crate) time: Timespec,
    /// What all names of a file have in common, where it has several.
    pub(crate) identity: Option<(u64, u64)>,
    has_holes: bool,
}

impl Facts {
    fn of(status: &Stat) -> Self {
        let size = u64::try_from(status.st_size).unwrap_or(0);
        Self {
            mode: status.st_mode,
            owner: (status.st_uid, status.st_gid),
            device: status.st_rdev,
            size,
            time: times(status).last_modification,
            identity: (status.st_nlink > 1).then_some((status.st_dev, status.st_ino)),
            // Blocks of 512 bytes: a file without holes takes as many as its size, or more.
            has_holes: u64::try_from(status.st_blocks).unwrap_or(0) * 512 < size,
        }
    }

    fn listed(index: &Index, number: Number) -> Self {
        let node = index.node(number);
        let time = Timespec {
            tv_sec: node.mtime.seconds,
            tv_nsec: i64::from(node.mtime.nanoseconds),
        };
        let (size, has_holes) = match &node.what {
            What::File { content, has_holes } => (content.size, *has_holes),
            _ => (0, false),
        };
        Self {
            mode: node.mode,
            owner: (node.uid, node.gid),
            device: match node.what {
                What::Device(device) => device,
                _ => 0,
            },
            size,
            time,
            identity: (node.links > 1).then_some((0, u64::from(number))),
            has_holes,
        }
    }

    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }
}

/// What is at a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) facts: Facts,
    at: At<'a>,
}

#[derive(Clone, Copy, Debug)]
enum At<'a> {
    /// A directory that is open.
    Open(BorrowedFd<'a>),
    Name(BorrowedFd<'a>, &'a [u8]),
    Listed(&'a Index, Number),
}

impl<'a> Item<'a> {
    /// Extended attributes, but for those that are the host's business.
    pub(crate) fn xattrs(&self) -> Result<Xattrs, Errno> {
        match self.at {
            At::Open(directory) => xattrs(Place::Open(directory)),
            At::Name(parent, name) => xattrs(Place::Name(parent, name)),
            At::Listed(index, number) => Ok(index.node(number).xattrs().to_vec()),
        }
    }

    /// What a symbolic link says.
    pub(crate) fn target(&self) -> Result<Vec<u8>, Errno> {
        match self.at {
            At::Open(_) => Err(Errno::INVAL),
            At::Name(parent, name) => Ok(readlinkat(parent, name, Vec::new())?.into_bytes()),
            At::Listed(index, number) => match &index.node(number).what {
                What::Link(target) => Ok(target.to_vec()),
                _ => Err(Errno::INVAL),
            },
        }
    }

    /// What the bytes of a file of an index are.
    pub(crate) fn content(&self) -> Option<Content> {
        match self.at {
            At::Listed(index, number) => match &index.node(number).what {
                What::File { content, .. } => Some(*content),
                _ => None,
            },
            At::Open(_) | At::Name(..) => None,
        }
    }

    /// Opens a file to read it; anything else that has come into its place is refused.
    pub(crate) fn open(&self) -> Result<Opened<'a>, Error> {
        let refused = |errno: Errno| Error::file("open", self.shown())(errno);
        match self.at {
            At::Open(_) => Err(refused(Errno::ISDIR)),
            At::Name(parent, name) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(parent, name, flags, Mode::empty()).map_err(refused)?;
                let status = fstat(&file).map_err(refused)?;
                let facts = Facts::of(&status);
                match facts.kind() {
                    FileType::RegularFile => Ok(Opened {
                        facts,
                        bytes: Bytes::File(File::from(file)),
                    }),
                    _ => Err(refused(Errno::AGAIN)),
                }
            }
            At::Listed(index, number) => Ok(Opened {
                facts: self.facts,
                bytes: Bytes::Listed(index, number),
            }),
        }
    }

    fn shown(&self) -> &[u8] {
        match self.at {
            At::Name(_, name) => name,
            At::Open(_) | At::Listed(..) => b"/",
        }
    }
}

/// A file that can be read.
#[derive(Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) facts: Facts,
    bytes: Bytes<'a>,
}

#[derive(Debug)]
enum Bytes<'a> {
    File(File),
    Listed(&'a Index, Number),
}

impl Opened<'_> {
    pub(crate) fn xattrs(&self) -> Result<Xattrs, Errno> {
        match &self.bytes {
            Bytes::File(file) => xattrs(Place::Open(file.as_fd())),
            Bytes::Listed(index, number) => Ok(index.node(*number).xattrs().to_vec()),
        }
    }

    /// What its bytes are known by: of an index nobody reads them.
    pub(crate) fn digest(&self) -> Result<[u8; 32], Error> {
        match &self.bytes {
            Bytes::File(file) => self.whole(file).digest().map_err(Error::file("read", b"")),
            Bytes::Listed(index, number) => match &index.node(*number).what {
                What::File { content, .. } => Ok(content.digest),
                _ => Err(Error::file("read", b"")(Errno::INVAL)),
            },
        }
    }

    /// Sees to it that its bytes can be had.
    pub(crate) fn fetch(&self) -> Result<(), Error> {
        match &self.bytes {
            Bytes::File(_) => Ok(()),
            Bytes::Listed(index, number) => match &index.node(*number).what {
                What::File { content, .. } => index.contents().fetch(&[*content]),
                _ => Ok(()),
            },
        }
    }

    /// Its bytes, for `read`.
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Part<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.bytes {
            Bytes::File(file) => read(&self.whole(file)),
            Bytes::Listed(index, number) => {
                let What::File { content, has_holes } = &index.node(*number).what else {
                    return Err(Error::file("read", b"")(Errno::INVAL));
                };
                let (file, at): (Arc<File>, u64) = index.contents().open(content)?;
                read(&Part {
                    file: &file,
                    at,
                    size: content.size,
                    has_holes: *has_holes,
                    is_whole: false,
                })
            }
        }
    }

    fn whole<'b>(&self, file: &'b File) -> Part<'b> {
        Part {
            file,
            at: 0,
            size: self.facts.size,
            has_holes: self.facts.has_holes,
            is_whole: true,
        }
    }
}

/// A directory of a tree.
#[derive(Debug)]
pub(crate) enum Folder<'a> {
    Open(OwnedFd, Facts),
    Listed(&'a Index, Number),
}

impl<'a> Folder<'a> {
    pub(crate) fn open(directory: OwnedFd) -> Result<Self, Errno> {
        let facts = Facts::of(&fstat(&directory)?);
        Ok(Self::Open(directory, facts))
    }

    /// It, as something at a name.
    pub(crate) fn item(&self) -> Item<'_> {
        match self {
            Self::Open(directory, facts) => Item {
                facts: *facts,
                at: At::Open(directory.as_fd()),
            },
            Self::Listed(index, number) => Item {
                facts: Facts::listed(index, *number),
                at: At::Listed(index, *number),
            },
        }
    }

    /// The names in it with what they are, as far as that is said at once. Sorted.
    pub(crate) fn names(&self) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
        match self {
            Self::Open(directory, _) => tree::names(directory.as_fd()),
            Self::Listed(index, number) => {
                let kind = |child: Number| FileType::from_raw_mode(index.node(child).mode);
                let names = index.children(*number)?.iter();
                Ok(names
                    .map(|(name, child)| (name.to_vec(), kind(*child)))
                    .collect())
            }
        }
    }

    /// The directory `name` in it; a link is none.
    pub(crate) fn folder(&self, name: &[u8]) -> Result<Folder<'a>, Errno> {
        match self {
            Self::Open(directory, _) => Folder::open(tree::directory(directory.as_fd(), name)?),
            Self::Listed(index, number) => {
                let child = index.child(*number, name)?;
                match &index.node(child).what {
                    What::Directory(_) => Ok(Folder::Listed(index, child)),
                    What::Link(_) => Err(Errno::LOOP),
                    _ => Err(Errno::NOTDIR),
                }
            }
        }
    }

    /// What is at `name` in it; a link is what it is.
    pub(crate) fn at<'b>(&'b self, name: &'b [u8]) -> Result<Item<'b>, Errno> {
        match self {
            Self::Open(directory, _) => {
                let status = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(Item {
                    facts: Facts::of(&status),
                    at: At::Name(directory.as_fd(), name),
                })
            }
            Self::Listed(index, number) => {
                let child = index.child(*number, name)?;
                Ok(Item {
                    facts: Facts::listed(index, child),
                    at: At::Listed(index, child),
                })
            }
        }
    }
}

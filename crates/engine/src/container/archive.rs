//! `archive`: what is at a path, a tar of it, and a tar unpacked there.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use onggi_api::container::{PathStat, file_mode};
use onggi_archive::{ApplyOptions, Conflicts, Owner, PackOptions, shows_the_kernel};
use onggi_model::Timestamp;
use rustix::fs::{AtFlags, FileType, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;

use super::place::{self, Asked, Ending};
use super::user;
use super::view::View;
use crate::Engine;
use crate::error::{Error, Result};

/// Pieces of an archive that may wait for a slow client before the work waits with them.
const QUEUE: usize = 8;

/// How a tar is unpacked into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractOptions {
    /// A directory gives way to nothing else, nor anything else to a directory.
    pub no_overwrite_dir_non_dir: bool,
    /// All belongs to the container's user.
    pub copy_uid_gid: bool,
}

/// A tar on its way; ends with an error where it could not be finished.
pub type Chunks = mpsc::Receiver<io::Result<Bytes>>;

/// Something in a view.
struct Found {
    /// The directory it is in; of a directory, that itself.
    parent: OwnedFd,
    stat: PathStat,
}

impl Engine {
    /// What is at `path` in a container.
    ///
    /// # Errors
    /// `NotFound`: no such container or path; `InvalidParameter` where the path wants a directory and there is none.
    pub async fn container_path_stat(&self, id: &str, path: &str) -> Result<PathStat> {
        let container = self.inner.containers.find(id)?;
        let view = self.view(&container).await?;
        let (id, path) = (id.to_owned(), path.to_owned());
        onggi_rt::blocking("look at a container's file", move || {
            Ok(find(&view, &path, &id)?.stat)
        })
        .await?
    }

    /// A tar of what is at `path`. It is made as it is read: whoever stops reading stops the work.
    ///
    /// # Errors
    /// As of `container_path_stat`.
    pub async fn container_archive(&self, id: &str, path: &str) -> Result<(PathStat, Chunks)> {
        let container = self.inner.containers.find(id)?;
        let view = self.view(&container).await?;
        let (name, path) = (id.to_owned(), path.to_owned());
        let begun = onggi_rt::blocking("open a container's file", move || {
            let found = find(&view, &path, &name)?;
            Ok::<_, Error>((view, found, Asked::new(&path)))
        });
        let (view, found, asked) = begun.await??;
        self.container_event(&container.record(), "archive-path", []);
        let stat = found.stat.clone();
        let chunks = stream("pack a container's files", move |sink| {
            let _view = &view;
            let options = PackOptions {
                prefix: asked.base().to_vec(),
                with_root: true,
                ..PackOptions::default()
            };
            match found.stat.is_directory() {
                true => onggi_archive::pack(found.parent.as_fd(), sink, &options),
                false => {
                    let (_, name) = asked.split();
                    onggi_archive::pack_one(found.parent.as_fd(), name, sink, &options)
                }
            }
            .map(drop)
        })?;
        Ok((stat, chunks))
    }

    /// Unpacks a tar, which may be compressed, into the directory at `path`. Run it as a task of its own: the
    /// container of a view that is written to cannot be started meanwhile.
    ///
    /// # Errors
    /// `NotFound`: no such container or path; `InvalidParameter` for what is no directory, is read-only, or for a tar
    /// that cannot be unpacked.
    pub async fn container_extract(
        &self,
        id: &str,
        path: &str,
        options: ExtractOptions,
        tar: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<()> {
        let container = self.inner.containers.find(id)?;
        // The guard goes last, after the view.
        let (view, _writer) = self.writable_view(&container).await?;
        let record = container.record();
        let (asked, name) = (Asked::new(path), id.to_owned());
        let (path, user) = (path.to_owned(), record.config.user.clone());
        let tar = onggi_rt::Reader::new(tar);
        onggi_rt::blocking("unpack into a container", move || {
            let base = target(&view, &asked, &path, &name)?;
            let owner = match options.copy_uid_gid && !user.is_empty() {
                true => {
                    let (user, group) = user::find(view.root(), &user)?;
                    Owner::Fixed(user, group)
                }
                false => Owner::Archive,
            };
            let conflicts = match options.no_overwrite_dir_non_dir {
                true => Conflicts::Refuse,
                false => Conflicts::Replace,
            };
            let options = ApplyOptions::copy(conflicts, owner);
            let (_, tar) = onggi_archive::decompress(tar).map_err(|fault| Error::of(&fault))?;
            onggi_archive::apply_below(tar, view.root(), &base, &options)
                .map_err(|fault| Error::of(&fault))
                .map(drop)
        })
        .await??;
        self.container_event(&record, "extract-to-dir", []);
        Ok(())
    }
}

/// Runs `work` on a thread with a sink for what it writes. The sink fails when the reader is gone.
pub(crate) fn stream(
    what: &'static str,
    work: impl FnOnce(&mut Sink) -> Result<(), onggi_archive::Error> + Send + 'static,
) -> Result<Chunks> {
    let (chunks, receive) = mpsc::channel(QUEUE);
    // Not one of the threads for blocking work: there are only so many, and a client may take its time.
    std::thread::Builder::new()
        .name("pack".to_owned())
        .spawn(move || {
            let mut sink = Sink(chunks);
            if let Err(error) = work(&mut sink) {
                if sink.0.is_closed() {
                    tracing::debug!(what, "the client left");
                    return;
                }
                let text = onggi_model::chain(&error);
                tracing::warn!(what, "{text}");
                // The client sees a body that breaks off, not a short archive.
                let _ = sink.0.blocking_send(Err(io::Error::other(text)));
            }
        })
        .map_err(|e| Error::io(what, e))?;
    Ok(receive)
}

/// Writes into a channel.
pub(crate) struct Sink(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Bytes::copy_from_slice(bytes);
        match self.0.blocking_send(Ok(chunk)) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is at a path; links are followed where its end says so.
fn find(view: &View, path: &str, id: &str) -> Result<Found> {
    let asked = Asked::new(path);
    let refused = |error: io::Error| refusal(&error, path, id);
    let (file, parent) = match asked.ending == Ending::Plain && !asked.path.is_empty() {
        true => {
            let (parent, name) = asked.split();
            let parent = place::open(view.root(), parent, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(refused)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&parent, name, flags, rustix::fs::Mode::empty())
                .map_err(|e| refused(e.into()))?;
            (file, parent)
        }
        false => {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let file = place::open(view.root(), &asked.path, flags).map_err(refused)?;
            let parent = file.try_clone().map_err(refused)?;
            (file, parent)
        }
    };
    if is_of_the_kernel(file.as_fd()).map_err(refused)? {
        return Err(not_found(path, id));
    }
    let status =
        rustix::fs::statat(&file, "", AtFlags::EMPTY_PATH).map_err(|e| refused(e.into()))?;
    let kind = FileType::from_raw_mode(status.st_mode);
    let link_target = match kind {
        FileType::Symlink => {
            let target = place::follow(view.root(), &asked.path).map_err(refused)?;
            format!("/{}", String::from_utf8_lossy(&target))
        }
        _ => String::new(),
    };
    let mtime = i32::try_from(status.st_mtime_nsec)
        .ok()
        .and_then(|nanoseconds| Timestamp::from_unix(status.st_mtime, nanoseconds));
    let stat = PathStat {
        name: String::from_utf8_lossy(asked.base()).into_owned(),
        size: status.st_size,
        mode: file_mode::from_unix(status.st_mode),
        mtime: mtime.unwrap_or_default().to_string(),
        link_target,
    };
    let parent = match kind {
        FileType::Directory => place::listable(file.as_fd()).map_err(refused)?,
        _ => parent,
    };
    Ok(Found { parent, stat })
}

/// Whether it is a file that the kernel makes up, rather than the place where such files are mounted.
fn is_of_the_kernel(file: BorrowedFd<'_>) -> io::Result<bool> {
    if !shows_the_kernel(file) {
        return Ok(false);
    }
    let status = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    Ok(!status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The directory to unpack into, without links; an error where it is none or must not be written to.
fn target(view: &View, asked: &Asked, path: &str, id: &str) -> Result<Vec<u8>> {
    let refused = |error: io::Error| refusal(&error, path, id);
    let resolved = place::follow(view.root(), &asked.path).map_err(refused)?;
    let directory = place::open(view.root(), &resolved, OFlags::PATH).map_err(refused)?;
    if !place::is_directory(directory.as_fd()).map_err(refused)? {
        return Err(Error::invalid("extraction point is not a directory"));
    }
    if shows_the_kernel(directory.as_fd()) {
        return Err(Error::invalid(format!(
            "{path} lies in a file system that shows the kernel: files cannot be copied there"
        )));
    }
    let file_system = rustix::fs::fstatvfs(&directory).map_err(|e| refused(e.into()))?;
    if file_system.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let root = rustix::fs::statx(view.root(), "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        let here = rustix::fs::statx(&directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        let same =
            matches!((root, here), (Ok(root), Ok(here)) if root.stx_mnt_id == here.stx_mnt_id);
        return Err(Error::invalid(match same {
            true => "container rootfs is marked read-only",
            false => "mounted volume is marked read-only",
        }));
    }
    Ok(resolved)
}

fn refusal(error: &io::Error, path: &str, id: &str) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => not_found(path, id),
        io::ErrorKind::NotADirectory => Error::invalid(format!("{path}: not a directory")),
        _ => match error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            true => Error::invalid(format!("{path}: too many levels of symbolic links")),
            false => Error::internal(format!("{path}: {error}")),
        },
    }
}

fn not_found(path: &str, id: &str) -> Error {
    Error::not_found(format!("Could not find the file {path} in container {id}"))
}

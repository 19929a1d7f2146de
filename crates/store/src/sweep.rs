//! Deleting behind: what was renamed into the trash is removed file by file, by a thread of its own or when asked.
//!
//! Containers made what is deleted here: names are only ever used below descriptors of our own, nothing is followed,
//! and neither depth nor breadth of a tree costs stack or descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::store::Inner;
use crate::{Error, Store};

/// Levels of a tree that are held open at once; what lies deeper is first moved up.
const DEPTH: usize = 32;
/// How often what has become too old is looked for.
const ROUND: Duration = Duration::from_secs(3600);

/// Wakes the sweeper.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    wake: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Waits until it is rung, at most so long.
    fn wait(&self, limit: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .wake
            .wait_timeout_while(rung, limit, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// A thread that deletes what was discarded, until it is dropped.
#[derive(Debug)]
pub struct Sweeper {
    inner: Arc<Inner>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Starts the thread; it first deletes what earlier runs left. Keep one per store. While it lives, the store stays
    /// open.
    ///
    /// # Errors
    /// [`Error::File`] when no thread can be started.
    pub fn start(store: &Store) -> Result<Sweeper, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("store-sweeper".to_owned())
            .spawn({
                let (inner, stop) = (Arc::clone(&store.inner), Arc::clone(&stop));
                move || {
                    loop {
                        if let Err(error) = inner.sweep(&stop) {
                            tracing::warn!(error = %onggi_model::chain(&error), "deleting trash failed");
                        }
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        inner.bell.wait(ROUND);
                        if let Err(error) = inner.discard_stale_partials() {
                            tracing::warn!(error = %onggi_model::chain(&error), "old partial blobs stay");
                        }
                    }
                }
            })
            .map_err(Error::file("start a thread for", store.path()))?;
        Ok(Sweeper {
            inner: Arc::clone(&store.inner),
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.inner.bell.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sweeper panicked");
        }
    }
}

impl Store {
    /// Deletes everything that was discarded so far, now and on this thread.
    ///
    /// # Errors
    /// [`Error::File`] with the first thing that could not be deleted; the rest is deleted all the same.
    pub fn sweep(&self) -> Result<(), Error> {
        self.inner.sweep(&AtomicBool::new(false))
    }
}

impl Inner {
    fn sweep(&self, stop: &AtomicBool) -> Result<(), Error> {
        let doomed = self.state().doomed();
        for path in doomed {
            self.logged(self.trash(&path));
            self.state().not_temporary(&path);
        }
        let path = &self.layout.trash;
        let trash = open_directory(CWD, path.as_os_str().as_encoded_bytes())
            .map_err(Error::file("open", path))?;
        let mut first = Ok(());
        // Trees that are too deep are moved up into the trash, so look until a round finds nothing it can delete.
        loop {
            let mut progress = false;
            for (name, _) in entries(trash.as_fd()).map_err(Error::file("list", path))? {
                if stop.load(Ordering::Relaxed) {
                    return first;
                }
                match self.remove(trash.as_fd(), &name, stop) {
                    Ok(()) => progress = true,
                    Err(Errno::NOENT) => {}
                    Err(errno) if first.is_ok() => {
                        let name = String::from_utf8_lossy(&name).into_owned();
                        first = Err(Error::file("delete", path.join(name))(errno));
                    }
                    Err(_) => {}
                }
            }
            if !progress {
                return first;
            }
        }
    }

    /// Removes `name` below the trash, whatever it is.
    fn remove(&self, trash: BorrowedFd<'_>, name: &[u8], stop: &AtomicBool) -> Result<(), Errno> {
        match unlinkat(trash, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {}
            other => return other,
        }
        /// One open directory on the way down, with what is still in it.
        struct Level {
            directory: OwnedFd,
            name: Vec<u8>,
            rest: Vec<(Vec<u8>, FileType)>,
        }
        let enter = |parent: BorrowedFd<'_>, name: Vec<u8>| -> Result<Level, Errno> {
            let directory = open_directory(parent, &name)?;
            let rest = entries(directory.as_fd())?;
            Ok(Level {
                directory,
                name,
                rest,
            })
        };
        let mut levels = vec![enter(trash, name.to_vec())?];
        loop {
            let depth = levels.len();
            let Some(level) = levels.last_mut() else {
                return Ok(());
            };
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let Some((name, kind)) = level.rest.pop() else {
                let Some(level) = levels.pop() else {
                    return Ok(());
                };
                let parent = levels.last().map_or(trash, |level| level.directory.as_fd());
                unlinkat(parent, level.name.as_slice(), AtFlags::REMOVEDIR)?;
                continue;
            };
            let parent = level.directory.as_fd();
            if kind != FileType::Directory {
                match unlinkat(parent, name.as_slice(), AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => continue,
                    Err(Errno::ISDIR) => {}
                    Err(errno) => return Err(errno),
                }
            }
            match unlinkat(parent, name.as_slice(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            if depth < DEPTH {
                let level = enter(parent, name)?;
                levels.push(level);
            } else {
                let up = self.next_temporary().to_string();
                renameat(parent, name.as_slice(), trash, up.as_str())?;
            }
        }
    }
}

fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(
        parent,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// The entries of a directory, read before any is removed: a directory that changes under a reader may hide some.
fn entries(directory: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(found)
}

//! Changes of files, as the kernel tells of them (inotify(7)): every folder of the trees is watched, also those that come
//! later.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::rules::Rule;
use crate::error::{Error, Result, io_text, path_error};

/// Trees that are watched.
struct Trees {
    kernel: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
    rules: Arc<Vec<Rule>>,
    changes: UnboundedSender<Result<PathBuf>>,
}

/// Watches the files of these rules from now on.
pub(super) fn watch(rules: &Arc<Vec<Rule>>) -> Result<UnboundedReceiver<Result<PathBuf>>> {
    let kernel = inotify::init(CreateFlags::CLOEXEC)
        .map_err(|error| Error::new(format!("inotify: {}", io_text(&error.into()))))?;
    let (changes, receiver) = unbounded_channel();
    let mut trees = Trees {
        kernel,
        folders: BTreeMap::new(),
        rules: Arc::clone(rules),
        changes,
    };
    for rule in rules.iter() {
        match std::fs::metadata(&rule.path) {
            Ok(data) if data.is_dir() => trees.add(&rule.path, News::No)?,
            // A file is replaced by many editors: its folder tells of that.
            Ok(_) => trees.folder(rule.path.parent().unwrap_or(Path::new("/")))?,
            Err(error) => {
                return Err(path_error(
                    "watch",
                    &rule.path.display().to_string(),
                    &error,
                ));
            }
        }
    }
    std::thread::spawn(move || trees.run());
    Ok(receiver)
}

/// Are the files of a folder news?
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    /// They were there before.
    No,
    /// They came with it.
    Yes,
}

impl Trees {
    fn run(mut self) {
        let mut buffer = [MaybeUninit::uninit(); 64 * 1024];
        loop {
            let mut told = Vec::new();
            {
                let mut reader = Reader::new(self.kernel.as_fd(), &mut buffer);
                loop {
                    match reader.next() {
                        Ok(event) => {
                            let name = event.file_name().map(|name| name.to_bytes().to_vec());
                            told.push((event.wd(), event.events(), name));
                        }
                        Err(rustix::io::Errno::INTR) => continue,
                        Err(error) => {
                            let text = format!("inotify: {}", io_text(&error.into()));
                            // Nobody may listen any more.
                            let _ = self.changes.send(Err(Error::new(text)));
                            return;
                        }
                    }
                    if reader.is_buffer_empty() {
                        break;
                    }
                }
            }
            for (watch, flags, name) in told {
                if self.tell(watch, flags, name).is_err() {
                    return;
                }
            }
        }
    }

    fn tell(
        &mut self,
        watch: i32,
        flags: ReadFlags,
        name: Option<Vec<u8>>,
    ) -> std::result::Result<(), ()> {
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            let error = Error::new(
                "more has changed at once than the kernel can tell of: start watch again",
            );
            return self.changes.send(Err(error)).map_err(|_| ());
        }
        if flags.contains(ReadFlags::IGNORED) {
            self.folders.remove(&watch);
            return Ok(());
        }
        let (Some(folder), Some(name)) = (self.folders.get(&watch), name) else {
            return Ok(());
        };
        let path = folder.join(std::ffi::OsStr::from_bytes(&name));
        let came = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if flags.contains(ReadFlags::ISDIR) && came {
            return self
                .add(&path, News::Yes)
                .or_else(|error| self.changes.send(Err(error)).map_err(|_| ()));
        }
        // A file that was just made is told of when it is closed.
        if flags.contains(ReadFlags::CREATE) && !path.is_symlink() {
            return Ok(());
        }
        self.changes.send(Ok(path)).map_err(|_| ())
    }

    /// Watches a folder and all below.
    fn add(&mut self, folder: &Path, news: News) -> Result<()> {
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            if self.rules.iter().all(|rule| rule.skips(&folder)) {
                continue;
            }
            self.folder(&folder)?;
            // One that is gone again has nothing to tell.
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                    Ok(_) if news == News::Yes => {
                        // Nobody may listen any more.
                        let _ = self.changes.send(Ok(entry.path()));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let wanted = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB;
        match inotify::add_watch(&self.kernel, folder, wanted) {
            Ok(watch) => {
                self.folders.insert(watch, folder.to_owned());
                Ok(())
            }
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::NOSPC) => Err(Error::new(
                "too many folders to watch: raise fs.inotify.max_user_watches, or ignore some",
            )),
            Err(error) => Err(path_error(
                "watch",
                &folder.display().to_string(),
                &error.into(),
            )),
        }
    }
}

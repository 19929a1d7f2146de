//! Waiting for more: inotify on the log's folder (rotation moves names, so the folder it is), a waker for everything the
//! file system does not tell.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;

/// How a reader that follows knows whether there will be more.
pub struct Wait {
    running: Box<dyn FnMut() -> bool + Send>,
    waker: Waker,
    inotify: Option<OwnedFd>,
}

/// Wakes a reader that waits; any number, from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    event: Option<OwnedFd>,
    cancelled: AtomicBool,
}

impl Waker {
    /// The reader asks again whether the writer still runs.
    pub fn wake(&self) {
        if let Some(event) = &self.0.event {
            let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
        }
    }

    /// The reader ends, now.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.wake();
    }
}

impl Wait {
    /// `running` says whether the writer may still write; once it has said no, the reader takes what is there and ends.
    /// It must say no only after the writer's last `flush`. It is asked when the log changes, when the waker is used, and
    /// about once a second.
    pub fn new(running: impl FnMut() -> bool + Send + 'static) -> Self {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok();
        let inner = Inner {
            event,
            cancelled: AtomicBool::new(false),
        };
        Self {
            running: Box::new(running),
            waker: Waker(Arc::new(inner)),
            inotify: None,
        }
    }

    /// What wakes this reader.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Begins to notice changes. Where the user's inotify instances are used up, looking often must do.
    pub(crate) fn watch(&mut self, path: &Path) {
        let Some(folder) = path.parent() else { return };
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let what = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVED_TO;
        self.inotify = inotify::init(flags)
            .ok()
            .filter(|watcher| inotify::add_watch(watcher, folder, what).is_ok());
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.waker.0.cancelled.load(Ordering::Acquire)
    }

    /// Waits for a change; `false`: the writer had finished before this call.
    pub(crate) fn wait(&mut self) -> bool {
        if !(self.running)() {
            return false;
        }
        let milliseconds = if self.inotify.is_some() && self.waker.0.event.is_some() {
            1000
        } else {
            100
        };
        let timeout = Timespec {
            tv_sec: milliseconds / 1000,
            tv_nsec: milliseconds % 1000 * 1_000_000,
        };
        let sources = [self.inotify.as_ref(), self.waker.0.event.as_ref()];
        let mut list: Vec<PollFd<'_>> = sources
            .iter()
            .flatten()
            .map(|source| PollFd::new(*source, PollFlags::IN))
            .collect();
        let _ = poll(&mut list, Some(&timeout));
        let mut buffer = [0; 4096];
        for source in sources.into_iter().flatten() {
            while rustix::io::read(source, &mut buffer).is_ok_and(|count| count == buffer.len()) {}
        }
        true
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("waker", &self.waker)
            .finish_non_exhaustive()
    }
}

//! Containers: one writer each, one published record each.
//!
//! Whoever changes a container holds its [`Container::writer`]; whoever reads takes the newest record and waits
//! for nobody. Not here: what the process sees (`spec`), the conversation with its monitor (`task`).
//!
//! Invariants: a record is in the catalogue before it is published; a name belongs to at most one container.

mod adopt;
pub(crate) mod archive;
mod attach;
mod changes;
mod commit;
mod create;
mod defaults;
mod exit;
mod export;
mod files;
mod inspect;
mod kill;
pub(crate) mod links;
mod list;
mod log;
mod logs;
pub(crate) mod loopback;
mod merge;
pub(crate) mod mounts;
mod names;
mod network;
pub(crate) mod pause;
pub(crate) mod place;
mod ports;
pub(crate) mod prune;
mod record;
mod remove;
mod rename;
mod resize;
mod resolver;
mod silent;
mod start;
mod stop;
mod top;
mod update;
mod user;
pub(crate) mod view;
mod wait;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use onggi_api::container::AttachOptions;
use onggi_model::ContainerId;
use tokio::sync::{oneshot, watch};

pub use archive::{Chunks, ExtractOptions};
pub use attach::Attach;
pub use commit::CommitOptions;
pub use logs::LogStream;
pub(crate) use wait::Departed;
pub use wait::Waiter;

pub(crate) use attach::{Ended, relay};
pub(crate) use create::NewContainer;
pub(crate) use exit::{starts_with_daemon, watch as watch_exit};
pub(crate) use record::{Record, State, Status};
pub(crate) use resolver::has_names;
pub(crate) use start::{Process, failure, window};
pub(crate) use stop::{StopCause, stop_timeout};
pub(crate) use view::process;

use crate::error::{Error, Result};
use crate::task::{Stream, Task};

/// Whether an operation found something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It did it.
    Yes,
    /// It was so already: HTTP's 304.
    No,
}

/// A container of this daemon.
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    /// Held by whoever changes the container. Never held while waiting for a process to end.
    pub(crate) writer: tokio::sync::Mutex<()>,
    published: watch::Sender<Arc<Record>>,
    /// A forced removal is under way: nobody starts it again.
    doomed: AtomicBool,
    /// How many clients are tied to its streams.
    relays: watch::Sender<usize>,
    live: Mutex<Live>,
}

/// What exists only while the daemon runs.
#[derive(Default)]
struct Live {
    /// The way to the monitor of the running container.
    task: Option<Arc<Task>>,
    /// Clients that attached before the start.
    waiting: Vec<Waiting>,
    /// The watch over its health.
    health: Option<tokio::task::AbortHandle>,
    /// Who decides what follows the end of the run.
    hold: Hold,
    /// The sockets of host ports that came to it while it ran: the monitor has the others.
    sockets: Vec<OwnedFd>,
}

/// Who decides what follows the end of a container's run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Its own restart policy, or `--rm`.
    #[default]
    None,
    /// A user who restarts it: it stays, `--rm` or not.
    Restart,
    /// The daemon that stops it: no restart policy brings it back.
    Daemon,
}

/// A client that is to be attached before the process begins.
pub(crate) struct Waiting {
    pub(crate) options: AttachOptions,
    pub(crate) stream: oneshot::Sender<Stream>,
}

/// A forced removal, as long as it takes.
pub(crate) struct Doom(Arc<Container>);

impl Drop for Doom {
    fn drop(&mut self) {
        self.0.doomed.store(false, Ordering::Release);
    }
}

/// A client that is tied to a container's streams.
pub(crate) struct Relaying(Arc<Container>);

impl Drop for Relaying {
    fn drop(&mut self) {
        self.0.relays.send_modify(|relays| *relays -= 1);
    }
}

impl Container {
    pub(crate) fn new(record: Record) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            writer: tokio::sync::Mutex::new(()),
            published: watch::Sender::new(Arc::new(record)),
            doomed: AtomicBool::new(false),
            relays: watch::Sender::new(0),
            live: Mutex::default(),
        })
    }

    /// The newest record.
    pub(crate) fn record(&self) -> Arc<Record> {
        self.published.borrow().clone()
    }

    /// Whether a forced removal is under way.
    pub(crate) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Acquire)
    }

    /// Keeps the container from being started until dropped; `None` where somebody does already.
    pub(crate) fn doom(self: &Arc<Self>) -> Option<Doom> {
        let before = self.doomed.swap(true, Ordering::AcqRel);
        (!before).then(|| Doom(self.clone()))
    }

    /// Counts a client that is tied to its streams, until dropped.
    pub(crate) fn relaying(self: &Arc<Self>) -> Relaying {
        self.relays.send_modify(|relays| *relays += 1);
        Relaying(self.clone())
    }

    /// Follows how many clients are tied to its streams.
    pub(crate) fn relays(&self) -> watch::Receiver<usize> {
        self.relays.subscribe()
    }

    /// Follows the records as they are published.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Record>> {
        self.published.subscribe()
    }

    /// Makes `record` what readers see. The catalogue has it already.
    pub(crate) fn publish(&self, record: Record) {
        self.published.send_replace(Arc::new(record));
    }

    /// The conversation with the monitor, while there is one.
    pub(crate) fn task(&self) -> Option<Arc<Task>> {
        self.live().task.clone()
    }

    pub(crate) fn set_task(&self, task: Option<Arc<Task>>) {
        self.live().task = task;
    }

    /// Makes `watch` the one over its health, and gives the one before.
    pub(crate) fn replace_health(
        &self,
        watch: tokio::task::AbortHandle,
    ) -> Option<tokio::task::AbortHandle> {
        self.live().health.replace(watch)
    }

    /// Keeps sockets of host ports as long as it runs.
    pub(crate) fn hold_sockets(&self, sockets: Vec<OwnedFd>) {
        self.live().sockets.extend(sockets);
    }

    /// Lets go of what was held for the run that ended.
    pub(crate) fn release_sockets(&self) {
        self.live().sockets.clear();
    }

    pub(crate) fn hold(&self) -> Hold {
        self.live().hold
    }

    pub(crate) fn set_hold(&self, hold: Hold) {
        self.live().hold = hold;
    }

    /// Those who wait to be attached at the start; each is handed out once.
    pub(crate) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.live().waiting)
    }

    /// Resolves to a connection to the monitor before the process begins; dropped when the start fails.
    pub(crate) fn attach_at_start(&self, options: &AttachOptions) -> oneshot::Receiver<Stream> {
        let (stream, receive) = oneshot::channel();
        let mut live = self.live();
        live.waiting.retain(|waiting| !waiting.stream.is_closed());
        live.waiting.push(Waiting {
            options: options.clone(),
            stream,
        });
        receive
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All containers, found by id, name or the beginning of an id.
#[derive(Default)]
pub(crate) struct Containers {
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    by_id: BTreeMap<String, Arc<Container>>,
    by_name: HashMap<String, ContainerId>,
}

impl Containers {
    /// The container that `reference` means: id, name (with or without `/`) or unique beginning of an id.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>> {
        let index = self.read();
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if name.is_empty() {
            return Err(Error::invalid("no container name or ID supplied"));
        }
        if let Some(container) = index.by_id.get(name) {
            return Ok(container.clone());
        }
        if let Some(container) = index
            .by_name
            .get(name)
            .and_then(|id| index.by_id.get(id.as_str()))
        {
            return Ok(container.clone());
        }
        let mut matching = index
            .by_id
            .range(name.to_owned()..)
            .take_while(|(id, _)| id.starts_with(name));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(container.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!(
                "multiple IDs found with provided prefix: {name}"
            ))),
            (None, _) => Err(Error::not_found(format!("No such container: {reference}"))),
        }
    }

    /// Who has this name.
    pub(crate) fn find_name(&self, name: &str) -> Option<ContainerId> {
        self.read().by_name.get(name).cloned()
    }

    /// Every container, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = self.read().by_id.values().cloned().collect();
        all.sort_by_cached_key(|c| std::cmp::Reverse(c.record().created));
        all
    }

    /// Gives `name` to `id`, if it is free.
    pub(crate) fn reserve(&self, name: &str, id: &ContainerId) -> Result<()> {
        let mut index = self.write();
        if let Some(holder) = index.by_name.get(name) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". \
                 You have to remove (or rename) that container to be able to reuse that name."
            )));
        }
        index.by_name.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Gives the name back.
    pub(crate) fn release(&self, name: &str) {
        self.write().by_name.remove(name);
    }

    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write()
            .by_id
            .insert(container.id.to_string(), container);
    }

    pub(crate) fn remove(&self, id: &ContainerId) {
        let mut index = self.write();
        if let Some(container) = index.by_id.remove(id.as_str()) {
            index.by_name.remove(&container.record().name);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The embedded DNS of user-defined networks: who has which name, and who answers a container's questions.
//!
//! Each container has sockets on 127.0.0.11 in its own network namespace. They belong to its monitor; the daemon
//! answers on duplicates of them, the monitor where there is no daemon, from the files that are kept here for it.
//!
//! Kept true: after [`Names::stop`] nothing of ours holds the container's namespace.

mod cache; // what upstreams answered, for as long as they allow
mod directory; // who has which name
mod files; // the names of each network, for monitors
mod forward; // asking upstreams
mod host; // whom the host asks
mod serve; // questions and replies
mod sockets; // made inside a namespace
mod stock; // sockets to ask from

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use onggi_dns::View;
use onggi_model::ContainerId;
use tokio::task::JoinHandle;

use crate::error::Result;
use directory::Directory;
use files::Files;
use host::Host;

pub use files::Held;
pub use sockets::Sockets;

/// Where a container is, and under which names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network: String,
    /// The container's addresses there.
    pub addresses: Vec<IpAddr>,
    /// Its names there, its own first. None where the network has no names, as the default bridge.
    pub names: Vec<String>,
    /// Names of networks with higher ones win.
    pub priority: i64,
    /// Whether the network leads outside: it is not internal.
    pub leads_outside: bool,
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--dns`; empty: as the host.
    pub servers: Vec<IpAddr>,
    /// The user gave `ndots`: names without a dot are looked for in the container's domains, not outside.
    pub has_ndots: bool,
    /// Names that only this container knows, and whom they mean.
    pub links: Vec<(String, ContainerId)>,
}

/// The names of all networks, and the answering of questions.
#[derive(Debug)]
pub struct Names {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: RwLock<Directory>,
    files: Files,
    host: Host,
    serving: Mutex<HashMap<ContainerId, JoinHandle<()>>>,
}

impl Names {
    /// No names yet. The files for the monitors are kept in `folder`, which is made when there is something to keep.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self::on_host(folder, PathBuf::from("/"))
    }

    /// As [`Names::new`], for a host whose files are under `root`.
    #[must_use]
    pub fn on_host(folder: PathBuf, root: PathBuf) -> Self {
        let inner = Inner {
            directory: RwLock::new(Directory::new(folder.clone())),
            files: Files::new(folder),
            host: Host::new(root),
            serving: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The monitors' files stay as they are until this is dropped. A daemon that begins tells us of one container after
    /// the other, and monitors answer from the files meanwhile: with some of the names they would deny the others.
    #[must_use]
    pub fn hold(&self) -> Held {
        Files::hold(&self.inner)
    }

    /// A container is in a network, or is there under other names.
    pub fn attach(&self, container: &ContainerId, place: Place) {
        let network = place.network_id.clone();
        self.inner.write().attach(container, place);
        Files::changed(&self.inner, network);
    }

    /// A container is no longer in a network.
    pub fn detach(&self, container: &ContainerId, network_id: &str) {
        if self.inner.write().detach(container, network_id) {
            Files::changed(&self.inner, network_id.to_owned());
        }
    }

    /// What the user of a container asked for.
    pub fn set_container(&self, container: &ContainerId, settings: Settings) {
        self.inner.write().set(container, settings);
    }

    /// What a container sees now: what its monitor is to know. `None` for one that is in no network.
    #[must_use]
    pub fn view(&self, container: &ContainerId) -> Option<Arc<View>> {
        self.inner.read().view(container)
    }

    /// Whether a container is in a network with names, and so needs a resolver.
    #[must_use]
    pub fn concern(&self, container: &ContainerId) -> bool {
        let view = self.inner.read().view(container);
        view.is_some_and(|view| !view.networks.is_empty())
    }

    /// Makes the sockets of a container's resolver in its namespace, and the rules that lead port 53 of 127.0.0.11 to
    /// them. Its loopback link must be up.
    ///
    /// # Errors
    /// What the kernel refused.
    pub async fn open(netns: OwnedFd) -> Result<Sockets> {
        onggi_rt::blocking("open a resolver", move || Sockets::open(netns)).await?
    }

    /// Answers what comes in on these sockets, from now on. An earlier answering for this container ends.
    ///
    /// # Errors
    /// The sockets cannot be waited for.
    pub fn serve(&self, container: &ContainerId, sockets: Sockets) -> Result<()> {
        let server = serve::Server::new(Arc::clone(&self.inner), container.clone(), sockets)?;
        let task = tokio::spawn(server.run());
        if let Some(before) = self.inner.serving().insert(container.clone(), task) {
            before.abort();
        }
        Ok(())
    }

    /// Whether somebody answers this container.
    #[must_use]
    pub fn serves(&self, container: &ContainerId) -> bool {
        self.inner.serving().contains_key(container)
    }

    /// Ends the answering. When this returns, nothing of ours holds the container's namespace.
    pub async fn stop(&self, container: &ContainerId) {
        let task = self.inner.serving().remove(container);
        if let Some(task) = task {
            task.abort();
            // Aborted, or it ended by itself: either way it is gone.
            let _ = task.await;
        }
    }

    /// The container has ended: no answers, no names.
    pub async fn remove(&self, container: &ContainerId) {
        self.stop(container).await;
        let networks = self.inner.write().remove(container);
        for network in networks {
            Files::changed(&self.inner, network);
        }
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, HashMap<ContainerId, JoinHandle<()>>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for (_, task) in self.serving().drain() {
            task.abort();
        }
    }
}

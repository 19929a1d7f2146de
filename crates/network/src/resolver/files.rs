//! The names of each network as a file, for the monitors: they answer from it while there is no daemon. Changes that
//! come faster than they are written are written together.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::Inner;

#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    networks: BTreeSet<String>,
    /// Somebody is at it.
    writing: bool,
    /// Who does not want that now.
    holds: usize,
}

/// See [`super::Names::hold`].
#[derive(Debug)]
pub struct Held(Arc<Inner>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.files.waiting().holds -= 1;
        Files::write(&self.0);
    }
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            waiting: Mutex::default(),
        }
    }

    /// The file of this network is to be written anew.
    pub(super) fn changed(inner: &Arc<Inner>, network: String) {
        inner.files.waiting().networks.insert(network);
        Self::write(inner);
    }

    fn write(inner: &Arc<Inner>) {
        let mut waiting = inner.files.waiting();
        if waiting.holds > 0 || waiting.networks.is_empty() {
            return;
        }
        if !std::mem::replace(&mut waiting.writing, true) {
            let inner = Arc::clone(inner);
            onggi_rt::spawn_blocking("write names", move || write_all(&inner));
        }
    }

    /// Nothing is written until this is dropped; then what has changed meanwhile, all of it.
    pub(super) fn hold(inner: &Arc<Inner>) -> Held {
        inner.files.waiting().holds += 1;
        Held(Arc::clone(inner))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_all(inner: &Inner) {
    loop {
        let network = {
            let mut waiting = inner.files.waiting();
            let network = match waiting.holds {
                0 => waiting.networks.pop_first(),
                _ => None,
            };
            let Some(network) = network else {
                waiting.writing = false;
                return;
            };
            network
        };
        let path = inner.files.folder.join(&network);
        let rows = inner.read().rows(&network);
        if let Err(error) = write(&inner.files.folder, &path, rows.as_deref()) {
            warn!(network, "names cannot be kept for the monitors: {error}");
        }
    }
}

/// Whole or not at all; who has the old one open reads it to its end.
fn write(folder: &Path, path: &Path, rows: Option<&str>) -> io::Result<()> {
    let Some(rows) = rows else {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let fresh = path.with_extension("new");
    match std::fs::write(&fresh, rows) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&fresh, rows)?;
        }
        other => other?,
    }
    std::fs::rename(&fresh, path)
}

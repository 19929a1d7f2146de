//! The directories that `RUN --mount=type=cache` shows: they outlive builds and daemons.
//!
//! Each is `build/caches/NAME` below the data root: `content`, which is mounted, and `id`, what the Dockerfile calls it. The
//! time of the directory is that of its last use.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use onggi_model::Timestamp;
use onggi_store::Store;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{Error, Result};

/// The directory that is mounted.
pub(super) const CONTENT: &str = "content";

/// What names of those begin with that are no caches of RUN, but what is kept of contexts.
pub(super) const LOCAL: &str = "local-";

/// All of them. Clones are the same.
#[derive(Clone)]
pub(crate) struct Caches {
    root: PathBuf,
    locks: Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>,
    busy: Arc<Mutex<HashMap<PathBuf, usize>>>,
}

/// One, as it is found.
pub(super) struct Cache {
    pub(super) name: String,
    /// What Dockerfiles call it.
    pub(super) id: String,
    pub(super) place: PathBuf,
    pub(super) created: Timestamp,
    pub(super) used: Timestamp,
    pub(super) is_busy: bool,
}

/// The use of one: it stays as long.
pub(super) struct InUse {
    caches: Caches,
    place: PathBuf,
}

impl InUse {
    /// The directory of the cache.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The directory that is mounted.
    pub(super) fn content(&self) -> PathBuf {
        self.place.join(CONTENT)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut busy = self.caches.busy();
        if let Some(users) = busy.get_mut(&self.place) {
            *users -= 1;
            if *users == 0 {
                busy.remove(&self.place);
            }
        }
    }
}

impl Caches {
    /// Those below a data root.
    pub(super) fn new(data_root: &Path) -> Self {
        Self {
            root: data_root.join("build").join("caches"),
            locks: Arc::default(),
            busy: Arc::default(),
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by the one who may use a locked cache.
    pub(super) fn lock(&self, id: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }

    /// The cache of this name, whoever else uses it.
    pub(super) fn shared(&self, id: &str) -> InUse {
        self.begin(&mut self.busy(), self.root.join(name_of(id)))
    }

    /// One of this name that nobody uses.
    pub(super) fn private(&self, id: &str) -> InUse {
        let name = name_of(id);
        let mut busy = self.busy();
        let mut place = self.root.join(&name);
        let mut number = 0;
        while busy.contains_key(&place) {
            number += 1;
            place = self.root.join(format!("{name}-{number}"));
        }
        self.begin(&mut busy, place)
    }

    /// What is kept of a context that a client calls so; no Dockerfile can name it.
    pub(super) fn local(&self, key: &str) -> InUse {
        self.begin(&mut self.busy(), self.root.join(format!("{LOCAL}{key}")))
    }

    fn begin(&self, busy: &mut HashMap<PathBuf, usize>, place: PathBuf) -> InUse {
        *busy.entry(place.clone()).or_default() += 1;
        // It is not there yet, or its time is a help for those who clean up.
        if let Ok(directory) = File::open(&place) {
            let _ = directory.set_modified(SystemTime::now());
        }
        InUse {
            caches: self.clone(),
            place,
        }
    }

    /// All that are there.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn all(&self) -> Result<Vec<Cache>> {
        let failed = |error| Error::io("look at the caches of builds", error);
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let busy = self.busy();
        let mut all = Vec::new();
        for entry in entries {
            let place = entry.map_err(failed)?.path();
            let id = place.join("id");
            // Without it, it is being made.
            let Ok(text) = std::fs::read_to_string(&id) else {
                continue;
            };
            let name = place.file_name().unwrap_or_default();
            all.push(Cache {
                name: name.to_string_lossy().into_owned(),
                id: text,
                created: modified(&id),
                used: modified(&place),
                is_busy: busy.contains_key(&place),
                place,
            });
        }
        Ok(all)
    }

    /// Removes one unless it is used; its files go behind.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn remove(&self, store: &Store, place: &Path) -> Result<bool> {
        let busy = self.busy();
        if busy.contains_key(place) {
            return Ok(false);
        }
        store.discard(place)?;
        Ok(true)
    }
}

fn modified(path: &Path) -> Timestamp {
    let time = std::fs::metadata(path).and_then(|status| status.modified());
    let since = time
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let seconds = since.map_or(0, |since| since.as_secs());
    Timestamp::from_unix(i64::try_from(seconds).unwrap_or(0), 0).unwrap_or_default()
}

fn name_of(id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The open store: its directories, what is pending in memory, and how it is opened after anything may have happened.
//!
//! Lock order: the catalogue's writer, then [`State`]. Whoever holds the state may read the catalogue, never write it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use onggi_model::Digest;

use crate::blob::BlobRecord;
use crate::catalogue::{Adopted, Catalogue, ReadTx, WriteTx, table};
use crate::collect::Discarded;
use crate::lock::Lock;
use crate::sweep::Bell;
use crate::{ChainId, Error, LayerRecord, RootRecord, Usage};

/// The store of one data root. Clones are the same store; the last one closes it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("root", &self.inner.layout.root)
            .finish()
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) catalogue: Catalogue,
    pub(crate) bell: Bell,
    /// The data root, for syncfs.
    directory: File,
    state: Mutex<State>,
    /// A transfer of a blob ended: the next one may go on with what it left.
    pub(crate) partial_free: Condvar,
    /// Number of the newest layer.
    number: AtomicU64,
    /// Number of the newest temporary name.
    temporary: AtomicU64,
    syncs: Arc<AtomicU64>,
    file_syncs: AtomicU64,
    /// Last, so that it outlives the catalogue.
    _lock: Lock,
}

/// The paths under a data root.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) blobs: PathBuf,
    pub(crate) layers: PathBuf,
    pub(crate) containers: PathBuf,
    /// Blobs that came in part.
    pub(crate) partials: PathBuf,
    /// What is being written; all of it is trash at open.
    pub(crate) tmp: PathBuf,
    /// What was renamed away and is deleted behind.
    pub(crate) trash: PathBuf,
}

impl Layout {
    /// Whether a catalogue may begin here: no file is there that another one must have known.
    fn is_empty(&self) -> Result<(), Error> {
        let empty = self.layer(0);
        for place in [
            self.containers.clone(),
            self.layers.clone(),
            self.blobs.join("sha256"),
            self.blobs.join("sha512"),
        ] {
            if let Some(found) = list(&place)?.into_iter().find(|path| *path != empty) {
                let root = self.root.clone();
                return Err(Error::Lost { root, found });
            }
        }
        Ok(())
    }

    fn new(root: &Path) -> Layout {
        Layout {
            root: root.to_path_buf(),
            blobs: root.join("blobs"),
            layers: root.join("layers"),
            containers: root.join("containers"),
            partials: root.join("partial"),
            tmp: root.join("tmp"),
            trash: root.join("tmp/trash"),
        }
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs
            .join(digest.algorithm().as_str())
            .join(digest.hex())
    }

    pub(crate) fn layer(&self, number: u64) -> PathBuf {
        self.layers.join(number.to_string())
    }
}

/// What the catalogue does not know: it is lost on a crash, and so must be what it speaks of.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) blobs: HashMap<Digest, PendingBlob>,
    pub(crate) layers: HashMap<ChainId, PendingLayer>,
    /// When objects of the catalogue were last asked for under a lease.
    touched_blobs: HashMap<Digest, u64>,
    touched_layers: HashMap<ChainId, u64>,
    /// Blobs that are being fetched into their partial file.
    pub(crate) partials: HashSet<Digest>,
    /// What is being written, or about to be deleted.
    pub(crate) temporary: HashSet<PathBuf>,
    /// Of those, what is to be deleted.
    doomed: Vec<PathBuf>,
    /// Live leases and when they began.
    leases: BTreeMap<u64, u64>,
    clock: u64,
    /// Whether something without holders was left in place for a lease.
    deferred: bool,
}

#[derive(Debug)]
pub(crate) struct PendingBlob {
    pub(crate) size: u64,
    pub(crate) stamp: u64,
    /// Known to be on the disk.
    pub(crate) synced: bool,
    /// A running change is taking it into the catalogue.
    pub(crate) adopted: bool,
}

#[derive(Debug)]
pub(crate) struct PendingLayer {
    pub(crate) record: LayerRecord,
    pub(crate) stamp: u64,
    pub(crate) synced: bool,
    pub(crate) adopted: bool,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn begin_lease(&mut self) -> u64 {
        let now = self.tick();
        self.leases.insert(now, now);
        now
    }

    pub(crate) fn end_lease(&mut self, id: u64) {
        self.leases.remove(&id);
        let oldest = self.oldest_lease();
        self.touched_blobs
            .retain(|_, stamp| oldest.is_some_and(|oldest| *stamp >= oldest));
        self.touched_layers
            .retain(|_, stamp| oldest.is_some_and(|oldest| *stamp >= oldest));
    }

    fn oldest_lease(&self) -> Option<u64> {
        self.leases.values().min().copied()
    }

    /// Whether a lease protects what was last used at `stamp`.
    pub(crate) fn protects(&self, stamp: u64) -> bool {
        self.oldest_lease().is_some_and(|oldest| stamp >= oldest)
    }

    pub(crate) fn protects_blob(&self, digest: &Digest) -> bool {
        self.touched_blobs
            .get(digest)
            .is_some_and(|stamp| self.protects(*stamp))
    }

    pub(crate) fn protects_layer(&self, chain_id: &ChainId) -> bool {
        self.touched_layers
            .get(chain_id)
            .is_some_and(|stamp| self.protects(*stamp))
    }

    pub(crate) fn touch_blob(&mut self, digest: &Digest) {
        let now = self.tick();
        if let Some(pending) = self.blobs.get_mut(digest) {
            pending.stamp = now;
        } else if !self.leases.is_empty() {
            self.touched_blobs.insert(digest.clone(), now);
        }
    }

    pub(crate) fn touch_layer(&mut self, chain_id: &ChainId) {
        let now = self.tick();
        if let Some(pending) = self.layers.get_mut(chain_id) {
            pending.stamp = now;
        } else if !self.leases.is_empty() {
            self.touched_layers.insert(chain_id.clone(), now);
        }
    }

    pub(crate) fn add_blob(&mut self, digest: Digest, size: u64) {
        let stamp = self.tick();
        let blob = PendingBlob {
            size,
            stamp,
            synced: false,
            adopted: false,
        };
        self.blobs.insert(digest, blob);
    }

    pub(crate) fn add_layer(&mut self, record: LayerRecord) {
        let stamp = self.tick();
        let chain_id = record.chain_id.clone();
        let layer = PendingLayer {
            record,
            stamp,
            synced: false,
            adopted: false,
        };
        self.layers.insert(chain_id, layer);
    }

    /// Directories of layers that the catalogue has let go: the sweeper's.
    pub(crate) fn doom(&mut self, paths: impl Iterator<Item = PathBuf>) {
        for path in paths {
            self.temporary.insert(path.clone());
            self.doomed.push(path);
        }
    }

    pub(crate) fn doomed(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.doomed)
    }

    /// Nothing is written there any more.
    pub(crate) fn not_temporary(&mut self, path: &Path) {
        self.temporary.remove(path);
    }

    pub(crate) fn defer(&mut self) {
        self.deferred = true;
    }

    pub(crate) fn take_deferred(&mut self) -> bool {
        std::mem::take(&mut self.deferred)
    }
}

impl Store {
    /// Opens the data root at `root`, making it if need be, and removes what a crash left: what was being written, and
    /// every file that the catalogue does not know.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it open, [`Error::Format`] when a newer version wrote it,
    /// [`Error::Lost`] when the catalogue is gone and files are not, [`Error::Catalogue`], [`Error::File`].
    pub fn open(root: &Path) -> Result<Store, Error> {
        let layout = Layout::new(root);
        // 0700: set-user-id files of containers must not be in reach of other users (CVE-2021-41091).
        make_directory(&layout.root)?;
        let lock = crate::lock::take(&layout.root)?;
        for algorithm in ["sha256", "sha512"] {
            make_directory(&layout.blobs.join(algorithm))?;
            make_directory(&layout.partials.join(algorithm))?;
        }
        for path in [&layout.containers, &layout.trash, &layout.layer(0)] {
            make_directory(path)?;
        }
        spread(&layout.tmp);
        std::fs::set_permissions(layout.layer(0), std::fs::Permissions::from_mode(0o755))
            .map_err(Error::file("chmod", layout.layer(0)))?;
        let directory = File::open(&layout.root).map_err(Error::file("open", &layout.root))?;
        let syncs = Arc::new(AtomicU64::new(0));
        let path = layout.root.join("catalogue.redb");
        let catalogue = match Catalogue::open(&path, Arc::clone(&syncs), || layout.is_empty()) {
            // A file without content, or with less than redb's header, was never committed to.
            Err(Error::Catalogue(_)) if unborn(&path) => {
                std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
                Catalogue::open(&path, Arc::clone(&syncs), || layout.is_empty())?
            }
            other => other?,
        };
        let inner = Inner {
            layout,
            catalogue,
            bell: Bell::default(),
            directory,
            state: Mutex::default(),
            partial_free: Condvar::new(),
            number: AtomicU64::new(0),
            temporary: AtomicU64::new(first_temporary()),
            syncs,
            file_syncs: AtomicU64::new(0),
            _lock: lock,
        };
        inner.discard_orphans()?;
        Ok(Store {
            inner: Arc::new(inner),
        })
    }

    /// The data root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.layout.root
    }

    /// Reads one consistent state.
    ///
    /// # Errors
    /// What `read` returns, and [`Error::Catalogue`].
    pub fn read<R, E: From<Error>>(
        &self,
        read: impl FnOnce(&ReadTx) -> Result<R, E>,
    ) -> Result<R, E> {
        read(&self.inner.catalogue.reader()?)
    }

    /// Makes one change: all of it is on the disk when this returns, or nothing of it happened. One change at a time;
    /// `change` must not wait for anything.
    ///
    /// # Errors
    /// What `change` returns, and [`Error::Catalogue`].
    pub fn write<R, E: From<Error>>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        Ok(self.write_discarding(change)?.0)
    }

    /// As [`Store::write`], and says what went because nothing held it any more.
    pub(crate) fn write_discarding<R, E: From<Error>>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<R, E>,
    ) -> Result<(R, Discarded), E> {
        let mut tx = WriteTx::begin(&self.inner)?;
        match change(&mut tx) {
            Ok(value) => Ok((value, tx.finish()?)),
            Err(error) => {
                tx.abandon();
                Err(error)
            }
        }
    }

    /// Renames a file or directory of the data root away, to be deleted behind. What is not there is in order.
    ///
    /// # Errors
    /// [`Error::File`], where it is on another file system.
    pub fn discard(&self, path: &Path) -> Result<(), Error> {
        self.inner.try_discard(path)
    }

    /// Puts everything written so far onto the disk: one syncfs, or nothing if nothing is pending.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn flush(&self) -> Result<(), Error> {
        self.inner.flush()
    }

    /// The counters.
    ///
    /// # Errors
    /// [`Error::Catalogue`].
    pub fn usage(&self) -> Result<Usage, Error> {
        self.inner.catalogue.reader()?.usage()
    }

    /// How many fdatasync calls the catalogue made since it was opened; tests hold state changes to one each.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.inner.syncs.load(Ordering::Relaxed)
    }

    /// How many syncfs calls were made since the store was opened.
    #[must_use]
    pub fn file_syncs(&self) -> u64 {
        self.inner.file_syncs.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// The state. A thread that panicked with it in hand has left counters behind, at worst a pending object too many.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn next_temporary(&self) -> u64 {
        self.temporary.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        let (blobs, layers): (Vec<Digest>, Vec<ChainId>) = {
            let state = self.state();
            let blobs = state.blobs.iter().filter(|(_, blob)| !blob.synced);
            let layers = state.layers.iter().filter(|(_, layer)| !layer.synced);
            (
                blobs.map(|(digest, _)| digest.clone()).collect(),
                layers.map(|(chain_id, _)| chain_id.clone()).collect(),
            )
        };
        if blobs.is_empty() && layers.is_empty() {
            return Ok(());
        }
        self.sync_files()?;
        let mut state = self.state();
        for digest in &blobs {
            if let Some(blob) = state.blobs.get_mut(digest) {
                blob.synced = true;
            }
        }
        for chain_id in &layers {
            if let Some(layer) = state.layers.get_mut(chain_id) {
                layer.synced = true;
            }
        }
        Ok(())
    }

    pub(crate) fn sync_files(&self) -> Result<(), Error> {
        self.file_syncs.fetch_add(1, Ordering::Relaxed);
        rustix::fs::syncfs(self.directory.as_fd()).map_err(Error::file("sync", &self.layout.root))
    }

    /// The layer, pending or not, touched.
    pub(crate) fn find_layer(
        &self,
        state: &mut State,
        chain_id: &ChainId,
    ) -> Result<Option<LayerRecord>, Error> {
        let found = match state.layers.get(chain_id) {
            Some(pending) => Some(pending.record.clone()),
            None => self
                .catalogue
                .reader()?
                .fetch(table::LAYERS, &chain_id.to_string())?,
        };
        if found.is_some() {
            state.touch_layer(chain_id);
        }
        Ok(found)
    }

    /// The size of the blob, pending or not, touched.
    pub(crate) fn find_blob(
        &self,
        state: &mut State,
        digest: &Digest,
    ) -> Result<Option<u64>, Error> {
        let found = match state.blobs.get(digest) {
            Some(pending) => Some(pending.size),
            None => self
                .catalogue
                .reader()?
                .fetch::<BlobRecord>(table::BLOBS, digest.as_str())?
                .map(|record| record.size),
        };
        if found.is_some() {
            state.touch_blob(digest);
        }
        Ok(found)
    }

    /// Takes a pending layer for a running change.
    pub(crate) fn adopt_layer(
        &self,
        adopted: &mut Adopted,
        chain_id: &ChainId,
    ) -> Result<LayerRecord, Error> {
        let mut state = self.state();
        let pending = state
            .layers
            .get_mut(chain_id)
            .ok_or_else(|| Error::NoLayer(chain_id.clone()))?;
        pending.adopted = true;
        adopted.unsynced |= !pending.synced;
        adopted.layers.insert(chain_id.clone());
        Ok(pending.record.clone())
    }

    /// Takes a pending blob for a running change; its size.
    pub(crate) fn adopt_blob(&self, adopted: &mut Adopted, digest: &Digest) -> Result<u64, Error> {
        let mut state = self.state();
        let pending = state
            .blobs
            .get_mut(digest)
            .ok_or_else(|| Error::NoBlob(digest.clone()))?;
        pending.adopted = true;
        adopted.unsynced |= !pending.synced;
        adopted.blobs.insert(digest.clone());
        Ok(pending.size)
    }

    /// Renames away whatever the catalogue does not know. Runs before anyone else has the store.
    fn discard_orphans(&self) -> Result<(), Error> {
        let reader = self.catalogue.reader()?;
        let mut newest = 0;
        let mut known: HashSet<PathBuf> = HashSet::new();
        known.insert(self.layout.layer(0));
        known.insert(self.layout.trash.clone());
        for (_, layer) in reader.fetch_all::<LayerRecord>(table::LAYERS, "")? {
            newest = newest.max(layer.number);
            known.insert(self.layout.layer(layer.number));
        }
        for (key, _) in reader.fetch_all::<BlobRecord>(table::BLOBS, "")? {
            if let Ok(digest) = Digest::parse(&key) {
                known.insert(self.layout.blob(&digest));
            }
        }
        for (container, _) in reader.fetch_all::<RootRecord>(table::ROOTS, "")? {
            known.insert(self.layout.containers.join(container));
        }
        drop(reader);
        self.number.store(newest, Ordering::Relaxed);
        let places = [
            self.layout.tmp.clone(),
            self.layout.blobs.join("sha256"),
            self.layout.blobs.join("sha512"),
            self.layout.layers.clone(),
            self.layout.containers.clone(),
        ];
        for place in places {
            for path in list(&place)? {
                if !known.contains(&path) {
                    tracing::debug!(path = %path.display(), "discarding what the catalogue does not know");
                    self.try_discard(&path)?;
                }
            }
        }
        self.discard_useless_partials()
    }
}

/// Temporary names of this run must not meet those an earlier run left in the trash.
fn first_temporary() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

/// The paths in a directory.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    read().map_err(Error::file("list", path))
}

/// Tells ext4 that the directories in this one, which layers are unpacked into, have nothing to do with each other: each
/// begins in a part of the disk of its own. Else a layer is unpacked where another was deleted just before, and ext4
/// passes over each inode that was freed a moment ago, again for every file. Others have no use for it.
fn spread(path: &Path) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    let told = File::open(path).and_then(|directory| {
        let flags = ioctl_getflags(&directory)?;
        Ok(ioctl_setflags(&directory, flags | IFlags::TOPDIR)?)
    });
    if let Err(error) = told {
        tracing::debug!(path = %path.display(), %error, "the file system does not spread directories");
    }
}

/// Makes a directory of the layout with all above it, reachable by root alone.
fn make_directory(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)))
        .map_err(Error::file("mkdir", path))
}

/// Whether the catalogue's file is from a crash in the moment it was made.
fn unborn(path: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) => magic == [0; 4],
        Err(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
    }
}

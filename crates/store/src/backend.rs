//! The file under the catalogue, with its syncs counted, its failures noted and its blocks reserved.
//!
//! redb's own backend would do, but it neither counts syncs (tests hold each state change to one) nor leaves locking
//! to us (the lock file names the holder, and is taken before anything is read).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{FallocateFlags, fallocate};

/// Blocks kept ready beyond twice the file, which is what redb grows to at once.
const SLACK: u64 = 256 << 10;

/// The catalogue's file.
#[derive(Clone, Debug)]
pub(crate) struct Backend(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    syncs: Arc<AtomicU64>,
    /// An operation failed: redb refuses all further ones, also when there is room on the disk again. So does this, for
    /// the few that redb would let pass, because the file may belong to another one by then.
    failed: AtomicBool,
    /// Held shared by every operation.
    busy: RwLock<()>,
    /// Bytes from the start of the file that have blocks.
    reserved: AtomicU64,
}

impl Backend {
    /// Takes the open file; `syncs` counts up with every fdatasync.
    pub(crate) fn new(file: File, syncs: Arc<AtomicU64>) -> Backend {
        let (failed, reserved) = (AtomicBool::new(false), AtomicU64::new(0));
        Backend(Arc::new(Shared {
            file,
            syncs,
            failed,
            busy: RwLock::new(()),
            reserved,
        }))
    }

    /// Whether an operation failed. If so, none is running any more and none will.
    pub(crate) fn has_failed(&self) -> bool {
        let failed = self.0.failed.load(Ordering::Acquire);
        if failed {
            drop(self.0.busy.write().unwrap_or_else(PoisonError::into_inner));
        }
        failed
    }

    /// Size of the file.
    pub(crate) fn size(&self) -> u64 {
        self.0.file.metadata().map_or(0, |status| status.len())
    }

    /// Keeps blocks ready for the next growth while the disk has some, so that what is done about a full disk (removing
    /// things) can be written down.
    pub(crate) fn reserve(&self) {
        let want = self.size().saturating_mul(2).saturating_add(SLACK);
        if self.0.reserved.load(Ordering::Relaxed) >= want {
            return;
        }
        // Not to be had is no error: the write that needs it will say so.
        if fallocate(&self.0.file, FallocateFlags::KEEP_SIZE, 0, want).is_ok() {
            self.0.reserved.store(want, Ordering::Relaxed);
        }
    }

    fn doing<T>(&self, operation: impl FnOnce(&Shared) -> io::Result<T>) -> io::Result<T> {
        let _busy = self.0.busy.read().unwrap_or_else(PoisonError::into_inner);
        if self.0.failed.load(Ordering::Acquire) {
            return Err(io::Error::other("the file failed earlier"));
        }
        let result = operation(&self.0);
        if result.is_err() {
            self.0.failed.store(true, Ordering::Release);
        }
        result
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        self.doing(|shared| shared.file.metadata().map(|status| status.len()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.doing(|shared| shared.file.read_exact_at(out, offset))
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.doing(|shared| shared.file.set_len(len))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
        self.doing(|shared| shared.file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.doing(|shared| shared.file.write_all_at(data, offset))
    }
}

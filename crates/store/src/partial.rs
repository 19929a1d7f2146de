//! Blobs on their way from afar: what came of one stays when the way breaks off, and the next transfer goes on there.
//!
//! `partial/ALGORITHM/HEX` belongs to the blob it is named after, and to nobody's record: nothing in it is trusted,
//! whoever goes on hashes all of it again. One that is whole stays as a second name of the blob's file until a change
//! takes the blob into the catalogue, so that a pull the daemon did not live to finish fetches nothing twice. They go
//! with that change, when nobody has come for them in [`STALE`], and when what nobody uses is removed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use onggi_model::{Algorithm, Digest};

use crate::blob::{BlobRecord, context};
use crate::catalogue::table;
use crate::store::{Inner, State, list};
use crate::{Error, Ingest, Store};

/// How often what comes is put onto the disk: a power cut takes as much of a transfer. One that is quicker is not slowed.
const KEEP_UP: Duration = Duration::from_secs(2);
/// How long nobody may have come for one.
const STALE: Duration = Duration::from_secs(7 * 24 * 3600);

/// What came of a blob whose transfer broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The blob it is to become.
    pub digest: Digest,
    /// Bytes so far.
    pub size: u64,
}

impl Store {
    /// The blob with this digest and size to write, beginning with what an earlier transfer left of it: write that
    /// first, from [`Ingest::known`]. Waits for a transfer of the same blob that is being given up.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn resume(&self, digest: &Digest, size: u64) -> Result<Ingest, Error> {
        let inner = &self.inner;
        let mut state = inner.state();
        while !state.partials.insert(digest.clone()) {
            state = inner
                .partial_free
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let opened = self.open_partial(digest, size);
        if opened.is_err() {
            inner.release_partial(digest);
        }
        opened
    }

    fn open_partial(&self, digest: &Digest, size: u64) -> Result<Ingest, Error> {
        let path = self.inner.layout.partial(digest);
        let open = || {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(Error::file("open", &path))
        };
        let mut file = open()?;
        let mut known = file
            .seek(SeekFrom::End(0))
            .map_err(Error::file("seek in", &path))?;
        if known > size {
            // Not the beginning of anything. It may be a second name of what is in the trash: not cut short.
            std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            (file, known) = (open()?, 0);
        }
        Ok(Ingest {
            store: self.clone(),
            file,
            path: Some(path),
            algorithm: digest.algorithm(),
            hash: context(digest.algorithm()),
            size: 0,
            known,
            partial: Some(digest.clone()),
            keep_up: Some(KeepUp::new()),
        })
    }

    /// What transfers that broke off have left, those that go on right now among them.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn partials(&self) -> Result<Vec<Partial>, Error> {
        let mut found = Vec::new();
        for (path, digest) in self.inner.layout.partials()? {
            // One that is gone by now was finished.
            if let (Some(digest), Ok(status)) = (digest, std::fs::symlink_metadata(&path)) {
                let size = status.len();
                found.push(Partial { digest, size });
            }
        }
        found.sort_by(|a, b| a.digest.as_str().cmp(b.digest.as_str()));
        Ok(found)
    }

    /// Removes what broken transfers left, but for those that go on right now; how many bytes that frees.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn discard_partials(&self) -> Result<u64, Error> {
        self.inner.discard_partials(Duration::ZERO)
    }

    /// Removes what a broken transfer left of this blob: it is of no use.
    pub fn forget_partial(&self, digest: &Digest) {
        self.inner.forget_partial(&self.inner.state(), digest);
    }
}

impl Ingest {
    /// What an earlier transfer left, to be written first: it is read back and hashed, not written again.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn known(&self) -> Result<(u64, impl Read + Send + use<>), Error> {
        let path = self.path.clone().unwrap_or_default();
        let file = File::open(&path).map_err(Error::file("open", &path))?;
        Ok((self.known, file.take(self.known)))
    }

    /// Gives it up for now: what came stays for the next transfer, where the disk has room for such things.
    pub fn leave(mut self) {
        if self.partial.is_some() && self.size >= self.known && roomy(&self.file) {
            self.path = None;
        }
    }
}

/// Puts what has come so far onto the disk, beside the transfer.
#[derive(Debug)]
pub(crate) struct KeepUp {
    last: Instant,
    /// Shared with the thread that syncs, while there is one.
    busy: Arc<()>,
}

impl KeepUp {
    pub(crate) fn new() -> KeepUp {
        KeepUp {
            last: Instant::now(),
            busy: Arc::new(()),
        }
    }

    /// Something was written to the file.
    pub(crate) fn written(&mut self, file: &File) {
        if self.last.elapsed() < KEEP_UP || Arc::strong_count(&self.busy) > 1 {
            return;
        }
        self.last = Instant::now();
        let Ok(file) = file.try_clone() else { return };
        let busy = Arc::clone(&self.busy);
        let sync = move || {
            // Should it fail, the sync of the change that takes the blob in fails too, and says so.
            if let Err(error) = file.sync_data() {
                tracing::warn!(%error, "a partial blob is not on the disk");
            }
            drop(busy);
        };
        let thread = std::thread::Builder::new().name("store-partial".to_owned());
        if let Err(error) = thread.spawn(sync) {
            tracing::debug!(%error, "a partial blob is left to the kernel");
        }
    }
}

/// Whether the disk is not so full that its last blocks are kept for what may never be asked for again.
fn roomy(file: &File) -> bool {
    let (Ok(disk), Ok(status)) = (rustix::fs::fstatvfs(file), file.metadata()) else {
        return false;
    };
    disk.f_bavail.saturating_mul(disk.f_frsize) > status.len()
}

impl Inner {
    /// Lets the next transfer of the blob go on.
    pub(crate) fn release_partial(&self, digest: &Digest) {
        self.state().partials.remove(digest);
        self.partial_free.notify_all();
    }

    /// Removes the partial of a blob that needs none, unless it is being written.
    pub(crate) fn forget_partial(&self, state: &State, digest: &Digest) {
        if !state.partials.contains(digest) {
            remove(&self.layout.partial(digest));
        }
    }

    /// At open: those that are no good.
    pub(crate) fn discard_useless_partials(&self) -> Result<(), Error> {
        let reader = self.catalogue.reader()?;
        for (path, digest) in self.layout.partials()? {
            let useless = match &digest {
                None => true,
                Some(digest) => reader
                    .fetch::<BlobRecord>(table::BLOBS, digest.as_str())?
                    .is_some(),
            };
            if useless {
                self.try_discard(&path)?;
            }
        }
        self.discard_stale_partials()
    }

    /// Those nobody came for.
    pub(crate) fn discard_stale_partials(&self) -> Result<(), Error> {
        self.discard_partials(STALE).map(drop)
    }

    fn discard_partials(&self, age: Duration) -> Result<u64, Error> {
        let mut freed = 0;
        let state = self.state();
        for (path, digest) in self.layout.partials()? {
            let Some(digest) = digest else { continue };
            // A whole one whose image is about to be committed has its bytes under another name as well.
            if state.partials.contains(&digest) || state.blobs.contains_key(&digest) {
                continue;
            }
            let Ok(status) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let old = match status.modified() {
                Ok(time) => SystemTime::now()
                    .duration_since(time)
                    .unwrap_or(Duration::ZERO),
                Err(_) => Duration::ZERO,
            };
            if old >= age {
                freed += status.len();
                remove(&path);
            }
        }
        Ok(freed)
    }
}

impl crate::store::Layout {
    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.partials
            .join(digest.algorithm().as_str())
            .join(digest.hex())
    }

    /// All files among the partials; without a digest those that are none.
    pub(crate) fn partials(&self) -> Result<Vec<(PathBuf, Option<Digest>)>, Error> {
        let mut found = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for path in list(&self.partials.join(algorithm.as_str()))? {
                let name = path.file_name().and_then(|name| name.to_str());
                let digest = name
                    .and_then(|hex| Digest::parse(&format!("{}:{hex}", algorithm.as_str())).ok());
                found.push((path, digest));
            }
        }
        Ok(found)
    }
}

fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "the rest of a transfer stays until the next start");
        }
        _ => {}
    }
}

//! Bytes of files that clients sent, kept for their next builds: one directory for each context of a client, with a pack of
//! what each build brought. They are found, counted and forgotten as the caches of RUN are ([`super::caches`]).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use onggi_model::ContainerId;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fdatasync, linkat, openat};
use sha2::{Digest as _, Sha256};

use super::caches::{Caches, InUse};

/// A digest, where its bytes begin, how many there are.
const RECORD: usize = 48;
/// Packs that are kept of a context.
const PACKS: usize = 64;
/// Bytes that are kept besides twice what the context has.
const SPARE: u64 = 64 << 20;

/// What is known by which digest: its size, and where it is.
pub(super) type Places = HashMap<[u8; 32], (u64, Arc<File>, u64)>;

/// What is kept of one context.
pub(super) struct Kept {
    used: InUse,
}

impl Kept {
    /// Opens what is kept of the context that a client calls `key`, and finds what is there.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn open(caches: &Caches, key: &str) -> io::Result<(Self, Places)> {
        let kept = Self {
            used: caches.local(key),
        };
        let content = kept.used.content();
        std::fs::create_dir_all(&content)?;
        let id = kept.used.place().join("id");
        if !id.exists() {
            std::fs::write(&id, key)?;
        }
        let mut places = Places::new();
        for pack in kept.packs()? {
            if find(&pack, &mut places).is_err() {
                // It is not whole, or goes this very moment.
                let _ = std::fs::remove_file(&pack);
                let _ = std::fs::remove_file(pack.with_extension("index"));
            }
        }
        Ok((kept, places))
    }

    /// A file for what this build brings. It goes, unless it is kept.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn spool(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(openat(CWD, self.used.content(), flags, mode)?.into())
    }

    /// Keeps what a build brought. `announced` is how many bytes its contexts have.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn keep(
        &self,
        spool: &File,
        records: &[([u8; 32], u64, u64)],
        announced: u64,
    ) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let most = announced.saturating_mul(2).saturating_add(SPARE);
        let packs = self.packs()?;
        let bytes: u64 = packs
            .iter()
            .filter_map(|pack| pack.metadata().ok())
            .map(|status| status.len())
            .sum();
        if packs.len() >= PACKS || bytes > most {
            // Most of it is of files that are no more; what is still needed comes once more.
            for pack in &packs {
                std::fs::remove_file(pack)?;
                std::fs::remove_file(pack.with_extension("index"))?;
            }
        }
        let mut index = Vec::with_capacity(records.len() * RECORD + 32);
        for (digest, at, size) in records {
            index.extend_from_slice(digest);
            index.extend_from_slice(&at.to_be_bytes());
            index.extend_from_slice(&size.to_be_bytes());
        }
        let sum = Sha256::digest(&index);
        index.extend_from_slice(&sum);
        let name = ContainerId::random().map_err(io::Error::other)?;
        let pack = self.used.content().join(format!("{name}.pack"));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .open(pack.with_extension("index"))?;
        file.write_all(&index)?;
        // What is found by its name is whole, also when the power went.
        fdatasync(&file)?;
        fdatasync(spool)?;
        let from = format!("/proc/self/fd/{}", spool.as_raw_fd());
        linkat(CWD, from, CWD, &pack, AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }

    fn packs(&self) -> io::Result<Vec<PathBuf>> {
        let mut packs = Vec::new();
        for entry in std::fs::read_dir(self.used.content())? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "pack") {
                packs.push(path);
            }
        }
        Ok(packs)
    }
}

/// Takes in what a pack has.
fn find(pack: &Path, places: &mut Places) -> io::Result<()> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let file = Arc::new(File::open(pack)?);
    let length = file.metadata()?.len();
    let mut index = Vec::new();
    File::open(pack.with_extension("index"))?.read_to_end(&mut index)?;
    let (records, sum) = index
        .len()
        .checked_sub(32)
        .map(|at| index.split_at(at))
        .ok_or_else(broken)?;
    if Sha256::digest(records).as_slice() != sum {
        return Err(broken());
    }
    for record in records.chunks_exact(RECORD) {
        let number = |at: usize| {
            let bytes = record[at..at + 8].try_into().map_err(|_| broken())?;
            Ok::<_, io::Error>(u64::from_be_bytes(bytes))
        };
        let digest: [u8; 32] = record[..32].try_into().map_err(|_| broken())?;
        let (at, size) = (number(32)?, number(40)?);
        if at.checked_add(size).is_none_or(|end| end > length) {
            return Err(broken());
        }
        places.insert(digest, (size, file.clone(), at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_is_kept_is_found_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("a directory");
        let caches = Caches::new(root.path());
        let open = || Kept::open(&caches, "key").expect("it opens");
        let (kept, places) = open();
        assert!(places.is_empty());
        let spool = kept.spool().expect("a spool");
        spool.write_all_at(b"onetwo", 0).expect("written");
        let records = [([1; 32], 0, 3), ([2; 32], 3, 3)];
        kept.keep(&spool, &records, 6).expect("kept");
        let text = |places: &Places, digest: [u8; 32]| {
            let (size, file, at) = places.get(&digest)?;
            let mut text = vec![0; usize::try_from(*size).expect("small")];
            file.read_exact_at(&mut text, *at).expect("read");
            Some(text)
        };
        let (_, places) = open();
        assert_eq!(text(&places, [2; 32]).as_deref(), Some(&b"two"[..]));
        assert_eq!(text(&places, [3; 32]), None);
        // A pack whose index is broken is nothing.
        let packs = kept.packs().expect("packs");
        std::fs::write(packs[0].with_extension("index"), [0; 80]).expect("written");
        assert!(open().1.is_empty() && kept.packs().expect("packs").is_empty());
        // What was brought and not kept is gone with who brought it.
        drop(kept.spool());
        let left = std::fs::read_dir(kept.used.content()).expect("listed");
        assert_eq!(left.count(), 0);
        for _ in 0..=PACKS {
            // One that had a name gets none again.
            let spool = kept.spool().expect("a spool");
            spool.write_all_at(b"onetwo", 0).expect("written");
            kept.keep(&spool, &records, 6).expect("kept");
        }
        assert_eq!(kept.packs().expect("packs").len(), 1);
    }
}

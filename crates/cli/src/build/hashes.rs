//! What the files of a context are known by, kept from build to build: a file that is the same by device, inode, size and
//! times is not read again. One that was changed about when it was read is never believed.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

/// What the file begins with.
const MAGIC: &[u8] = b"onggi hashes 1\n";
/// Seven numbers and a digest.
const RECORD: usize = 7 * 8 + 32;
/// The largest file that is read.
const LARGEST: u64 = 512 << 20;
/// How long before it was read a file must have been left alone, in seconds: clocks of file systems are coarse.
const MARGIN: i64 = 2;

/// What is not the same in two files, or in one file before and after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([i64; 7]);

impl Key {
    fn of(status: &Metadata) -> Self {
        Self([
            status.dev().cast_signed(),
            status.ino().cast_signed(),
            status.size().cast_signed(),
            status.mtime(),
            status.mtime_nsec(),
            status.ctime(),
            status.ctime_nsec(),
        ])
    }
}

/// The hashes of one context.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    /// Where they are kept, if anywhere.
    path: Option<PathBuf>,
    known: HashMap<Key, [u8; 32]>,
    /// Those that the next build may believe.
    next: HashMap<Key, [u8; 32]>,
}

impl Hashes {
    /// Those kept at `path`. What is no such file, or not this user's, says nothing.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let known = path.as_deref().and_then(|path| read(path).ok());
        Self {
            known: known.unwrap_or_default(),
            next: HashMap::new(),
            path,
        }
    }

    /// What a file is known by, if it is the one that was read.
    pub(super) fn find(&mut self, status: &Metadata) -> Option<[u8; 32]> {
        let key = Key::of(status);
        let digest = *self.known.get(&key)?;
        self.next.insert(key, digest);
        Some(digest)
    }

    /// A file was read, from `began` on.
    pub(super) fn learn(&mut self, status: &Metadata, began: SystemTime, digest: [u8; 32]) {
        let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = i64::try_from(began.as_secs()).unwrap_or(0) - MARGIN;
        if status.mtime() < latest && status.ctime() < latest {
            self.next.insert(Key::of(status), digest);
        }
    }

    /// It is not what it was said to be.
    pub(super) fn forget(&mut self, digest: &[u8; 32]) {
        self.next.retain(|_, known| known != digest);
    }

    /// Keeps them, whole or not at all. It is a help for the next build, and no reason to fail.
    pub(super) fn save(&mut self) {
        if let Some(path) = &self.path
            && self.next != self.known
            && write(path, &self.next).is_ok()
        {
            self.known.clone_from(&self.next);
        }
    }
}

/// Where the hashes of a context are kept that is called `key`.
pub(super) fn place(variable: impl Fn(&str) -> Option<String>, key: &str) -> Option<PathBuf> {
    let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    let caches = variable("XDG_CACHE_HOME").and_then(absolute);
    let home = || Some(variable("HOME").and_then(absolute)?.join(".cache"));
    Some(caches.or_else(home)?.join("onggi/contexts").join(key))
}

fn read(path: &Path) -> io::Result<HashMap<Key, [u8; 32]>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let file = File::open(path)?;
    let status = file.metadata()?;
    let is_own = status.uid() == rustix::process::geteuid().as_raw() && status.mode() & 0o022 == 0;
    if !is_own || !status.is_file() || status.len() > LARGEST {
        return Err(broken());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let at = bytes.len().checked_sub(32).ok_or_else(broken)?;
    let (said, sum) = bytes.split_at(at);
    let records = said.strip_prefix(MAGIC).ok_or_else(broken)?;
    if Sha256::digest(said).as_slice() != sum || !records.len().is_multiple_of(RECORD) {
        return Err(broken());
    }
    let mut known = HashMap::with_capacity(records.len() / RECORD);
    for record in records.chunks_exact(RECORD) {
        let (numbers, digest) = record.split_at(RECORD - 32);
        let mut key = [0; 7];
        for (number, bytes) in key.iter_mut().zip(numbers.chunks_exact(8)) {
            *number = i64::from_le_bytes(bytes.try_into().map_err(|_| broken())?);
        }
        known.insert(Key(key), digest.try_into().map_err(|_| broken())?);
    }
    Ok(known)
}

fn write(path: &Path, known: &HashMap<Key, [u8; 32]>) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    for (key, digest) in known {
        for number in key.0 {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(digest);
    }
    let sum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&sum);
    let directory = path.parent().unwrap_or(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory)?;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file.write_all(&bytes);
    let done = written.and_then(|()| std::fs::rename(&new, path));
    done.inspect_err(|_| drop(std::fs::remove_file(&new)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_left_alone_is_believed() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("file");
        std::fs::write(&file, "1").expect("written");
        let status = |path: &Path| std::fs::metadata(path).expect("there");
        let kept = place.path().join("cache/deep/key");
        let open = || Hashes::open(Some(kept.clone()));
        let (now, later) = (
            SystemTime::now(),
            SystemTime::now() + Duration::from_secs(60),
        );
        let mut hashes = open();
        hashes.learn(&status(&file), now, [1; 32]);
        hashes.save();
        assert_eq!(open().find(&status(&file)), None);
        hashes.learn(&status(&file), later, [1; 32]);
        hashes.save();
        assert_eq!(open().find(&status(&file)), Some([1; 32]));
        assert_eq!(status(&kept).mode() & 0o777, 0o600);
        // Another size, another time, another inode.
        std::fs::write(&file, "12").expect("written");
        assert_eq!(open().find(&status(&file)), None);
        std::fs::write(&file, "1").expect("written");
        assert_eq!(open().find(&status(&file)), None);
        hashes.learn(&status(&file), later, [2; 32]);
        hashes.save();
        let mut next = open();
        assert_eq!(next.find(&status(&file)), Some([2; 32]));
        next.forget(&[2; 32]);
        next.save();
        assert_eq!(open().find(&status(&file)), None);
        // What is no such file, or anybody could have written, says nothing and is written anew.
        hashes.learn(&status(&file), later, [3; 32]);
        for text in [&b""[..], b"something", MAGIC] {
            std::fs::write(&kept, text).expect("written");
            assert!(open().known.is_empty());
        }
        let mut anew = open();
        anew.learn(&status(&file), later, [3; 32]);
        anew.save();
        assert_eq!(open().known.len(), 1);
        let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&kept, open_to_all).expect("a mode");
        assert!(open().known.is_empty());
    }
}

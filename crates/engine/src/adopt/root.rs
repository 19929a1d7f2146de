//! The data root of a dockerd: whether it is one we can read, that nobody uses it, and where things are in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use onggi_model::{ContainerId, Digest, is_hex};
use onggi_store::ChainId;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::Value;

use super::cannot;
use crate::error::{Error, Result};

/// The one storage driver whose layers we read.
const DRIVER: &str = "overlay2";
/// The longest document that is read.
const DOCUMENT: u64 = 64 << 20;
/// Databases that dockerd holds a lock on while it runs.
const DATABASES: [&str; 6] = [
    "network/files/local-kv.db",
    "volumes/metadata.db",
    "buildkit/cache.db",
    "buildkit/metadata_v2.db",
    "buildkit/snapshots.db",
    "buildkit/containerdmeta.db",
];

/// A data root that is read, and kept from being used meanwhile.
#[derive(Debug)]
pub(crate) struct DataRoot {
    pub(super) path: PathBuf,
    /// Shared locks: a dockerd that starts now waits for them, and gives up.
    _locks: Vec<File>,
}

/// A container as it was written down.
#[derive(Debug)]
pub(crate) struct ForeignContainer {
    pub(crate) id: String,
    /// `config.v2.json`; why it cannot be read.
    pub(crate) document: Result<Value>,
    /// `hostconfig.json`.
    pub(crate) host_config: Vec<u8>,
}

impl ForeignContainer {
    /// Without the leading slash.
    pub(crate) fn name(&self) -> String {
        let name = self.document.as_ref().ok();
        let name = name.and_then(|document| document["Name"].as_str());
        name.unwrap_or_default().trim_start_matches('/').to_owned()
    }

    /// Whether it lives in a namespace of another container, which must be here first.
    fn leans(&self) -> bool {
        let text = String::from_utf8_lossy(&self.host_config);
        text.contains("\"container:")
    }
}

impl DataRoot {
    /// Opens the data root at `path`; `own` is ours.
    ///
    /// # Errors
    /// `NotFound`, `InvalidParameter`: no such thing; `Conflict`: in use.
    pub(super) fn open(path: &Path, own: &Path) -> Result<Self> {
        if !path.is_absolute() {
            return Err(cannot(format!(
                "{}: the directory must be an absolute path on the machine of the daemon",
                path.display()
            )));
        }
        let path = path.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(format!(
                "{}: there is no such directory on the machine of the daemon",
                path.display()
            )),
            _ => Error::io(path.display(), error),
        })?;
        let own = own.canonicalize().unwrap_or_else(|_| own.to_owned());
        if path.starts_with(&own) || own.starts_with(&path) {
            return Err(cannot(format!(
                "{}: that is this daemon's own data root ({})",
                path.display(),
                own.display()
            )));
        }
        if !path.join("image").join(DRIVER).join("imagedb").is_dir() {
            return Err(cannot(format!("{}: {}", path.display(), missing(&path))));
        }
        let locks = lock(&path)?;
        Ok(Self {
            path,
            _locks: locks,
        })
    }

    pub(super) fn images(&self) -> PathBuf {
        self.path.join("image").join(DRIVER)
    }

    /// Where dockerd keeps what it knows of a layer.
    pub(super) fn layer(&self, chain_id: &ChainId) -> PathBuf {
        let hex = chain_id.as_digest().hex();
        self.images().join("layerdb/sha256").join(hex)
    }

    /// The files of a layer or of a container.
    pub(super) fn diff(&self, cache_id: &str) -> Result<PathBuf> {
        let name = cache_id.trim();
        if !is_hex(name) {
            return Err(cannot(format!("{name:?} is no name of a layer")));
        }
        let path = self.path.join(DRIVER).join(name).join("diff");
        match path.is_dir() {
            true => Ok(path),
            false => Err(cannot(format!("{} is missing", path.display()))),
        }
    }

    /// What the container wrote, and the layer it stands on.
    pub(crate) fn upper(&self, id: &ContainerId) -> Result<(PathBuf, Option<ChainId>)> {
        let folder = self.images().join("layerdb/mounts").join(id.as_str());
        let mount = text(&folder.join("mount-id"))?;
        let parent = folder.join("parent");
        let parent = match parent.exists() {
            true => Some(digest(text(&parent)?.trim())?.into()),
            false => None,
        };
        Ok((self.diff(&mount)?, parent))
    }

    /// The directory of a container's own files.
    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.path.join("containers").join(id.as_str())
    }

    /// All containers, those first that others need.
    pub(super) fn containers(&self) -> Result<Vec<ForeignContainer>> {
        let mut found = Vec::new();
        for id in names(&self.path.join("containers"))? {
            if ContainerId::parse(&id).is_err() {
                continue;
            }
            let folder = self.path.join("containers").join(&id);
            let document = document(&folder.join("config.v2.json")).and_then(|bytes| {
                serde_json::from_slice(&bytes)
                    .map_err(|error| cannot(format!("config.v2.json: {error}")))
            });
            let (document, host_config) = match document {
                Ok(value) => match document_of_host(&folder) {
                    Ok(bytes) => (Ok(value), bytes),
                    Err(fault) => (Err(fault), Vec::new()),
                },
                Err(fault) => (Err(fault), Vec::new()),
            };
            found.push(ForeignContainer {
                id,
                document,
                host_config,
            });
        }
        found.sort_by_key(ForeignContainer::leans);
        Ok(found)
    }
}

fn document_of_host(folder: &Path) -> Result<Vec<u8>> {
    document(&folder.join("hostconfig.json"))
}

/// What is there instead of images of overlay2.
fn missing(path: &Path) -> String {
    let others: Vec<String> = names(&path.join("image")).unwrap_or_default();
    match others.first() {
        Some(driver) => format!(
            "its images are of the storage driver {driver}, only those of overlay2 can be adopted; \
             give them to the other engine's save, and what that writes to load"
        ),
        None if path.join("containerd").is_dir() => {
            "its images are kept by containerd, only those of overlay2 (image/overlay2) can be adopted; \
             give them to the other engine's save, and what that writes to load"
                .to_owned()
        }
        None => "no data root of dockerd: there is no image/overlay2/imagedb in it".to_owned(),
    }
}

/// Takes the locks a running dockerd has, all shared.
fn lock(root: &Path) -> Result<Vec<File>> {
    let mut locks = Vec::new();
    for name in DATABASES {
        let path = root.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(path.display(), error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => locks.push(file),
            Err(Errno::WOULDBLOCK) => {
                let holder = holder(&file).map_or_else(
                    || "a process".to_owned(),
                    |(pid, name)| format!("process {pid} ({name})"),
                );
                return Err(Error::conflict(format!(
                    "{} is in use by {holder}: stop it first (systemctl stop docker.socket docker.service, or kill it), \
                     then adopt again",
                    root.display()
                )));
            }
            Err(errno) => return Err(Error::io(path.display(), errno)),
        }
    }
    Ok(locks)
}

/// Who has a lock on the file, by /proc/locks: see proc_locks(5).
fn holder(file: &File) -> Option<(u32, String)> {
    let status = file.metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = holder_in(&locks, status.dev(), status.ino())?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((pid, name.trim().to_owned()))
}

fn holder_in(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let device = format!(
        "{:02x}:{:02x}:{inode}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let exact = |place: &str| place == device;
    // Some file systems show programs another device than the kernel uses itself.
    let alike = |place: &str| place.rsplit(':').next() == Some(inode.to_string().as_str());
    let held = |fits: &dyn Fn(&str) -> bool| {
        locks.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [_, "FLOCK", _, _, pid, place, ..] if fits(place) => pid.parse().ok(),
                _ => None,
            }
        })
    };
    held(&exact).or_else(|| held(&alike))
}

/// The names in a directory, in order; none when it is not there.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder.display(), error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder.display(), error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// A document, whole.
pub(super) fn document(path: &Path) -> Result<Vec<u8>> {
    limited(path, DOCUMENT)
}

/// A file of at most `limit` bytes.
pub(super) fn limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    };
    read().map_err(|error| Error::io(path.display(), error))
}

/// A short text.
pub(super) fn text(path: &Path) -> Result<String> {
    let bytes = limited(path, 4096)?;
    String::from_utf8(bytes).map_err(|_| cannot(format!("{}: no text", path.display())))
}

/// A digest as it is written in documents.
pub(super) fn digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|fault| Error::of(&fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_in_the_table() {
        let table = "1: POSIX  ADVISORY  WRITE 10 00:19:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 20 fe:00:78 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 21 fe:00:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 30 fe:00:77 0 EOF\n";
        assert_eq!(holder_in(table, rustix::fs::makedev(0xfe, 0), 77), Some(30));
        assert_eq!(holder_in(table, rustix::fs::makedev(0, 0x2a), 78), Some(20));
        assert_eq!(holder_in(table, rustix::fs::makedev(0xfe, 0), 79), None);
    }

    #[test]
    fn what_is_no_data_root_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        let says = |path: &Path, text: &str| {
            let error = DataRoot::open(path, &own).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        let root = folder.path().join("root");
        says(Path::new("relative"), "absolute path");
        says(&root, "no such directory");
        std::fs::create_dir_all(root.join("image")).unwrap();
        says(&root, "no image/overlay2/imagedb");
        std::fs::create_dir(root.join("image/btrfs")).unwrap();
        says(&root, "the storage driver btrfs");
        std::fs::create_dir_all(root.join("image/overlay2/imagedb")).unwrap();
        DataRoot::open(&root, &own).unwrap();
        std::fs::create_dir(root.join("volumes")).unwrap();
        let database = File::create(root.join("volumes/metadata.db")).unwrap();
        flock(&database, FlockOperation::NonBlockingLockExclusive).unwrap();
        says(&root, &format!("process {}", std::process::id()));
        std::fs::create_dir(&own).unwrap();
        let error = DataRoot::open(&own, &own).unwrap_err().to_string();
        assert!(error.contains("own data root"), "{error}");
    }
}

//! What a container of the command line leaves on disk: `<root>/<id>/state.json` and, until it is started, `exec.fifo`.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use onggi_cgroup::{Cgroups, Group};
use onggi_oci::runtime::{Spec, State, Status};
use serde::{Deserialize, Serialize};

use super::Failure;

/// Largest `config.json` and `state.json` that is read.
const MAX_DOCUMENT: u64 = 16 << 20;

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) pid: u32,
    /// With the pid it names the process (see `onggi_sys::process::start_time`).
    pub(super) start_time: u64,
    pub(super) boot_id: String,
    pub(super) bundle: String,
    pub(super) rootfs: String,
    pub(super) created: String,
    pub(super) cgroup: String,
    pub(super) spec: Spec,
}

/// The directory of one container.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: String,
    directory: PathBuf,
}

/// Identifier of this boot: pids of another one mean nothing.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Reads a JSON document of bounded size.
pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(Failure::io(path.display()))?;
    let mut text = Vec::new();
    file.take(MAX_DOCUMENT + 1)
        .read_to_end(&mut text)
        .map_err(Failure::io(path.display()))?;
    if text.len() as u64 > MAX_DOCUMENT {
        return Err(Failure::Text(format!("{}: too large", path.display())));
    }
    serde_json::from_slice(&text)
        .map_err(|error| Failure::Text(format!("{}: {error}", path.display())))
}

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let result = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

impl Place {
    pub(super) fn new(root: &Path, id: &str) -> Result<Self, Failure> {
        let good = !id.is_empty()
            && id.len() <= 1024
            && !matches!(id, "." | "..")
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-.".contains(c));
        if !good {
            return Err(Failure::Text(format!(
                "invalid container ID format: {id:?}"
            )));
        }
        Ok(Self {
            id: id.to_owned(),
            directory: root.join(id),
        })
    }

    /// Takes the id: fails when it is taken.
    pub(super) fn make(&self) -> Result<(), Failure> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        if let Some(root) = self.directory.parent() {
            builder
                .recursive(true)
                .create(root)
                .map_err(Failure::io(root.display()))?;
        }
        builder
            .recursive(false)
            .create(&self.directory)
            .map_err(|error| {
                if error.kind() == std::io::ErrorKind::AlreadyExists {
                    return Failure::Text(format!("container with id {} exists already", self.id));
                }
                Failure::io(self.directory.display())(error)
            })
    }

    pub(super) fn remove(&self) -> Result<(), Failure> {
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io(self.directory.display())(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fifo(&self) -> PathBuf {
        self.directory.join("exec.fifo")
    }

    pub(super) fn save(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_vec(record).map_err(|error| Failure::Text(error.to_string()))?;
        write_whole(&self.directory.join("state.json"), &text)
            .map_err(Failure::io("writing state.json"))
    }

    pub(super) fn exists(&self) -> bool {
        self.directory.exists()
    }

    pub(super) fn load(&self) -> Result<Record, Failure> {
        let path = self.directory.join("state.json");
        if !path.exists() {
            return Err(Failure::Text(format!(
                "container {} does not exist",
                self.id
            )));
        }
        read(&path)
    }

    pub(super) fn status(&self, record: &Record) -> Status {
        if !record.alive() {
            return Status::Stopped;
        }
        if self.fifo().exists() {
            return Status::Created;
        }
        let frozen = record
            .group()
            .is_ok_and(|group| group.is_frozen().unwrap_or(false));
        if frozen {
            Status::Paused
        } else {
            Status::Running
        }
    }
}

impl Record {
    /// Whether the first process lives: the same process, not one that got its number later.
    pub(super) fn alive(&self) -> bool {
        self.boot_id == boot_id()
            && onggi_sys::process::start_time(self.pid).is_ok_and(|time| time == self.start_time)
            && onggi_sys::process::state(self.pid).is_ok_and(|state| !matches!(state, 'Z' | 'X'))
    }

    pub(super) fn group(&self) -> Result<Group, Failure> {
        let failed = |error: onggi_cgroup::Error| Failure::Text(onggi_model::chain(&error));
        Cgroups::probe()
            .map_err(failed)?
            .open(&self.cgroup)
            .map_err(failed)
    }

    /// The state document.
    pub(super) fn state(&self, status: Status) -> State {
        State {
            version: onggi_oci::runtime::VERSION.to_owned(),
            id: self.id.clone(),
            status,
            pid: Some(if status == Status::Stopped {
                0
            } else {
                self.pid
            }),
            bundle: self.bundle.clone(),
            annotations: self.spec.annotations.clone(),
        }
    }
}

//! The exit file: how a container ended, for a daemon that was not there. Whole or absent, whatever happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::protocol::Exit;

/// When it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// At once: it survives a power cut.
    OnDisk,
    /// When the kernel sees fit, or with [`sync`]: it survives the end of any process.
    InKernel,
}

/// Writes it: a temporary file, synced, renamed, and the folder synced.
pub(crate) fn record(path: &Path, exit: &Exit, keep: Keep) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)?;
    let synced = |file: &File| match keep {
        Keep::OnDisk => file.sync_all(),
        Keep::InKernel => Ok(()),
    };
    let result = file
        .write_all(&serde_json::to_vec(exit)?)
        .and_then(|()| synced(&file))
        .and_then(|()| std::fs::rename(temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
        return result;
    }
    synced(&folder(path)?)
}

/// Puts one that was kept in the kernel on the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    folder(path)?.sync_all()
}

fn folder(path: &Path) -> io::Result<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn whole_or_absent() {
        let folder = std::env::temp_dir().join(format!("onggi-exit-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let exit = Exit {
            code: 137,
            signal: Some(9),
            oom_killed: true,
            oom: None,
            finished_at: jiff::Timestamp::UNIX_EPOCH,
            error: None,
        };
        let path = folder.join("exit.json");
        for keep in [Keep::OnDisk, Keep::InKernel] {
            record(&path, &exit, keep).unwrap();
            let read: Exit = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(read, exit);
        }
        sync(&path).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert!(record(&folder.join("no/exit.json"), &exit, Keep::OnDisk).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//! The exit file: how a container ended, for a daemon that was not there. Whole or absent, whatever happens.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::protocol::Exit;

/// Writes it so that it survives a power cut: a temporary file, synced, renamed, and the folder synced.
pub(crate) fn record(path: &Path, exit: &Exit) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)?;
    let result = file
        .write_all(&serde_json::to_vec(exit)?)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(temporary, path));
    if result.is_err() {
        let _ = std::fs::remove_file(temporary);
        return result;
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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
        record(&path, &exit).unwrap();
        let read: Exit = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, exit);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert!(record(&folder.join("no/exit.json"), &exit).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}

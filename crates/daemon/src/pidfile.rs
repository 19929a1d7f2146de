//! The pidfile: who runs, for those who look there.

use std::io;
use std::path::{Path, PathBuf};

/// A pidfile that is ours; removed when dropped, if it still is.
pub(crate) struct PidFile {
    path: PathBuf,
    pid: String,
}

impl PidFile {
    /// Writes our pid, unless a living process holds the file.
    ///
    /// # Errors
    /// `AlreadyExists` with the pid of the holder; what the file system says.
    pub(crate) fn claim(path: &Path) -> io::Result<Self> {
        if let Ok(text) = std::fs::read_to_string(path)
            && let Ok(pid) = text.trim().parse::<u32>()
            && pid != std::process::id()
            && is_onggid(pid)
        {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("process with PID {pid} is still running"),
            ));
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let pid = std::process::id().to_string();
        std::fs::write(path, &pid)?;
        Ok(Self {
            path: path.to_owned(),
            pid,
        })
    }
}

/// A pid alone says nothing: after a crash another program may have it. Nor does a zombie hold anything; proc(5): the
/// name stands in parentheses, the state behind them.
fn is_onggid(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| holds(&stat))
}

fn holds(stat: &str) -> bool {
    stat.split_once(" (onggid) ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.pid) {
            // Gone already is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_onggid_holds() {
        for (stat, held) in [
            ("7 (onggid) S 1 7 7", true),
            ("7 (onggid) Z 1 7 7", false),
            ("7 (bash) S 1 7 7", false),
            ("", false),
        ] {
            assert_eq!(holds(stat), held, "{stat}");
        }
    }

    #[test]
    fn a_stale_file_is_taken_and_ours_is_removed() {
        let path = std::env::temp_dir().join(format!("onggi-pidfile-{}", std::process::id()));
        // Pid 1 lives and is no onggid.
        std::fs::write(&path, "1").expect("a file");
        let file = PidFile::claim(&path).expect("stale");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text, std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
    }
}

//! The lock file of a data root: one process at a time, and its pid for the one that comes second.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::Error;

/// How long a lock whose holder is dead may linger: a child between fork and exec still has the descriptor.
const LINGER: Duration = Duration::from_secs(2);

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock of the data root at `root`.
pub(crate) fn take(root: &Path) -> Result<Lock, Error> {
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::file("open", &path))?;
    let limit = Instant::now() + LINGER;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(Error::file("lock", &path)(errno)),
        }
        let pid = holder(&mut file);
        if pid.is_some_and(alive) || Instant::now() >= limit {
            return Err(Error::Locked {
                root: root.to_path_buf(),
                pid: pid.unwrap_or(0),
            });
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(Error::file("write", &path))?;
    Ok(Lock { _file: file })
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid != 0)
}

fn alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return false;
    };
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

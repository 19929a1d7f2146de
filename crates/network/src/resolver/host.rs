//! Whom the host asks. The file is looked at for each question that goes outside, and read when it has changed.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use onggi_dns::{BEHIND_STUB, HOST_FILE, ResolvConf};

#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    read: Mutex<Option<(Stamp, Arc<ResolvConf>)>>,
}

/// What differs when a file is another one.
type Stamp = [Option<(u64, i64, i64, u64)>; 2];

impl Host {
    /// Its files are looked for under `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            read: Mutex::new(None),
        }
    }

    pub(super) fn resolv_conf(&self) -> Arc<ResolvConf> {
        let path = |path: &str| self.root.join(path.trim_start_matches('/'));
        let stamp = |file: &str| {
            let found = std::fs::metadata(path(file)).ok()?;
            Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = [stamp(HOST_FILE), stamp(BEHIND_STUB)];
        match &*read {
            Some((before, conf)) if *before == now => Arc::clone(conf),
            _ => {
                let file = |file: &str| std::fs::read_to_string(path(file)).ok();
                let conf = Arc::new(ResolvConf::of_host(file).1);
                *read = Some((now, Arc::clone(&conf)));
                conf
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_host_are_followed() {
        let root = std::env::temp_dir().join(format!("onggi-host-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        let host = Host::new(root.clone());
        assert!(host.resolv_conf().servers.is_empty());
        for (text, expected) in [
            ("nameserver 10.0.0.1\n", "10.0.0.1"),
            ("nameserver 10.0.0.22\n", "10.0.0.22"),
            ("nameserver 127.0.0.1\n", "127.0.0.1"),
        ] {
            std::fs::write(root.join("etc/new"), text).unwrap();
            std::fs::rename(root.join("etc/new"), root.join("etc/resolv.conf")).unwrap();
            assert_eq!(host.resolv_conf().servers[0].to_string(), expected);
            assert_eq!(host.resolv_conf().servers[0].to_string(), expected);
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}

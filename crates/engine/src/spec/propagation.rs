//! How mounts of the host travel into a container: what its own namespace must be, so that the binds that ask for it keep
//! their peers.

use std::path::Path;

use crate::container::Record;
use crate::container::mounts::What;
use crate::error::{Error, Result};

/// What becomes of all mounts in the container's namespace before its binds are taken: `private` unless a bind needs more.
pub(crate) fn root(record: &Record, data_root: &Path) -> Result<&'static str> {
    let mut root = "private";
    let mut table = None;
    for wanted in &record.wanted {
        let What::Bind(bind) = &wanted.what else {
            continue;
        };
        let kind = bind.propagation.trim_start_matches('r');
        if !matches!(kind, "shared" | "slave") {
            continue;
        }
        let mounts = match &mut table {
            Some(mounts) => mounts,
            None => table.insert(read()?),
        };
        match (kind, around(&bind.source, mounts)) {
            ("shared", Some(Mount { shared: true, .. })) => root = "shared",
            ("slave", Some(Mount { shared, slave, .. })) if *shared || *slave => {
                if root == "private" {
                    root = "rslave";
                }
            }
            // The default for what lies around our own files: no reason to refuse.
            ("slave", _) if near(Path::new(&bind.source), data_root) => {}
            (kind, mount) => {
                let (at, what) = (
                    mount.map_or("/", |mount| mount.at.as_str()),
                    if kind == "shared" {
                        "shared"
                    } else {
                        "shared or slave"
                    },
                );
                return Err(Error::internal(format!(
                    "path {} is mounted on {at} but it is not a {what} mount",
                    bind.source
                )));
            }
        }
    }
    Ok(root)
}

fn near(path: &Path, data_root: &Path) -> bool {
    path.starts_with(data_root) || data_root.starts_with(path)
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    at: String,
    shared: bool,
    slave: bool,
}

fn read() -> Result<Vec<Mount>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| Error::io("read /proc/self/mountinfo", e))?;
    Ok(text.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let at = unescape(fields.nth(4)?);
    let mut mount = Mount {
        at,
        shared: false,
        slave: false,
    };
    for field in fields.skip(1).take_while(|field| *field != "-") {
        mount.shared |= field.starts_with("shared:");
        mount.slave |= field.starts_with("master:");
    }
    Some(mount)
}

/// `\040` is a blank.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &more[3..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The mount that a path is on: the last of those with the longest path.
fn around<'a>(source: &str, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let path = std::fs::canonicalize(source).unwrap_or_else(|_| source.into());
    let above = mounts.iter().filter(|mount| path.starts_with(&mount.at));
    above.max_by_key(|mount| mount.at.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read() {
        let mount =
            parse("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw");
        let expected = Mount {
            at: "/mnt 2".to_owned(),
            shared: true,
            slave: true,
        };
        assert_eq!(mount, Some(expected));
        let mount = parse("22 1 0:21 / / rw - ext4 /dev/vda rw,shared:1").expect("reads");
        assert!(!mount.shared && mount.at == "/");
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mount = |at: &str| Mount {
            at: at.to_owned(),
            shared: false,
            slave: false,
        };
        let mounts = [mount("/"), mount("/nonexistent"), mount("/nonexistent/a")];
        for (path, at) in [
            ("/nonexistent/a/b", "/nonexistent/a"),
            ("/nonexistent/ab", "/nonexistent"),
            ("/none", "/"),
        ] {
            assert_eq!(around(path, &mounts).expect("one").at, at);
        }
    }
}

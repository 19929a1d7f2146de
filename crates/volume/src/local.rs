//! Options of the driver `local`: `type`, `device` and `o`, as mount(8) has them. Such a volume is mounted at its `_data`
//! while containers run with it.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount_change, mount_remount, unmount,
};

use crate::{Error, Result};

/// What each option needs beside it.
const OPTIONS: [(&str, &[&str]); 4] = [
    ("type", &["device"]),
    ("device", &["type"]),
    ("o", &["device", "type"]),
    ("size", &[]),
];

/// Refuses options that are not there or not enough.
pub(crate) fn check(name: &str, options: &BTreeMap<String, String>) -> Result<()> {
    for option in options.keys() {
        if !OPTIONS.iter().any(|(known, _)| known == option) {
            let (name, option) = (name.to_owned(), option.clone());
            return Err(Error::Option { name, option });
        }
    }
    for (option, needed) in OPTIONS {
        let missing = needed.iter().find(|other| !options.contains_key(**other));
        if let (true, Some(missing)) = (options.contains_key(option), missing) {
            return Err(Error::MissingOption {
                name: name.to_owned(),
                option: missing,
            });
        }
    }
    if options.contains_key("size") {
        return Err(Error::Quota(name.to_owned()));
    }
    Ok(())
}

/// Whether the volume is a file system to be mounted.
pub(crate) fn is_mounted_kind(options: &BTreeMap<String, String>) -> bool {
    options.contains_key("device")
}

/// Mounts the volume's file system at `path`.
pub(crate) fn mount(options: &BTreeMap<String, String>, path: &Path) -> Result<()> {
    let get = |key: &str| options.get(key).map_or("", String::as_str);
    let (kind, device) = (get("type"), get("device"));
    let words = Words::parse(get("o"));
    let data = match kind {
        "nfs" | "nfs4" | "cifs" => resolve_address(&words.data)?,
        _ => words.data.join(","),
    };
    let failed = |errno: Errno| Error::Mount {
        device: device.to_owned(),
        path: path.to_owned(),
        given: given(words.flags, &data),
        text: said(errno),
    };
    let text = CString::new(data.as_str()).map_err(|_| failed(Errno::INVAL))?;
    let bind = words.flags.contains(MountFlags::BIND) || matches!(kind, "bind" | "rbind");
    if bind {
        let recursive = words.flags.contains(MountFlags::REC) || kind == "rbind";
        match recursive {
            true => rustix::mount::mount_bind_recursive(device, path),
            false => rustix::mount::mount_bind(device, path),
        }
        .map_err(failed)?;
        let rest = words.flags - MountFlags::BIND - MountFlags::REC;
        // A bind takes no other flag at once (mount(2)).
        if !rest.is_empty()
            && let Err(errno) = mount_remount(path, MountFlags::BIND | rest, c"")
        {
            let _ = unmount(path, UnmountFlags::DETACH);
            return Err(failed(errno));
        }
    } else {
        rustix::mount::mount(device, path, kind, words.flags, text.as_c_str()).map_err(failed)?;
    }
    if let Some(propagation) = words.propagation
        && let Err(errno) = mount_change(path, propagation)
    {
        let _ = unmount(path, UnmountFlags::DETACH);
        return Err(failed(errno));
    }
    Ok(())
}

/// `, flags: 0x1, data: size=1m`
fn given(flags: MountFlags, data: &str) -> String {
    let mut text = String::new();
    if !flags.is_empty() {
        text = format!(", flags: {:#x}", flags.bits());
    }
    if !data.is_empty() {
        text.push_str(", data: ");
        text.push_str(data);
    }
    text
}

/// `no such file or directory`
fn said(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// Takes the file system away from `path`. Containers keep theirs.
pub(crate) fn unmount_from(path: &Path) -> Result<()> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::file("unmount", path)(errno)),
    }
}

/// Whether something is mounted at `path`.
pub(crate) fn is_mounted(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(CWD, path, flags, StatxFlags::empty())
        .is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The option `o`, read.
#[derive(Debug, PartialEq, Eq)]
struct Words {
    flags: MountFlags,
    propagation: Option<MountPropagationFlags>,
    data: Vec<String>,
}

impl Words {
    fn parse(text: &str) -> Self {
        let mut words = Self {
            flags: MountFlags::empty(),
            propagation: None,
            data: Vec::new(),
        };
        for word in text.split(',').filter(|word| !word.is_empty()) {
            if let Some((_, flag, on)) = FLAGS.iter().find(|(known, ..)| *known == word) {
                words.flags.set(*flag, *on);
            } else if let Some((_, flags)) = PROPAGATION.iter().find(|(known, _)| *known == word) {
                words.propagation = Some(*flags);
            } else {
                words.data.push(word.to_owned());
            }
        }
        words
    }
}

/// Word, flag, whether it sets it.
const FLAGS: &[(&str, MountFlags, bool)] = &[
    ("defaults", MountFlags::empty(), true),
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("suid", MountFlags::NOSUID, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("dev", MountFlags::NODEV, false),
    ("nodev", MountFlags::NODEV, true),
    ("exec", MountFlags::NOEXEC, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("mand", MountFlags::PERMIT_MANDATORY_FILE_LOCKING, true),
    ("nomand", MountFlags::PERMIT_MANDATORY_FILE_LOCKING, false),
    ("atime", MountFlags::NOATIME, false),
    ("noatime", MountFlags::NOATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("relatime", MountFlags::RELATIME, true),
    ("norelatime", MountFlags::RELATIME, false),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("nostrictatime", MountFlags::STRICTATIME, false),
    ("bind", MountFlags::BIND, true),
    ("rbind", MountFlags::BIND.union(MountFlags::REC), true),
];

const PROPAGATION: &[(&str, MountPropagationFlags)] = &[
    ("private", MountPropagationFlags::PRIVATE),
    (
        "rprivate",
        MountPropagationFlags::PRIVATE.union(MountPropagationFlags::REC),
    ),
    ("shared", MountPropagationFlags::SHARED),
    (
        "rshared",
        MountPropagationFlags::SHARED.union(MountPropagationFlags::REC),
    ),
    ("slave", MountPropagationFlags::DOWNSTREAM),
    (
        "rslave",
        MountPropagationFlags::DOWNSTREAM.union(MountPropagationFlags::REC),
    ),
    ("unbindable", MountPropagationFlags::UNBINDABLE),
    (
        "runbindable",
        MountPropagationFlags::UNBINDABLE.union(MountPropagationFlags::REC),
    ),
];

/// The kernel wants addresses of file servers, people write names: `addr=server` becomes `addr=192.0.2.1`.
fn resolve_address(words: &[String]) -> Result<String> {
    let mut resolved = Vec::with_capacity(words.len());
    for word in words {
        match word.strip_prefix("addr=") {
            Some(host) if host.parse::<IpAddr>().is_err() => {
                let failed = |source| Error::Lookup {
                    host: host.to_owned(),
                    source,
                };
                let mut found = (host, 0).to_socket_addrs().map_err(failed)?;
                let address = found
                    .next()
                    .ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
                resolved.push(format!("addr={}", address.ip()));
            }
            _ => resolved.push(word.clone()),
        }
    }
    Ok(resolved.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect()
    }

    #[test]
    fn options_are_checked_in_dockers_words() {
        for (given, error) in [
            (&[("foo", "x")][..], "create v1: invalid option: \"foo\""),
            (
                &[("type", "tmpfs")],
                "create v1: missing required option: \"device\"",
            ),
            (
                &[("o", "size=1m"), ("device", "tmpfs")],
                "create v1: missing required option: \"type\"",
            ),
        ] {
            let found = check("v1", &options(given)).expect_err(error);
            assert_eq!(found.to_string(), error);
        }
        let whole = options(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]);
        assert!(check("v1", &whole).is_ok());
        assert!(check("v1", &options(&[("size", "1g")])).is_err());
    }

    #[test]
    fn words_of_o_become_flags_and_data() {
        let words = Words::parse("ro,size=1m,nodev,rbind,rshared,uid=1000,rw");
        assert_eq!(
            words.flags,
            MountFlags::NODEV | MountFlags::BIND | MountFlags::REC
        );
        assert_eq!(words.data, ["size=1m", "uid=1000"]);
        assert!(words.propagation.is_some());
    }

    #[test]
    fn what_was_given_is_told() {
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        assert_eq!(given(flags, ""), ", flags: 0x1001");
        assert_eq!(given(MountFlags::empty(), "size=1m"), ", data: size=1m");
        assert_eq!(given(MountFlags::empty(), ""), "");
    }

    #[test]
    fn addresses_stay_and_names_are_looked_up() {
        let words = ["addr=10.0.0.1".to_owned(), "rw".to_owned()];
        assert_eq!(resolve_address(&words).expect("reads"), "addr=10.0.0.1,rw");
    }
}

//! What `info` tells of the machine below: file systems, what its kernel cannot limit, devices that files describe.

use std::os::fd::AsFd;
use std::path::Path;

use onggi_api::system::{DeviceInfo, Info};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat, statfs};

use crate::spec;

/// File systems by the magic number of statfs(2), as Docker names them.
const FILE_SYSTEMS: [(u32, &str); 12] = [
    (0x6173_6675, "aufs"),
    (0x9123_683e, "btrfs"),
    (0x0000_ef53, "extfs"),
    (0xf2f5_2010, "f2fs"),
    (0x6a65_6a62, "jfs"),
    (0x0000_6969, "nfs"),
    (0x794c_7630, "overlayfs"),
    (0x8584_58f6, "ramfs"),
    (0x5265_4973, "reiserfs"),
    (0x0102_1994, "tmpfs"),
    (0x5846_5342, "xfs"),
    (0x2fc1_2fc1, "zfs"),
];

/// What the layers lie on. Empty where the folder cannot be looked at.
pub(crate) fn driver_status(data_root: &Path) -> Vec<[String; 2]> {
    let mut status = Vec::new();
    let mut say = |label: &str, value: &str| status.push([label.to_owned(), value.to_owned()]);
    if let Ok(found) = statfs(data_root) {
        // The number has 32 bits, whatever the type of its field.
        let magic = found.f_type as u32;
        let known = FILE_SYSTEMS.iter().find(|(number, _)| *number == magic);
        say(
            "Backing Filesystem",
            known.map_or("<unknown>", |(_, name)| name),
        );
    }
    if let Some(told) = tells_types(data_root) {
        say("Supports d_type", if told { "true" } else { "false" });
    }
    let metacopy = std::fs::read_to_string("/sys/module/overlay/parameters/metacopy");
    if let Ok(metacopy) = metacopy {
        let on = metacopy.starts_with('Y');
        say("Using metacopy", if on { "true" } else { "false" });
    }
    status
}

/// Whether listings tell what is a file and what a directory; overlayfs needs that.
fn tells_types(folder: &Path) -> Option<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, flags, Mode::empty()).ok()?;
    let mut entries = Dir::read_from(folder.as_fd()).ok()?.flatten();
    Some(entries.all(|entry| entry.file_type() != FileType::Unknown))
}

/// What the kernel cannot do for containers, in Docker's words.
pub(crate) fn warnings(info: &Info) -> Vec<String> {
    let v1 = info.cgroup_version != "2";
    let missing = [
        (!info.memory_limit, "No memory limit support"),
        (!info.swap_limit, "No swap limit support"),
        (!info.oom_kill_disable && v1, "No oom kill disable support"),
        (!info.cpu_cfs_quota, "No cpu cfs quota support"),
        (!info.cpu_cfs_period, "No cpu cfs period support"),
        (!info.cpu_shares, "No cpu shares support"),
        (!info.cpu_set, "No cpuset support"),
        (!info.pids_limit, "No pids limit support"),
        (!info.ipv4_forwarding, "IPv4 forwarding is disabled"),
    ];
    let said = missing.iter().filter(|(is_missing, _)| *is_missing);
    said.map(|(_, text)| format!("WARNING: {text}")).collect()
}

/// The devices that can be named with `--device`.
pub(crate) fn devices(folders: &[std::path::PathBuf]) -> Option<Vec<DeviceInfo>> {
    let device = |id| DeviceInfo {
        source: "cdi".to_owned(),
        id,
    };
    let devices: Vec<_> = spec::cdi::names(folders).into_iter().map(device).collect();
    Some(devices).filter(|devices| !devices.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let mut info = Info {
            memory_limit: true,
            swap_limit: false,
            oom_kill_disable: true,
            cpu_cfs_quota: true,
            cpu_cfs_period: true,
            cpu_shares: true,
            cpu_set: true,
            pids_limit: true,
            ipv4_forwarding: true,
            ..Info::default()
        };
        assert_eq!(warnings(&info), ["WARNING: No swap limit support"]);
        info.swap_limit = true;
        info.ipv4_forwarding = false;
        assert_eq!(warnings(&info), ["WARNING: IPv4 forwarding is disabled"]);
        // Version 2 has no such switch.
        info = Info {
            oom_kill_disable: false,
            ipv4_forwarding: true,
            cgroup_version: "2".to_owned(),
            ..info
        };
        assert!(warnings(&info).is_empty());
    }

    #[test]
    fn the_ground_is_told() {
        let status = driver_status(Path::new("/dev/shm"));
        let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert!(
            status.contains(&pair("Backing Filesystem", "tmpfs")),
            "{status:?}"
        );
        assert!(
            status.contains(&pair("Supports d_type", "true")),
            "{status:?}"
        );
        assert!(tells_types(Path::new("/nothing/here")).is_none());
    }
}

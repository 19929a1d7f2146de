//! Docker's defaults: capabilities, masked and read-only paths, mounts, devices.
//!
//! Plain values; who wants others changes them. Limits have no defaults: a container inherits the daemon's.

use onggi_oci::runtime::{Device, DeviceKind, DeviceRule, Mount};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;

/// What a container's root may do.
pub const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What cannot be read.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What cannot be written.
pub const READONLY_PATHS: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// By their numbers (capabilities(7)).
const ALL_CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Every capability that the running kernel knows, by number.
pub fn all_capabilities() -> &'static [&'static str] {
    static COUNT: OnceLock<usize> = OnceLock::new();
    let count = || {
        let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
        let count = last
            .and_then(|text| text.trim().parse::<usize>().ok())
            .map_or(ALL_CAPABILITIES.len(), |last| last + 1);
        count.min(ALL_CAPABILITIES.len())
    };
    &ALL_CAPABILITIES[..*COUNT.get_or_init(count)]
}

/// The mounts of every container, in their order.
pub fn mounts() -> Vec<Mount> {
    let mount = |destination: &str, kind: &str, options: &str| Mount {
        destination: destination.to_owned(),
        kind: Some(kind.to_owned()),
        source: Some(
            if destination == "/dev/shm" {
                "shm"
            } else {
                kind
            }
            .to_owned(),
        ),
        options: options.split(',').map(str::to_owned).collect(),
        ..Mount::default()
    };
    vec![
        mount("/proc", "proc", "nosuid,noexec,nodev"),
        mount("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
        mount(
            "/dev/pts",
            "devpts",
            "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
        ),
        mount("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
        mount("/sys/fs/cgroup", "cgroup", "ro,nosuid,noexec,nodev"),
        mount("/dev/mqueue", "mqueue", "nosuid,noexec,nodev"),
        mount(
            "/dev/shm",
            "tmpfs",
            "nosuid,noexec,nodev,mode=1777,size=67108864",
        ),
    ]
}

/// Nodes that every container has: names, major and minor numbers (kernel: admin-guide/devices.txt).
const NODES: &[(&str, i64, i64)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The device nodes of every container.
pub fn devices() -> Vec<Device> {
    let node = |&(path, major, minor): &(&str, i64, i64)| Device {
        path: path.to_owned(),
        kind: DeviceKind::Character,
        major,
        minor,
        file_mode: Some(0o666),
        uid: Some(0),
        gid: Some(0),
    };
    NODES.iter().map(node).collect()
}

/// The device policy of every container: nothing, but making nodes, those above, and terminals.
pub fn device_rules() -> Vec<DeviceRule> {
    let allow = |kind, major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access: Some(access.to_owned()),
    };
    let nothing = DeviceRule {
        access: Some("rwm".to_owned()),
        ..DeviceRule::default()
    };
    let mut rules = vec![
        nothing,
        allow(DeviceKind::Character, None, None, "m"),
        allow(DeviceKind::Block, None, None, "m"),
    ];
    let console = ("/dev/console", 5, 1);
    let multiplexer = ("/dev/pts/ptmx", 5, 2);
    for (_, major, minor) in NODES.iter().chain([&console, &multiplexer]) {
        rules.push(allow(
            DeviceKind::Character,
            Some(*major),
            Some(*minor),
            "rwm",
        ));
    }
    // Unix98 terminals, at whatever number.
    rules.push(allow(DeviceKind::Character, Some(136), None, "rwm"));
    rules
}

/// Every device node below the host's `/dev`, for privileged containers. Terminals and what has a mount of its own
/// in a container are left out; what cannot be read is left out too.
pub fn host_devices() -> Vec<Device> {
    const OWN: &[&str] = &["pts", "shm", "fd", "mqueue", "console", ".udev"];
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/dev").to_path_buf()];
    while let Some(folder) = folders.pop() {
        let top = folder == Path::new("/dev");
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if top
                && entry
                    .file_name()
                    .to_str()
                    .is_none_or(|name| OWN.contains(&name))
            {
                continue;
            }
            // Of the entry itself: links are not followed.
            let Ok(data) = entry.metadata() else { continue };
            let kind = match data.file_type() {
                t if t.is_dir() => {
                    folders.push(entry.path());
                    continue;
                }
                t if t.is_char_device() => DeviceKind::Character,
                t if t.is_block_device() => DeviceKind::Block,
                _ => continue,
            };
            let Some(path) = entry.path().to_str().map(str::to_owned) else {
                continue;
            };
            found.push(Device {
                path,
                kind,
                major: i64::from(rustix::fs::major(data.rdev())),
                minor: i64::from(rustix::fs::minor(data.rdev())),
                file_mode: Some(data.mode() & 0o7777),
                uid: Some(data.uid()),
                gid: Some(data.gid()),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_consistent() {
        assert!(CAPABILITIES.iter().all(|c| ALL_CAPABILITIES.contains(c)));
        assert_eq!((CAPABILITIES.len(), ALL_CAPABILITIES.len()), (14, 41));
        assert!(MASKED_PATHS.is_sorted() && READONLY_PATHS.is_sorted());
        assert!(all_capabilities().starts_with(&["CAP_CHOWN"]));
    }

    #[test]
    fn the_numbers_are_the_hosts() {
        for node in devices() {
            let data = fs::metadata(&node.path).expect("every host has it");
            assert_eq!(
                i64::from(rustix::fs::major(data.rdev())),
                node.major,
                "{}",
                node.path
            );
            assert_eq!(
                i64::from(rustix::fs::minor(data.rdev())),
                node.minor,
                "{}",
                node.path
            );
        }
    }

    #[test]
    fn host_devices_are_nodes_and_not_terminals() {
        let devices = host_devices();
        assert!(
            devices
                .iter()
                .any(|d| d.path == "/dev/null" && d.minor == 3)
        );
        assert!(
            devices
                .iter()
                .all(|d| !d.path.starts_with("/dev/pts/") && d.path != "/dev/console")
        );
    }
}

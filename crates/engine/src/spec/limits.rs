//! How much a container may take, and which devices it may touch.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use onggi_api::container::{DeviceMapping, HostConfig, ThrottleDevice, WeightDevice};
use onggi_oci::runtime::{self as oci, BlockIo, Cpu, Device, DeviceKind, DeviceRule, Memory, Pids};
use onggi_runtime::defaults;

use crate::container::Record;
use crate::error::{Error, Result};

/// The period that `--cpus` is measured in, in microseconds.
const CPU_PERIOD: i64 = 100_000;

/// Refuses rules and devices that cannot be.
pub(crate) fn check(record: &Record) -> Result<()> {
    let host = &record.host_config;
    for rule in host.device_cgroup_rules.iter().flatten() {
        device_rule(rule)?;
    }
    for mapping in host.devices.iter().flatten() {
        let access = &mapping.cgroup_permissions;
        if access.len() > 3 || access.contains(|c| !"rwm".contains(c)) {
            return Err(Error::invalid(format!(
                "invalid device permissions {access:?} of {}: use letters of rwm",
                mapping.path_on_host
            )));
        }
    }
    Ok(())
}

/// The limits of the document.
pub(crate) fn resources(record: &Record) -> Result<oci::Resources> {
    let host = &record.host_config;
    Ok(oci::Resources {
        devices: device_rules(host)?,
        memory: Some(memory(host)),
        cpu: Some(cpu(host)),
        pids: host
            .pids_limit
            .filter(|&limit| limit != 0)
            .map(|limit| Pids { limit }),
        block_io: Some(block_io(host)?),
        ..oci::Resources::default()
    })
}

fn memory(host: &HostConfig) -> Memory {
    let set = |value: i64| (value != 0).then_some(value);
    // Docker's default: as much swap again as memory.
    let swap = match (host.memory, host.memory_swap) {
        (memory, 0) if memory > 0 => Some(memory.saturating_mul(2)),
        (_, swap) => set(swap),
    };
    Memory {
        limit: set(host.memory),
        reservation: set(host.memory_reservation),
        swap,
        swappiness: host.memory_swappiness.and_then(|s| u64::try_from(s).ok()),
        disable_oom_killer: host.oom_kill_disable.filter(|&disable| disable),
        ..Memory::default()
    }
}

fn cpu(host: &HostConfig) -> Cpu {
    let positive = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
    let (quota, period) = if host.nano_cpus > 0 {
        (
            Some(host.nano_cpus / (1_000_000_000 / CPU_PERIOD)),
            u64::try_from(CPU_PERIOD).ok(),
        )
    } else {
        (
            (host.cpu_quota != 0).then_some(host.cpu_quota),
            positive(host.cpu_period),
        )
    };
    let named = |list: &String| Some(list.clone()).filter(|list| !list.is_empty());
    Cpu {
        shares: positive(host.cpu_shares),
        quota,
        period,
        cpus: named(&host.cpuset_cpus),
        mems: named(&host.cpuset_mems),
        realtime_period: positive(host.cpu_realtime_period),
        realtime_runtime: (host.cpu_realtime_runtime != 0).then_some(host.cpu_realtime_runtime),
        ..Cpu::default()
    }
}

fn block_io(host: &HostConfig) -> Result<BlockIo> {
    let rates = |list: &Option<Vec<ThrottleDevice>>| {
        list.iter()
            .flatten()
            .map(throttle)
            .collect::<Result<Vec<_>>>()
    };
    Ok(BlockIo {
        weight: (host.blkio_weight != 0).then_some(host.blkio_weight),
        weight_device: host
            .blkio_weight_device
            .iter()
            .flatten()
            .map(weight)
            .collect::<Result<_>>()?,
        throttle_read_bps_device: rates(&host.blkio_device_read_bps)?,
        throttle_write_bps_device: rates(&host.blkio_device_write_bps)?,
        throttle_read_iops_device: rates(&host.blkio_device_read_iops)?,
        throttle_write_iops_device: rates(&host.blkio_device_write_iops)?,
        ..BlockIo::default()
    })
}

fn throttle(device: &ThrottleDevice) -> Result<oci::ThrottleDevice> {
    let (major, minor) = numbers(&device.path)?;
    Ok(oci::ThrottleDevice {
        major,
        minor,
        rate: device.rate,
    })
}

fn weight(device: &WeightDevice) -> Result<oci::WeightDevice> {
    let (major, minor) = numbers(&device.path)?;
    Ok(oci::WeightDevice {
        major,
        minor,
        weight: Some(device.weight),
        leaf_weight: None,
    })
}

fn numbers(path: &str) -> Result<(i64, i64)> {
    let rdev = std::fs::metadata(path)
        .map_err(|e| Error::invalid(format!("{path}: {e}")))?
        .rdev();
    Ok((
        i64::from(rustix::fs::major(rdev)),
        i64::from(rustix::fs::minor(rdev)),
    ))
}

/// The nodes of `--device`; every device of the host for a privileged container.
pub(crate) fn devices(record: &Record) -> Result<Vec<Device>> {
    let host = &record.host_config;
    if host.privileged {
        return Ok(defaults::host_devices());
    }
    let mut nodes = Vec::new();
    for mapping in host.devices.iter().flatten() {
        nodes.extend(nodes_of(mapping)?);
    }
    Ok(nodes)
}

fn device_rules(host: &HostConfig) -> Result<Vec<DeviceRule>> {
    if host.privileged {
        return Ok(vec![DeviceRule {
            allow: true,
            access: Some("rwm".into()),
            ..Default::default()
        }]);
    }
    let mut rules = defaults::device_rules();
    for mapping in host.devices.iter().flatten() {
        let access = match mapping.cgroup_permissions.as_str() {
            "" => "rwm",
            access => access,
        };
        for node in nodes_of(mapping)? {
            rules.push(DeviceRule {
                allow: true,
                kind: Some(node.kind),
                major: Some(node.major),
                minor: Some(node.minor),
                access: Some(access.to_owned()),
            });
        }
    }
    for rule in host.device_cgroup_rules.iter().flatten() {
        rules.push(device_rule(rule)?);
    }
    Ok(rules)
}

/// One device node of the host under the path `target`.
pub(super) fn host_node(source: &str, target: &str) -> Result<Device> {
    let metadata = std::fs::metadata(source).map_err(|e| Error::io(source, e))?;
    node(&metadata, target).ok_or_else(|| Error::invalid(format!("{source}: not a device node")))
}

/// A device node of the host, or every one below a directory.
fn nodes_of(mapping: &DeviceMapping) -> Result<Vec<Device>> {
    let source = std::path::Path::new(&mapping.path_on_host);
    let target = match mapping.path_in_container.as_str() {
        "" => &mapping.path_on_host,
        target => target,
    };
    let gathering = |what: &dyn std::fmt::Display| {
        Error::invalid(format!(
            "error gathering device information while adding custom device \"{}\": {what}",
            mapping.path_on_host
        ))
    };
    let metadata = std::fs::metadata(source).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => gathering(&"no such file or directory"),
        _ => gathering(&e),
    })?;
    if !metadata.is_dir() {
        return node(&metadata, target)
            .map(|n| vec![n])
            .ok_or_else(|| gathering(&"not a device node"));
    }
    let mut nodes = Vec::new();
    for entry in std::fs::read_dir(source).map_err(|e| gathering(&e))? {
        let entry = entry.map_err(|e| gathering(&e))?;
        let path = format!("{target}/{}", entry.file_name().to_string_lossy());
        if let Ok(metadata) = std::fs::metadata(entry.path()) {
            nodes.extend(node(&metadata, &path));
        }
    }
    Ok(nodes)
}

fn node(metadata: &std::fs::Metadata, path: &str) -> Option<Device> {
    let kind = metadata.file_type();
    let kind = match (kind.is_block_device(), kind.is_char_device()) {
        (true, _) => DeviceKind::Block,
        (_, true) => DeviceKind::Character,
        _ => return None,
    };
    Some(Device {
        path: path.to_owned(),
        kind,
        major: i64::from(rustix::fs::major(metadata.rdev())),
        minor: i64::from(rustix::fs::minor(metadata.rdev())),
        file_mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
    })
}

/// `--device-cgroup-rule`: `c 1:3 mr`, `a *:* rwm`.
fn device_rule(text: &str) -> Result<DeviceRule> {
    let bad = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let mut words = text.split(' ');
    let (Some(kind), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let kind = match kind {
        "a" => None,
        "b" => Some(DeviceKind::Block),
        "c" => Some(DeviceKind::Character),
        _ => return Err(bad()),
    };
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text
            .parse::<u32>()
            .map(|n| Some(i64::from(n)))
            .map_err(|_| bad()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    if access.is_empty() || access.len() > 3 || access.contains(|c| !"rwm".contains(c)) {
        return Err(bad());
    }
    Ok(DeviceRule {
        allow: true,
        kind,
        major: number(major)?,
        minor: number(minor)?,
        access: Some(access.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use onggi_api::container::Resources;

    use super::*;

    fn host(resources: Resources) -> HostConfig {
        HostConfig {
            resources,
            ..HostConfig::default()
        }
    }

    #[test]
    fn cpus_become_a_quota() {
        let host = host(Resources {
            nano_cpus: 1_500_000_000,
            ..Resources::default()
        });
        let made = cpu(&host);
        assert_eq!((made.quota, made.period), (Some(150_000), Some(100_000)));
    }

    #[test]
    fn swap_is_twice_the_memory_unless_said() {
        let host = |memory, memory_swap| {
            host(Resources {
                memory,
                memory_swap,
                ..Resources::default()
            })
        };
        assert_eq!(memory(&host(64 << 20, 0)).swap, Some(128 << 20));
        assert_eq!(memory(&host(64 << 20, -1)).swap, Some(-1));
        assert_eq!(memory(&host(64 << 20, 64 << 20)).swap, Some(64 << 20));
        assert_eq!(memory(&host(0, 0)).swap, None);
    }

    #[test]
    fn device_rules_are_parsed() {
        let rule = device_rule("c 1:* rw").expect("a rule");
        assert_eq!((rule.major, rule.minor), (Some(1), None));
        assert_eq!(rule.access.as_deref(), Some("rw"));
        for bad in [
            "c 1:3",
            "x 1:3 rw",
            "c 1 rw",
            "c a:b rw",
            "c 1:3 rwx",
            "c 1:3 rw more",
            "",
        ] {
            assert!(device_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn devices_of_the_host() {
        let mapping = |path: &str| DeviceMapping {
            path_on_host: path.to_owned(),
            path_in_container: String::new(),
            cgroup_permissions: "rwm".to_owned(),
        };
        let null = nodes_of(&mapping("/dev/null")).expect("a node");
        assert_eq!(
            (null[0].major, null[0].minor, null[0].path.as_str()),
            (1, 3, "/dev/null")
        );
        assert!(nodes_of(&mapping("/dev/no-such")).is_err());
        assert!(nodes_of(&mapping("/etc/passwd")).is_err());
    }
}

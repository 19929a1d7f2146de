//! Limits: memory, CPU, processes, ulimits.

use onggi_api::container::{Resources, Ulimit};

use onggi_client::Version;

use super::{bytes, device};
use crate::args::Matches;
use crate::args::check::parse_cpus;
use crate::error::{Error, Result};

/// Names of `setrlimit(2)` that `--ulimit` takes.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

pub(super) fn resources(matches: &Matches, version: Version) -> Result<Resources> {
    let int = |name: &str| matches.int(name).unwrap_or(0);
    let text = |name: &str| matches.text(name).to_owned();
    let (devices, requests) = device::devices(matches)?;
    let ulimits = ulimits(matches).map_err(Error::new)?;
    let nano_cpus = match matches.one("cpus") {
        Some(cpus) => parse_cpus(cpus).map_err(Error::new)?,
        None => 0,
    };
    let rules = matches.list("device-cgroup-rule");
    Ok(Resources {
        cpu_shares: int("cpu-shares"),
        memory: bytes(matches, "memory")?,
        nano_cpus,
        cgroup_parent: text("cgroup-parent"),
        blkio_weight: matches
            .int("blkio-weight")
            .and_then(|n| n.try_into().ok())
            .unwrap_or(0),
        blkio_weight_device: Some(device::weights(matches)),
        blkio_device_read_bps: Some(device::throttles(matches, "device-read-bps")),
        blkio_device_write_bps: Some(device::throttles(matches, "device-write-bps")),
        blkio_device_read_iops: Some(device::throttles(matches, "device-read-iops")),
        blkio_device_write_iops: Some(device::throttles(matches, "device-write-iops")),
        cpu_period: int("cpu-period"),
        cpu_quota: int("cpu-quota"),
        cpu_realtime_period: int("cpu-rt-period"),
        cpu_realtime_runtime: int("cpu-rt-runtime"),
        cpuset_cpus: text("cpuset-cpus"),
        cpuset_mems: text("cpuset-mems"),
        devices: Some(devices),
        device_cgroup_rules: Some(rules).filter(|rules| !rules.is_empty()),
        device_requests: Some(requests).filter(|requests| !requests.is_empty()),
        // Newer daemons do not know it any more.
        kernel_memory: if version < Version(1, 42) {
            bytes(matches, "kernel-memory")?
        } else {
            0
        },
        kernel_memory_tcp: 0,
        memory_reservation: bytes(matches, "memory-reservation")?,
        memory_swap: bytes(matches, "memory-swap")?,
        memory_swappiness: Some(matches.int("memory-swappiness").unwrap_or(-1)),
        oom_kill_disable: Some(matches.on("oom-kill-disable")),
        pids_limit: Some(int("pids-limit")),
        ulimits: Some(ulimits),
        cpu_count: int("cpu-count"),
        cpu_percent: int("cpu-percent"),
        io_maximum_iops: matches
            .one("io-maxiops")
            .and_then(|n| n.parse().ok())
            .unwrap_or(0),
        io_maximum_bandwidth: u64::try_from(bytes(matches, "io-maxbandwidth")?).unwrap_or(0),
    })
}

/// `--ulimit`, by name; the last of a name counts.
pub(crate) fn ulimits(matches: &Matches) -> std::result::Result<Vec<Ulimit>, String> {
    let mut ulimits = Vec::new();
    for spec in matches.all("ulimit") {
        let limit = ulimit(spec)?;
        ulimits.retain(|other: &Ulimit| other.name != limit.name);
        ulimits.push(limit);
    }
    ulimits.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ulimits)
}

/// Is this a value of `--ulimit`?
pub(crate) fn check_ulimit(spec: &str) -> std::result::Result<(), String> {
    ulimit(spec).map(drop)
}

/// `NAME=SOFT[:HARD]`.
fn ulimit(spec: &str) -> std::result::Result<Ulimit, String> {
    let bad = || format!("invalid ulimit argument: {spec}");
    let (name, values) = spec.split_once('=').ok_or_else(bad)?;
    if !ULIMITS.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| {
        text.parse::<i64>().map_err(|_| {
            format!(
                "strconv.ParseInt: parsing {}: invalid syntax",
                crate::quote(text)
            )
        })
    };
    let parts: Vec<&str> = values.split(':').collect();
    let (soft, hard) = match parts[..] {
        [soft] => (number(soft)?, number(soft)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!(
                "too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"
            ));
        }
    };
    let below = |a: i64, b: i64| b == -1 || (a != -1 && a <= b);
    if !below(soft, hard) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        hard,
        soft,
    })
}

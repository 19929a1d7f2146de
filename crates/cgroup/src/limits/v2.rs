//! Limits in the files of cgroup v2.

use super::{Warnings, convert, or_max};
use crate::dir::Dir;
use crate::{Error, Result};
use onggi_oci::runtime::{
    BlockIo, Cpu, HugepageLimit, Memory, Network, Pids, Rdma, ThrottleDevice,
};
use std::collections::BTreeMap;

pub(super) fn memory(dir: &Dir, memory: &Memory, w: &mut Warnings) -> Result<()> {
    let limit = memory.limit.unwrap_or(0);
    let swap = convert::swap_alone(memory.swap.unwrap_or(0), limit)?;
    if memory.check_before_update == Some(true) && limit > 0 {
        let usage = dir.number("memory.current")?.unwrap_or(0);
        if u64::try_from(limit).is_ok_and(|limit| limit <= usage) {
            return Err(Error::InvalidLimit(format!(
                "unable to set memory limit to {limit} (current usage: {usage})"
            )));
        }
    }
    // "Not set" and "memory equals both" differ: the first leaves swap alone, the second forbids it.
    if swap != 0 || memory.swap.is_some_and(|both| both > 0) {
        w.write(dir, "memory.swap.max", or_max(swap), "swap limits")?;
    }
    if limit != 0 {
        w.write(dir, "memory.max", or_max(limit), "memory limits")?;
    }
    if let Some(value) = memory.reservation.filter(|v| *v != 0) {
        w.write(dir, "memory.low", or_max(value), "memory reservation")?;
    }
    let gone = [
        (memory.kernel.is_some_and(|v| v > 0), "Kernel memory limits"),
        (
            memory.kernel_tcp.is_some_and(|v| v > 0),
            "TCP memory limits",
        ),
        (
            memory.disable_oom_killer == Some(true),
            "Switching off the OOM killer",
        ),
        (memory.swappiness.is_some(), "Memory swappiness"),
    ];
    for (_, what) in gone.iter().filter(|(asked, _)| *asked) {
        w.add(format!(
            "{what}: not available on cgroup v2; it is not applied."
        ));
    }
    Ok(())
}

pub(super) fn cpu(dir: &Dir, cpu: &Cpu, w: &mut Warnings) -> Result<()> {
    if let Some(idle) = cpu.idle {
        w.write(dir, "cpu.idle", idle.to_string(), "idle groups")?;
    }
    // An idle group has no weight of its own; the kernel refuses one.
    if let Some(shares) = cpu.shares.filter(|v| *v != 0 && cpu.idle != Some(1)) {
        w.write(
            dir,
            "cpu.weight",
            convert::cpu_weight(shares).to_string(),
            "CPU weight",
        )?;
    }
    let set_burst = |w: &mut Warnings, burst: u64| {
        w.write(dir, "cpu.max.burst", burst.to_string(), "CPU burst")
    };
    if let Some(burst) = cpu.burst
        && dir.number("cpu.max.burst")?.is_some_and(|now| burst < now)
    {
        set_burst(w, burst)?;
    }
    let (quota, period) = (
        cpu.quota.filter(|v| *v != 0),
        cpu.period.filter(|v| *v != 0),
    );
    if quota.is_some() || period.is_some() {
        let quota = match quota {
            Some(quota) => or_max(quota),
            // Only the period changes: the kernel wants both, so the quota is read back.
            None => dir
                .read_if_there("cpu.max")?
                .and_then(|text| text.split_whitespace().next().map(str::to_owned))
                .unwrap_or_else(|| "max".to_owned()),
        };
        let line = period.map_or_else(|| quota.clone(), |period| format!("{quota} {period}"));
        w.write(dir, "cpu.max", line, "CPU quota")?;
    }
    if let Some(burst) = cpu.burst {
        set_burst(w, burst)?;
    }
    if cpu.realtime_period.is_some_and(|v| v != 0) || cpu.realtime_runtime.is_some_and(|v| v != 0) {
        w.add("Real-time limits: not available on cgroup v2; they are not applied.");
    }
    Ok(())
}

pub(super) fn cpuset(dir: &Dir, cpu: &Cpu, w: &mut Warnings) -> Result<()> {
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list.as_deref().filter(|l| !l.is_empty()) {
            w.write(dir, file, list, "CPU placement")?;
        }
    }
    Ok(())
}

pub(super) fn pids(dir: &Dir, pids: &Pids, w: &mut Warnings) -> Result<()> {
    w.write(dir, "pids.max", or_max(pids.limit), "process limits")
}

pub(super) fn block_io(dir: &Dir, block: &BlockIo, w: &mut Warnings) -> Result<()> {
    const WEIGHT: &str = "block I/O weight";
    // BFQ takes v1's numbers; iocost wants its own.
    let bfq = dir.has("io.bfq.weight");
    let (file, scale): (&str, fn(u16) -> u64) = if bfq {
        ("io.bfq.weight", u64::from)
    } else {
        ("io.weight", convert::io_weight)
    };
    if let Some(value) = block.weight.filter(|v| *v != 0) {
        w.write(dir, file, format!("default {}", scale(value)), WEIGHT)?;
    }
    for device in &block.weight_device {
        if let Some(value) = device.weight.filter(|v| *v != 0) {
            let line = format!("{}:{} {}", device.major, device.minor, scale(value));
            w.write(dir, file, line, WEIGHT)?;
        }
    }
    let leaf =
        block.leaf_weight.is_some() || block.weight_device.iter().any(|d| d.leaf_weight.is_some());
    if leaf {
        w.add("Block I/O leaf weights: not available on cgroup v2; they are not applied.");
    }
    let throttles: [(&str, &[ThrottleDevice]); 4] = [
        ("rbps", &block.throttle_read_bps_device),
        ("wbps", &block.throttle_write_bps_device),
        ("riops", &block.throttle_read_iops_device),
        ("wiops", &block.throttle_write_iops_device),
    ];
    for (key, devices) in throttles {
        for d in devices {
            // 0 lifts a limit on v1; here the word for that is "max".
            let rate = if d.rate == 0 {
                "max".to_owned()
            } else {
                d.rate.to_string()
            };
            let line = format!("{}:{} {key}={rate}", d.major, d.minor);
            w.write(dir, "io.max", line, "block I/O throttling")?;
        }
    }
    Ok(())
}

pub(super) fn hugetlb(dir: &Dir, limits: &[HugepageLimit], w: &mut Warnings) -> Result<()> {
    for limit in limits {
        let size = &limit.page_size;
        let what = format!("huge pages of {size}");
        w.write(
            dir,
            &format!("hugetlb.{size}.max"),
            limit.limit.to_string(),
            &what,
        )?;
        let reserved = format!("hugetlb.{size}.rsvd.max");
        if dir.has(&reserved) {
            dir.write(&reserved, limit.limit.to_string())?;
        }
    }
    Ok(())
}

/// The one controller with the same file in both versions.
pub(super) fn rdma(dir: &Dir, rdma: &BTreeMap<String, Rdma>, w: &mut Warnings) -> Result<()> {
    for (device, limit) in rdma {
        let mut line = device.clone();
        for (key, value) in [
            ("hca_handle", limit.hca_handles),
            ("hca_object", limit.hca_objects),
        ] {
            if let Some(value) = value {
                line.push_str(&format!(" {key}={value}"));
            }
        }
        w.write(dir, "rdma.max", line, "RDMA limits")?;
    }
    Ok(())
}

pub(super) fn net_class(_: &Dir, _: &Network, w: &mut Warnings) -> Result<()> {
    w.add("Network classes: not available on cgroup v2; they are not applied.");
    Ok(())
}

pub(super) fn net_prio(_: &Dir, _: &Network, w: &mut Warnings) -> Result<()> {
    w.add("Network priorities: not available on cgroup v2; they are not applied.");
    Ok(())
}

/// Files named by the user, written as they are. Only files of a controller: no path, nothing that moves processes.
pub(super) fn unified(dir: &Dir, files: &BTreeMap<String, String>) -> Result<()> {
    for (file, value) in files {
        if file.contains('/') || file.starts_with("cgroup.") || !file.contains('.') {
            return Err(Error::InvalidLimit(format!(
                "unified resource {file:?} is not a file of a controller"
            )));
        }
        for line in value.lines() {
            dir.write(file, line)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

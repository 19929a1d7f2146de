//! Limits in the files of cgroup v1.

use super::Warnings;
use crate::dir::Dir;
use crate::{Error, Result};
use onggi_oci::runtime::{BlockIo, Cpu, HugepageLimit, Memory, Network, Pids, ThrottleDevice};
use rustix::io::Errno;

const LIMIT: &str = "memory.limit_in_bytes";
const BOTH: &str = "memory.memsw.limit_in_bytes";

pub(super) fn memory(dir: &Dir, memory: &Memory, w: &mut Warnings) -> Result<()> {
    let limit = memory.limit.unwrap_or(0);
    let both = match memory.swap.unwrap_or(0) {
        // A memory limit lifted while the one for both stays would be refused.
        0 if limit == -1 && dir.has(BOTH) => -1,
        swap => swap,
    };
    if memory.check_before_update == Some(true) && limit > 0 {
        refuse_below_usage(dir, limit)?;
    }
    limit_and_both(dir, limit, both, w)?;
    if let Some(value) = memory.reservation.filter(|v| *v != 0) {
        w.write(
            dir,
            "memory.soft_limit_in_bytes",
            value.to_string(),
            "memory reservation",
        )?;
    }
    if memory.kernel.is_some_and(|v| v > 0) {
        w.add("Kernel memory limits are gone from the kernel; it is not applied.");
    }
    if let Some(value) = memory.kernel_tcp.filter(|v| *v != 0) {
        w.write(
            dir,
            "memory.kmem.tcp.limit_in_bytes",
            value.to_string(),
            "TCP memory limits",
        )?;
    }
    if memory.disable_oom_killer == Some(true) {
        w.write(
            dir,
            "memory.oom_control",
            "1",
            "switching off the OOM killer",
        )?;
    }
    match memory.swappiness {
        Some(value @ 0..=100) => w.write(
            dir,
            "memory.swappiness",
            value.to_string(),
            "memory swappiness",
        ),
        Some(value) => Err(Error::InvalidLimit(format!(
            "invalid memory swappiness value: {value} (valid range is 0-100)"
        ))),
        None => Ok(()),
    }
}

/// The kernel wants limit <= both at every moment, so whichever way the pair moves decides which goes first.
fn limit_and_both(dir: &Dir, limit: i64, both: i64, w: &mut Warnings) -> Result<()> {
    if both > 0 && limit > both {
        return Err(Error::InvalidLimit(
            "memory+swap limit should be >= memory limit".into(),
        ));
    }
    let set_limit = |limit: i64| match limit {
        0 => Ok(()),
        _ => dir
            .write(LIMIT, limit.to_string())
            .map_err(|error| explain_busy(dir, limit, error)),
    };
    let set_both = |w: &mut Warnings| match both {
        0 => Ok(()),
        _ => w.write(dir, BOTH, both.to_string(), "swap limits"),
    };
    let grows = both == -1
        || match dir.number(BOTH)? {
            Some(now) => u64::try_from(limit).is_ok_and(|limit| limit > now),
            None => false,
        };
    if grows {
        set_both(w)?;
        set_limit(limit)
    } else {
        set_limit(limit)?;
        set_both(w)
    }
}

fn refuse_below_usage(dir: &Dir, limit: i64) -> Result<()> {
    let usage = dir.number("memory.usage_in_bytes")?.unwrap_or(0);
    if u64::try_from(limit).is_ok_and(|limit| limit <= usage) {
        return Err(Error::InvalidLimit(format!(
            "unable to set memory limit to {limit} (current usage: {usage})"
        )));
    }
    Ok(())
}

/// EBUSY of the limit means "in use": say how much.
fn explain_busy(dir: &Dir, limit: i64, error: Error) -> Error {
    if error.errno() != Some(Errno::BUSY.raw_os_error()) {
        return error;
    }
    let read = |file| dir.number(file).ok().flatten().unwrap_or(0);
    let (usage, peak) = (
        read("memory.usage_in_bytes"),
        read("memory.max_usage_in_bytes"),
    );
    Error::InvalidLimit(format!(
        "unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"
    ))
}

pub(super) fn cpu(dir: &Dir, cpu: &Cpu, w: &mut Warnings) -> Result<()> {
    if let Some(shares) = cpu.shares.filter(|v| *v != 0) {
        dir.write("cpu.shares", shares.clamp(2, 262_144).to_string())?;
    }
    // A larger burst than the quota is refused, so a burst that shrinks goes first and one that grows goes last.
    let set_burst = |w: &mut Warnings, burst: u64| {
        w.write(dir, "cpu.cfs_burst_us", burst.to_string(), "CPU burst")
    };
    if let Some(burst) = cpu.burst
        && dir
            .number("cpu.cfs_burst_us")?
            .is_some_and(|now| burst < now)
    {
        set_burst(w, burst)?;
    }
    let period = cpu.period.filter(|v| *v != 0);
    let quota = cpu.quota.filter(|v| *v != 0);
    let mut late_period = None;
    if let Some(period) = period {
        let written = dir.write("cpu.cfs_period_us", period.to_string());
        match written {
            // The new period is too short for the quota that still holds.
            Err(e) if e.errno() == Some(Errno::INVAL.raw_os_error()) && quota.is_some() => {
                late_period = Some(period);
            }
            other => other?,
        }
    }
    if let Some(quota) = quota {
        dir.write("cpu.cfs_quota_us", quota.max(-1).to_string())?;
    }
    if let Some(period) = late_period {
        dir.write("cpu.cfs_period_us", period.to_string())?;
    }
    if let Some(burst) = cpu.burst {
        set_burst(w, burst)?;
    }
    if let Some(period) = cpu.realtime_period.filter(|v| *v != 0) {
        w.write(
            dir,
            "cpu.rt_period_us",
            period.to_string(),
            "real-time periods",
        )?;
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|v| *v != 0) {
        w.write(
            dir,
            "cpu.rt_runtime_us",
            runtime.to_string(),
            "real-time run time",
        )?;
    }
    if let Some(idle) = cpu.idle {
        w.write(dir, "cpu.idle", idle.to_string(), "idle groups")?;
    }
    Ok(())
}

pub(super) fn cpuset(dir: &Dir, cpu: &Cpu, _: &mut Warnings) -> Result<()> {
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list.as_deref().filter(|l| !l.is_empty()) {
            dir.write(file, list)?;
        }
    }
    Ok(())
}

pub(super) fn pids(dir: &Dir, pids: &Pids, _: &mut Warnings) -> Result<()> {
    dir.write("pids.max", super::or_max(pids.limit))
}

pub(super) fn block_io(dir: &Dir, block: &BlockIo, w: &mut Warnings) -> Result<()> {
    let (weight, weight_device) = if dir.has("blkio.weight") {
        ("blkio.weight", "blkio.weight_device")
    } else {
        ("blkio.bfq.weight", "blkio.bfq.weight_device")
    };
    if let Some(value) = block.weight.filter(|v| *v != 0) {
        w.write(dir, weight, value.to_string(), "block I/O weight")?;
    }
    for device in &block.weight_device {
        if let Some(value) = device.weight.filter(|v| *v != 0) {
            let line = format!("{}:{} {value}", device.major, device.minor);
            w.write(dir, weight_device, line, "block I/O weight by device")?;
        }
    }
    let leaf =
        block.leaf_weight.is_some() || block.weight_device.iter().any(|d| d.leaf_weight.is_some());
    if leaf {
        w.add("Block I/O leaf weights are gone from the kernel; they are not applied.");
    }
    let throttles: [(&str, &[ThrottleDevice]); 4] = [
        (
            "blkio.throttle.read_bps_device",
            &block.throttle_read_bps_device,
        ),
        (
            "blkio.throttle.write_bps_device",
            &block.throttle_write_bps_device,
        ),
        (
            "blkio.throttle.read_iops_device",
            &block.throttle_read_iops_device,
        ),
        (
            "blkio.throttle.write_iops_device",
            &block.throttle_write_iops_device,
        ),
    ];
    for (file, devices) in throttles {
        for d in devices {
            let line = format!("{}:{} {}", d.major, d.minor, d.rate);
            w.write(dir, file, line, "block I/O throttling")?;
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
            &format!("hugetlb.{size}.limit_in_bytes"),
            limit.limit.to_string(),
            &what,
        )?;
        let reserved = format!("hugetlb.{size}.rsvd.limit_in_bytes");
        if dir.has(&reserved) {
            dir.write(&reserved, limit.limit.to_string())?;
        }
    }
    Ok(())
}

pub(super) fn net_class(dir: &Dir, network: &Network, _: &mut Warnings) -> Result<()> {
    network
        .class_id
        .map_or(Ok(()), |id| dir.write("net_cls.classid", id.to_string()))
}

pub(super) fn net_prio(dir: &Dir, network: &Network, _: &mut Warnings) -> Result<()> {
    for one in &network.priorities {
        dir.write(
            "net_prio.ifpriomap",
            format!("{} {}", one.name, one.priority),
        )?;
    }
    Ok(())
}

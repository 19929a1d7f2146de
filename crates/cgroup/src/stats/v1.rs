//! Numbers of cgroup v1.

use super::{BlockEntry, BlockStats, CpuStats, MemoryStats, device, lines};
use crate::Result;
use crate::dir::Dir;

/// What the kernel prints for "no limit": the largest page-aligned signed number.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_f000;

pub(super) fn cpu_time(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    cpu.total = dir.number("cpuacct.usage")?.unwrap_or(0);
    cpu.user = dir.number("cpuacct.usage_user")?.unwrap_or(0);
    cpu.system = dir.number("cpuacct.usage_sys")?.unwrap_or(0);
    let text = dir
        .read_if_there("cpuacct.usage_percpu")?
        .unwrap_or_default();
    cpu.per_cpu = text
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    Ok(())
}

pub(super) fn throttling(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    let stat = lines(dir, "cpu.stat")?;
    let value = |key: &str| stat.get(key).copied().unwrap_or(0);
    cpu.periods = value("nr_periods");
    cpu.throttled_periods = value("nr_throttled");
    cpu.throttled_time = value("throttled_time");
    Ok(())
}

pub(super) fn memory(dir: &Dir) -> Result<MemoryStats> {
    Ok(MemoryStats {
        usage: dir.number("memory.usage_in_bytes")?.unwrap_or(0),
        max_usage: dir.number("memory.max_usage_in_bytes")?,
        limit: dir
            .number("memory.limit_in_bytes")?
            .filter(|v| *v < UNLIMITED),
        fail_count: dir.number("memory.failcnt")?,
        details: lines(dir, "memory.stat")?,
    })
}

pub(super) fn block(dir: &Dir) -> Result<BlockStats> {
    // Which file counts depends on the scheduler of the device: the first one that has numbers is the one.
    let table = |names: [&str; 3]| -> Result<Vec<BlockEntry>> {
        for name in names {
            let entries = entries(&dir.read_if_there(name)?.unwrap_or_default());
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    };
    Ok(BlockStats {
        bytes: table([
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
        ])?,
        operations: table([
            "blkio.bfq.io_serviced_recursive",
            "blkio.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
        ])?,
    })
}

/// Lines of `8:0 Read 4096`; the closing `Total 4096` is over all devices and is left out.
pub(super) fn entries(text: &str) -> Vec<BlockEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = device(words.next()?)?;
        let op = words.next()?.to_owned();
        Some(BlockEntry {
            major,
            minor,
            op,
            value: words.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// v1 counts for each group alone, so the groups below are added.
pub(super) fn oom_kills(dir: &Dir) -> Result<u64> {
    let mut sum = dir.keyed("memory.oom_control", "oom_kill")?.unwrap_or(0);
    for name in dir.children()? {
        if let Some(child) = dir.child(&name)? {
            sum += oom_kills(&child)?;
        }
    }
    Ok(sum)
}

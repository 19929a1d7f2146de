//! Numbers of cgroup v2.

use super::{BlockEntry, BlockStats, CpuStats, MemoryStats, device, lines};
use crate::Result;
use crate::dir::Dir;

pub(super) fn cpu_time(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    let stat = lines(dir, "cpu.stat")?;
    let value = |key: &str| stat.get(key).copied().unwrap_or(0);
    // The files count microseconds.
    cpu.total = value("usage_usec").saturating_mul(1000);
    cpu.user = value("user_usec").saturating_mul(1000);
    cpu.system = value("system_usec").saturating_mul(1000);
    cpu.periods = value("nr_periods");
    cpu.throttled_periods = value("nr_throttled");
    cpu.throttled_time = value("throttled_usec").saturating_mul(1000);
    Ok(())
}

pub(super) fn memory(dir: &Dir) -> Result<MemoryStats> {
    Ok(MemoryStats {
        usage: dir.number("memory.current")?.unwrap_or(0),
        max_usage: dir.number("memory.peak")?,
        limit: dir.number("memory.max")?.filter(|v| *v != u64::MAX),
        fail_count: dir.keyed("memory.events", "max")?,
        details: lines(dir, "memory.stat")?,
    })
}

pub(super) fn block(dir: &Dir) -> Result<BlockStats> {
    Ok(parse(&dir.read_if_there("io.stat")?.unwrap_or_default()))
}

/// Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`.
pub(super) fn parse(text: &str) -> BlockStats {
    let mut stats = BlockStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else {
            continue;
        };
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                continue;
            };
            let (list, op) = match key {
                "rbytes" => (&mut stats.bytes, "read"),
                "wbytes" => (&mut stats.bytes, "write"),
                "rios" => (&mut stats.operations, "read"),
                "wios" => (&mut stats.operations, "write"),
                _ => continue,
            };
            if let Ok(value) = value.parse() {
                list.push(BlockEntry {
                    major,
                    minor,
                    op: op.to_owned(),
                    value,
                });
            }
        }
    }
    stats
}

//! Control files to numbers: what `docker stats` and the statistics endpoint are made of, as the kernel counts.

mod v1;
mod v2;

use crate::Result;
use crate::dir::Dir;
use crate::group::Group;
use std::collections::BTreeMap;

/// Numbers of one group. Parts whose controller is not available are all zero and empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub block: BlockStats,
}

/// Processor time, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CpuStats {
    /// All of it.
    pub total: u64,
    /// By processor; v1 only.
    pub per_cpu: Vec<u64>,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Periods of the quota that have passed.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// How long tasks had to wait for that.
    pub throttled_time: u64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MemoryStats {
    /// In use now, page cache included.
    pub usage: u64,
    /// Most ever in use; where the kernel counts it.
    pub max_usage: Option<u64>,
    /// The limit; `None` is "no limit".
    pub limit: Option<u64>,
    /// How often the limit was hit.
    pub fail_count: Option<u64>,
    /// The lines of `memory.stat`.
    pub details: BTreeMap<String, u64>,
}

/// Tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// The limit; `None` is "no limit".
    pub limit: Option<u64>,
}

/// Block devices: bytes and operations, by device and kind of operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BlockStats {
    /// Bytes.
    pub bytes: Vec<BlockEntry>,
    /// Operations.
    pub operations: Vec<BlockEntry>,
}

/// One number of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BlockEntry {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total` on v1; `read`, `write` on v2.
    pub op: String,
    /// The number.
    pub value: u64,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Everything.
    All,
    /// Processor time; the rest is zero and empty.
    Processor,
}

impl Counted {
    /// The controllers that count it.
    pub(crate) fn controllers(self) -> &'static [&'static str] {
        match self {
            Self::All => &["cpuacct", "cpu", "memory", "pids", "blkio", "io"],
            Self::Processor => &["cpuacct", "cpu"],
        }
    }
}

pub(crate) fn read(group: &Group, counted: Counted) -> Result<Stats> {
    let mut stats = Stats::default();
    match group.place("cpuacct") {
        Some(place) => v1::cpu_time(&place.dir, &mut stats.cpu)?,
        None => group
            .place("unified")
            .map_or(Ok(()), |p| v2::cpu_time(&p.dir, &mut stats.cpu))?,
    }
    if let Some(place) = group.place("cpu").filter(|p| !p.hierarchy.unified) {
        v1::throttling(&place.dir, &mut stats.cpu)?;
    }
    if counted == Counted::Processor {
        return Ok(stats);
    }
    match group.place("memory") {
        Some(place) if place.hierarchy.unified => stats.memory = v2::memory(&place.dir)?,
        Some(place) => stats.memory = v1::memory(&place.dir)?,
        None => {}
    }
    if let Some(place) = group.place("pids") {
        stats.pids.current = place.dir.number("pids.current")?.unwrap_or(0);
        stats.pids.limit = place.dir.number("pids.max")?.filter(|v| *v != u64::MAX);
    }
    match (group.place("blkio"), group.place("io")) {
        (Some(place), _) => stats.block = v1::block(&place.dir)?,
        (None, Some(place)) => stats.block = v2::block(&place.dir)?,
        (None, None) => {}
    }
    Ok(stats)
}

pub(crate) fn oom_kills(group: &Group) -> Result<u64> {
    match group.place("memory") {
        // v2 adds up the groups below by itself.
        Some(place) if place.hierarchy.unified => {
            Ok(place.dir.keyed("memory.events", "oom_kill")?.unwrap_or(0))
        }
        Some(place) => v1::oom_kills(&place.dir),
        None => Ok(0),
    }
}

/// `key value` lines.
fn lines(dir: &Dir, file: &str) -> Result<BTreeMap<String, u64>> {
    let text = dir.read_if_there(file)?.unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    });
    Ok(pairs.collect())
}

/// `major:minor` of a device.
fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests;

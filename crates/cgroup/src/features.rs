//! What the kernel can limit on this machine, by the control files that a group has.

use crate::group::{Group, again};
use crate::layout::{Cgroups, Which};
use crate::{Error, Result};

/// The limits that can be had. Not a promise that every value is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Memory.
    pub memory: bool,
    /// Swap.
    pub swap: bool,
    /// Memory when the host runs short.
    pub memory_reservation: bool,
    /// How eagerly memory is swapped out.
    pub swappiness: bool,
    /// Switching the OOM killer off.
    pub oom_kill_disable: bool,
    /// The number of processes.
    pub pids: bool,
    /// Shares of CPU time.
    pub cpu_shares: bool,
    /// CPU time in a period.
    pub cpu_quota: bool,
    /// Real-time CPU time.
    pub cpu_realtime: bool,
    /// CPUs and memory nodes that a group may be given, as lists; `None` without a cpuset controller.
    pub cpuset: Option<(String, String)>,
    /// Shares of block I/O.
    pub block_weight: bool,
    /// Shares of block I/O on one device.
    pub block_weight_device: bool,
    /// Block I/O a second.
    pub block_throttle: bool,
}

impl Group {
    /// What the kernel can limit in the group with this path, which is made where it is not there.
    pub(crate) fn features_at(cgroups: &Cgroups, path: &str) -> Result<Features> {
        again(|| {
            let group = Self::try_ensure(cgroups, path, Which::All)?;
            let found = group.features();
            // Removed while it was looked at, it has no files.
            match group.is_there() {
                true => Ok(found),
                false => Err(Error::NotFound(path.to_owned())),
            }
        })
    }

    fn features(&self) -> Features {
        let has = |controller: &str, files: &[&str]| {
            self.place(controller)
                .is_some_and(|place| files.iter().any(|file| place.dir.has(file)))
        };
        let block = |files: &[&str]| has("blkio", files) || has("io", files);
        Features {
            memory: has("memory", &["memory.limit_in_bytes", "memory.max"]),
            swap: self.limits_swap(),
            memory_reservation: has("memory", &["memory.soft_limit_in_bytes", "memory.low"]),
            swappiness: has("memory", &["memory.swappiness"]),
            oom_kill_disable: has("memory", &["memory.oom_control"]),
            pids: has("pids", &["pids.max"]),
            cpu_shares: has("cpu", &["cpu.shares", "cpu.weight"]),
            cpu_quota: has("cpu", &["cpu.cfs_quota_us", "cpu.max"]),
            cpu_realtime: has("cpu", &["cpu.rt_runtime_us"]),
            cpuset: self.cpuset(),
            block_weight: block(&[
                "blkio.weight",
                "blkio.bfq.weight",
                "io.weight",
                "io.bfq.weight",
            ]),
            block_weight_device: block(&[
                "blkio.weight_device",
                "blkio.bfq.weight_device",
                "io.weight",
                "io.bfq.weight",
            ]),
            block_throttle: block(&["blkio.throttle.read_bps_device", "io.max"]),
        }
    }

    fn cpuset(&self) -> Option<(String, String)> {
        let dir = &self.place("cpuset")?.dir;
        let first = |files: [&str; 2]| {
            let mut texts = files
                .iter()
                .filter_map(|file| dir.read_if_there(file).ok().flatten());
            texts.next().map(|text| text.trim().to_owned())
        };
        Some((
            first(["cpuset.cpus.effective", "cpuset.cpus"])?,
            first(["cpuset.mems.effective", "cpuset.mems"])?,
        ))
    }

    /// Microseconds of real-time CPU time that this group may hand out, and in which period; `None` where the kernel has no
    /// such limit.
    pub fn realtime(&self) -> Option<(i64, u64)> {
        let dir = &self.place("cpu")?.dir;
        let runtime = dir.read_if_there("cpu.rt_runtime_us").ok().flatten()?;
        let period = dir.number("cpu.rt_period_us").ok().flatten()?;
        Some((runtime.trim().parse().ok()?, period))
    }
}

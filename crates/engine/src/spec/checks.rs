//! Limits that cannot be, refused in Docker's words; limits this machine does not know, given up with a warning.
//!
//! How they become the document's is in `limits`.

use std::sync::LazyLock;

use onggi_api::container::{HostConfig, Resources};
use onggi_cgroup::Features;

use crate::error::{Error, Result};

/// Docker's floor for a memory limit.
const LEAST_MEMORY: i64 = 6 << 20;

/// Whether a container is made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// By `create`.
    New,
    /// By `update`, over limits that are there.
    Change,
}

/// Checks `limits` against `known` and writes Docker's defaults into them. Returns what had to be given up.
pub(crate) fn resources(
    limits: &mut Resources,
    known: &Features,
    asked: Asked,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    memory(limits, known, asked, &mut warnings)?;
    processes(limits, known, &mut warnings);
    cpu(limits, known, &mut warnings)?;
    cpuset(limits, known, &mut warnings)?;
    block(limits, known, &mut warnings)?;
    Ok(warnings)
}

fn memory(r: &mut Resources, known: &Features, asked: Asked, w: &mut Vec<String>) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid(text));
    // Removed from kernel and API: an old client's wish is neither kept nor shown.
    (r.kernel_memory, r.kernel_memory_tcp) = (0, 0);
    if r.memory_swappiness == Some(-1) {
        r.memory_swappiness = None;
    }
    if r.memory != 0 && r.memory < LEAST_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if r.memory > 0 && !known.memory {
        w.push(lacking("memory limit capabilities", "Limitation"));
        (r.memory, r.memory_swap) = (0, -1);
    }
    if r.memory > 0 && r.memory_swap != -1 && !known.swap {
        w.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
             Memory limited without swap."
                .to_owned(),
        );
        r.memory_swap = -1;
    }
    if r.memory > 0 && r.memory_swap > 0 && r.memory_swap < r.memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if r.memory == 0 && r.memory_swap > 0 && asked == Asked::New {
        return refuse(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if r.memory_swap < -1 {
        return refuse("Invalid MemorySwap: use -1 for as much swap as there is");
    }
    if let Some(swappiness) = r.memory_swappiness {
        if !known.swappiness {
            w.push(lacking(
                "memory swappiness capabilities",
                "Memory swappiness",
            ));
            r.memory_swappiness = None;
        } else if !(0..=100).contains(&swappiness) {
            return Err(Error::invalid(format!(
                "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
            )));
        }
    }
    if r.memory_reservation > 0 && !known.memory_reservation {
        w.push(lacking("memory soft limit capabilities", "Limitation"));
        r.memory_reservation = 0;
    }
    if r.memory_reservation < 0 || (1..LEAST_MEMORY).contains(&r.memory_reservation) {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if r.memory > 0 && r.memory_reservation > r.memory {
        return refuse(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    if r.oom_kill_disable.is_some() && !known.oom_kill_disable {
        if r.oom_kill_disable == Some(true) {
            w.push(
                "Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned(),
            );
        }
        r.oom_kill_disable = None;
    }
    if r.oom_kill_disable == Some(true) && r.memory == 0 {
        w.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
    if asked == Asked::New {
        if r.memory > 0 && r.memory_swap == 0 {
            r.memory_swap = r.memory.saturating_mul(2);
        }
        if known.oom_kill_disable {
            r.oom_kill_disable.get_or_insert(false);
        }
    }
    Ok(())
}

fn processes(r: &mut Resources, known: &Features, w: &mut Vec<String>) {
    if !known.pids
        && let Some(limit) = r.pids_limit.take()
        && limit > 0
    {
        w.push(lacking("PIDs limit capabilities", "PIDs limit"));
    }
}

fn cpu(r: &mut Resources, known: &Features, w: &mut Vec<String>) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid(text));
    if r.nano_cpus > 0 && r.cpu_period > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if r.nano_cpus > 0 && r.cpu_quota > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    if r.nano_cpus > 0 && !known.cpu_quota {
        return refuse(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted",
        );
    }
    if r.nano_cpus != 0 {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if r.nano_cpus < 0 || r.nano_cpus > i64::try_from(cpus).unwrap_or(1) * 1_000_000_000 {
            return Err(Error::invalid(format!(
                "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
            )));
        }
    }
    if r.cpu_shares < 0 {
        return Err(Error::invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            r.cpu_shares
        )));
    }
    if r.cpu_shares > 0 && !known.cpu_shares {
        w.push(lacking("CPU shares", "Shares"));
        r.cpu_shares = 0;
    }
    if (r.cpu_period != 0 || r.cpu_quota != 0) && !known.cpu_quota {
        w.push(
            "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
                .to_owned(),
        );
        (r.cpu_period, r.cpu_quota) = (0, 0);
    }
    if r.cpu_period != 0 && !(1_000..=1_000_000).contains(&r.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if r.cpu_quota > 0 && r.cpu_quota < 1_000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if (r.cpu_realtime_period != 0 || r.cpu_realtime_runtime != 0) && !known.cpu_realtime {
        return refuse("your kernel does not support CPU real-time scheduler");
    }
    if r.cpu_realtime_period != 0 && r.cpu_realtime_runtime > r.cpu_realtime_period {
        return refuse("cpu real-time runtime cannot be higher than cpu real-time period");
    }
    if r.cpu_realtime_period < 0 || r.cpu_realtime_runtime < 0 {
        return refuse("cpu real-time period and runtime cannot be negative");
    }
    if r.cpu_percent > 0 {
        w.push("linux does not support CPU percent. Percent discarded.".to_owned());
        r.cpu_percent = 0;
    }
    Ok(())
}

fn cpuset(r: &mut Resources, known: &Features, w: &mut Vec<String>) -> Result<()> {
    if r.cpuset_cpus.is_empty() && r.cpuset_mems.is_empty() {
        return Ok(());
    }
    let Some((cpus, mems)) = &known.cpuset else {
        w.push(lacking("cpuset", "Cpuset"));
        r.cpuset_cpus.clear();
        r.cpuset_mems.clear();
        return Ok(());
    };
    for (wanted, there, field, what) in [
        (&r.cpuset_cpus, cpus, "cpus", "CPUs"),
        (&r.cpuset_mems, mems, "mems", "memory nodes"),
    ] {
        let list = numbers(wanted)
            .ok_or_else(|| Error::invalid(format!("Invalid value {wanted} for cpuset {field}")))?;
        let there_list = numbers(there).unwrap_or_default();
        if !list.iter().all(|number| there_list.contains(number)) {
            return Err(Error::invalid(format!(
                "Requested {what} are not available - requested {wanted}, available: {there}"
            )));
        }
    }
    Ok(())
}

/// `0-2,7` as numbers; the kernel knows no CPU beyond 8191.
fn numbers(list: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 8191;
    let mut numbers = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse().ok()?, last.parse::<u32>().ok()?);
        if first > last || last > MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

fn block(r: &mut Resources, known: &Features, w: &mut Vec<String>) -> Result<()> {
    if r.blkio_weight > 0 && !known.block_weight {
        w.push(lacking("Block I/O weight", "Weight"));
        r.blkio_weight = 0;
    }
    if r.blkio_weight != 0 && !(10..=1000).contains(&r.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    for (asked, what) in [
        (r.io_maximum_bandwidth != 0, "bandwidth"),
        (r.io_maximum_iops != 0, "IOPs"),
    ] {
        if asked {
            return Err(Error::invalid(format!(
                "Invalid QoS settings: linux does not support configuration of maximum {what}"
            )));
        }
    }
    if !known.block_weight_device && is_asked(&r.blkio_weight_device) {
        w.push(lacking("Block I/O weight_device", "Weight-device"));
        r.blkio_weight_device = Some(Vec::new());
    }
    for (list, unit, way) in [
        (&mut r.blkio_device_read_bps, "BPS", "read"),
        (&mut r.blkio_device_write_bps, "BPS", "write"),
        (&mut r.blkio_device_read_iops, "IOPS", "read"),
        (&mut r.blkio_device_write_iops, "IOPS", "write"),
    ] {
        if !known.block_throttle && is_asked(list) {
            w.push(lacking(
                &format!("{unit} Block I/O {way} limit"),
                &format!("Block I/O {unit} {way} limit"),
            ));
            *list = Some(Vec::new());
        }
    }
    Ok(())
}

fn is_asked<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn lacking(what: &str, discarded: &str) -> String {
    format!(
        "Your kernel does not support {what} or the cgroup is not mounted. {discarded} discarded."
    )
}

/// What the daemon's own rights do not allow is lowered at the start; here it is said.
pub(crate) fn rights(host: &HostConfig) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        return Err(Error::invalid(format!(
            "Invalid value {}, range for oom score adj is [-1000, 1000]",
            host.oom_score_adj
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    // CAP_SYS_RESOURCE, without which limits only ever go down.
    let unlimited = onggi_sys::capability::number("CAP_SYS_RESOURCE")
        .zip(onggi_sys::capability::current().ok())
        .is_some_and(|(number, sets)| sets.effective & (1 << number) != 0);
    if !unlimited {
        let own_score = own_oom_score_floor();
        if host.oom_score_adj < own_score {
            warnings.push(format!(
                "The OOM score {} is below what the daemon may give ({own_score}): it is not applied.",
                host.oom_score_adj
            ));
        }
    }
    for ulimit in host.ulimits.iter().flatten() {
        let name = format!("RLIMIT_{}", ulimit.name.to_uppercase());
        let resource = onggi_sys::process::rlimit_number(&name)
            .ok_or_else(|| Error::invalid(format!("invalid ulimit type: {}", ulimit.name)))?;
        let number = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
        if number(ulimit.soft) > number(ulimit.hard) {
            return Err(Error::invalid(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                ulimit.soft, ulimit.hard
            )));
        }
        let Ok((_, most)) = onggi_sys::process::rlimit(resource) else {
            continue;
        };
        if !unlimited && number(ulimit.hard) > most {
            warnings.push(format!(
                "The ulimit {}={} is above what the daemon may give: it is lowered to {most}.",
                ulimit.name, ulimit.hard
            ));
        }
    }
    Ok(warnings)
}

/// Without CAP_SYS_RESOURCE a score may be raised, and lowered again only down to the lowest it had (proc(5)).
/// Read once: nobody changes the daemon's own.
fn own_oom_score_floor() -> i64 {
    static FLOOR: LazyLock<i64> = LazyLock::new(|| {
        let text = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    });
    *FLOOR
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;

//! What CI runs: the gates, and with `--full` what takes longer or needs more packages.

use crate::programs::Build;
use crate::test::{self, Tier};
use crate::{demo, fuzz, packages, vm};
use anyhow::Result;

/// Runs in the guest with cgroup v2: kernel tests of the crates that differ there, and end-to-end families that see it.
const GUEST: &[&str] = &[
    "onggi-cgroup",
    "onggi-runtime",
    "onggi:isolation",
    "onggi:fields",
    "onggi:life",
];
/// Seconds for each guest: far more than it needs on a machine that does nothing else.
const LIMIT: u64 = 3600;
/// How often the power is cut.
const CUTS: u32 = 30;
/// How often it is cut at most where nothing is synced: that must lose something, or the cuts above show nothing.
const CUTS_WITHOUT_SYNCS: u32 = 5;

/// Runs it; `seconds` for each fuzz target.
pub(crate) fn run(full: bool, seconds: u64) -> Result<()> {
    if !full {
        return test::run(&[], Tier::Short);
    }
    // Before the tests: those that compare with the oracle run only where it is installed.
    packages::install(&[packages::ORACLE, packages::GUEST, packages::SYSTEMD])?;
    test::run(&[], Tier::Full)?;
    fuzz::run(seconds, None)?;
    demo::run()?;
    let job = vm::Job {
        packages: Vec::new(),
        filter: None,
        programs: Vec::new(),
        build: Build::Release,
        full: false,
        limit: LIMIT,
        command: Vec::new(),
    };
    vm::run(&vm::Job {
        packages: GUEST.iter().map(|&name| name.to_owned()).collect(),
        ..job.clone()
    })?;
    vm::systemd(&job)?;
    vm::power_cuts(&job, CUTS, vm::Syncs::Kept)?;
    vm::power_cuts(&job, CUTS_WITHOUT_SYNCS, vm::Syncs::Dropped)
}

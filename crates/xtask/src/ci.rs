//! What CI runs: the gates, and with `--full` what takes longer or needs more packages.

use crate::test::{self, Tier};
use crate::{demo, packages, vm};
use anyhow::Result;

/// Runs it.
pub(crate) fn run(full: bool) -> Result<()> {
    if full {
        // Before the tests: those that compare with the oracle run only where it is installed.
        packages::install(&[packages::ORACLE, packages::GUEST])?;
    }
    test::run(&[], if full { Tier::Full } else { Tier::Short })?;
    if full {
        demo::run()?;
        vm::run(&vm::Job {
            packages: ["onggi-cgroup", "onggi-runtime", "onggi:isolation"]
                .map(str::to_owned)
                .to_vec(),
            filter: None,
            programs: Vec::new(),
            limit: 1800,
            command: Vec::new(),
        })?;
    }
    Ok(())
}

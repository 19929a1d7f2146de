//! All gates, cheap ones first.

use crate::documents::{self, Mode};
use crate::packages;
use crate::programs::{Build, call, cargo, stage};
use anyhow::{Result, bail};

/// How long the tests may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// On every change.
    Short,
    /// More rounds, and what needs the world outside: `ONGGI_FULL` tells the tests.
    Full,
}

/// Runs the gates, or only some tests when filters are given.
pub(crate) fn run(filters: &[String], tier: Tier) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the tests make namespaces, mounts and cgroups: run this as root");
    }
    packages::install(&[packages::BUILD, packages::TEST])?;
    if filters.is_empty() {
        call(cargo().args(["fmt", "--all", "--check"]))?;
        documents::run(Mode::Check)?;
        call(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))?;
    }
    let folder = stage(Build::Debug)?;
    let mut tests = cargo();
    if has_nextest() {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        if tier == Tier::Short {
            // One that fails once and then passes is told as FLAKY, and is a defect; the full tier forgives nothing.
            tests.args(["--retries", "1"]);
        }
    } else {
        tests.args(["test", "--workspace", "--no-fail-fast", "--"]);
    }
    tests.args(filters).env("ONGGI_BIN_DIR", folder);
    if tier == Tier::Full {
        tests.env("ONGGI_FULL", "1");
    }
    call(&mut tests)
}

/// nextest runs each test in a process of its own, which says which one hangs or dies.
fn has_nextest() -> bool {
    let ask = || {
        let answer = cargo().args(["nextest", "--version"]).output();
        answer.is_ok_and(|output| output.status.success())
    };
    ask()
        || (call(cargo().args(["install", "--locked", "--quiet", "cargo-nextest"])).is_ok()
            && ask())
}

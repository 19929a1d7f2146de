//! A guest with cgroup v2, for machines that have v1: QEMU in software (no KVM), Debian's cloud kernel, and one of two
//! roots: a small one of busybox, whose only process is a script, or Debian's own, booted by systemd.
//!
//! Everything is made below `target/vm` and kept there: the kernel and its modules out of Debian's package, an
//! initramfs that loads them, and a root file system with the programs to run. The guest prints to the serial
//! console and powers off.

use crate::packages;
use crate::programs::{Build, call, cargo, output, target};
use anyhow::{Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod busybox; // the small root
mod debian; // the root with systemd
mod kernel; // kernel, modules, initramfs
mod power; // a machine whose power is cut
mod qemu; // the machine, watched

/// How the guest says how it went.
const VERDICT: &str = "onggi-vm exit: ";
/// How many times longer than elsewhere tests wait in the guest, where the processor is a program.
const PATIENCE: u32 = 4;

/// What to do in the guest.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// Packages, or targets of them, whose tests are run.
    pub(crate) packages: Vec<String>,
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
    /// Programs of the host that the guest needs.
    pub(crate) programs: Vec<PathBuf>,
    /// Which build of our programs.
    pub(crate) build: Build,
    /// Whether tests go on for long, as in the full tier.
    pub(crate) full: bool,
    /// Seconds until the guest is given up.
    pub(crate) limit: u64,
    /// A shell command after the tests.
    pub(crate) command: Vec<String>,
}

/// Who is pid 1 in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boot {
    /// A shell in the initramfs, which runs `/guest` in the root.
    Script,
    /// systemd.
    Systemd,
}

/// Whether the daemon's syncs reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syncs {
    /// They do.
    Kept,
    /// They are said to have worked, and did nothing.
    Dropped,
}

/// Runs tests and a command in the small root.
pub(crate) fn run(job: &Job) -> Result<()> {
    if job.packages.is_empty() && job.command.is_empty() {
        bail!("nothing to do: name packages with --tests, or a command after --");
    }
    boot(Boot::Script, job, busybox::disk)
}

/// Runs the tests of the installed service in a Debian that systemd has booted; they boot it more than once.
pub(crate) fn systemd(job: &Job) -> Result<()> {
    if !job.packages.is_empty() || !job.command.is_empty() {
        bail!("--systemd runs the tests that need it, and nothing else");
    }
    packages::install(&[packages::SYSTEMD])?;
    boot(Boot::Systemd, job, debian::disk)
}

/// Cuts the power of a guest that pulls images, so many times; without the daemon's syncs that must be noticed.
pub(crate) fn power_cuts(job: &Job, cuts: u32, syncs: Syncs) -> Result<()> {
    packages::install(&[packages::BUILD, packages::GUEST])?;
    let folder = target().join("vm");
    fs::create_dir_all(&folder)?;
    let (kernel, modules) = kernel::unpack(&folder)?;
    let initramfs = kernel::initramfs(&folder, &modules, Boot::Script)?;
    let job = Job {
        packages: vec!["onggi:power".to_owned()],
        ..job.clone()
    };
    let root = busybox::disk(&folder, &job)?;
    let machine = qemu::Machine {
        kernel: &kernel,
        initramfs: &initramfs,
        disk: &root,
        boot: Boot::Script,
        limit: job.limit,
    };
    let ran = power::run(&machine, &folder, cuts, syncs);
    fs::remove_file(root)?;
    ran
}

fn boot(kind: Boot, job: &Job, disk: fn(&Path, &Job) -> Result<PathBuf>) -> Result<()> {
    packages::install(&[packages::BUILD, packages::GUEST])?;
    let folder = target().join("vm");
    fs::create_dir_all(&folder)?;
    let (kernel, modules) = kernel::unpack(&folder)?;
    let initramfs = kernel::initramfs(&folder, &modules, kind)?;
    let disk = disk(&folder, job)?;
    let ran = qemu::run(&qemu::Machine {
        kernel: &kernel,
        initramfs: &initramfs,
        disk: &disk,
        boot: kind,
        limit: job.limit,
    });
    // The next one is made anew.
    fs::remove_file(disk)?;
    ran
}

/// A file system of that folder.
fn image(root: &Path, image: &Path) -> Result<PathBuf> {
    let _ = fs::remove_file(image);
    call(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-F", "-d"])
            .arg(root)
            .arg(image)
            .arg("6G"),
    )?;
    Ok(image.to_owned())
}

/// Builds the tests of packages, or of one target in a package (`PACKAGE:TARGET`), and tells where they are.
fn tests(packages: &[String]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for package in packages {
        let (package, target) = split(package);
        let mut build = cargo();
        build
            .args(["test", "--no-run", "--message-format", "json"])
            .args(["--package", package])
            .stderr(Stdio::inherit());
        if let Some(target) = target {
            build.args(["--test", target]);
        }
        for line in output(&mut build)?.lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if message["profile"]["test"] == true
                && let Some(path) = message["executable"].as_str()
            {
                found.push(PathBuf::from(path));
            }
        }
    }
    Ok(found)
}

fn split(tests: &str) -> (&str, Option<&str>) {
    tests
        .split_once(':')
        .map_or((tests, None), |(package, target)| (package, Some(target)))
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

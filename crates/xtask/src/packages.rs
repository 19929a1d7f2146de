//! Debian packages: one list, by what needs them. Only those that are missing are installed.

use crate::programs::call;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// To build the programs.
pub(crate) const BUILD: &[&str] = &["gcc", "libc6-dev", "make"];
/// For the demo: the image is made of busybox, the census lists nftables.
pub(crate) const DEMO: &[&str] = &["busybox-static", "nftables"];
/// For the tests: a registry too, and a firewall, which is off unless somebody switches it on; the tests do in
/// namespaces alone.
pub(crate) const TEST: &[&str] = &[
    "busybox-static",
    "nftables",
    "docker-registry",
    "skopeo",
    "openssl",
    "openssh-client",
    "iptables",
    "ufw",
];
/// For the oracle: Docker's own daemon and client, and those of others. Not installed by `test`, because Debian starts
/// the daemon.
pub(crate) const ORACLE: &[&str] = &[
    "docker.io",
    "docker-compose",
    "tmux",
    "debootstrap",
    "podman",
    "buildah",
];
/// For benchmarks of networks. dockerd, which they are beside, is in [`ORACLE`].
pub(crate) const BENCH: &[&str] = &["busybox-static", "iperf3", "wrk", "dnsperf"];
/// For the guest.
pub(crate) const GUEST: &[&str] = &[
    "qemu-system-x86",
    "e2fsprogs",
    "kmod",
    "cpio",
    "busybox-static",
];

/// To make the root of the guest that systemd boots.
pub(crate) const SYSTEMD: &[&str] = &["debootstrap"];
/// What is in that root beside Debian's smallest.
pub(crate) const SYSTEMD_ROOT: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "apparmor",
    "busybox-static",
    "curl",
    "kmod",
    "nftables",
    "procps",
];

/// Installs what is missing of these lists. Elsewhere than on Debian it only says what would be needed.
pub(crate) fn install(lists: &[&[&str]]) -> Result<()> {
    let missing: Vec<&str> = lists
        .concat()
        .into_iter()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        eprintln!(
            "not Debian: make sure that this is installed: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "these packages are missing: {}\nInstall them, or run this as root.",
            missing.join(" ")
        );
    }
    println!("installing {}", missing.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"]);
        command
    };
    // The list of packages may be old or empty: try without, then with a new one.
    let install = || {
        call(
            apt()
                .args(["install", "-y", "--no-install-recommends"])
                .args(&missing),
        )
    };
    if install().is_err() {
        call(apt().arg("update")).context("update the list of packages")?;
        install()?;
    }
    Ok(())
}

fn is_installed(name: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", name])
        .output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

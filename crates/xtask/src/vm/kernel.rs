//! Debian's cloud kernel, and the initramfs that loads its modules and goes on to the root file system.

use super::{Boot, VERDICT, executable};
use crate::programs::{call, output};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Without these the guest does not come up.
const NEEDED: &[&str] = &["virtio_pci", "virtio_blk", "ext4", "overlay"];
/// What containers use, as far as the kernel has it.
const WANTED: &[&str] = &[
    "bridge",
    "veth",
    "nf_tables",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "nft_ct",
    "nft_fib_inet",
    "nft_redir",
    "nft_reject_inet",
    "nft_dup_ipv4",
    "nft_dup_ipv6",
    "tun",
    "vxlan",
    "erofs",
    "ip_vs",
    "fuse",
];
/// Debian's cloud kernel: the image, and the modules to load, in their order.
pub(super) fn unpack(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    let unpacked = folder.join("kernel");
    if !unpacked.join("boot").is_dir() {
        let text = output(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
        let name = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        let name = format!(
            "linux-image-{}",
            name.context("linux-image-cloud-amd64 has no kernel")?
        );
        let download = folder.join("download");
        fs::create_dir_all(&download)?;
        call(
            Command::new("apt-get")
                .args(["download", &name])
                .current_dir(&download),
        )?;
        let deb = only(&download, "deb")?;
        call(Command::new("dpkg").arg("-x").arg(&deb).arg(&unpacked))?;
    }
    let versions = unpacked.join("lib/modules");
    let version = fs::read_dir(&versions)?
        .next()
        .context("no modules")??
        .file_name();
    let version = version.to_str().context("version")?.to_owned();
    call(
        Command::new("depmod")
            .arg("-b")
            .arg(&unpacked)
            .arg(&version),
    )?;
    let mut modules = Vec::new();
    for name in NEEDED.iter().chain(WANTED) {
        let mut ask = Command::new("modprobe");
        ask.arg("-d")
            .arg(&unpacked)
            .args(["-S", &version, "--show-depends", name]);
        match output(&mut ask) {
            Ok(text) => {
                for path in text.lines().filter_map(|line| line.strip_prefix("insmod ")) {
                    let path = PathBuf::from(path.trim());
                    if !modules.contains(&path) {
                        modules.push(path);
                    }
                }
            }
            Err(error) if NEEDED.contains(name) => return Err(error),
            Err(_) => eprintln!("the kernel has no module {name}"),
        }
    }
    Ok((unpacked.join(format!("boot/vmlinuz-{version}")), modules))
}

/// What the initramfs does once the root is mounted on `/root`, and the rest of the machine is at its place.
fn enter(boot: Boot) -> String {
    match boot {
        Boot::Systemd => "exec $bb switch_root /root /sbin/init\n".to_owned(),
        Boot::Script => format!(
            "cd /root
$bb mkdir -p dev/pts dev/shm
$bb mount -t devpts devpts dev/pts
$bb mount -t tmpfs shm dev/shm
$bb mount -t tmpfs run run
$bb mount -t tmpfs -o mode=1777,size=1g tmp tmp
$bb mount -t cgroup2 cgroup2 sys/fs/cgroup
$bb ip link set lo up
$bb mount -o move . / && $bb chroot . /guest
echo \"{VERDICT}$?\"
$bb sync
$bb poweroff -f
"
        ),
    }
}

/// Makes it.
pub(super) fn initramfs(folder: &Path, modules: &[PathBuf], boot: Boot) -> Result<PathBuf> {
    let root = folder.join("initramfs");
    let _ = fs::remove_dir_all(&root);
    for name in ["bin", "dev", "proc", "sys", "root", "modules"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    let mut script = String::from(
        "#!/bin/busybox sh\nbb=/bin/busybox\n$bb mount -t proc proc /proc\n$bb mount -t sysfs sys /sys\n$bb mount -t devtmpfs dev /dev\n",
    );
    for (number, module) in modules.iter().enumerate() {
        let name = format!("{number}-{}", module.file_name().context("name")?.display());
        fs::copy(module, root.join("modules").join(&name))?;
        script.push_str(&format!("$bb insmod /modules/{name}\n"));
    }
    script.push_str(
        "until [ -b /dev/vda ]; do $bb usleep 10000; done
$bb mount -t ext4 /dev/vda /root || $bb poweroff -f
for d in proc sys dev; do $bb mount --move /$d /root/$d; done
",
    );
    script.push_str(&enter(boot));
    executable(&root.join("init"), &script)?;
    let archive = folder.join("initramfs.gz");
    let pack = format!(
        "cd '{}' && find . | cpio --quiet -o -H newc | gzip -1 > '{}'",
        root.display(),
        archive.display()
    );
    call(Command::new("sh").args(["-c", &pack]))?;
    Ok(archive)
}

fn only(folder: &Path, extension: &str) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.extension().is_some_and(|e| e == extension));
    found.with_context(|| format!("no .{extension} in {}", folder.display()))
}

//! A guest with cgroup v2, for machines that have v1: QEMU in software (no KVM), Debian's cloud kernel, busybox.
//!
//! Everything is made below `target/vm` and kept there: the kernel and its modules out of Debian's package, an
//! initramfs that loads them, and a root file system with the programs to run. The guest prints to the serial
//! console and powers off.

use crate::packages;
use crate::programs::{Build, HOST, STATIC, call, cargo, output, stage, target};
use anyhow::{Context, Result, bail};
use onggi_testkit::Image;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

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
    "tun",
    "vxlan",
    "erofs",
    "ip_vs",
    "fuse",
];
/// How the guest says how it went.
const VERDICT: &str = "onggi-vm exit: ";

/// What to do in the guest.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) packages: Vec<String>,
    pub(crate) filter: Option<String>,
    pub(crate) programs: Vec<PathBuf>,
    pub(crate) limit: u64,
    pub(crate) command: Vec<String>,
}

/// Does it.
pub(crate) fn run(job: &Job) -> Result<()> {
    if job.packages.is_empty() && job.command.is_empty() {
        bail!("nothing to do: name packages with --tests, or a command after --");
    }
    packages::install(&[packages::BUILD, packages::GUEST])?;
    let folder = target().join("vm");
    fs::create_dir_all(&folder)?;
    let (kernel, modules) = kernel(&folder)?;
    let initramfs = initramfs(&folder, &modules)?;
    let disk = disk(&folder, job)?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "2048",
    ])
    .args([
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
        "-no-reboot",
        "-nic",
        "none",
    ])
    .arg("-kernel")
    .arg(kernel)
    .arg("-initrd")
    .arg(initramfs)
    .args(["-append", "console=ttyS0 quiet panic=-1"])
    .arg("-drive")
    .arg(format!(
        "file={},if=virtio,format=raw,cache=unsafe",
        disk.display()
    ));
    watch(qemu, Duration::from_secs(job.limit))
}

/// Debian's cloud kernel: the image, and the modules to load, in their order.
fn kernel(folder: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
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

fn initramfs(folder: &Path, modules: &[PathBuf]) -> Result<PathBuf> {
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
cd /root
$bb mkdir -p dev/pts dev/shm
$bb mount -t devpts devpts dev/pts
$bb mount -t tmpfs shm dev/shm
$bb mount -t tmpfs run run
$bb mount -t tmpfs -o mode=1777,size=1g tmp tmp
$bb mount -t cgroup2 cgroup2 sys/fs/cgroup
$bb ip link set lo up
cd /root && $bb mount -o move . / && $bb chroot . /guest
",
    );
    script.push_str(&format!(
        "echo \"{VERDICT}$?\"\n$bb sync\n$bb poweroff -f\n"
    ));
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

/// The root file system: busybox, the programs under test, the tests, and a script that runs them.
fn disk(folder: &Path, job: &Job) -> Result<PathBuf> {
    let root = folder.join("root");
    let _ = fs::remove_dir_all(&root);
    // The same small system that containers get.
    for layer in Image::busybox()?.layers() {
        unpack(layer.tar(), &root, folder)?;
    }
    for name in ["run", "tests", "onggi", "lib64", "sbin", "usr/sbin"] {
        fs::create_dir_all(root.join(name))?;
    }
    let mut script = String::from(
        "#!/bin/sh\nexport PATH=/onggi:/bin:/usr/bin:/sbin:/usr/sbin HOME=/root ONGGI_BIN_DIR=/onggi\ncd /root\nfailed=0\n",
    );
    let install = |from: &Path, to: &str| install(&root, from, to);
    for program in &job.programs {
        install(
            program,
            &format!("bin/{}", program.file_name().context("name")?.display()),
        )?;
    }
    if let Ok(nft) = fs::canonicalize("/usr/sbin/nft") {
        install(&nft, "sbin/nft")?;
    }
    // The tests of a single crate do without the programs.
    if job.packages.iter().any(|name| split(name).0 == "onggi") || !job.command.is_empty() {
        let built = stage(Build::Debug)?;
        for name in HOST.iter().chain(STATIC) {
            install(&built.join(name), &format!("onggi/{name}"))?;
        }
    }
    for test in tests(&job.packages)? {
        let name = format!("tests/{}", test.file_name().context("name")?.display());
        install(&test, &name)?;
        let filter = job.filter.as_deref().unwrap_or_default();
        script.push_str(&format!("echo '== {name}'\n/{name} {filter} || failed=1\n"));
    }
    if !job.command.is_empty() {
        script.push_str(&format!("( {} ) || failed=1\n", job.command.join(" ")));
    }
    script.push_str("exit $failed\n");
    executable(&root.join("guest"), &script)?;
    let image = folder.join("root.ext4");
    let _ = fs::remove_file(&image);
    call(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-F", "-d"])
            .arg(&root)
            .arg(&image)
            .arg("6G"),
    )?;
    Ok(image)
}

fn unpack(tar: &[u8], root: &Path, folder: &Path) -> Result<()> {
    let file = folder.join("layer.tar");
    fs::write(&file, tar)?;
    fs::create_dir_all(root)?;
    call(
        Command::new("tar")
            .arg("-xf")
            .arg(&file)
            .arg("-C")
            .arg(root),
    )?;
    fs::remove_file(&file)?;
    Ok(())
}

/// Copies a program with the libraries it needs.
fn install(root: &Path, from: &Path, to: &str) -> Result<()> {
    fs::copy(from, root.join(to)).with_context(|| from.display().to_string())?;
    // A static program has none: ldd says so with an error.
    let Ok(text) = output(Command::new("ldd").arg(from)) else {
        return Ok(());
    };
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    for library in paths.collect::<BTreeSet<_>>() {
        let to = root.join(library.trim_start_matches('/'));
        if !to.exists() {
            fs::create_dir_all(to.parent().context("folder")?)?;
            fs::copy(library, &to).with_context(|| library.to_owned())?;
        }
    }
    let shell = root.join("bin/sh");
    if !shell.exists() {
        symlink("busybox", shell)?;
    }
    Ok(())
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

/// Shows what the guest prints, and ends it when it takes too long.
fn watch(mut qemu: Command, limit: Duration) -> Result<()> {
    let mut child = qemu
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start QEMU")?;
    let out = child.stdout.take().context("stdout")?;
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(|line| line.ok()) {
            if send
                .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                .is_err()
            {
                break;
            }
        }
    });
    let deadline = Instant::now() + limit;
    let mut verdict = None;
    loop {
        match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(code) = line.strip_prefix(VERDICT) {
                    verdict = code.parse::<i32>().ok();
                }
                println!("{line}");
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                bail!("the guest was not done after {limit:?}");
            }
        }
    }
    child.wait()?;
    let _ = reader.join();
    match verdict {
        Some(0) => Ok(()),
        Some(code) => bail!("the guest ended with {code}"),
        None => bail!("the guest ended without a verdict"),
    }
}

fn only(folder: &Path, extension: &str) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.extension().is_some_and(|e| e == extension));
    found.with_context(|| format!("no .{extension} in {}", folder.display()))
}

fn executable(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

//! The root with systemd: Debian's smallest, a service that runs the tests at each boot, and what they install.
//!
//! The tests are modules `boot1`, `boot2` and so on of one program: each boot runs the ones of its number and boots
//! the machine again, the last one ends it. What a module leaves behind is what the next one finds.

use super::{Job, PATIENCE, VERDICT, executable, image, tests};
use crate::packages;
use crate::programs::{self, HOST, STATIC, call, stage};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tests.
const TESTS: &str = "onggi:systemd";
/// How often the machine is booted.
const BOOTS: u32 = 2;
/// Users to try the socket with: one is in the daemon's group, once there is one.
const USERS: &[&str] = &["member", "stranger"];
/// Runs the tests; nothing stops it but the end of the machine.
const SERVICE: &str = "[Unit]
Description=tests of onggi
After=systemd-user-sessions.service

[Service]
ExecStart=/tests/run
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0

[Install]
WantedBy=multi-user.target
";

/// Makes it.
pub(super) fn disk(folder: &Path, job: &Job) -> Result<PathBuf> {
    let base = base(folder)?;
    let root = folder.join("systemd");
    let _ = fs::remove_dir_all(&root);
    call(Command::new("cp").arg("-a").arg(&base).arg(&root))?;
    // `install` in the guest takes the programs from here.
    let built = stage(job.build)?;
    for folder in ["tests", "built"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for name in HOST.iter().chain(STATIC) {
        fs::copy(built.join(name), root.join("built").join(name))?;
    }
    let xtask = std::env::current_exe().context("find this program")?;
    fs::copy(xtask, root.join("tests/xtask"))?;
    for program in &job.programs {
        let name = program.file_name().context("name")?;
        fs::copy(program, root.join("usr/bin").join(name))?;
    }
    let test = tests(&[TESTS.to_owned()])?;
    fs::copy(test.first().context("no tests")?, root.join("tests/all"))?;
    executable(&root.join("tests/run"), &script(job.filter.as_deref()))?;
    fs::write(root.join("etc/systemd/system/onggi-tests.service"), SERVICE)?;
    let image = image(&root, &folder.join("systemd.ext4"))?;
    fs::remove_dir_all(&root)?;
    Ok(image)
}

/// What is the same each time, made once: Debian with systemd.
fn base(folder: &Path) -> Result<PathBuf> {
    let packages = packages::SYSTEMD_ROOT.join(",");
    let base = folder.join("debian");
    let done = folder.join("debian.packages");
    if fs::read_to_string(&done).is_ok_and(|text| text == packages) {
        return Ok(base);
    }
    let _ = fs::remove_dir_all(&base);
    // The programs are linked with this machine's C library.
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    call(
        Command::new("debootstrap")
            .args(["--variant=minbase", &format!("--include={packages}")])
            .arg(suite.unwrap_or("stable"))
            .arg(&base),
    )?;
    for package in fs::read_dir(base.join("var/cache/apt/archives"))?.flatten() {
        let _ = fs::remove_file(package.path());
    }
    for user in USERS {
        let add = ["--create-home", "--shell", "/bin/sh", user];
        call(Command::new("chroot").arg(&base).arg("useradd").args(add))?;
    }
    fs::write(base.join("etc/hostname"), "guest\n")?;
    fs::write(base.join("etc/fstab"), "/dev/vda / ext4 rw 0 0\n")?;
    // Kept over restarts, as on a server.
    fs::create_dir_all(base.join("var/log/journal"))?;
    let units = base.join("etc/systemd/system");
    fs::create_dir_all(units.join("multi-user.target.wants"))?;
    symlink(
        "../onggi-tests.service",
        units.join("multi-user.target.wants/onggi-tests.service"),
    )?;
    // The console is the tests', and nothing else has to happen on this machine.
    for unit in [
        "serial-getty@ttyS0.service",
        "getty@tty1.service",
        "systemd-timesyncd.service",
        "systemd-networkd.service",
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
    ] {
        let _ = fs::remove_file(units.join(unit));
        symlink("/dev/null", units.join(unit))?;
    }
    fs::write(&done, packages)?;
    Ok(base)
}

/// Runs the tests of this boot; a filter is for the first. `install` looks for its workspace where it was built: an empty folder will do.
fn script(filter: Option<&str>) -> String {
    let filter = filter.unwrap_or_default();
    let workspace = programs::root();
    let workspace = workspace.display();
    format!(
        "#!/bin/sh
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export ONGGI_GUEST=systemd ONGGI_PATIENCE={PATIENCE}
mkdir -p '{workspace}'
cd /root
boot=$(($(cat /tests/boot 2>/dev/null || echo 0) + 1))
echo $boot >/tests/boot
echo \"== boot $boot\"
filter=
[ $boot -gt 1 ] || filter='{filter}'
/tests/all boot$boot::$filter --test-threads 1 --color never
code=$?
if [ $code != 0 ]; then
    export SYSTEMD_COLORS=0
    systemctl --no-pager --full status onggi.socket onggi.service
    journalctl --no-pager --boot --lines 150 --unit onggi.service --unit onggi.socket
fi
[ $code = 0 ] || touch /tests/failed
if [ $boot -lt {BOOTS} ]; then
    systemctl --no-block reboot
    exit
fi
[ ! -e /tests/failed ] || code=1
echo \"{VERDICT}$code\"
systemctl --no-block poweroff
"
    )
}

//! The machine: QEMU without KVM, what it prints shown as it comes, ended when it takes too long.

use super::{Boot, VERDICT};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What it is made of.
pub(super) struct Machine<'a> {
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    pub(super) disk: &'a Path,
    /// Who is pid 1; only systemd may boot it again.
    pub(super) boot: Boot,
    pub(super) limit: u64,
}

/// Runs it to its end, over restarts.
pub(super) fn run(machine: &Machine<'_>) -> Result<()> {
    watch(command(machine, ""), Duration::from_secs(machine.limit))
}

/// QEMU with this machine; `told` is for programs in it that read the kernel's command line.
pub(super) fn command(machine: &Machine<'_>, told: &str) -> Command {
    // Politely: software that plays a processor takes all there is.
    let mut qemu = Command::new("nice");
    qemu.args(["-n", "10", "qemu-system-x86_64"])
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"])
        .args(["-m", "2048", "-display", "none", "-serial", "stdio"])
        .args(["-monitor", "none", "-nic", "none"])
        .arg("-kernel")
        .arg(machine.kernel)
        .arg("-initrd")
        .arg(machine.initramfs)
        .arg("-append")
        // The kernel gives up when its timer does not tick at once, as on a host that is busy with other things.
        .arg(format!(
            "console=ttyS0 quiet panic=-1 no_timer_check {told}"
        ))
        .arg("-drive")
        .arg(format!(
            "file={},if=virtio,format=raw,cache=unsafe",
            machine.disk.display()
        ));
    if machine.boot == Boot::Script {
        qemu.arg("-no-reboot");
    }
    qemu
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

//! A guest whose power is cut, again and again, while it pulls images; its disk then has lost what was not flushed.
//!
//! What happens in the guest is the test `onggi:power`: it checks what the boot before left, promises images on the
//! console, and goes on until there is no power. Here is when that is, and what must be there after the next boot.

use super::qemu::{Machine, command};
use super::{Syncs, VERDICT};
use crate::programs::call;
use anyhow::{Context, Result, bail};
use onggi_testkit::ForgetfulDisk;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How the guest's lines for us begin.
const TOLD: &str = "onggi-power ";
/// Until there is a measure of it, how long one pull takes.
const PULL: Duration = Duration::from_secs(3);

/// What a boot ended with.
enum End {
    /// The power was cut.
    Cut,
    /// The guest says what is wrong.
    Defect(String),
    /// It had only to look.
    Proven,
}

struct Power<'a> {
    machine: &'a Machine<'a>,
    disk: &'a ForgetfulDisk,
    socket: &'a Path,
    syncs: Syncs,
    random: Random,
    /// The newest image that was promised.
    promised: Option<u64>,
    /// How long the last pull took.
    pull: Duration,
}

/// Runs it: `cuts` times, and a last boot that only looks.
pub(super) fn run(machine: &Machine<'_>, folder: &Path, cuts: u32, syncs: Syncs) -> Result<()> {
    let seed = match std::env::var("ONGGI_SEED") {
        Ok(text) => text.parse().context("ONGGI_SEED")?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("power cuts with ONGGI_SEED={seed}");
    let image = folder.join("forgetful.ext4");
    let _ = std::fs::remove_file(&image);
    call(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-F"])
            .args(["-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(&image)
            .arg("512M"),
    )?;
    let socket = tempfile::tempdir()?;
    let socket = socket.path().join("disk");
    let disk = ForgetfulDisk::serve(&image, &socket)?;
    let mut power = Power {
        machine,
        disk: &disk,
        socket: &socket,
        syncs,
        random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        promised: None,
        pull: PULL,
    };
    let ran = power.cut_all(cuts);
    std::fs::remove_file(image)?;
    ran
}

impl Power<'_> {
    fn cut_all(&mut self, cuts: u32) -> Result<()> {
        for cut in 0..=cuts {
            let last = cut == cuts;
            match (self.boot(last)?, self.syncs) {
                (End::Defect(text), Syncs::Kept) => bail!("after {cut} power cuts: {text}"),
                (End::Defect(text), Syncs::Dropped) => {
                    println!("without syncs {cut} power cuts were enough: {text}");
                    return Ok(());
                }
                (End::Proven, _) => {}
                (End::Cut, _) => {
                    let random = &mut self.random;
                    let writes = self.disk.cut(|| random.next())?;
                    println!(
                        "power cut {}: {writes} writes were not flushed, {:?} was promised",
                        cut + 1,
                        self.promised
                    );
                }
            }
        }
        match self.syncs {
            Syncs::Kept => Ok(()),
            Syncs::Dropped => bail!(
                "{cuts} power cuts without syncs, and nothing was lost: this test shows nothing"
            ),
        }
    }

    /// Boots, and cuts the power at some moment of the work, unless it is only to look.
    fn boot(&mut self, prove: bool) -> Result<End> {
        let mode = if prove { "prove" } else { "work" };
        let mut told = format!("onggi.power={mode}");
        if let Some(number) = self.promised {
            told.push_str(&format!(" onggi.promised={number}"));
        }
        if self.syncs == Syncs::Dropped {
            told.push_str(" onggi.syncs=no");
        }
        let mut qemu = command(self.machine, &told);
        qemu.arg("-snapshot");
        qemu.arg("-drive").arg(format!(
            "file=nbd+unix:///?socket={},if=virtio,format=raw,cache=writeback,snapshot=off",
            self.socket.display()
        ));
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start QEMU")?;
        let lines = lines(&mut child)?;
        let end = self.watch(&lines);
        // It may have ended by itself.
        let _ = child.kill();
        child.wait()?;
        // What it said before the power went counts.
        for line in lines {
            self.hear(&line);
        }
        end
    }

    fn watch(&mut self, lines: &Receiver<String>) -> Result<End> {
        let mut deadline = Instant::now() + Duration::from_secs(self.machine.limit);
        // Pulls that may still be finished before the cut; known once the work begins.
        let mut left: Option<u64> = None;
        let mut cutting = false;
        let mut clean = false;
        let mut begun = Instant::now();
        loop {
            let line = match lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) if cutting => return Ok(End::Cut),
                Err(RecvTimeoutError::Timeout) => bail!("the guest was not done in time"),
                Err(RecvTimeoutError::Disconnected) if clean => return Ok(End::Proven),
                Err(RecvTimeoutError::Disconnected) => bail!("the guest ended without a word"),
            };
            println!("{line}");
            if let Some(code) = line.strip_prefix(VERDICT)
                && code != "0"
            {
                return Ok(End::Defect(format!("the test ended with {code}")));
            }
            let Some(told) = self.hear(&line) else {
                continue;
            };
            match told.split(' ').next() {
                Some("DEFECT") => return Ok(End::Defect(told)),
                Some("clean") => clean = true,
                Some("working") => {
                    begun = Instant::now();
                    left = Some(self.random.next() % 3);
                }
                Some("promised") => {
                    self.pull = begun.elapsed();
                    begun = Instant::now();
                    left = left.map(|left| left.saturating_sub(1));
                }
                _ => {}
            }
            if left == Some(0) && !cutting {
                cutting = true;
                let micros = u64::try_from(self.pull.as_micros())?.max(1);
                deadline = Instant::now() + Duration::from_micros(self.random.next() % micros);
            }
        }
    }

    /// What the guest tells us, if it is that.
    fn hear(&mut self, line: &str) -> Option<String> {
        let told = line.strip_prefix(TOLD)?;
        if let Some(number) = told.strip_prefix("promised ") {
            self.promised = number.split(' ').next().and_then(|text| text.parse().ok());
        }
        Some(told.to_owned())
    }
}

fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let out = child.stdout.take().context("stdout")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(|line| line.ok()) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receive)
}

/// Small, repeatable, good enough to choose moments.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}

//! Power cuts: what was answered is there after the next boot, and `system check` finds nothing. Only in the guest of
//! `cargo xtask vm --power-cuts`, whose second disk forgets what was not flushed; outside, the test is skipped.
//!
//! Each boot checks what the one before left, says so on the console, and pulls images until the power goes. The host
//! decides when, and remembers what was promised; it says so on the kernel's command line.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use anyhow::{Context, Result, ensure};
use onggi_sys::seccomp::Instruction;
use onggi_testkit::{
    Binaries, Daemon, DaemonOptions, Entry, Image, LIMIT, Layer, Metered, Subject, wait_until,
};
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The disk that forgets.
const DISK: &str = "/dev/vdb";
/// Bytes of each layer.
const LAYER: usize = 2 << 20;
/// What the launcher is told to run.
const LAUNCH: &str = "ONGGI_POWER_LAUNCH";

/// What the host wants, from the kernel's command line.
#[derive(Debug)]
struct Order {
    /// The newest image that was promised.
    promised: Option<u64>,
    /// Only look.
    prove: bool,
    /// The daemon's syncs do nothing: the host must see that something is lost.
    without_syncs: bool,
}

impl Order {
    fn read() -> Result<Option<Self>> {
        let line = std::fs::read_to_string("/proc/cmdline")?;
        let value = |key: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        };
        let Some(mode) = value("onggi.power") else {
            return Ok(None);
        };
        Ok(Some(Self {
            promised: value("onggi.promised").and_then(|text| text.parse().ok()),
            prove: mode == "prove",
            without_syncs: value("onggi.syncs") == Some("no"),
        }))
    }
}

/// Not by `println`, which the test harness keeps to itself.
fn say(text: &str) {
    // A console that is gone hears nothing.
    let _ = writeln!(std::io::stdout(), "\nonggi-power {text}");
}

/// Image `number`: a layer that all have, and one of its own.
fn image(number: u64) -> Result<Image> {
    let mut layers = Vec::new();
    for seed in [1_000_000, number] {
        let mut state = seed * 2 + 1;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        let mut entries = vec![Entry::File(
            format!("noise{seed}"),
            0o644,
            noise.take(LAYER).collect(),
        )];
        for file in 0..50 {
            let text = format!("{seed} {file}\n").repeat(50);
            entries.push(Entry::File(
                format!("{seed}-{file}"),
                0o600,
                text.into_bytes(),
            ));
        }
        layers.push(Layer::new(&entries)?);
    }
    Ok(Image::new(layers))
}

#[test]
fn boot() -> Result<()> {
    if let Some(arguments) = std::env::var_os(LAUNCH) {
        return launch(arguments.to_str().context("arguments")?);
    }
    let order = match Order::read()? {
        Some(order) if Subject::from_env()? == Subject::Onggi => order,
        _ => {
            eprintln!("skipped: cargo xtask vm --power-cuts runs it");
            return Ok(());
        }
    };
    let told = run(&order);
    if let Err(error) = &told {
        say(&format!("DEFECT {error:#}"));
    }
    told
}

fn run(order: &Order) -> Result<()> {
    say("booted");
    let mut daemon = start(order)?;
    daemon.stop()?;
    let data = daemon.data_root();
    wait_until("the disk", LIMIT, || Path::new(DISK).exists().then_some(()))?;
    let mounted = Command::new("mount")
        .args(["-t", "ext4", DISK])
        .arg(&data)
        .status()?;
    ensure!(mounted.success(), "mount the disk: {mounted}");
    say("mounted");
    daemon.run()?;
    let answer = daemon.get("/system/check")?.ok()?.json()?;
    let defects = answer["Defects"].as_array().context("Defects")?;
    ensure!(defects.is_empty(), "{answer}");
    let registry = Metered::start(daemon.namespace(), |_, _| true)?;
    let tag = |number: u64| format!("{}/app{number}", registry.address());
    let list = daemon.get("/images/json")?.ok()?.text();
    if let Some(number) = order.promised {
        // The address is another one after each boot.
        ensure!(
            list.contains(&format!("/app{number}:latest")),
            "image {number} is lost: {list}"
        );
    }
    let trash = data.join("tmp/trash");
    wait_until("the trash to be emptied", LIMIT, || {
        (std::fs::read_dir(&trash).ok()?.count() == 0).then_some(())
    })?;
    say("clean");
    if order.prove {
        return daemon.stop().map(drop);
    }
    say("working");
    for number in order.promised.map_or(0, |number| number + 1).. {
        let size = registry.add(&format!("app{number}"), &image(number)?)?;
        let before = registry.sent();
        let path = format!("/images/create?fromImage={}&tag=latest", tag(number));
        let pulled = daemon.post(&path, &Value::Null)?.ok()?.text();
        ensure!(pulled.contains("Status: "), "{pulled}");
        say(&format!(
            "promised {number} fetched {} of {size}",
            registry.sent() - before
        ));
        // The disk is small, and removing is work too.
        for old in list_of(&daemon)? {
            if !old.ends_with(&format!("/app{number}:latest")) {
                daemon.delete(&format!("/images/{old}"))?.ok()?;
            }
        }
    }
    Ok(())
}

fn list_of(daemon: &Daemon) -> Result<Vec<String>> {
    let list = daemon.get("/images/json")?.ok()?.json()?;
    let tags = list.as_array().context("a list")?.iter();
    let tags = tags
        .filter_map(|image| image["RepoTags"].as_array())
        .flatten();
    Ok(tags
        .filter_map(|tag| tag.as_str().map(str::to_owned))
        .collect())
}

fn start(order: &Order) -> Result<Daemon> {
    let mut options = DaemonOptions::default();
    if order.without_syncs {
        // The daemon by way of the launcher, under the daemon's name.
        let folder = std::path::PathBuf::from("/tmp/launch");
        std::fs::create_dir_all(&folder)?;
        let onggid = Binaries::find()?.path("onggid");
        let own = std::env::current_exe()?;
        let script = format!(
            "#!/bin/sh\nexec env {LAUNCH}=\"{} $*\" {} --exact boot --nocapture\n",
            onggid.display(),
            own.display()
        );
        std::fs::write(folder.join("onggid"), script)?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.join("onggid"), mode)?;
        options.binaries = Some(Binaries::at(folder));
    }
    Daemon::start_with(options)
}

/// Runs a program whose syncs say that all is well, and do nothing.
fn launch(arguments: &str) -> Result<()> {
    // seccomp(2): the number of the call is the first word of the data; what is answered with errno 0 has worked.
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let instruction = |code, jt, jf, k| Instruction { code, jt, jf, k };
    // fsync, fdatasync, sync, sync_file_range, syncfs, msync on x86-64.
    let calls = [74_u32, 75, 162, 277, 306, 26];
    let mut program = vec![instruction(LOAD, 0, 0, 0)];
    for (at, call) in calls.iter().enumerate() {
        let to = u8::try_from(calls.len() - at)?;
        program.push(instruction(JUMP_IF_EQUAL, to, 0, *call));
    }
    program.push(instruction(RETURN, 0, 0, ALLOW));
    program.push(instruction(RETURN, 0, 0, ERRNO));
    onggi_sys::seccomp::load(&program, 0)?;
    let mut words = arguments.split(' ');
    let mut command = Command::new(words.next().context("a program")?);
    Err(command.args(words).env_remove(LAUNCH).exec()).context("start the daemon")
}

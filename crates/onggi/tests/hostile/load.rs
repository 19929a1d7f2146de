//! Logs without a line end, execs without end: what they take is bounded.

use crate::{daemon, descriptors, engine, field, inspect, monitor, run, serves_others, tier};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, LIMIT, wait_until};
use serde_json::{Value, json};

/// KiB that may come on top, whatever flows through: buffers, not contents.
const FLAT: u64 = 32 * 1024;

#[test]
fn a_line_that_never_ends_fills_neither_memory_nor_disk() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let size = tier(64 << 20, 2 << 30);
    let options = ["--log-opt", "max-size=1m", "--log-opt", "max-file=3"];
    // It stays when it is done, so that its monitor can be looked at.
    let script = format!("head -c {size} /dev/zero | tr '\\0' x; exec sleep 10000");
    let before = field(engine(&daemon)?, "VmHWM:").context("VmHWM")?;
    run(&daemon, "endless", &options, &script)?;
    let id = inspect(&daemon, "endless")?["Id"].take();
    let folder = daemon.data_root().join("containers");
    let folder = folder.join(id.as_str().context("Id")?);
    let logs = || -> Result<(u64, u64)> {
        let mut sizes = (0, 0);
        for entry in std::fs::read_dir(&folder)?.flatten() {
            if entry.file_name().to_string_lossy().contains("-json.log") {
                let size = entry.metadata().map_or(0, |meta| meta.len());
                sizes = (sizes.0 + size, sizes.1.max(size));
            }
        }
        Ok(sizes)
    };
    // Done when only the sleeper is left; the long tier has its time.
    wait_until("all of it to be written", LIMIT * 10, || {
        let (all, largest) = logs().ok()?;
        // A piece of 16 KiB may come on top of each file.
        assert!(all < 4 << 20 && largest < 2 << 20, "{all} bytes of logs");
        let top = daemon.get("/containers/endless/top").ok()?.json().ok()?;
        let processes = top["Processes"].as_array()?.len();
        (processes == 1).then_some(())
    })?;
    let peak = field(monitor(&daemon, "endless")?, "VmHWM:").context("VmHWM")?;
    ensure!(peak < FLAT, "the monitor took {peak} KiB");
    let after = field(engine(&daemon)?, "VmHWM:").context("VmHWM")?;
    ensure!(after < before + FLAT, "the daemon: {before} to {after} KiB");
    let tail = daemon.cli(&["logs", "--tail", "2", "endless"])?;
    ensure!(
        tail.ok()?.trim_end().bytes().all(|byte| byte == b'x') && tail.stdout.len() > 16_000,
        "{} bytes",
        tail.stdout.len()
    );
    daemon.clean()
}

/// Makes and runs `true`; its id.
fn exec(api: &Api) -> Result<String> {
    let body = json!({"Cmd": ["true"], "AttachStdout": true});
    let made = api.post("/containers/busy/exec", &body)?.ok()?.json()?;
    let id = made["Id"].as_str().context("Id")?.to_owned();
    let body = json!({"Detach": false, "Tty": false});
    api.post(&format!("/exec/{id}/start"), &body)?.ok()?;
    Ok(id)
}

#[test]
fn a_storm_of_execs_leaves_nothing_behind() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    run(&daemon, "busy", &[], "exec sleep 10000")?;
    let (api, processes) = (daemon.api(), [engine(&daemon)?, monitor(&daemon, "busy")?]);
    let first = exec(&api)?;
    let counts =
        || -> Result<[usize; 2]> { Ok([descriptors(processes[0])?, descriptors(processes[1])?]) };
    let mut before = counts()?;
    wait_until("the first to be over", LIMIT, || {
        let now = counts().ok()?;
        let quiet = now == before;
        before = now;
        quiet.then_some(())
    })?;
    let count = tier(50, 1_100);
    let last = std::thread::scope(|scope| -> Result<String> {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let api = daemon.api();
                scope.spawn(move || -> Result<String> {
                    let mut last = String::new();
                    for _ in 0..count.div_ceil(8) {
                        last = exec(&api)?;
                    }
                    Ok(last)
                })
            })
            .collect();
        let mut last = String::new();
        for worker in workers {
            last = worker.join().map_err(|_| anyhow::anyhow!("a panic"))??;
        }
        Ok(last)
    })?;
    wait_until("descriptors to be closed", LIMIT, || {
        let now = counts().ok()?;
        (now[0] <= before[0] && now[1] <= before[1]).then_some(())
    })
    .with_context(|| format!("{before:?} before, {:?} now", counts()))?;
    wait_until("none to be listed", LIMIT, || {
        let ids = inspect(&daemon, "busy").ok()?["ExecIDs"].take();
        (ids == Value::Null).then_some(())
    })?;
    let exit = daemon.get(&format!("/exec/{last}/json"))?.ok()?.json()?;
    ensure!(exit["ExitCode"] == 0 && exit["Running"] == false, "{exit}");
    if count > 1_000 {
        ensure!(daemon.get(&format!("/exec/{first}/json"))?.status == 404);
    }
    serves_others(&daemon)?;
    daemon.clean()
}

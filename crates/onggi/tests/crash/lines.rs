//! A container that logs numbered lines, 1,000 a second, and the proof that each of them is there once.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::fs;

/// Catches up with the clock ten lines at a time, until the file is there; then says how many there were.
const SCRIPT: &str = r#"
read now rest < /proc/uptime; begin=${now%.*}${now#*.}; i=0
while [ ! -e /control/stop ]; do
    read now rest < /proc/uptime; due=$(( (${now%.*}${now#*.} - begin) * 10 ))
    while [ $i -lt $due ]; do echo "line $i"; i=$((i + 1)); done
    usleep 5000
done
echo "end $i""#;

/// The container.
pub(crate) struct Lines {
    pub(crate) id: String,
}

impl Lines {
    /// Starts it; `control` is a folder of the test.
    pub(crate) fn start(daemon: &Daemon, control: &str) -> Result<Self> {
        let id = daemon.run_container(&json!({
            "Image": "busybox", "Cmd": ["sh", "-c", SCRIPT], "HostConfig": {"Binds": [format!("{control}:/control")]},
        }))?;
        Ok(Self { id })
    }

    /// After the file is there: waits for the end, and compares the file and what `logs` says with what must be.
    pub(crate) fn check(&self, daemon: &Daemon) -> Result<u64> {
        let state = wait_until("the logging container to end", LIMIT, || {
            let answer = daemon
                .get(&format!("/containers/{}/json", self.id))
                .ok()?
                .json()
                .ok()?;
            (answer["State"]["Status"] == "exited").then_some(answer)
        })?;
        ensure!(state["State"]["ExitCode"] == 0, "{}", state["State"]);
        let path = state["LogPath"].as_str().context("LogPath")?;
        let rows = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        let mut file = String::new();
        for row in rows.lines() {
            let row: Value = serde_json::from_str(row).with_context(|| format!("row {row:?}"))?;
            ensure!(row["stream"] == "stdout", "{row}");
            file.push_str(row["log"].as_str().context("log")?);
        }
        let count = complete(&file).context("the file")?;
        let told = daemon.cli(&["logs", &self.id])?;
        ensure!(
            complete(told.ok()?).context("logs")? == count,
            "file and logs differ"
        );
        Ok(count)
    }
}

/// Every line from 0 on once and in order, then `end` and their number.
fn complete(text: &str) -> Result<u64> {
    let mut count = 0;
    let mut lines = text.lines();
    for line in lines.by_ref() {
        if line != format!("line {count}") {
            ensure!(
                line == format!("end {count}"),
                "{line:?} where line {count} has to be"
            );
            break;
        }
        count += 1;
    }
    ensure!(lines.next().is_none(), "something after the end");
    ensure!(
        text.trim_end().ends_with(&format!("end {count}")),
        "no end after line {count}"
    );
    Ok(count)
}

//! What listeners are told about a container's life, in which order. The same on dockerd (`ONGGI_SUBJECT=dockerd`).

use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// `TYPE ACTION`, or `TYPE ACTION SIGNAL`, of all there was.
fn told(daemon: &Daemon, since: &str) -> Result<Vec<String>> {
    let until = now()?;
    let answer = daemon.get(&format!("/events?since={since}&until={until}"))?;
    let mut told = Vec::new();
    for line in answer.ok()?.text().lines() {
        let event: Value = serde_json::from_str(line)?;
        let mut words = vec![
            event["Type"].as_str().context("Type")?,
            event["Action"].as_str().context("Action")?,
        ];
        words.extend(event["Actor"]["Attributes"]["signal"].as_str());
        told.push(words.join(" "));
    }
    Ok(told)
}

/// Seconds with a fraction, as the API takes them.
fn now() -> Result<String> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("{}.{:09}", time.as_secs(), time.subsec_nanos()))
}

#[test]
fn a_life_with_its_network_and_signals() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let since = now()?;
    let script = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done";
    daemon
        .cli(&["run", "-d", "--name", "pot", "busybox", "sh", "-c", script])?
        .ok()?;
    daemon.cli(&["restart", "pot"])?.ok()?;
    daemon.cli(&["stop", "pot"])?.ok()?;
    daemon.cli(&["rm", "pot"])?.ok()?;
    daemon
        .cli(&["run", "--rm", "--network", "host", "busybox", "true"])?
        .ok()?;
    let told = told(&daemon, &since)?;
    let stop = [
        "container kill 15",
        "container die",
        "network disconnect",
        "container stop",
    ];
    let start = ["network connect", "container start"];
    let mut wanted = vec!["container create"];
    wanted.extend(start);
    wanted.extend(stop);
    wanted.extend(start);
    wanted.push("container restart");
    wanted.extend(stop);
    wanted.extend(["container destroy", "container create", "container attach"]);
    wanted.extend(start);
    wanted.extend(["container die", "network disconnect", "container destroy"]);
    ensure!(told == wanted, "{told:#?}");
    daemon.clean()
}

//! Many containers at once: all of them are there, each is itself, nothing is left, and the daemon stays small.
//!
//! How long it takes is not asked here: that is what benchmarks are for.

#![expect(
    clippy::print_stderr,
    reason = "a test that measures says what it found"
)]

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Clients that work at the same time.
const AT_ONCE: usize = 8;

/// How many containers: more in the full tier.
fn many() -> usize {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => 200,
        None => 24,
    }
}

/// Does `work` for each number below `count`, [`AT_ONCE`] at a time; the first failure counts.
fn each<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let turns = || -> Result<Vec<(usize, T)>> {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(done);
            }
            let result = work(number).with_context(|| format!("number {number}"))?;
            done.push((number, result));
        }
    };
    let mut results = thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(turns)).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().expect("a client panicked")?);
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Waits for SIGTERM and leaves with a number of its own.
fn leaver(number: usize) -> Value {
    let script = format!(
        "trap 'exit {}' TERM; echo I am {number}; while true; do sleep 1000 & wait $!; done",
        number % 100
    );
    json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script],
        "Labels": {"number": number.to_string()},
    })
}

fn start(daemon: &Daemon, prefix: &str, number: usize) -> Result<String> {
    let path = format!("/containers/create?name={prefix}{number}");
    let created = daemon.post(&path, &leaver(number))?.ok()?.json()?;
    let id = created["Id"].as_str().context("Id")?.to_owned();
    daemon
        .post(&format!("/containers/{id}/start"), &Value::Null)?
        .ok()?;
    Ok(id)
}

fn inspect(daemon: &Daemon, id: &str) -> Result<Value> {
    daemon.get(&format!("/containers/{id}/json"))?.ok()?.json()
}

fn list(daemon: &Daemon) -> Result<Vec<Value>> {
    let list = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    Ok(list.as_array().context("a list")?.clone())
}

/// KiB of the daemon's memory that are its own.
fn memory(daemon: &Daemon) -> Result<u64> {
    let pid = daemon.pid().context("the daemon runs")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("RssAnon")?.parse()?)
}

/// Each is itself: its own state, process, address, output and numbers.
fn check(daemon: &Daemon, ids: &[String]) -> Result<()> {
    let documents = each(ids.len(), |number| inspect(daemon, &ids[number]))?;
    let mut addresses = BTreeSet::new();
    let mut pids = BTreeSet::new();
    for (number, document) in documents.iter().enumerate() {
        ensure!(document["State"]["Status"] == "running", "{document}");
        ensure!(
            document["Config"]["Labels"]["number"].as_str() == Some(&number.to_string()),
            "{document}"
        );
        let network = &document["NetworkSettings"]["Networks"]["bridge"];
        let address = network["IPAddress"].as_str().context("IPAddress")?;
        ensure!(addresses.insert(address.to_owned()), "{address} twice");
        let pid = document["State"]["Pid"].as_u64().context("Pid")?;
        ensure!(pids.insert(pid), "pid {pid} twice");
    }
    let listed = list(daemon)?;
    let by_id: HashMap<_, _> = listed
        .iter()
        .filter_map(|summary| Some((summary["Id"].as_str()?, summary)))
        .collect();
    for (number, id) in ids.iter().enumerate() {
        let summary = by_id.get(id.as_str()).context("not in the list")?;
        ensure!(
            summary["State"] == "running" && summary["Names"] == json!([format!("/c{number}")]),
            "{summary}"
        );
    }
    each(ids.len(), |number| {
        let id = &ids[number];
        let path = format!("/containers/{id}/stats?stream=false");
        let stats = daemon.get(&path)?.ok()?.json()?;
        ensure!(
            stats["id"] == *id && stats["memory_stats"]["usage"].as_u64() > Some(0),
            "{stats}"
        );
        ensure!(stats["pids_stats"]["current"].as_u64() > Some(0), "{stats}");
        let logs = format!("/containers/{id}/logs?stdout=1");
        let wanted = format!("I am {number}\n");
        wait_until("its line in its log", LIMIT, || {
            let text = daemon.get(&logs).ok()?.ok().ok()?.text();
            text.ends_with(&wanted).then_some(())
        })
    })?;
    Ok(())
}

#[test]
fn many_at_once_and_nothing_left() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let count = many();
    // All threads, caches and pools are there before anything is measured.
    let warm = each(2 * AT_ONCE, |number| start(&daemon, "warm", number))?;
    each(warm.len(), |number| {
        let path = format!("/containers/{}?force=1", warm[number]);
        daemon.delete(&path)?.ok()
    })?;
    let before = memory(&daemon)?;

    let ids = each(count, |number| start(&daemon, "c", number))?;
    check(&daemon, &ids)?;
    let grown = memory(&daemon)?.saturating_sub(before);
    eprintln!("{count} containers: {grown} KiB more than {before} KiB");
    // What few containers cost drowns in what the allocator keeps for later.
    let slack = if count < 100 { 4096 } else { 0 };
    let allowed = 60 * count as u64 + slack;
    ensure!(
        Subject::from_env()? != Subject::Onggi || grown <= allowed,
        "{grown} KiB for {count} containers"
    );

    each(count, |number| {
        let path = format!("/containers/{}/stop?t=60", ids[number]);
        daemon.post(&path, &Value::Null)?.ok()
    })?;
    let ended = each(count, |number| inspect(&daemon, &ids[number]))?;
    for (number, document) in ended.iter().enumerate() {
        let state = &document["State"];
        ensure!(
            state["Status"] == "exited" && state["ExitCode"] == number % 100,
            "{document}"
        );
    }
    each(count, |number| {
        daemon.delete(&format!("/containers/{}", ids[number]))?.ok()
    })?;
    ensure!(list(&daemon)?.is_empty(), "{:?}", list(&daemon)?);
    daemon.clean()
}

#[test]
fn the_command_line_starts_and_removes_many() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let count = many() / 2;
    let ids = each(count, |_| {
        let started = daemon.cli(&["run", "-d", "busybox", "sleep", "1000"])?;
        Ok(started.ok()?.to_owned())
    })?;
    let listed = daemon.cli(&["ps", "-q", "--no-trunc"])?;
    let listed: BTreeSet<_> = listed.ok()?.lines().map(str::to_owned).collect();
    ensure!(
        listed == ids.iter().cloned().collect::<BTreeSet<_>>(),
        "{listed:?}"
    );
    let stats = daemon.cli(&["stats", "--no-stream", "--format", "{{.ID}} {{.PIDs}}"])?;
    let stats = stats.ok()?;
    ensure!(stats.lines().count() == count, "{stats}");
    ensure!(stats.lines().all(|line| line.ends_with(" 1")), "{stats}");
    let mut arguments = vec!["rm", "-f"];
    arguments.extend(ids.iter().map(String::as_str));
    let removed = daemon.cli(&arguments)?;
    ensure!(removed.ok()?.lines().count() == count, "{removed:?}");
    daemon.clean()
}

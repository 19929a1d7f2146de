//! The life of containers and its observation: pause, top, stats, update, prune, health, restart policies, and what a
//! restart of the daemon makes of them.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod daemon; // the daemon dies, or stops
mod health; // health checks
mod memory; // the kernel's memory killer
mod observe; // top, stats, df, events, wait
mod pause; // pause and unpause, and reads of a frozen container
mod policy; // the table of restart policies
mod update; // update, prune, rename

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Response, Subject, wait_until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A daemon with busybox.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// Makes and starts a container by name.
fn run(daemon: &Daemon, name: &str, body: &Value) -> Result<String> {
    let path = format!("/containers/create?name={name}");
    let created = daemon.post(&path, body)?.ok()?.json()?;
    act(daemon, name, "start")?.ok()?;
    Ok(created["Id"].as_str().context("Id")?.to_owned())
}

/// A container that sleeps.
fn sleeper(daemon: &Daemon, name: &str) -> Result<String> {
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"]});
    run(daemon, name, &body)
}

/// `POST /containers/NAME/VERB`.
fn act(daemon: &Daemon, name: &str, verb: &str) -> Result<Response> {
    daemon.post(&format!("/containers/{name}/{verb}"), &Value::Null)
}

fn inspect(daemon: &Daemon, name: &str) -> Result<Value> {
    daemon
        .get(&format!("/containers/{name}/json"))?
        .ok()?
        .json()
}

/// A control file of a container's group: by controller on cgroup v1, by name alone on v2.
fn control_file(
    daemon: &Daemon,
    name: &str,
    (controller, v1): (&str, &str),
    v2: &str,
) -> Result<PathBuf> {
    let id = inspect(daemon, name)?["Id"]
        .as_str()
        .context("Id")?
        .to_owned();
    let parent = match daemon.subject() {
        Subject::Onggi => "onggi",
        Subject::Dockerd => "docker",
    };
    let root = Path::new("/sys/fs/cgroup");
    let paths = [
        root.join(controller).join(parent).join(&id).join(v1),
        root.join(parent).join(&id).join(v2),
    ];
    let found = paths.into_iter().find(|path| path.exists());
    found.with_context(|| format!("no {v1} and no {v2}"))
}

/// Waits until `inspect` says something.
fn wait_for(
    daemon: &Daemon,
    name: &str,
    what: &str,
    fits: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    wait_until(what, LIMIT, || {
        last = inspect(daemon, name).ok()?;
        fits(&last).then(|| last.clone())
    })
    .with_context(|| format!("{name}: {} {}", last["State"], last["RestartCount"]))
}

/// Whether an answer failed with this status and a message that says so.
fn refused(answer: &Response, status: u16, text: &str) -> Result<()> {
    let said = answer.text();
    ensure!(
        answer.status == status,
        "{} not {status}: {said}",
        answer.status
    );
    ensure!(said.contains(text), "{said:?} does not say {text:?}");
    Ok(())
}

/// Whether onggi is the subject; says what dockerd 20.10 does otherwise.
fn ours(how: &str) -> Result<bool> {
    let ours = Subject::from_env()? == Subject::Onggi;
    if !ours {
        eprintln!("skipped: dockerd {how}");
    }
    Ok(ours)
}

//! Log drivers and options, with peers that live, die, come late and read slowly.

mod options; // rotation, compression, attributes
mod peers; // formats over every kind of socket
mod weather; // dead peers, slow peers, killed daemons

use anyhow::{Context, Result};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

/// A daemon with busybox. `None` where dockerd is the subject: its drivers lose lines on days like these.
fn daemon() -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        return Ok(None);
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

/// Starts a container that runs a script, with this log.
fn run(daemon: &Daemon, name: &str, script: &str, driver: &str, options: &Value) -> Result<()> {
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script],
        "HostConfig": {"LogConfig": {"Type": driver, "Config": options}},
    });
    let path = format!("/containers/create?name={name}");
    daemon.post(&path, &body)?.ok()?;
    let path = format!("/containers/{name}/start");
    daemon.post(&path, &Value::Null)?.ok()?;
    Ok(())
}

fn wait(daemon: &Daemon, name: &str) -> Result<()> {
    let path = format!("/containers/{name}/json");
    wait_until("the container to end", LIMIT, || {
        let state = daemon.get(&path).ok()?.json().ok()?["State"].take();
        (state["Status"] == "exited").then_some(())
    })
}

/// The lines that `logs` gives.
fn logs(daemon: &Daemon, name: &str) -> Result<Vec<String>> {
    let said = daemon.cli(&["logs", name])?;
    Ok(said.ok()?.lines().map(str::to_owned).collect())
}

/// Everything that comes in on a stream socket, over any number of connections.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<u8>>>);

impl Received {
    fn take_all(&self, mut stream: impl Read) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend_from_slice(&buffer[..count]);
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What follows the head of each line that has one: the lines of the container.
    fn lines(&self) -> Vec<String> {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(|line| line.split_once("]: "));
        lines.map(|(_, line)| line.to_owned()).collect()
    }
}

/// A listener in the daemon's network, on this port.
fn listen(daemon: &Daemon, port: u16) -> Result<TcpListener> {
    let bind = || TcpListener::bind(("127.0.0.1", port));
    daemon.namespace().run(bind)?.context("listen")
}

/// Takes everything that comes.
fn accept(listener: TcpListener) -> Received {
    let received = Received::default();
    let all = received.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let all = all.clone();
            std::thread::spawn(move || all.take_all(stream));
        }
    });
    received
}

/// Waits until all lines of `numbers` are there, in order, each once.
fn expect_numbers(received: &Received, count: usize) -> Result<()> {
    let wanted: Vec<_> = (1..=count).map(|n| format!("line {n}")).collect();
    let mut last = Vec::new();
    wait_until("all lines to come", LIMIT * 2, || {
        last = received.lines();
        (last.len() >= count).then_some(())
    })
    .with_context(|| format!("{} of {count} came, last {:?}", last.len(), last.last()))?;
    let wrong = last.iter().zip(&wanted).position(|(a, b)| a != b);
    anyhow::ensure!(
        last.len() == count && wrong.is_none(),
        "{} instead of {count} lines; the first wrong one: {:?}",
        last.len(),
        wrong.map(|at| &last[at.saturating_sub(2)..(at + 3).min(last.len())])
    );
    Ok(())
}

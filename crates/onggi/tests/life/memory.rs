//! The kernel's memory killer takes a process of a container, and the container runs on.

use super::{act, daemon, inspect, run, wait_for};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::json;

/// Each file `go` makes it take more memory than there is; `gone` says that this ended.
const SCRIPT: &str = "for n in 1 2; do until [ -e /shared/go$n ]; do sleep 0.05; done; tail /dev/zero; touch /shared/gone$n; done; sleep 1000";

#[test]
fn a_kill_is_told_while_the_container_lives() -> Result<()> {
    let mut daemon = daemon()?;
    let shared = daemon.path("shared");
    std::fs::create_dir_all(&shared)?;
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", SCRIPT],
        "HostConfig": {
            "Binds": [format!("{}:/shared", shared.display())],
            "Memory": 16 << 20, "MemorySwap": 16 << 20,
        },
    });
    run(&daemon, "box", &body)?;
    ensure!(inspect(&daemon, "box")?["State"]["OOMKilled"] == false);
    std::fs::write(shared.join("go1"), "")?;
    let told = |state: &serde_json::Value| {
        state["State"]["OOMKilled"] == true && state["State"]["Running"] == true
    };
    until_told(&daemon)?;
    // Docker 20.10 says so at the end alone.
    if daemon.subject() == Subject::Onggi {
        wait_for(&daemon, "box", "the first kill", told)?;
    }

    // What happens while no daemon is there is told to the next one.
    if daemon.subject() == Subject::Onggi {
        daemon.kill()?;
        std::fs::write(shared.join("go2"), "")?;
        let gone = shared.join("gone2");
        wait_until("the second kill", LIMIT, || gone.exists().then_some(()))?;
        daemon.run()?;
        until_told(&daemon)?;
        wait_for(&daemon, "box", "its state", told)?;
    }
    act(&daemon, "box", "stop?t=0")?.ok()?;
    ensure!(inspect(&daemon, "box")?["State"]["OOMKilled"] == true);
    daemon.clean()
}

fn until_told(daemon: &Daemon) -> Result<()> {
    let asked = ["events", "--since", "10m", "--until", "0s", "--filter"];
    wait_until("the event", LIMIT, || {
        let events = daemon.cli(&[&asked[..], &["event=oom"]].concat()).ok()?;
        events.stdout.contains(" oom ").then_some(())
    })
}

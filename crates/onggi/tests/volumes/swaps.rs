//! A container that runs swaps a directory of its volume for a link to the host, over and over, while others mount things
//! there and fill it: nothing reaches the host.

use crate::{daemon, is_dockerd};
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// Where the link leads: a folder of the host that stays empty.
fn swapper(daemon: &Daemon) -> Result<PathBuf> {
    let host = daemon.path("host");
    fs::create_dir_all(host.join("there"))?;
    let up = format!("../../../../../../../../../../..{}", host.display());
    let script = format!(
        "mkdir -p /v/real/there; ln -s {up} /v/link; touch /v/ready; \
         while :; do mv /v/real /v/sub; mv /v/sub /v/real; mv /v/link /v/sub; mv /v/sub /v/link; done"
    );
    let arguments = [
        "run", "-d", "--name", "swapper", "-v", "data:/v", "busybox", "sh", "-c", &script,
    ];
    daemon.cli(&arguments)?.ok()?;
    let ready = daemon.data_root().join("volumes/data/_data/ready");
    wait_until("the swapper to swap", LIMIT, || {
        ready.exists().then_some(())
    })?;
    Ok(host)
}

fn untouched(host: &PathBuf, what: &str) -> Result<()> {
    let outer = fs::read_dir(host)?.count();
    let inner = fs::read_dir(host.join("there"))?.count();
    ensure!(
        (outer, inner) == (1, 0),
        "{what}: something came to {}",
        host.display()
    );
    Ok(())
}

#[test]
fn mount_points_in_a_volume() -> Result<()> {
    let daemon = daemon()?;
    let host = swapper(&daemon)?;
    let other = daemon.path("other");
    fs::create_dir(&other)?;
    let touch = "touch /v/sub/x /v/sub/there/x /v/sub/new/deep/x 2>/dev/null; true";
    for round in 0..8 {
        for (what, more) in [
            (
                "a volume",
                json!({"Binds": ["data:/v", "inner:/v/sub/new/deep"]}),
            ),
            (
                "a volume",
                json!({"Binds": ["data:/v", "inner:/v/sub/there"]}),
            ),
            (
                "a bind",
                json!({"Binds": ["data:/v", format!("{}:/v/sub", other.display())]}),
            ),
            (
                "a tmpfs",
                json!({"Binds": ["data:/v"], "Tmpfs": {"/v/sub/there": "size=1m"}}),
            ),
        ] {
            let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", touch], "HostConfig": more});
            // It may fail: then what was to be mounted there was in the wrong moment.
            if let Ok(id) = daemon.run_container(&body) {
                daemon.cli(&["wait", &id])?;
            }
            untouched(&host, &format!("{what}, {round}"))?;
        }
    }
    daemon.clean()
}

#[test]
fn what_fills_a_volume() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "20.10 has no subpaths") {
        return Ok(());
    }
    let host = swapper(&daemon)?;
    for subpath in ["sub", "sub/there"] {
        for _ in 0..20 {
            let body = json!({"Image": "busybox", "HostConfig": {"Mounts": [
                {"Type": "volume", "Source": "data", "Target": "/etc", "VolumeOptions": {"Subpath": subpath}}]}});
            let answer = daemon.post("/containers/create", &body)?;
            ensure!(
                answer.status == 201 || answer.status == 400,
                "{}",
                answer.text()
            );
            untouched(&host, subpath)?;
        }
    }
    // An archive neither.
    let tar = onggi_testkit::Layer::new(&[onggi_testkit::Entry::File(
        "sub/there/x".to_owned(),
        0o644,
        Vec::new(),
    )])?;
    let output = daemon.cli_with_input(&["volume", "import", "data"], tar.tar())?;
    ensure!(output.stderr.contains("not empty"), "{output:?}");
    untouched(&host, "an import")?;
    daemon.post("/containers/prune", &Value::Null)?.ok()?;
    daemon.clean()
}

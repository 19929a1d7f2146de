//! The root of a container as programs find it, whatever is mounted into it.

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;
use serde_json::json;

#[test]
fn what_every_container_has() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let show = "readlink /etc/mtab; stat -c '%a %s' /.dockerenv; grep -c localhost /etc/hosts; pwd";
    let sees = |flags: &[&str], expected: &str| -> Result<()> {
        let run = [&["run", "--rm"], flags, &["busybox", "sh", "-c", show]].concat();
        let output = daemon.cli(&run)?;
        ensure!(output.ok()? == expected, "{flags:?}: {output:?}");
        Ok(())
    };
    sees(&[], "/proc/mounts\n755 0\n2\n/")?;
    // Its own files lie on what is mounted above them; a new volume takes them from the root.
    sees(&["-v", "settings:/etc"], "/proc/mounts\n755 0\n2\n/")?;
    sees(&["--tmpfs", "/etc"], "755 0\n2\n/")?;
    // A working directory is made before the root is sealed.
    sees(
        &["--read-only", "-w", "/made/for/it"],
        "/proc/mounts\n755 0\n2\n/made/for/it",
    )?;
    // None of it is a change.
    daemon
        .cli(&["run", "--name", "same", "busybox", "true"])?
        .ok()?;
    let changes = daemon.cli(&["diff", "same"])?;
    ensure!(changes.ok()?.is_empty(), "{changes:?}");
    daemon.clean()
}

#[test]
fn much_is_said_of_a_container() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let long = "x".repeat(10 << 20);
    let body = json!({"Image": "busybox", "Labels": {"long": long}});
    let answer = daemon.post("/containers/create?name=long", &body)?;
    ensure!(answer.status == 201, "{}", answer.status);
    let found = daemon.get("/containers/long/json")?.json()?;
    ensure!(found["Config"]["Labels"]["long"].as_str() == Some(long.as_str()));
    daemon.clean()
}

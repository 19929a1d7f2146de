//! `exec` and its flags.

use crate::{daemon, is_dockerd};
use anyhow::{Context, Result, ensure};
use onggi_testkit::Daemon;
use serde_json::{Value, json};

fn with_pot(flags: &[&str]) -> Result<Daemon> {
    let daemon = daemon()?;
    let run = [
        &["run", "-d", "--name", "pot"],
        flags,
        &["busybox", "sleep", "1000"],
    ];
    daemon.cli(&run.concat())?.ok()?;
    Ok(daemon)
}

#[test]
fn each_flag_has_its_effect() -> Result<()> {
    let daemon = with_pot(&["-e", "OWN=1", "-w", "/usr"])?;
    let file = daemon.path("variables");
    std::fs::write(&file, "FILE=read\n")?;
    let file = file.display().to_string();
    for (flags, script, expected) in [
        (&[][..], "echo $OWN; pwd; id -u", "1\n/usr\n0"),
        (
            &["-e", "OWN=2", "--env", "MORE=3"],
            "echo $OWN $MORE",
            "2 3",
        ),
        (&["--env-file", &file], "echo $FILE", "read"),
        (&["-w", "/etc"], "pwd", "/etc"),
        (&["-u", "1234:4321"], "id -u; id -g", "1234\n4321"),
        (
            &["--user", "nobody"],
            "id -un; grep CapEff /proc/self/status | cut -f2",
            "nobody\n0000000000000000",
        ),
        (
            &[],
            "grep CapEff /proc/self/status | cut -f2",
            "00000000a80425fb",
        ),
        (&[], "grep Seccomp: /proc/self/status | cut -f2", "2"),
    ] {
        let output = daemon.cli(&[&["exec"], flags, &["pot", "sh", "-c", script]].concat())?;
        ensure!(output.ok()? == expected, "{flags:?} {script}: {output:?}");
    }
    let output = daemon.cli_with_input(&["exec", "-i", "pot", "cat"], b"in")?;
    ensure!(output.ok()? == "in", "{output:?}");
    let output = daemon.cli(&["exec", "pot", "cat"])?;
    ensure!(
        output.ok()?.is_empty(),
        "without -i there is nothing to read: {output:?}"
    );
    let output = daemon.cli(&["exec", "-t", "pot", "tty"])?;
    ensure!(output.ok()?.trim() == "/dev/pts/0", "{output:?}");
    let output = daemon.cli(&["exec", "pot", "sh", "-c", "echo a; echo b >&2; exit 5"])?;
    ensure!(
        (output.code, &*output.stdout, &*output.stderr) == (5, "a\n", "b\n"),
        "{output:?}"
    );
    let output = daemon.cli(&["exec", "-d", "pot", "touch", "/tmp/detached"])?;
    ensure!(output.ok()?.is_empty(), "{output:?}");
    let waits = "until [ -e /tmp/detached ]; do sleep 0.1; done; echo there";
    ensure!(daemon.cli(&["exec", "pot", "sh", "-c", waits])?.ok()? == "there");
    let output = daemon.cli(&["exec", "--detach-keys", "nonsense", "-it", "pot", "true"])?;
    ensure!(output.code != 0, "{output:?}");
    daemon.clean()
}

#[test]
fn privileged_is_what_the_bounding_set_has() -> Result<()> {
    let daemon = with_pot(&[])?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let bounding = status.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    let bounding = bounding.context("CapBnd")?.trim();
    if is_dockerd(&daemon) && bounding != "000001ffffffffff" {
        return Ok(());
    }
    let script = "grep CapEff /proc/self/status | cut -f2";
    let output = daemon.cli(&["exec", "--privileged", "pot", "sh", "-c", script])?;
    ensure!(output.ok()? == bounding, "{output:?}");
    daemon.clean()
}

fn create(daemon: &Daemon, body: &Value) -> Result<onggi_testkit::Response> {
    daemon.post("/containers/pot/exec", body)
}

#[test]
fn states_in_which_there_is_none() -> Result<()> {
    let daemon = with_pot(&[])?;
    let answer = create(&daemon, &json!({"Cmd": []}))?;
    ensure!(
        answer.status == 400 && answer.text().contains("No exec command specified"),
        "{}",
        answer.text()
    );
    ensure!(
        daemon
            .post("/containers/none/exec", &json!({"Cmd": ["true"]}))?
            .status
            == 404
    );
    ensure!(daemon.get("/exec/none/json")?.status == 404);
    let id = create(&daemon, &json!({"Cmd": ["true"]}))?.ok()?.json()?["Id"].clone();
    let id = id.as_str().context("Id")?;
    let before = daemon.get(&format!("/exec/{id}/json"))?.ok()?.json()?;
    ensure!(
        before["Running"] == json!(false) && before["ExitCode"].is_null(),
        "{before}"
    );
    let start = format!("/exec/{id}/start");
    daemon.post(&start, &json!({"Detach": true}))?.ok()?;
    ensure!(daemon.post(&start, &json!({"Detach": true}))?.status == 409);
    daemon
        .post("/containers/pot/stop?t=0", &Value::Null)?
        .ok()?;
    let answer = create(&daemon, &json!({"Cmd": ["true"]}))?;
    ensure!(
        answer.status == 409 && answer.text().contains("is not running"),
        "{}",
        answer.text()
    );
    if !is_dockerd(&daemon) {
        // What has ended can be asked about as long as the container is there.
        let after = daemon.get(&format!("/exec/{id}/json"))?.ok()?.json()?;
        ensure!(
            after["Running"] == json!(false) && !after["ExitCode"].is_null(),
            "{after}"
        );
    }
    daemon.delete("/containers/pot")?.ok()?;
    ensure!(daemon.get(&format!("/exec/{id}/json"))?.status == 404);
    daemon.clean()
}

#[test]
fn the_terminal_has_the_size_that_was_asked_for() -> Result<()> {
    let daemon = with_pot(&[])?;
    if is_dockerd(&daemon) {
        return Ok(()); // came with API 1.42
    }
    let body = json!({"Cmd": ["stty", "size"], "Tty": true, "AttachStdout": true, "ConsoleSize": [33, 77]});
    let id = create(&daemon, &body)?.ok()?.json()?["Id"].clone();
    let id = id.as_str().context("Id")?;
    let answer = daemon.post(
        &format!("/exec/{id}/start"),
        &json!({"Tty": true, "ConsoleSize": [33, 77]}),
    )?;
    ensure!(answer.text().contains("33 77"), "{}", answer.text());
    daemon.clean()
}

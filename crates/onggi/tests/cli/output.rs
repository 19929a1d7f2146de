//! What `config.json` says about output, and completion with names of the daemon.

use crate::{configure, ours};
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

#[test]
fn formats_and_proxies_come_from_the_configuration() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    configure(
        &daemon,
        r#"{"psFormat":"{{.Names}} is {{.State}}","imagesFormat":"{{.Repository}}","HttpHeaders":{"X-Meta":"a"},
            "proxies":{"default":{"httpProxy":"http://proxy:1","noProxy":"localhost"}}}"#,
    )?;
    daemon.cli(&["create", "--name", "one", "busybox"])?.ok()?;
    ensure!(daemon.cli(&["ps", "-a"])?.ok()? == "one is created");
    ensure!(daemon.cli(&["images"])?.ok()? == "busybox");
    ensure!(daemon.cli(&["ps", "-a", "--format", "{{.Names}}"])?.ok()? == "one");
    let environment = daemon.cli(&["run", "--rm", "-e", "HTTP_PROXY=mine", "busybox", "env"])?;
    let environment = environment.ok()?;
    for line in [
        "HTTP_PROXY=mine",
        "http_proxy=http://proxy:1",
        "no_proxy=localhost",
    ] {
        ensure!(
            environment.lines().any(|l| l == line),
            "{line}: {environment}"
        );
    }
    daemon.clean()
}

#[test]
fn names_of_the_daemon_complete() -> Result<()> {
    if !ours() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    daemon
        .cli(&["create", "--name", "apple", "busybox"])?
        .ok()?;
    daemon
        .cli(&["run", "-d", "--name", "pear", "busybox", "sleep", "1000"])?
        .ok()?;
    let complete = |words: &[&str]| -> Result<Vec<String>> {
        let words = [&["__complete", "--"][..], words].concat();
        let output = daemon.cli(&words)?;
        Ok(output.ok()?.lines().map(str::to_owned).collect())
    };
    ensure!(complete(&["rm", "a"])? == ["apple"]);
    ensure!(complete(&["exec", ""])? == ["pear"]);
    ensure!(complete(&["run", "busy"])? == ["busybox:latest"]);
    ensure!(complete(&["why", "p"])? == ["pear"]);
    ensure!(complete(&["--context", "def"])? == ["default"]);
    daemon.clean()
}

#[test]
fn disk_usage_counts_what_is_there() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    if daemon.get("/system/df")?.status == 501 {
        eprintln!("skipped: this daemon does not count yet");
        return daemon.clean();
    }
    daemon
        .cli(&[
            "run",
            "--name",
            "one",
            "busybox",
            "sh",
            "-c",
            "echo 12345 > /f",
        ])?
        .ok()?;
    let format = "{{.Type}} {{.TotalCount}} {{.Active}}";
    let output = daemon.cli(&["system", "df", "--format", format])?;
    ensure!(
        output.ok()?.starts_with("Images 1 1\nContainers 1 0\n"),
        "{output:?}"
    );
    daemon.clean()
}

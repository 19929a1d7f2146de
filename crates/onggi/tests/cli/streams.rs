//! Attached streams: signals that are passed on, keys that detach, exit codes.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Terminal, wait_until};
use rustix::process::Signal;

/// Tells what it gets, and ends with 9 at SIGTERM.
const LOUD: &str =
    "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.1; done";

#[test]
fn signals_go_to_the_container() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let mut process =
        daemon.cli_process(&["run", "--name", "loud", "busybox", "sh", "-c", LOUD])?;
    process.expect("ready")?;
    process.signal(Signal::USR1)?;
    process.expect("usr1")?;
    process.signal(Signal::TERM)?;
    let output = process.wait()?;
    ensure!(
        output.code == 9 && output.stdout == "ready\nusr1\nterm\n",
        "{output:?}"
    );
    daemon.clean()
}

#[test]
fn the_third_request_to_end_ends_the_client_alone() -> Result<()> {
    const DEAF: &str = "trap 'echo int' INT; echo ready; while :; do sleep 0.1; done";
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let mut process =
        daemon.cli_process(&["run", "--name", "deaf", "busybox", "sh", "-c", DEAF])?;
    process.expect("ready")?;
    for _ in 0..2 {
        let before = process.stdout().matches("int\n").count();
        process.signal(Signal::INT)?;
        wait_until("the signal", LIMIT, || {
            (process.stdout().matches("int\n").count() > before).then_some(())
        })?;
    }
    process.signal(Signal::INT)?;
    let output = process.wait()?;
    ensure!(
        output.code == 1
            && output
                .stderr
                .ends_with("\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"),
        "{output:?}"
    );
    let state = daemon.cli(&["inspect", "-f", "{{.State.Running}}", "deaf"])?;
    ensure!(state.ok()? == "true");
    daemon.clean()
}

#[test]
fn without_the_proxy_a_signal_ends_the_client_alone() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    daemon
        .cli(&["run", "-d", "--name", "loud", "busybox", "sh", "-c", LOUD])?
        .ok()?;
    let process = daemon.cli_process(&["attach", "--sig-proxy=false", "--no-stdin", "loud"])?;
    // It is attached when it shows what the container writes.
    wait_until("the attachment", LIMIT, || {
        daemon.cli(&["kill", "-s", "USR1", "loud"]).ok()?;
        process.stdout().contains("usr1").then_some(())
    })?;
    process.signal(Signal::TERM)?;
    process.wait()?;
    let state = daemon.cli(&["inspect", "-f", "{{.State.Running}}", "loud"])?;
    ensure!(state.ok()? == "true");
    daemon.clean()
}

#[test]
fn keys_detach_and_the_container_runs_on() -> Result<()> {
    if !Terminal::is_possible() {
        eprintln!("skipped: no tmux here");
        return Ok(());
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let command = daemon.cli_command(&[
        "run",
        "-it",
        "--name",
        "shell",
        "--detach-keys",
        "ctrl-a,d",
        "busybox",
        "sh",
        "-c",
        "echo ready; exec cat",
    ])?;
    let terminal = Terminal::start(daemon.namespace(), &command, 80, 24)?;
    terminal.expect("ready")?;
    terminal.press(&["C-a", "d"])?;
    ensure!(terminal.wait()? == 0);
    drop(terminal);
    let state = daemon.cli(&["inspect", "-f", "{{.State.Running}}", "shell"])?;
    ensure!(state.ok()? == "true");
    daemon.clean()
}

#[test]
fn a_reader_that_went_away_is_told_where_signals_are_caught() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    daemon
        .cli(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"])?
        .ok()?;
    let code = |words: &[&str]| -> Result<(i32, String)> {
        // The other end is closed before a word is written.
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let errors = tempfile::NamedTempFile::new()?;
        let mut command = daemon.cli_command(words)?;
        command
            .stdin(std::process::Stdio::null())
            .stdout(writer)
            .stderr(errors.reopen()?);
        let mut child = daemon.namespace().spawn(&mut command)?;
        let status = wait_until("the command to end", LIMIT, || child.try_wait().transpose())??;
        use std::os::unix::process::ExitStatusExt as _;
        let code = status
            .code()
            .or(status.signal().map(|s| 128 + s))
            .unwrap_or(-1);
        Ok((code, std::fs::read_to_string(errors.path())?))
    };
    let told = (1, "write /dev/stdout: broken pipe\n".to_owned());
    let silent = (141, String::new());
    ensure!(code(&["run", "--name", "one", "busybox", "yes"])? == told);
    daemon.cli(&["rm", "-f", "one"])?.ok()?;
    for words in [
        &["exec", "box", "yes"][..],
        &["ps"],
        &["images"],
        &["version"],
        &["inspect", "box"],
        &["cp", "box:/bin/busybox", "-"],
    ] {
        let seen = code(words)?;
        ensure!(seen == silent, "{words:?}: {seen:?}");
    }
    daemon.clean()
}

//! `compose up` with what the containers write.

use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, Output, Process};
use rustix::process::Signal;

use crate::{compose_in, write};

const STAY: &str = "trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.1; done";

fn shop(web: &str, db: &str) -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let web = serde_json::to_string(web)?.replace('$', "$$");
    let db = serde_json::to_string(db)?.replace('$', "$$");
    let file = format!(
        "name: shop\nservices:\n  web: {{image: busybox, command: [sh, -c, {web}], depends_on: [db]}}\n  db: {{image: busybox, command: [sh, -c, {db}]}}\n"
    );
    write(&daemon, "shop/compose.yaml", &file)?;
    Ok(daemon)
}

fn up(daemon: &Daemon, arguments: &[&str]) -> Result<Process> {
    let arguments = [&["compose", "up"], arguments].concat();
    let mut command = daemon.cli_command(&arguments)?;
    command.current_dir(daemon.path("shop"));
    Process::start(daemon.namespace(), &mut command)
}

fn down(daemon: Daemon) -> Result<()> {
    compose_in(&daemon, "shop", &["down", "-t", "0"])?.ok()?;
    daemon.clean()
}

fn running(daemon: &Daemon) -> Result<String> {
    Ok(compose_in(daemon, "shop", &["ps", "--services"])?
        .ok()?
        .to_owned())
}

#[test]
fn it_ends_with_the_last_container() -> Result<()> {
    let daemon = shop("echo from web; exit 2", "echo from db; echo bad >&2")?;
    let output: Output = up(&daemon, &[])?.wait()?;
    ensure!(output.code == 0, "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    ensure!(lines[0] == "Attaching to db-1, web-1", "{output:?}");
    for line in [
        "web-1  | from web",
        "db-1   | from db",
        "web-1 exited with code 2",
        "db-1 exited with code 0",
    ] {
        ensure!(lines.contains(&line), "{line}: {output:?}");
    }
    ensure!(output.stderr.contains("db-1   | bad\n"), "{output:?}");
    // Once more: the containers are there, and what they had written is not told again.
    let again = up(&daemon, &["--no-log-prefix", "--no-color"])?.wait()?;
    ensure!(again.stdout.matches("from web\n").count() == 1, "{again:?}");
    ensure!(!again.stdout.contains(" | "), "{again:?}");
    let stamped = up(
        &daemon,
        &["--timestamps", "--quiet-pull", "--quiet-build", "web"],
    )?
    .wait()?;
    let line = stamped
        .stdout
        .lines()
        .find(|line| line.ends_with("from web"));
    let time = line.unwrap_or_default().trim_start_matches("web-1  | ");
    ensure!(
        time.len() == "2026-01-01T00:00:00.000000000Z from web".len(),
        "{stamped:?}"
    );
    down(daemon)
}

#[test]
fn only_some_are_shown() -> Result<()> {
    let daemon = shop("echo from web", "echo from db")?;
    for (arguments, web, db) in [
        (&["--attach", "db"][..], false, true),
        (&["--no-attach", "db"], true, false),
        (&["web"], true, false),
        (&["--attach-dependencies", "web"], true, true),
    ] {
        let output = up(&daemon, &[&["--force-recreate"], arguments].concat())?.wait()?;
        let shows = |text: &str| output.stdout.contains(text);
        ensure!(
            shows("from web") == web && shows("from db") == db,
            "{arguments:?} {output:?}"
        );
    }
    down(daemon)
}

#[test]
fn one_container_can_end_it_all() -> Result<()> {
    let daemon = shop("exit 7", STAY)?;
    let output = up(&daemon, &["--abort-on-container-exit"])?.wait()?;
    ensure!(
        output.code == 7 && output.stderr.contains("Aborting on container exit"),
        "{output:?}"
    );
    ensure!(output.stdout.contains("db-1   | bye\n"), "{output:?}");
    ensure!(running(&daemon)?.is_empty());
    let output = up(&daemon, &["--abort-on-container-failure"])?.wait()?;
    ensure!(
        output.code == 7 && running(&daemon)?.is_empty(),
        "{output:?}"
    );
    let output = up(&daemon, &["--exit-code-from", "db"])?.wait()?;
    ensure!(
        output.code == 0 && running(&daemon)?.is_empty(),
        "{output:?}"
    );
    down(daemon)
}

#[test]
fn ctrl_c_stops_and_twice_kills() -> Result<()> {
    let daemon = shop(STAY, STAY)?;
    let mut once = up(&daemon, &[])?;
    once.expect("web-1  | here\n")?;
    once.expect("db-1   | here\n")?;
    once.signal(Signal::INT)?;
    let output = once.wait()?;
    ensure!(output.code == 130, "{output:?}");
    ensure!(
        output.stderr.contains("Gracefully stopping..."),
        "{output:?}"
    );
    ensure!(output.stdout.contains("web-1  | bye\n"), "{output:?}");
    ensure!(running(&daemon)?.is_empty());
    let deaf = shop(
        "trap 'echo deaf' TERM; echo here; while :; do sleep 0.1; done",
        "exit 0",
    )?;
    let mut twice = up(&deaf, &["--timeout", "10000"])?;
    twice.expect("web-1  | here\n")?;
    twice.signal(Signal::INT)?;
    twice.expect("web-1  | deaf\n")?;
    twice.signal(Signal::INT)?;
    let output = twice.wait()?;
    ensure!(
        output.code == 130 && output.stdout.contains("web-1 exited with code 137"),
        "{output:?}"
    );
    down(deaf)?;
    down(daemon)
}

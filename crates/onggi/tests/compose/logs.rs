//! `compose logs`.

use anyhow::{Result, ensure};
use onggi_testkit::Daemon;

use crate::{made, refused, shop};

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    made("web", 1).run(
        &daemon,
        &[],
        "echo one; echo two; echo bad >&2; printf half",
    )?;
    made("database", 1).run(&daemon, &["-t"], "echo up; echo down")?;
    daemon
        .cli(&["wait", "shop-web-1", "shop-database-1"])?
        .ok()?;
    Ok(daemon)
}

#[test]
fn lines_have_the_name_of_their_container() -> Result<()> {
    let daemon = daemon()?;
    let output = shop(&daemon, &["logs"])?;
    let wanted = "database-1  | up\ndatabase-1  | down\nweb-1       | one\nweb-1       | two\nweb-1       | half\n";
    ensure!(output.stdout == wanted, "{output:?}");
    ensure!(output.stderr == "web-1       | bad\n", "{output:?}");
    let said = |arguments: &[&str]| -> Result<String> {
        Ok(shop(&daemon, &[&["logs"], arguments].concat())?.stdout)
    };
    ensure!(said(&["--no-log-prefix", "database"])? == "up\r\ndown\r\n");
    ensure!(said(&["-n", "1", "database"])? == "database-1  | down\n");
    ensure!(said(&["--tail", "0"])?.is_empty());
    let stamped = said(&["--timestamps", "-n", "1", "database"])?;
    let time = stamped
        .trim_start_matches("database-1  | ")
        .split(' ')
        .next();
    let time = time.unwrap_or_default();
    ensure!(time.len() == 30 && time.ends_with('Z'), "{stamped}");
    ensure!(said(&["--until", "1h"])?.is_empty());
    ensure!(said(&["--since", "1h", "database"])? == "database-1  | up\ndatabase-1  | down\n");
    ensure!(said(&["--since", time, "database"])?.ends_with("database-1  | down\n"));
    ensure!(said(&["--since", "2200-01-01T00:00:00Z"])?.is_empty());
    ensure!(said(&["--index", "1", "database"])?.lines().count() == 2);
    refused(
        &shop(&daemon, &["logs", "--index", "2", "database"])?,
        "has no container #2",
    )?;
    refused(
        &shop(&daemon, &["logs", "--index", "2"])?,
        "name that service",
    )?;
    refused(
        &shop(&daemon, &["logs", "--since", "odd"])?,
        "invalid value for \"since\"",
    )?;
    refused(&shop(&daemon, &["logs", "nope"])?, "no such service: nope")?;
    let colours = |arguments: &[&str]| -> Result<String> {
        let all = [
            &["compose", "-p", "shop", "--ansi", "always", "logs", "web"],
            arguments,
        ]
        .concat();
        Ok(daemon.cli(&all)?.stdout)
    };
    ensure!(
        colours(&[])?.starts_with("\x1b[36mweb-1  |\x1b[0m one\n"),
        "{:?}",
        colours(&[])?
    );
    ensure!(colours(&["--no-color"])?.starts_with("web-1  | one\n"));
    daemon.clean()
}

#[test]
fn what_comes_is_followed_of_containers_that_start_later_too() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    // Each waits for a file that the test makes.
    let patient = "echo begin; until [ -e /go ]; do sleep 0.1; done; echo end";
    made("web", 1).run(&daemon, &[], patient)?;
    let mut logs = daemon.cli_process(&["compose", "-p", "shop", "logs", "--follow"])?;
    logs.expect("web-1  | begin\n")?;
    made("late", 1).run(&daemon, &[], patient)?;
    logs.expect("late-1  | begin\n")?;
    daemon.cli(&["exec", "shop-web-1", "touch", "/go"])?.ok()?;
    logs.expect("web-1   | end\n")?;
    // It is started again, and what it had written is not told twice.
    daemon.cli(&["wait", "shop-web-1"])?.ok()?;
    daemon.cli(&["start", "shop-web-1"])?.ok()?;
    logs.expect("web-1   | begin\nweb-1   | end\n")?;
    daemon.cli(&["exec", "shop-late-1", "touch", "/go"])?.ok()?;
    // Nobody runs any more.
    let output = logs.wait()?;
    output.ok()?;
    let count = |text: &str| output.stdout.matches(text).count();
    ensure!(
        count("web-1  | begin") + count("web-1   | begin") == 2,
        "{output:?}"
    );
    ensure!(
        count("| end") == 3 && count("late-1  | end") == 1,
        "{output:?}"
    );
    daemon.clean()
}

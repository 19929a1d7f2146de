//! Every field of create and exec, by its flag: seen from inside, or by `inspect`, or refused with its reason. The rows that
//! Docker 20.10 knows pass there too (`ONGGI_SUBJECT=dockerd`), which shows that the effects are Docker's.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod conflicts; // what cannot go together
mod events; // events beside Docker's
mod exec; // further processes
mod inspect; // the document beside Docker's
mod lists; // lists beside Docker's
mod root; // what every container has in its root
mod rows; // flag -> check
mod runtime; // other runtimes
mod shared; // namespaces of other containers
mod streams;
mod system; // info, version and stats beside Docker's // flags about streams, names and lives

use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, Output, Subject, workspace};
use rows::{Check, ROWS, Row};
use std::path::Path;

/// A daemon that has busybox.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn is_dockerd(daemon: &Daemon) -> bool {
    daemon.subject() == Subject::Dockerd
}

/// `run --rm FLAGS busybox sh -c SCRIPT`.
fn run(daemon: &Daemon, flags: &[&str], script: &str) -> Result<Output> {
    daemon.cli(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat())
}

/// What such a run prints; it has to succeed.
fn says(daemon: &Daemon, flags: &[&str], script: &str) -> Result<String> {
    let output = run(daemon, flags, script)?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| format!("{flags:?} {script}"))
}

/// A control file of the container, by its name in cgroup v1.
fn limit(controller: &str, file: &str) -> String {
    format!("cat /sys/fs/cgroup/{controller}/{file}")
}

fn is_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn check(daemon: &Daemon, row: &Row) -> Result<()> {
    const LOOP: &str = "/dev/loop0";
    if row.flags.iter().any(|flag| flag.starts_with(LOOP)) && !Path::new(LOOP).exists() {
        eprintln!("left out: {:?}, there is no such device", row.flags);
        return Ok(());
    }
    match row.check {
        Check::Says(script, expected) => {
            let found = says(daemon, row.flags, script)?;
            ensure!(found == expected, "{found:?} instead of {expected:?}");
        }
        Check::Shows(script, part) => {
            let found = says(daemon, row.flags, script)?;
            ensure!(found.contains(part), "no {part:?} in {found:?}");
        }
        Check::Limit(controller, file, expected) => {
            if is_v2() {
                return Ok(());
            }
            let found = says(daemon, row.flags, &limit(controller, file))?;
            ensure!(found.contains(expected), "no {expected:?} in {found:?}");
        }
        Check::Inspect(template, expected) => {
            let name = format!("of{}", row.flag);
            let create = [
                &["create", "--name", &name],
                row.flags,
                &["busybox", "true"],
            ];
            daemon.cli(&create.concat())?.ok()?;
            let found = daemon.cli(&["inspect", "-f", template, &name])?;
            ensure!(found.ok()? == expected, "{found:?} instead of {expected:?}");
            daemon.cli(&["rm", &name])?.ok()?;
        }
        Check::Refused(reason) => {
            let output = run(daemon, row.flags, "true")?;
            ensure!(
                output.code != 0 && output.stderr.contains(reason),
                "{output:?}"
            );
        }
        Check::Warns(script, expected, warning) => {
            // The kernel of v2 has no such switch, with a limit or without.
            let warning = match is_v2() && row.flag == "--oom-kill-disable" {
                true => "does not support OomKillDisable",
                false => warning,
            };
            let output = run(daemon, row.flags, script)?;
            ensure!(
                output.ok()? == expected && output.stderr.contains(warning),
                "{output:?}"
            );
        }
    }
    Ok(())
}

/// The rows `part` of a number of parts: each a test of its own, because they run side by side.
fn check_part(part: usize) -> Result<()> {
    const PARTS: usize = 3;
    let daemon = daemon()?;
    let mut failed = Vec::new();
    for row in ROWS.iter().skip(part).step_by(PARTS) {
        if is_dockerd(&daemon) && !row.docker {
            continue;
        }
        if let Err(error) = check(&daemon, row) {
            failed.push(format!("{} {:?}: {error:#}", row.flag, row.flags));
        }
    }
    forget_group();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    daemon.clean()
}

/// A group that was named by --cgroup-parent is its user's, here as with Docker.
fn forget_group() {
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        let _ = std::fs::remove_dir(hierarchy.path().join("onggi-fields"));
    }
    let _ = std::fs::remove_dir("/sys/fs/cgroup/onggi-fields");
}

#[test]
fn each_flag_has_its_effect_1() -> Result<()> {
    check_part(0)
}

#[test]
fn each_flag_has_its_effect_2() -> Result<()> {
    check_part(1)
}

#[test]
fn each_flag_has_its_effect_3() -> Result<()> {
    check_part(2)
}

/// The flags that a command's help names, and those it hides.
fn flags(daemon: &Daemon, command: &str) -> Result<Vec<String>> {
    const HIDDEN: [&str; 4] = ["--dns-opt", "--net", "--net-alias", "--help"];
    let typed: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    let help = daemon.cli(&typed)?;
    let words = help.ok()?.split_whitespace();
    let mut flags: Vec<String> = words
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(|word| word.trim_end_matches([',', '.', ')']).to_owned())
        .collect();
    if ["run", "create"].contains(&command) {
        flags.extend(HIDDEN.map(str::to_owned));
    }
    flags.sort();
    flags.dedup();
    Ok(flags)
}

/// Commands whose flags are in docs/FLAGS.md. Others are names of these, or have flags of their own family of tests.
const COMMANDS: [&str; 69] = [
    "build",
    "builder du",
    "builder history inspect",
    "builder history logs",
    "builder history ls",
    "builder history rm",
    "builder prune",
    "run",
    "create",
    "exec",
    "attach",
    "commit",
    "cp",
    "diff",
    "export",
    "inspect",
    "container inspect",
    "kill",
    "logs",
    "pause",
    "port",
    "ps",
    "container prune",
    "rename",
    "restart",
    "rm",
    "start",
    "stats",
    "stop",
    "top",
    "unpause",
    "update",
    "wait",
    "events",
    "system events",
    "info",
    "version",
    "system df",
    "system check",
    "system prune",
    "context create",
    "context ls",
    "image history",
    "image import",
    "image inspect",
    "image load",
    "image ls",
    "image prune",
    "image pull",
    "image push",
    "image rm",
    "image save",
    "image tag",
    "login",
    "logout",
    "manifest annotate",
    "manifest create",
    "manifest inspect",
    "manifest push",
    "manifest rm",
    "search",
    "volume create",
    "volume export",
    "volume import",
    "volume inspect",
    "volume ls",
    "volume prune",
    "volume rm",
    "volume update",
];

/// A page of the documents; nothing in a guest, which has the tests alone.
fn document(name: &str) -> Result<Option<String>> {
    let folder = workspace().join("docs");
    if !folder.exists() {
        eprintln!("skipped: {} is not here", folder.display());
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(folder.join(name))?))
}

/// docs/FLAGS.md names for each flag the test that sees its effect, and each row of the table here is in it.
#[test]
fn every_flag_is_documented_with_its_test() -> Result<()> {
    let daemon = Daemon::start()?;
    let Some(document) = document("FLAGS.md")? else {
        return daemon.clean();
    };
    let lines: Vec<&str> = document
        .lines()
        .filter(|l| l.starts_with("| `--"))
        .collect();
    let mut missing = Vec::new();
    for command in COMMANDS {
        for flag in flags(&daemon, command)? {
            let named = |line: &&&str| {
                let mut cells = line.split('|').skip(1).map(str::trim);
                cells.next() == Some(&format!("`{flag}`"))
                    && cells.next().is_some_and(|c| {
                        c.split(", ").any(|c| c == command) || c.split(' ').any(|c| c == command)
                    })
            };
            if !lines.iter().any(|line| named(&line)) {
                missing.push(format!("{command} {flag}"));
            }
        }
    }
    for row in ROWS {
        if !lines
            .iter()
            .any(|line| line.contains(&format!("`{}`", row.flag)))
        {
            missing.push(row.flag.to_owned());
        }
    }
    ensure!(missing.is_empty(), "not in docs/FLAGS.md: {missing:?}");
    Ok(())
}

//! `why`, on containers that died in front of it. The pages are in `deaths.txt`, one after the other; times, numbers of
//! processes and the like are taken out of them first.

use crate::ours;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const PAGES: &str = include_str!("deaths.txt");

/// The pages of a test, and those that it should give.
struct Pages<'d> {
    daemon: &'d Daemon,
    found: String,
}

impl<'d> Pages<'d> {
    fn new(daemon: &'d Daemon) -> Self {
        Self {
            daemon,
            found: String::new(),
        }
    }

    /// `run --name NAME ...`, however it ends.
    fn run(&self, name: &str, words: &[&str]) -> Result<()> {
        let head = ["run", "--name", name, "--network", "none"];
        self.daemon.cli(&[&head, words].concat()).map(drop)
    }

    /// `busybox sh -c SCRIPT`, and what `why` says of its end.
    fn script(&mut self, name: &str, script: &str) -> Result<()> {
        self.run(name, &["busybox", "sh", "-c", script])?;
        self.why(name)
    }

    /// What `why` says of a container.
    fn why(&mut self, name: &str) -> Result<()> {
        let page = self.daemon.cli(&["why", name])?;
        let page: Vec<String> = page.ok()?.lines().map(without_numbers).collect();
        let root = self.daemon.path("").display().to_string();
        let page = page.join("\n").replace(&root, "/test/");
        self.found.push_str(&format!("=== {name}\n{page}\n\n"));
        Ok(())
    }

    /// Whether each is as it is written down.
    fn compare(self) -> Result<()> {
        let known: Vec<&str> = PAGES.split("=== ").collect();
        let pages = self.found.split("=== ");
        let wrong: Vec<&str> = pages.filter(|page| !known.contains(page)).collect();
        ensure!(wrong.is_empty(), "now:\n=== {}", wrong.join("=== "));
        Ok(())
    }
}

/// A line without what differs from run to run.
fn without_numbers(line: &str) -> String {
    for (begin, instead) in [
        ("  ended ", "  ended WHEN"),
        ("  started ", "  started WHEN"),
        ("  the most it took: ", "  the most it took: BYTES"),
    ] {
        if line.starts_with(begin) && !line.contains("exit code") {
            return instead.to_owned();
        }
    }
    let mut line = match line.split_once(" ago: exit code") {
        Some((_, rest)) => format!("  WHEN: exit code{rest}"),
        None => line.to_owned(),
    };
    for (before, after) in [
        ("endpoint second (", ")"),
        ("still ran ", " later"),
        ("(pid ", ")"),
        ("failed ", " times in a row"),
        ("container ", ":"),
    ] {
        if let Some((head, rest)) = line.split_once(before)
            && let Some((number, tail)) = rest.split_once(after)
            && number
                .trim_end_matches(" seconds")
                .trim_end_matches(" second")
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
        {
            line = format!("{head}{before}N{after}{tail}");
        }
    }
    line
}

fn daemon() -> Result<Option<Daemon>> {
    if !ours() {
        return Ok(None);
    }
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

#[test]
fn of_programs_that_end_by_themselves() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let mut pages = Pages::new(&daemon);
    pages.script("done", "echo that was it")?;
    pages.script("broken", "echo no database >&2; exit 3")?;
    pages.script("hidden", "nope")?;
    pages.script("forbidden", "/etc/passwd")?;
    // Signals reach a program that is not the first.
    for (name, signal) in [
        ("segfault", "SEGV"),
        ("aborted", "ABRT"),
        ("interrupted", "INT"),
    ] {
        let script = format!("kill -{signal} $$");
        pages.run(name, &["--init", "busybox", "sh", "-c", &script])?;
        pages.why(name)?;
    }
    pages.run(
        "gave-up",
        &[
            "-d",
            "--restart",
            "on-failure:2",
            "busybox",
            "sh",
            "-c",
            "exit 4",
        ],
    )?;
    wait_until("it to be given up", LIMIT, || {
        let said = daemon.cli(&[
            "inspect",
            "-f",
            "{{.RestartCount}} {{.State.Status}}",
            "gave-up",
        ]);
        (said.ok()?.stdout == "2 exited\n").then_some(())
    })?;
    pages.why("gave-up")?;
    pages.compare()?;
    daemon.clean()
}

#[test]
fn of_what_could_not_be_started() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let mut pages = Pages::new(&daemon);
    pages.run("absent", &["busybox", "nope"])?;
    pages.why("absent")?;
    pages.run("not-executable", &["busybox", "/etc/passwd"])?;
    pages.why("not-executable")?;
    let source = daemon.path("source");
    std::fs::create_dir(&source)?;
    let mount = format!("type=bind,src={},dst=/in", source.display());
    daemon
        .cli(&[
            "create", "--name", "moved", "--mount", &mount, "busybox", "true",
        ])?
        .ok()?;
    std::fs::remove_dir(&source)?;
    daemon.cli(&["start", "moved"])?;
    pages.why("moved")?;
    let port = ["run", "-d", "-p", "8080:80"];
    let sleep = ["busybox", "sleep", "1000"];
    daemon
        .cli(&[&port[..], &["--name", "first"], &sleep].concat())?
        .ok()?;
    daemon.cli(&[&port[..], &["--name", "second"], &sleep].concat())?;
    pages.why("second")?;
    pages.compare()?;
    daemon.clean()
}

#[test]
fn of_those_that_somebody_ended() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let mut pages = Pages::new(&daemon);
    let polite = "trap 'exit 0' TERM; echo up; while :; do usleep 10000; done";
    pages.run("stopped", &["-d", "busybox", "sh", "-c", polite])?;
    wait_until("the trap to be set", LIMIT, || {
        (daemon.cli(&["logs", "stopped"]).ok()?.stdout == "up\n").then_some(())
    })?;
    daemon.cli(&["stop", "stopped"])?.ok()?;
    pages.why("stopped")?;
    for name in ["deaf", "killed", "shot", "unwatched"] {
        pages.run(name, &["-d", "busybox", "sleep", "1000"])?;
    }
    daemon.cli(&["stop", "-t", "1", "deaf"])?.ok()?;
    pages.why("deaf")?;
    daemon.cli(&["kill", "killed"])?.ok()?;
    daemon.cli(&["wait", "killed"])?.ok()?;
    pages.why("killed")?;
    let pid = |name: &str| -> Result<u32> {
        let said = daemon.cli(&["inspect", "-f", "{{.State.Pid}}", name])?;
        Ok(said.ok()?.parse()?)
    };
    shoot(pid("shot")?)?;
    daemon.cli(&["wait", "shot"])?.ok()?;
    pages.why("shot")?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid("unwatched")?))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    shoot(parent.context("PPid")?.trim().parse()?)?;
    // Its answer is that nobody knows the code.
    daemon.cli(&["wait", "unwatched"])?;
    pages.why("unwatched")?;
    pages.compare()?;
    daemon.clean()
}

fn shoot(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    Ok(kill_process(pid.context("a process")?, Signal::KILL)?)
}

#[test]
fn of_the_unhealthy() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let mut pages = Pages::new(&daemon);
    for (name, check) in [
        ("unhealthy", "echo no answer; exit 7"),
        ("uncheckable", "curl -f localhost"),
    ] {
        let check = [
            "-d",
            "--health-cmd",
            check,
            "--health-interval",
            "50ms",
            "--health-retries",
            "1",
        ];
        pages.run(name, &[&check[..], &["busybox", "sleep", "1000"]].concat())?;
        wait_until("it to be unhealthy", LIMIT, || {
            let said = daemon.cli(&["inspect", "-f", "{{.State.Health.Status}}", name]);
            (said.ok()?.stdout == "unhealthy\n").then_some(())
        })?;
        pages.why(name)?;
    }
    pages.compare()?;
    daemon.clean()
}

#[test]
fn of_those_that_took_too_much() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let mut pages = Pages::new(&daemon);
    let limit = ["-m", "16m", "--memory-swap", "16m"];
    pages.run(
        "fat",
        &[&limit[..], &["busybox", "tail", "/dev/zero"]].concat(),
    )?;
    let said = daemon.cli(&["inspect", "-f", "{{.State.OOMKilled}}", "fat"])?;
    if said.ok()? != "true" || std::fs::File::open("/dev/kmsg").is_err() {
        eprintln!("skipped: no memory limit here, or no log of the kernel");
        return daemon.clean();
    }
    pages.why("fat")?;
    let script = "exec 2> /dev/null; echo loading; tail /dev/zero; echo lost it; exit 5";
    pages.run(
        "parent",
        &[&limit[..], &["busybox", "sh", "-c", script]].concat(),
    )?;
    pages.why("parent")?;
    pages.compare()?;
    daemon.clean()
}

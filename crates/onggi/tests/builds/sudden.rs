//! Clients that hang up and daemons that are killed: nothing runs on, nothing is left, what was done is known.

use super::scene::Build;
use anyhow::{Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use std::time::Duration;

fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

fn containers(daemon: &Daemon) -> Result<usize> {
    let all = daemon.get("/containers/json?all=1")?.ok()?.json()?;
    Ok(all.as_array().map_or(0, Vec::len))
}

fn no_containers(daemon: &Daemon) -> Result<()> {
    wait_until("the container of the step to go", LIMIT, || {
        containers(daemon).ok().filter(|count| *count == 0)
    })
    .map(drop)
}

const SLOW: &str = "FROM busybox\nRUN echo one > /one\nRUN echo begun && sleep 600\n";

#[test]
fn a_client_that_hangs_up_ends_its_build() -> Result<()> {
    let daemon = daemon()?;
    let stream = Build::of(SLOW).begin(&daemon, "begun")?;
    ensure!(containers(&daemon)? == 1);
    drop(stream);
    no_containers(&daemon)?;
    // What was done before is known.
    let next = "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n";
    let built = Build::of(next).send(&daemon)?;
    ensure!(built.done() == ["RUN echo two > /two"], "{}", built.text);
    Ok(())
}

/// Whatever is going on when nobody waits any more: preparing, creating, starting, running, ending.
#[test]
fn a_build_that_is_ended_at_any_moment_leaves_nothing() -> Result<()> {
    let daemon = daemon()?;
    let rounds = match std::env::var_os("ONGGI_FULL") {
        Some(_) => 400,
        None => 40,
    };
    for round in 0..rounds {
        let build = Build::of("FROM busybox\nRUN touch /made\nRUN sleep 600\n").set("nocache", "1");
        let stream = build.begin(&daemon, "Step 2/3")?;
        std::thread::sleep(Duration::from_micros(500 * (round % 80)));
        drop(stream);
    }
    no_containers(&daemon)?;
    daemon.clean()
}

#[test]
fn a_killed_daemon_knows_what_was_done() -> Result<()> {
    let mut daemon = daemon()?;
    let count = match std::env::var_os("ONGGI_FULL") {
        Some(_) => 50,
        None => 3,
    };
    let steps: String = (0..count)
        .map(|n| format!("RUN echo {n} > /{n} && echo begun-{n} && if [ -e /proc/1/root ]; then sleep 0.$(($$ % 3)); fi\n"))
        .collect();
    for n in 0..count {
        let build = Build::of(&format!("FROM busybox\n{steps}"));
        let stream = build.begin(&daemon, &format!("RUN echo {n} "))?;
        daemon.kill()?;
        drop(stream);
        daemon.run()?;
        no_containers(&daemon)?;
        let check = daemon.cli(&["system", "check"])?;
        ensure!(check.code == 0, "{}{}", check.stdout, check.stderr);
    }
    let build = Build::of(&format!("FROM busybox\n{steps}"));
    let built = build.send(&daemon)?;
    ensure!(built.error.is_none(), "{built:?}");
    // All but the last were done by builds that were killed.
    ensure!(built.done().len() <= 2, "{}", built.text);
    Ok(())
}

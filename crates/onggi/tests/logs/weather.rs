//! Dead peers, slow peers, daemons that are killed: containers notice nothing, lines come once and in order.

use super::{Received, accept, daemon, expect_numbers, listen, logs, run, wait};
use anyhow::{Result, ensure};
use onggi_testkit::{LIMIT, wait_until};
use serde_json::json;

const COUNT: usize = 500;

fn script(count: usize) -> String {
    format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; done")
}

#[test]
fn a_dead_peer_delays_and_loses_nothing() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    // What comes at once must fit into the buffer of a socket of datagrams.
    for (name, address, count) in [
        ("tcp", "tcp://127.0.0.1:5150", COUNT),
        ("udp", "udp://127.0.0.1:5151", 100),
    ] {
        run(
            &daemon,
            name,
            &script(count),
            "syslog",
            &json!({"syslog-address": address}),
        )?;
        // It ends as if somebody listened, and its log can be read.
        wait(&daemon, name)?;
        ensure!(logs(&daemon, name)?.len() == count);
    }
    let received = accept(listen(&daemon, 5150)?);
    expect_numbers(&received, COUNT)?;
    let udp = daemon
        .namespace()
        .run(|| std::net::UdpSocket::bind("127.0.0.1:5151"))??;
    udp.set_read_timeout(Some(LIMIT))?;
    let mut buffer = [0; 1024];
    for n in 1..=100 {
        let size = udp.recv(&mut buffer)?;
        let wanted = format!("]: line {n}\n");
        ensure!(
            buffer[..size].ends_with(wanted.as_bytes()),
            "line {n}: {}",
            String::from_utf8_lossy(&buffer[..size])
        );
    }
    daemon.clean()
}

#[test]
fn a_peer_that_does_not_read_holds_up_nobody() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let listener = listen(&daemon, 5152)?;
    let line = "x".repeat(1000);
    let script = format!("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i {line}; done");
    run(
        &daemon,
        "slow",
        &script,
        "syslog",
        &json!({"syslog-address": "tcp://127.0.0.1:5152"}),
    )?;
    // 20 MB are more than any socket buffers; nobody reads until the container is gone.
    wait(&daemon, "slow")?;
    ensure!(logs(&daemon, "slow")?.len() == 20_000);
    let received = accept(listener);
    let mut last = 0;
    wait_until("all lines", LIMIT * 2, || {
        last = received.lines().len();
        (last == 20_000).then_some(())
    })?;
    let lines = received.lines();
    for (n, line) in lines.iter().enumerate() {
        ensure!(
            line.starts_with(&format!("{} x", n + 1)) && line.len() > 1000,
            "line {n}: {:.20}",
            line
        );
    }
    daemon.clean()
}

#[test]
fn a_daemon_that_is_killed_goes_on_where_it_was() -> Result<()> {
    let Some(mut daemon) = daemon()? else {
        return Ok(());
    };
    let received: Received = accept(listen(&daemon, 5153)?);
    let count = 3000;
    let script =
        format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; usleep 1000; done");
    run(
        &daemon,
        "killed",
        &script,
        "syslog",
        &json!({"syslog-address": "tcp://127.0.0.1:5153"}),
    )?;
    for part in 1..=4 {
        wait_until("some lines", LIMIT, || {
            (received.lines().len() > part * 300).then_some(())
        })?;
        daemon.kill()?;
        daemon.run()?;
    }
    wait(&daemon, "killed")?;
    let last = format!("line {count}");
    wait_until("the last line", LIMIT, || {
        received.lines().contains(&last).then_some(())
    })?;
    // Between taking and remembering lies one line: each kill may have hit there.
    let lines = received.lines();
    let mut once = lines.clone();
    once.dedup();
    let wanted: Vec<_> = (1..=count).map(|n| format!("line {n}")).collect();
    ensure!(once == wanted, "{} of {count} lines", once.len());
    ensure!(lines.len() <= count + 4, "{} lines", lines.len());
    // Once more after the end: at most the one that was not remembered comes again.
    daemon.stop()?;
    daemon.run()?;
    ensure!(logs(&daemon, "killed")?.len() == count);
    ensure!(received.lines().len() <= lines.len() + 1);
    daemon.clean()
}

#[test]
fn the_last_lines_of_a_container_that_removes_itself_arrive() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let received = accept(listen(&daemon, 5154)?);
    let said = daemon.cli(&[
        "run",
        "--rm",
        "--log-driver",
        "syslog",
        "--log-opt",
        "syslog-address=tcp://127.0.0.1:5154",
        "busybox",
        "sh",
        "-c",
        &script(COUNT),
    ])?;
    said.ok()?;
    expect_numbers(&received, COUNT)?;
    daemon.clean()
}

#[test]
fn who_asks_for_it_waits_for_the_peer() -> Result<()> {
    let Some(mut daemon) = daemon()? else {
        return Ok(());
    };
    let line = "x".repeat(1000);
    let count = 8_000;
    let script = format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo $i {line}; done");
    let options = json!({
        "syslog-address": "tcp://127.0.0.1:5155", "mode": "blocking", "cache-max-size": "1m", "cache-max-file": "4",
        "cache-compress": "false",
    });
    run(&daemon, "patient", &script, "syslog", &options)?;
    // 8 MB are to be written, of which the record keeps the last three or four: all of it comes only if it waits.
    let id = daemon.get("/containers/patient/json")?.json()?["Id"].take();
    let log = format!("{0}/{0}-json.log", id.as_str().unwrap_or_default());
    let log = daemon.data_root().join("containers").join(log);
    let size = || {
        let files = [
            log.clone(),
            log.with_extension("log.1"),
            log.with_extension("log.2"),
        ];
        let sizes = files.iter().filter_map(|path| path.metadata().ok());
        sizes.map(|meta| meta.len()).sum::<u64>()
    };
    wait_until("the bound to be reached", LIMIT, || {
        (size() > 1 << 20).then_some(())
    })?;
    // What the daemon is replaced by knows of it too.
    daemon.kill()?;
    daemon.run()?;
    let state = daemon.get("/containers/patient/json")?.json()?["State"].take();
    ensure!(
        state["Running"] == true && size() < 2 << 20,
        "{state} {}",
        size()
    );
    let received = accept(listen(&daemon, 5155)?);
    wait(&daemon, "patient")?;
    wait_until("all lines", LIMIT * 2, || {
        (received.lines().len() == count).then_some(())
    })?;
    for (n, line) in received.lines().iter().enumerate() {
        ensure!(
            line.starts_with(&format!("{} x", n + 1)),
            "line {n}: {line:.20}"
        );
    }
    daemon.clean()
}

//! Clients that never read, never speak, or come by the thousand.

use crate::{daemon, descriptors, engine, field, run, serves_others};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sends a head, and reads the answer's up to the empty line.
fn open(daemon: &Daemon, method: &str, path: &str) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(daemon.socket())?;
    stream.set_read_timeout(Some(LIMIT))?;
    let upgrade = match method {
        "POST" => "Connection: Upgrade\r\nUpgrade: tcp\r\n",
        _ => "",
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{upgrade}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.contains(" 101 ") || line.contains(" 200 "), "{line}");
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    Ok(reader)
}

#[test]
fn who_never_reads_events_costs_nobody_anything() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    run(&daemon, "one", &[], "exec sleep 10000")?;
    let filter = "%7B%22event%22%3A%5B%22exec_create%22%5D%7D";
    let silent = open(&daemon, "GET", "/events")?;
    let mut good = open(&daemon, "GET", &format!("/events?filters={filter}"))?;
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut line = String::new();
        // Chunk sizes come between the documents.
        while matches!(good.read_line(&mut line), Ok(1..)) {
            if line.contains("\"exec_create: ") {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            line.clear();
        }
    });
    let before = field(engine(&daemon)?, "VmRSS:").context("VmRSS")?;
    // 24 MB of events: more than any socket takes from a peer that does not read, and than anybody should keep.
    let long = "x".repeat(8_000);
    let (api, count) = (daemon.api(), 3_000);
    for sent in 1..=count {
        let body = json!({"Cmd": ["echo", long]});
        api.post("/containers/one/exec", &body)?.ok()?;
        if sent % 100 == 0 {
            // In step: a listener that falls far behind loses its place, and that is not asked here.
            wait_until("the other listener to hear all", LIMIT, || {
                (heard.load(Ordering::SeqCst) == sent).then_some(())
            })
            .with_context(|| format!("{sent} sent, {heard:?} heard"))?;
        }
    }
    let after = field(engine(&daemon)?, "VmRSS:").context("VmRSS")?;
    // Of that, 1,000 execs of 8 kB may be asked about, and 1,024 events are kept for those who are slow.
    ensure!(after < before + 64 * 1024, "{before} to {after} KiB");
    drop(silent);
    daemon.clean()
}

#[test]
fn who_never_reads_what_a_container_writes_does_not_hold_up_who_does() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let script = "while [ ! -e /go ]; do usleep 10000; done; head -c 8000000 /dev/zero | tr '\\0' x; echo; echo all; \
                  exec sleep 10000";
    run(&daemon, "loud", &[], script)?;
    let path = "/containers/loud/attach?stream=1&stdout=1";
    let silent = open(&daemon, "POST", path)?;
    let mut good = open(&daemon, "POST", path)?;
    daemon.cli(&["exec", "loud", "touch", "/go"])?.ok()?;
    let (mut size, mut tail) = (0, Vec::new());
    let mut buffer = vec![0; 64 * 1024];
    while !tail.ends_with(b"all\n") {
        let count = good.read(&mut buffer)?;
        ensure!(count > 0, "it ended after {size} bytes");
        size += count;
        tail.extend_from_slice(&buffer[..count]);
        let old = tail.len().saturating_sub(16);
        tail.drain(..old);
    }
    ensure!(size > 8_000_000, "{size}");
    let logged = daemon.cli(&["logs", "--tail", "1", "loud"])?;
    ensure!(logged.ok()? == "all", "{logged:?}");
    drop(silent);
    daemon.clean()
}

#[test]
fn thousands_who_connect_and_hang_keep_nobody_out() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    const CROWD: usize = 2_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    ensure!(
        most > 2 * CROWD as u64,
        "this machine allows {most} descriptors"
    );
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    let process = engine(&daemon)?;
    let before = descriptors(process)?;
    let memory = field(process, "VmRSS:").context("VmRSS")?;
    let mut crowd = Vec::new();
    for n in 0..CROWD {
        let mut stream = UnixStream::connect(daemon.socket())?;
        // Some say nothing, some stop in the middle of a word, some in the middle of a body.
        let words: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /containers/js",
            _ => b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        };
        stream.write_all(words)?;
        crowd.push(stream);
    }
    wait_until("all to be let in", LIMIT, || {
        (descriptors(process).ok()? >= CROWD).then_some(())
    })?;
    serves_others(&daemon)?;
    let taken = field(process, "VmRSS:")
        .context("VmRSS")?
        .saturating_sub(memory);
    ensure!(taken < 128 * 1024, "{taken} KiB for {CROWD} connections");
    drop(crowd);
    wait_until("descriptors to be closed", LIMIT, || {
        (descriptors(process).ok()? <= before + 8).then_some(())
    })?;
    serves_others(&daemon)?;
    daemon.clean()
}

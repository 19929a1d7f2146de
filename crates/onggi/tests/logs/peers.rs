//! What reaches a peer, over every kind of socket.

use super::{Received, accept, daemon, expect_numbers, listen, logs, run, wait};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

const SCRIPT: &str = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; done";

#[test]
fn syslog_over_streams() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let tcp = accept(listen(&daemon, 5140)?);
    let options = json!({"syslog-address": "tcp://127.0.0.1:5140", "tag": "{{.Name}}"});
    run(&daemon, "tcp", SCRIPT, "syslog", &options)?;
    expect_numbers(&tcp, 200)?;
    let text = String::from_utf8(tcp.bytes())?;
    ensure!(
        text.starts_with("<30>") && text.contains(" tcp["),
        "{:?}",
        text.lines().next()
    );
    wait(&daemon, "tcp")?;
    ensure!(logs(&daemon, "tcp")?.len() == 200);

    let path = daemon.path("syslog.sock");
    let listener = UnixListener::bind(&path)?;
    let unix = Received::default();
    let all = unix.clone();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            all.take_all(stream);
        }
    });
    let address = format!("unix://{}", path.display());
    run(
        &daemon,
        "unix",
        SCRIPT,
        "syslog",
        &json!({"syslog-address": address}),
    )?;
    expect_numbers(&unix, 200)?;
    daemon.clean()
}

#[test]
fn syslog_over_datagrams() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let udp = daemon
        .namespace()
        .run(|| UdpSocket::bind("127.0.0.1:5141"))??;
    udp.set_read_timeout(Some(LIMIT))?;
    let options = json!({
        "syslog-address": "udp://127.0.0.1:5141", "syslog-format": "rfc5424micro", "syslog-facility": "local3",
        "tag": "web",
    });
    run(&daemon, "udp", "echo out; echo err >&2", "syslog", &options)?;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    for _ in 0..2 {
        let size = udp.recv(&mut buffer)?;
        said.push(String::from_utf8(buffer[..size].to_vec())?);
    }
    said.sort();
    ensure!(
        said[0].starts_with("<155>1 ") && said[0].ends_with(" web - err\n"),
        "{said:?}"
    );
    ensure!(
        said[1].starts_with("<158>1 ") && said[1].ends_with(" web - out\n"),
        "{said:?}"
    );

    let path = daemon.path("dgram.sock");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(LIMIT))?;
    let address = format!("unixgram://{}", path.display());
    run(
        &daemon,
        "dgram",
        "echo hello",
        "syslog",
        &json!({"syslog-address": address}),
    )?;
    let size = socket.recv(&mut buffer)?;
    ensure!(buffer[..size].ends_with(b"]: hello\n"));
    daemon.clean()
}

#[test]
fn gelf_over_udp_in_chunks_and_over_tcp() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let udp = daemon
        .namespace()
        .run(|| UdpSocket::bind("127.0.0.1:12201"))??;
    udp.set_read_timeout(Some(LIMIT))?;
    let options = json!({
        "gelf-address": "udp://127.0.0.1:12201", "gelf-compression-type": "none", "labels": "team", "tag": "t",
    });
    run(
        &daemon,
        "gelf",
        "echo short; head -c 6000 /dev/zero | tr '\\0' y; echo",
        "gelf",
        &options,
    )?;
    let mut buffer = [0; 4096];
    let size = udp.recv(&mut buffer)?;
    let first: Value = serde_json::from_slice(&buffer[..size])?;
    ensure!(
        first["short_message"] == "short" && first["version"] == "1.1",
        "{first}"
    );
    ensure!(
        first["_container_name"] == "gelf" && first["_tag"] == "t" && first["level"] == 6,
        "{first}"
    );
    let mut whole = Vec::new();
    loop {
        let size = udp.recv(&mut buffer)?;
        ensure!(buffer[..2] == [0x1e, 0x0f], "no chunk");
        whole.extend_from_slice(&buffer[12..size]);
        if buffer[10] + 1 == buffer[11] {
            break;
        }
    }
    let long: Value = serde_json::from_slice(&whole)?;
    ensure!(long["short_message"] == "y".repeat(6000));

    let tcp = accept(listen(&daemon, 12202)?);
    run(
        &daemon,
        "gelf-tcp",
        "echo one; echo two >&2",
        "gelf",
        &json!({"gelf-address": "tcp://127.0.0.1:12202"}),
    )?;
    wait_until("two messages", LIMIT, || {
        (tcp.bytes().iter().filter(|b| **b == 0).count() == 2).then_some(())
    })?;
    daemon.clean()
}

/// Reads messages of the forward protocol and acknowledges each, the first time only after it was cut off once.
#[test]
fn fluentd_is_believed_only_what_it_acknowledges() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let listener = listen(&daemon, 24224)?;
    let options = json!({
        "fluentd-address": "127.0.0.1:24224", "fluentd-request-ack": "true", "tag": "docker.{{.Name}}",
        "fluentd-sub-second-precision": "true",
    });
    run(&daemon, "fluent", "echo one; echo two", "fluentd", &options)?;
    let message = |stream: &mut std::net::TcpStream| -> Result<Vec<u8>> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut buffer = [0; 4096];
        let size = stream.read(&mut buffer)?;
        Ok(buffer[..size].to_vec())
    };
    let (mut stream, _) = listener.accept()?;
    let first = message(&mut stream)?;
    ensure!(first[0] == 0x94 && contains(&first, b"docker.fluent") && contains(&first, b"one"));
    // Taken, but not acknowledged: it comes again.
    drop(stream);
    let (mut stream, _) = listener.accept()?;
    for word in [b"one", b"two"] {
        let found = message(&mut stream)?;
        ensure!(
            contains(&found, word),
            "{}",
            String::from_utf8_lossy(&found)
        );
        let at = found
            .windows(5)
            .position(|part| part == b"chunk")
            .context("chunk")?
            + 5;
        // {"ack": <the same text>}
        let answer = [&[0x81, 0xa3][..], b"ack", &found[at..]].concat();
        stream.write_all(&answer)?;
    }
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    ensure!(
        stream.read(&mut [0]).map_or(true, |count| count == 0),
        "more than two messages"
    );
    daemon.clean()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|found| found == part)
}

#[test]
fn drivers_are_known_and_bad_options_refused() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let info = daemon.get("/info")?.ok()?.json()?;
    ensure!(
        info["Plugins"]["Log"]
            == json!([
                "fluentd",
                "gelf",
                "journald",
                "json-file",
                "local",
                "syslog"
            ]),
        "{info}"
    );
    let refused = |daemon: &Daemon, driver: &str, options: Value| -> Result<String> {
        let body = json!({"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}});
        let answer = daemon.post("/containers/create", &body)?;
        ensure!(answer.status == 400, "{driver}: {}", answer.text());
        Ok(answer.text())
    };
    for (driver, options, word) in [
        (
            "awslogs",
            json!({}),
            "no log driver named 'awslogs' is registered",
        ),
        (
            "syslog",
            json!({"syslog-address": "tcp+tls://h:1"}),
            "TLS is not there yet",
        ),
        (
            "syslog",
            json!({"nonsense": "1"}),
            "unknown log opt 'nonsense' for syslog log driver",
        ),
        ("gelf", json!({}), "gelf-address is a required parameter"),
        (
            "json-file",
            json!({"mode": "sometimes"}),
            "logging mode not supported: sometimes",
        ),
    ] {
        let said = refused(&daemon, driver, options)?;
        ensure!(said.contains(word), "{said} does not say {word}");
    }
    daemon.clean()
}

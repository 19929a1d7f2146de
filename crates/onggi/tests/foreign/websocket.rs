//! Attach by websocket, with a plain client: a handshake written by hand and the frames of a kept crate. Passes on
//! dockerd too (`ONGGI_SUBJECT=dockerd`), but for what came after 20.10.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// The key and its answer of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const ALL: &str = "stream=1&stdin=1&stdout=1&stderr=1";

/// Sends the opening, and reads the head of the answer.
fn open(daemon: &Daemon, path: &str) -> Result<(UnixStream, String)> {
    let mut stream = UnixStream::connect(daemon.socket())?;
    stream.set_read_timeout(Some(LIMIT))?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: docker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Origin: http://docker\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("read the head")?;
        answer.extend(byte);
    }
    Ok((stream, String::from_utf8(answer)?))
}

fn attach(daemon: &Daemon, version: &str, query: &str) -> Result<WebSocket<UnixStream>> {
    let path = format!("/{version}/containers/pot/attach/ws?{query}");
    let (stream, head) = open(daemon, &path)?;
    ensure!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    ensure!(
        head.lines()
            .any(|l| l.eq_ignore_ascii_case(&format!("Sec-WebSocket-Accept: {ACCEPT}"))),
        "{head}"
    );
    Ok(WebSocket::from_raw_socket(stream, Role::Client, None))
}

fn create(daemon: &Daemon, more: &Value) -> Result<()> {
    daemon.load_busybox()?;
    let mut body = json!({"Image": "busybox", "OpenStdin": true});
    for (name, value) in more.as_object().context("an object")? {
        body[name] = value.clone();
    }
    daemon.post("/containers/create?name=pot", &body)?.ok()?;
    Ok(())
}

fn start(daemon: &Daemon) -> Result<()> {
    daemon.post("/containers/pot/start", &Value::Null)?.ok()?;
    Ok(())
}

/// Reads messages until they hold `text`; all must be of this kind.
fn expect(socket: &mut WebSocket<UnixStream>, text: &str, is_text: bool) -> Result<String> {
    let mut seen = String::new();
    while !seen.contains(text) {
        let message = socket.read().with_context(|| format!("after {seen:?}"))?;
        ensure!(
            message.is_text() == is_text && message.is_binary() != is_text,
            "{message:?} after {seen:?}"
        );
        seen.push_str(&String::from_utf8_lossy(&message.into_data()));
    }
    Ok(seen)
}

/// Reads until the daemon says goodbye; what came before.
fn rest(socket: &mut WebSocket<UnixStream>) -> Result<String> {
    let mut seen = String::new();
    loop {
        match socket.read().with_context(|| format!("after {seen:?}"))? {
            Message::Close(frame) => {
                let code = frame.map(|frame| u16::from(frame.code));
                ensure!(code == Some(1000), "{code:?} after {seen:?}");
                return Ok(seen);
            }
            message => seen.push_str(&String::from_utf8_lossy(&message.into_data())),
        }
    }
}

#[test]
fn a_websocket_carries_all_streams() -> Result<()> {
    let daemon = Daemon::start()?;
    let script = "echo out; echo err >&2; cat; exit 4";
    create(
        &daemon,
        &json!({"Cmd": ["sh", "-c", script], "StdinOnce": true}),
    )?;
    let mut socket = attach(&daemon, "v1.41", ALL)?;
    start(&daemon)?;
    expect(&mut socket, "out\n", false)?;
    // What clients send as text is as good; what comes in parts is one.
    socket.send(Message::text("one "))?;
    socket.send(Message::Ping("still there?".into()))?;
    socket.send(Message::binary(&b"two\n"[..]))?;
    let mut pong = false;
    let mut seen = String::new();
    while !(pong && seen.contains("one two\n")) {
        match socket.read()? {
            Message::Pong(bytes) => pong = bytes == "still there?",
            message => seen.push_str(&String::from_utf8_lossy(&message.into_data())),
        }
    }
    // The client's goodbye is the end of the input.
    socket.close(None)?;
    while socket.read().is_ok() {}
    let ended = daemon
        .post("/containers/pot/wait", &Value::Null)?
        .ok()?
        .json()?;
    ensure!(ended["StatusCode"] == 4, "{ended}");
    // The log at once, without a stream; then the daemon says goodbye.
    let mut socket = attach(&daemon, "v1.41", "logs=1&stdout=1&stderr=1")?;
    let mut lines: Vec<_> = rest(&mut socket)?.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    ensure!(lines == ["err", "one two", "out"], "{lines:?}");
    daemon.clean()
}

#[test]
fn a_websocket_of_a_terminal_detaches() -> Result<()> {
    let daemon = Daemon::start()?;
    create(&daemon, &json!({"Cmd": ["sh"], "Tty": true}))?;
    start(&daemon)?;
    let mut socket = attach(&daemon, "v1.41", &format!("{ALL}&detachKeys=ctrl-a,b"))?;
    socket.send(Message::binary(&b"echo said $((40 + 2))\n"[..]))?;
    expect(&mut socket, "said 42", false)?;
    socket.send(Message::binary(&b"\x01b"[..]))?;
    rest(&mut socket)?;
    let told = daemon.get("/containers/pot/json")?.ok()?.json()?;
    ensure!(told["State"]["Running"] == true, "{told}");
    // Before 1.28 messages are texts, and all streams are attached whatever the query says.
    let mut socket = attach(&daemon, "v1.27", "stream=1")?;
    socket.send(Message::binary(&b"echo again $((40 + 3))\n"[..]))?;
    expect(&mut socket, "again 43", true)?;
    socket.send(Message::binary(&b"exit 6\n"[..]))?;
    rest(&mut socket)?;
    let ended = daemon.post("/containers/pot/wait", &Value::Null)?.ok()?;
    ensure!(ended.json()?["StatusCode"] == 6);
    daemon.clean()
}

#[test]
fn a_websocket_that_cannot_be_is_refused() -> Result<()> {
    let daemon = Daemon::start()?;
    let (_, head) = open(&daemon, "/v1.41/containers/nobody/attach/ws?stream=1")?;
    ensure!(head.starts_with("HTTP/1.1 404 "), "{head}");
    create(&daemon, &json!({"Cmd": ["sleep", "1000"]}))?;
    let path = "/containers/pot/attach/ws?stream=1&stdout=1";
    if daemon.subject() == Subject::Onggi {
        let answer = daemon.get(&format!("/v1.55{path}"))?;
        ensure!(answer.status == 400, "{answer:?}");
        ensure!(answer.json()?["message"] == "not websocket protocol");
        let bad = format!("/v1.55{path}&detachKeys=nonsense");
        ensure!(open(&daemon, &bad)?.1.starts_with("HTTP/1.1 400 "));
        // Since 1.42 a stream that was not asked for is not attached.
        let mut socket = attach(&daemon, "v1.55", "stream=1&stdin=1&stderr=1")?;
        start(&daemon)?;
        wait_until("a way to the container", LIMIT, || {
            let script = "echo out > /proc/1/fd/1; echo err > /proc/1/fd/2";
            let said = daemon.cli(&["exec", "pot", "sh", "-c", script]).ok()?;
            (said.code == 0).then_some(())
        })?;
        let seen = expect(&mut socket, "err\n", false)?;
        ensure!(!seen.contains("out"), "{seen}");
    }
    daemon.clean()
}

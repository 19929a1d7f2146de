//! Requests to a published port, 200 a second: half on new connections, half on kept ones; each has to succeed.

use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, LIMIT, Namespace, wait_until};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WEB: u16 = 8080;
const ECHO: u16 = 8081;
/// Four threads make 200 a second of it.
const BETWEEN: Duration = Duration::from_millis(20);

/// How it goes.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    ended: AtomicBool,
    succeeded: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Starts a container that serves a page on 8080 and echoes lines on 8081; returns its id.
pub(crate) fn serve(daemon: &Daemon) -> Result<String> {
    let script =
        "mkdir /www; echo hello > /www/index.html; httpd -p 80 -h /www; exec nc -ll -p 81 -e cat";
    let port = |number: u16| json!([{"HostPort": number.to_string()}]);
    let id = daemon.run_container(&json!({
        "Image": "busybox", "Cmd": ["sh", "-c", script], "ExposedPorts": {"80/tcp": {}, "81/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": port(WEB), "81/tcp": port(ECHO)}},
    }))?;
    wait_until("both servers", LIMIT, || {
        let once = || -> Result<()> {
            page(("127.0.0.1", WEB))?;
            Kept::connect(("127.0.0.1", ECHO))?.echo(0)
        };
        daemon.namespace().run(once).ok()?.ok()
    })?;
    Ok(id)
}

/// Does something while requests go to 127.0.0.1 and to the address of the bridge; fails if one of them failed.
pub(crate) fn during<T>(
    namespace: &Namespace,
    bridge: &str,
    work: impl FnOnce(&Traffic) -> Result<T>,
) -> Result<T> {
    let traffic = Traffic::default();
    let started = Instant::now();
    let result = thread::scope(|scope| {
        for address in ["127.0.0.1", bridge] {
            let traffic = &traffic;
            scope.spawn(move || traffic.note(namespace.run(|| traffic.new_connections(address))));
            scope.spawn(move || traffic.note(namespace.run(|| traffic.one_connection(address))));
        }
        let result = work(&traffic);
        traffic.ended.store(true, Ordering::Relaxed);
        result
    })?;
    let failures = traffic.failures.into_inner().unwrap_or_default();
    ensure!(failures.is_empty(), "requests failed: {failures:#?}");
    let (count, seconds) = (traffic.succeeded.into_inner(), started.elapsed().as_secs());
    ensure!(
        count >= seconds * 100,
        "{count} requests in {seconds} s are too few to show anything"
    );
    Ok(result)
}

impl Traffic {
    /// Waits for so many more requests, so that something surely went through in the meantime.
    pub(crate) fn more(&self, count: u64) -> Result<()> {
        let wanted = self.succeeded.load(Ordering::Relaxed) + count;
        let failed = || self.failures.lock().map_or(true, |list| !list.is_empty());
        let enough = || self.succeeded.load(Ordering::Relaxed) >= wanted;
        wait_until("requests to succeed", LIMIT, || {
            (enough() || failed()).then_some(())
        })
    }

    fn note(&self, ended: Result<Result<()>>) {
        if let (Err(error) | Ok(Err(error)), Ok(mut list)) = (ended, self.failures.lock()) {
            list.push(format!("{error:#}"));
        }
    }

    fn new_connections(&self, address: &str) -> Result<()> {
        self.paced(|number| {
            page((address, WEB)).with_context(|| format!("page {number} of {address}"))
        })
    }

    fn one_connection(&self, address: &str) -> Result<()> {
        let mut kept = Kept::connect((address, ECHO))?;
        self.paced(|number| {
            kept.echo(number)
                .with_context(|| format!("line {number} to {address}"))
        })
    }

    /// One every [`BETWEEN`]; what was late is made up for.
    fn paced(&self, mut request: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let mut next = Instant::now();
        for number in 0.. {
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
            request(number)?;
            self.succeeded.fetch_add(1, Ordering::Relaxed);
            next += BETWEEN;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

/// A connection that stays.
struct Kept {
    stream: BufReader<TcpStream>,
}

impl Kept {
    fn connect(address: (&str, u16)) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    fn echo(&mut self, number: u64) -> Result<()> {
        let said = format!("{number}\n");
        self.stream.get_mut().write_all(said.as_bytes())?;
        let mut heard = String::new();
        self.stream.read_line(&mut heard)?;
        ensure!(said == heard, "said {said:?}, heard {heard:?}");
        Ok(())
    }
}

fn page(address: (&str, u16)) -> Result<()> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .context("send")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("receive")?;
    if !answer.starts_with("HTTP/1.") || !answer.ends_with("\r\n\r\nhello\n") {
        bail!("answer {answer:?}");
    }
    Ok(())
}

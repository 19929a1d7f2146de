//! `cargo xtask bench net`: what networks cost beside dockerd and beside the limit, which is two bare namespaces on a
//! bridge without translation, proxy or names. All three are measured in turn, with the same clients and servers.
//!
//! Each engine runs in a network namespace of its own; the servers listen in the namespaces of containers but are threads
//! of this program, and iperf3, wrk and dnsperf are the machine's, so that images need nothing.

use crate::packages;
use crate::programs::{Build, stage};
use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Binaries, Daemon, DaemonOptions, LIMIT, Namespace, Subject, wait_until};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ports of the servers, and where they are published.
const THROUGHPUT: (u16, u16) = (5201, 5301);
const WEB: (u16, u16) = (8080, 8180);
/// Servers of connections: more than wrk has clients.
const THREADS: usize = 24;
const CLIENTS: &str = "16";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n";
const LAST_ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// From whom to whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A container to another, at its own address.
    Direct,
    /// The host to a published port at 127.0.0.1.
    Loopback,
    /// The host to a published port at the bridge's address.
    Published,
    /// A container to the host at the bridge's address.
    ToHost,
}

/// What is measured.
#[derive(Clone, Copy)]
enum What {
    Throughput(Way),
    NewConnections(Way),
    KeepAlive(Way),
    Names,
}

const ROWS: &[(&str, &str, What)] = &[
    (
        "TCP container to container on the bridge",
        "Gbit/s",
        What::Throughput(Way::Direct),
    ),
    (
        "TCP host to published port, 127.0.0.1",
        "Gbit/s",
        What::Throughput(Way::Loopback),
    ),
    (
        "TCP host to published port, bridge address",
        "Gbit/s",
        What::Throughput(Way::Published),
    ),
    (
        "TCP container to host (bridge address)",
        "Gbit/s",
        What::Throughput(Way::ToHost),
    ),
    (
        "new connections, published port on 127.0.0.1",
        "/s",
        What::NewConnections(Way::Loopback),
    ),
    (
        "new connections, published port, bridge address",
        "/s",
        What::NewConnections(Way::Published),
    ),
    (
        "keep-alive requests, published port on 127.0.0.1",
        "/s",
        What::KeepAlive(Way::Loopback),
    ),
    ("DNS lookups of a container's name", "/s", What::Names),
];

/// An engine with two containers, or two bare namespaces.
struct Side {
    name: &'static str,
    host: Namespace,
    server: Namespace,
    client: Namespace,
    /// The server's address, and the host's on the bridge.
    address: String,
    gateway: String,
    /// Whether the host reaches servers by ports of its own.
    publishes: bool,
    /// Who is asked for names, in the client's namespace.
    names: String,
    /// iperf3, which ends with this.
    servers: Vec<Child>,
    daemon: Option<Daemon>,
}

impl Drop for Side {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Measures, and prints a table.
pub(crate) fn run(seconds: u32, rounds: usize) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("containers need root here: run this as root");
    }
    packages::install(&[packages::BUILD, packages::DEMO, packages::BENCH])?;
    let binaries = match std::env::var_os("ONGGI_BIN_DIR") {
        Some(folder) => Binaries::at(folder),
        None => Binaries::at(stage(Build::Release)?),
    };
    let mut sides = Vec::new();
    if Path::new("/usr/sbin/dockerd").exists() {
        sides.push(Side::engine("dockerd", Subject::Dockerd, binaries.clone())?);
    } else {
        println!(
            "dockerd is not installed (Debian's docker.io): only onggi and the limit are measured"
        );
    }
    sides.push(Side::engine("onggi", Subject::Onggi, binaries)?);
    sides.push(Side::bare()?);
    for side in &mut sides {
        side.serve()?;
    }
    let names: Vec<&str> = sides.iter().map(|side| side.name).collect();
    println!(
        "\n| row | unit | {} |\n|---|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for (title, unit, what) in ROWS {
        let mut found = vec![Vec::new(); sides.len()];
        for round in 0..rounds.max(1) {
            let mut order: Vec<usize> = (0..sides.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let (Some(side), Some(list)) = (sides.get(at), found.get_mut(at)) else {
                    continue;
                };
                list.push(
                    side.measure(*what, seconds)
                        .with_context(|| format!("{title}: {}", side.name))?,
                );
            }
        }
        println!("| {title} | {unit} | {} |", cells(&mut found).join(" | "));
    }
    for side in sides {
        side.end()?;
    }
    Ok(())
}

/// Median, range, and the ratio to the first.
fn cells(found: &mut [Vec<f64>]) -> Vec<String> {
    let mut first = None;
    let short = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    let mut texts = Vec::new();
    for list in found {
        list.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (list.first(), list.last()) else {
            continue;
        };
        let middle = list.get(list.len() / 2).copied().unwrap_or_default();
        let ratio = first
            .map(|first: f64| format!(" x{:.2}", middle / first))
            .unwrap_or_default();
        first.get_or_insert(middle);
        texts.push(format!(
            "{} ({}-{}){ratio}",
            short(middle),
            short(*least),
            short(*most)
        ));
    }
    texts
}

impl Side {
    /// An engine with a container that serves and one that asks.
    fn engine(name: &'static str, subject: Subject, binaries: Binaries) -> Result<Self> {
        let daemon = Daemon::start_with(DaemonOptions {
            subject: Some(subject),
            binaries: Some(binaries),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        let cli = |line: &str| -> Result<String> {
            let output = daemon.cli(&line.split(' ').collect::<Vec<_>>())?;
            Ok(output
                .ok()
                .with_context(|| line.to_owned())?
                .trim()
                .to_owned())
        };
        cli("network create bench")?;
        let ports = format!(
            "-p {}:{} -p {}:{}",
            THROUGHPUT.1, THROUGHPUT.0, WEB.1, WEB.0
        );
        cli(&format!(
            "run -d --name server --network bench {ports} busybox sleep 10000"
        ))?;
        cli("run -d --name client --network bench busybox sleep 10000")?;
        let inside = |name: &str| -> Result<Namespace> {
            let pid = cli(&format!("inspect -f {{{{.State.Pid}}}} {name}"))?;
            Ok(OwnedFd::from(File::open(format!("/proc/{pid}/ns/net"))?).into())
        };
        let field = |field: &str| {
            cli(&format!(
                "inspect -f {{{{range.NetworkSettings.Networks}}}}{{{{.{field}}}}}{{{{end}}}} server"
            ))
        };
        Ok(Self {
            name,
            host: daemon.namespace().try_clone()?,
            server: inside("server")?,
            client: inside("client")?,
            address: field("IPAddress")?,
            gateway: field("Gateway")?,
            publishes: true,
            names: "127.0.0.11".to_owned(),
            servers: Vec::new(),
            daemon: Some(daemon),
        })
    }

    /// Two namespaces on a bridge.
    fn bare() -> Result<Self> {
        let (host, server, client) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        let ip = |namespace: &Namespace, line: &str| ran(namespace, "ip", line).map(drop);
        ip(&host, "link set lo up")?;
        ip(&host, "link add bench0 type bridge")?;
        ip(&host, "address add 10.201.0.1/24 dev bench0")?;
        ip(&host, "link set bench0 up")?;
        for (number, inside) in [(2, &server), (3, &client)] {
            let path = format!(
                "/proc/{}/fd/{}",
                std::process::id(),
                inside.fd().as_raw_fd()
            );
            ip(
                &host,
                &format!("link add port{number} type veth peer name eth0 netns {path}"),
            )?;
            ip(&host, &format!("link set port{number} master bench0 up"))?;
            ip(inside, "link set lo up")?;
            ip(
                inside,
                &format!("address add 10.201.0.{number}/24 dev eth0"),
            )?;
            ip(inside, "link set eth0 up")?;
        }
        let names = client.run(|| UdpSocket::bind("127.0.0.11:53"))??;
        std::thread::spawn(move || answer_names(&names));
        Ok(Self {
            name: "limit",
            host,
            server,
            client,
            address: "10.201.0.2".to_owned(),
            gateway: "10.201.0.1".to_owned(),
            publishes: false,
            names: "127.0.0.11".to_owned(),
            servers: Vec::new(),
            daemon: None,
        })
    }

    /// Servers where they are reached: in the server's namespace and the host's.
    fn serve(&mut self) -> Result<()> {
        for namespace in [&self.server, &self.host] {
            let mut iperf = Command::new("iperf3");
            iperf.args(["-s", "-p", &THROUGHPUT.0.to_string()]);
            iperf
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .stdin(Stdio::null());
            self.servers.push(namespace.spawn(&mut iperf)?);
            let web = namespace.run(|| TcpListener::bind(("0.0.0.0", WEB.0)))??;
            for _ in 0..THREADS {
                let web = web.try_clone()?;
                std::thread::spawn(move || answer_requests(&web));
            }
        }
        Ok(())
    }

    /// Where a client is, and what it connects to.
    fn way(&self, way: Way, ports: (u16, u16)) -> (&Namespace, &str, u16) {
        match way {
            Way::Direct => (&self.client, &self.address, ports.0),
            Way::ToHost => (&self.client, &self.gateway, ports.0),
            Way::Loopback if self.publishes => (&self.host, "127.0.0.1", ports.1),
            Way::Loopback => (&self.host, "127.0.0.1", ports.0),
            Way::Published if self.publishes => (&self.host, &self.gateway, ports.1),
            Way::Published => (&self.host, &self.address, ports.0),
        }
    }

    fn measure(&self, what: What, seconds: u32) -> Result<f64> {
        match what {
            What::Throughput(way) => {
                let (from, to, port) = self.way(way, THROUGHPUT);
                let line = format!("-c {to} -p {port} -t {seconds} -J");
                // The server may be busy with the end of the one before.
                let text = wait_until("iperf3", LIMIT, || ran(from, "iperf3", &line).ok())?;
                let report: serde_json::Value = serde_json::from_str(&text)?;
                let bits = &report["end"]["sum_received"]["bits_per_second"];
                Ok(bits.as_f64().context("bits per second")? / 1e9)
            }
            What::NewConnections(way) => self.requests(way, seconds, "-H Connection:close"),
            What::KeepAlive(way) => self.requests(way, seconds, ""),
            What::Names => {
                let mut questions = tempfile::NamedTempFile::new()?;
                questions.write_all("server A\n".repeat(100).as_bytes())?;
                let line = format!(
                    "-s {} -d {} -l {seconds} -c 4 -q 50",
                    self.names,
                    questions.path().display()
                );
                let text = ran(&self.client, "dnsperf", &line)?;
                ensure!(
                    text.contains("NOERROR") && !text.contains("NXDOMAIN"),
                    "{text}"
                );
                number_behind(&text, "Queries per second:")
            }
        }
    }

    fn requests(&self, way: Way, seconds: u32, header: &str) -> Result<f64> {
        let (from, to, port) = self.way(way, WEB);
        let line = format!("-t1 -c{CLIENTS} -d{seconds}s {header} http://{to}:{port}/");
        number_behind(&ran(from, "wrk", &line)?, "Requests/sec:")
    }

    /// Ends an engine; nothing of it is left.
    fn end(mut self) -> Result<()> {
        let Some(daemon) = self.daemon.take() else {
            return Ok(());
        };
        // Whoever holds a namespace holds its links.
        (self.server, self.client) = (Namespace::current()?, Namespace::current()?);
        for line in ["rm -f server client", "network rm bench"] {
            daemon.cli(&line.split(' ').collect::<Vec<_>>())?.ok()?;
        }
        Ok(())
    }
}

/// What a program prints in a namespace.
fn ran(namespace: &Namespace, program: &str, line: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(line.split_whitespace());
    let output = namespace
        .run(|| command.output())?
        .with_context(|| program.to_owned())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {line}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

fn number_behind(text: &str, label: &str) -> Result<f64> {
    let (_, rest) = text
        .split_once(label)
        .with_context(|| format!("no {label} in {text}"))?;
    let word = rest.split_whitespace().next().context("a number")?;
    Ok(word.parse()?)
}

/// Answers the requests of one connection after the other.
fn answer_requests(web: &TcpListener) {
    for mut client in web.incoming().flatten() {
        let _ = client.set_nodelay(true);
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let asked = buffer.get(..length).unwrap_or_default();
            let last = asked
                .windows(6)
                .any(|word| word == b":close" || word == b": clos");
            let answer = if last { LAST_ANSWER } else { ANSWER };
            if client.write_all(answer).is_err() || last {
                break;
            }
        }
    }
}

/// Answers every question with an address, as short as can be.
fn answer_names(socket: &UdpSocket) {
    const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 201, 0, 2];
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        // Up to the end of the question: what follows is of the asker.
        let name = buffer.get(12..length).unwrap_or_default();
        let Some(end) = name
            .iter()
            .position(|&byte| byte == 0)
            .map(|at| 12 + at + 5)
        else {
            continue;
        };
        let mut answer = buffer.get(..end).unwrap_or_default().to_vec();
        if let Some(head) = answer.get_mut(2..12) {
            head.copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        }
        answer.extend_from_slice(&RECORD);
        let _ = socket.send_to(&answer, from);
    }
}

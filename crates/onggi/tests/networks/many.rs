//! Many networks, and many containers in one: nothing overlaps, nothing is left, everybody is reached.
//!
//! How long it takes is told, not asked for: what a change costs the kernel is counted in the crate `network`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Namespace, wait_until};
use serde_json::{Value, json};

use crate::{finish, is_dockerd, ok};

const AT_ONCE: usize = 8;
/// Others that each container speaks to.
const PEERS: usize = 20;

fn count(full: usize, few: usize) -> usize {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => full,
        None => few,
    }
}

/// Does `work` for each number below `count`, some at a time; the first failure counts.
fn each(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let turns = || -> Result<()> {
        while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < count) {
            work(number).with_context(|| format!("number {number}"))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(turns)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("a thread panicked"))
    })
}

/// What a command says in the daemon's network namespace.
pub(crate) fn on_host(daemon: &Daemon, line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().context("a command")?);
    command.args(words);
    let output = daemon.namespace().run(|| command.output())??;
    ensure!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Everything of the kernel's that networks are made of, in an order of its own. Not what links get by themselves, nor what
/// carries at the moment.
pub(crate) fn kernel(daemon: &Daemon) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for line in on_host(daemon, "ip -br link")?.lines() {
        all.extend(line.split(' ').next().map(str::to_owned));
    }
    for line in [
        "ip -o address",
        "ip route show table all",
        "nft list ruleset",
        "ip rule",
    ] {
        let text = on_host(daemon, line)?;
        let own = |line: &&str| {
            ["fe80::", "ff00::", "progname"]
                .iter()
                .all(|word| !line.contains(word))
        };
        for line in text.lines().filter(own) {
            // Elements are told in any order.
            let pieces = line
                .split([',', '{', '}'])
                .map(|piece| piece.replace("linkdown", ""));
            all.extend(
                pieces
                    .map(|piece| piece.trim().to_owned())
                    .filter(|piece| !piece.is_empty()),
            );
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// What one has and the other has not; nothing where they are the same.
pub(crate) fn difference(now: &[String], before: &[String]) -> Option<String> {
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter()
            .filter(|line| !other.contains(line))
            .cloned()
            .collect()
    };
    (now != before).then(|| {
        format!(
            "more: {:#?}\nless: {:#?}",
            only(now, before),
            only(before, now)
        )
    })
}

#[test]
fn a_thousand_networks_come_and_go() -> Result<()> {
    let count = count(1000, 60);
    let mut daemon = Daemon::start_with(DaemonOptions {
        arguments: vec![
            "--default-address-pool".to_owned(),
            "base=10.96.0.0/12,size=24".to_owned(),
        ],
        ..DaemonOptions::default()
    })?;
    if is_dockerd(&daemon, "a thousand networks take it minutes") {
        return Ok(());
    }
    // Ranges of a VPN in the middle of the pool.
    for line in [
        "ip link add vpn0 type bridge",
        "ip link set vpn0 addrgenmode none",
        "ip link set vpn0 up",
        "ip address add 10.96.3.1/24 dev vpn0",
        "ip route add 10.96.8.0/23 dev vpn0",
    ] {
        on_host(&daemon, line)?;
    }
    // The first one may bring what stays: tables, switches.
    ok(&daemon, "network create first")?;
    ok(&daemon, "network rm first")?;
    // It goes behind the answer.
    let before = wait_until("the first one to be gone", LIMIT, || {
        let lines = kernel(&daemon).ok()?;
        let gone = !lines.iter().any(|line| line.contains("br-"));
        gone.then_some(lines)
    })?;
    let mut times = Vec::new();
    let mut subnets = BTreeSet::new();
    for number in 0..count {
        let begun = Instant::now();
        let body =
            json!({"Name": format!("n{number}"), "Labels": {"odd": (number % 2).to_string()}});
        daemon.post("/networks/create", &body)?.ok()?;
        times.push(begun.elapsed());
        if number == count / 2 {
            daemon.kill()?;
            daemon.run()?;
        }
    }
    let listed = daemon.get("/networks")?.ok()?.json()?;
    for network in listed.as_array().context("a list")? {
        if network["Labels"]["odd"].is_string() {
            let subnet = network["IPAM"]["Config"][0]["Subnet"]
                .as_str()
                .context("Subnet")?;
            subnets.insert(subnet.to_owned());
        }
    }
    // In their order, without gaps but those of the host.
    let free = (0..)
        .filter(|piece: &usize| ![3, 8, 9].contains(piece))
        .skip(1);
    let expected: BTreeSet<String> = free
        .take(count)
        .map(|piece| format!("10.{}.{}.0/24", 96 + piece / 256, piece % 256))
        .collect();
    ensure!(
        subnets == expected,
        "{:?}",
        subnets.symmetric_difference(&expected)
    );
    let bridges = on_host(&daemon, "ip -o link show type bridge")?;
    ensure!(bridges.matches(": br-").count() == count, "{bridges}");

    let begun = Instant::now();
    ok(&daemon, "network ls")?;
    let ls = begun.elapsed();
    let mut removed = Vec::new();
    for number in (0..count).step_by(2) {
        let begun = Instant::now();
        daemon.delete(&format!("/networks/n{number}"))?.ok()?;
        removed.push(begun.elapsed());
    }
    let begun = Instant::now();
    let pruned = ok(&daemon, "network prune -f --filter label=odd")?;
    let few = |times: &[Duration]| {
        let mut few: Vec<f64> = times
            .iter()
            .map(|time| time.as_secs_f64() * 1000.0)
            .collect();
        few.sort_unstable_by(f64::total_cmp);
        few[few.len() / 2]
    };
    eprintln!(
        "{count} networks: created in {:.1} ms each at first, in {:.1} at last; listed in {ls:?}; removed in {:.1} ms each, \
         then in {:.1}; {} pruned in {:?}",
        few(&times[..20]),
        few(&times[count - 20..]),
        few(&removed[..10]),
        few(&removed[removed.len() - 10..]),
        pruned.lines().count() - 1,
        begun.elapsed(),
    );
    // The next daemon sees off what this one did not come to.
    daemon.kill()?;
    daemon.run()?;
    let begun = Instant::now();
    let mut left = None;
    let gone = wait_until("the bridges to be gone", LIMIT * 3, || {
        left = difference(&kernel(&daemon).ok()?, &before);
        left.is_none().then_some(())
    });
    gone.with_context(|| left.unwrap_or_default())?;
    eprintln!(
        "the kernel had let the last one go {:?} later",
        begun.elapsed()
    );
    daemon.kill()?;
    daemon.run()?;
    let listed = daemon.get("/networks")?.ok()?.json()?;
    ensure!(
        listed.as_array().is_some_and(|list| list.len() == 3),
        "{listed}"
    );
    on_host(&daemon, "ip link delete vpn0")?;
    daemon.clean()
}

/// What a container asks and reaches, from inside its network namespace.
struct Inside {
    namespace: Namespace,
    address: Ipv4Addr,
}

/// A question for the address of a name.
pub(crate) fn question(name: &str) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0".to_vec();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

/// What the resolver of the caller's namespace says of a name: asked again, as libc does, until it answers.
pub(crate) fn resolve(name: &str) -> Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((Ipv4Addr::new(127, 0, 0, 11), 53))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let asked = question(name);
    for _ in 0..15 {
        let mut bytes = [0; 4096];
        // Refused for a moment is as good as lost.
        if socket.send(&asked).is_ok()
            && let Ok(count) = socket.recv(&mut bytes)
        {
            return Ok(bytes[..count].to_vec());
        }
    }
    anyhow::bail!("nobody answers {name}")
}

/// The page that a server at this address has.
pub(crate) fn page(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(20))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, page) = text.split_once("\r\n\r\n").context("no answer")?;
    Ok(page.trim().to_owned())
}

impl Inside {
    fn of(daemon: &Daemon, name: &str) -> Result<Self> {
        let document = daemon
            .get(&format!("/containers/{name}/json"))?
            .ok()?
            .json()?;
        let pid = document["State"]["Pid"].as_u64().context("Pid")?;
        let address = document["NetworkSettings"]["Networks"]["crowd"]["IPAddress"].as_str();
        let file = std::fs::File::open(format!("/proc/{pid}/ns/net"))?;
        Ok(Self {
            namespace: Namespace::from(OwnedFd::from(file)),
            address: address.context("IPAddress")?.parse()?,
        })
    }

    /// Looks for another one by its name, and reaches it.
    fn reach(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        let once = || -> Result<()> {
            let said = resolve(name)?;
            ensure!(
                said.ends_with(&address.octets()),
                "{name} is {}",
                said.escape_ascii()
            );
            // A table of neighbours that is full for a moment loses packets.
            let reached = wait_until(&format!("the page of {name}"), LIMIT, || {
                page((IpAddr::V4(address), 80).into()).ok()
            })?;
            ensure!(reached == name, "{name} says that it is {reached}");
            Ok(())
        };
        self.namespace.run(once)?
    }
}

/// How many neighbours all namespaces of the machine have room for, as it was before.
struct Raised(String);

const MOST: &str = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";

impl Drop for Raised {
    fn drop(&mut self) {
        let _ = std::fs::write(MOST, &self.0);
    }
}

/// Where the host's table of neighbours is too small, `info` says so, and what it says helps.
fn room_for_neighbours(daemon: &Daemon, count: usize) -> Result<Option<Raised>> {
    let before = std::fs::read_to_string(MOST)?;
    if before.trim().parse::<usize>()? >= count * PEERS.min(18) {
        return Ok(None);
    }
    let info = daemon.get("/info")?.ok()?.json()?;
    let said = info["Warnings"].to_string();
    let (_, rest) = said
        .split_once("net.ipv4.neigh.default.gc_thresh3=")
        .context(said.clone())?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    std::fs::write(MOST, digits)?;
    Ok(Some(Raised(before)))
}

#[test]
fn a_crowd_in_one_network() -> Result<()> {
    let count = count(500, 24);
    let daemon = crate::daemon()?;
    if is_dockerd(&daemon, "five hundred containers take it minutes") {
        return Ok(());
    }
    ok(&daemon, "network create --subnet 10.64.0.0/20 crowd")?;
    let begun = Instant::now();
    each(count, |number| {
        let name = format!("c{number}");
        let script = format!("echo {name} > /tmp/index.html; exec httpd -f -p 80 -h /tmp");
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", script], "HostConfig": {"NetworkMode": "crowd"},
        });
        daemon
            .post(&format!("/containers/create?name={name}"), &body)?
            .ok()?;
        daemon
            .post(&format!("/containers/{name}/start"), &Value::Null)?
            .ok()?;
        Ok(())
    })?;
    let started = begun.elapsed();
    let all: Vec<Inside> = (0..count)
        .map(|number| Inside::of(&daemon, &format!("c{number}")))
        .collect::<Result<_>>()?;
    let addresses: BTreeSet<Ipv4Addr> = all.iter().map(|inside| inside.address).collect();
    ensure!(addresses.len() == count, "{} addresses", addresses.len());
    let _raised = room_for_neighbours(&daemon, count)?;
    let begun = Instant::now();
    each(count, |number| {
        // Steps without a common divisor with the whole lead to others each time.
        for step in 1..=PEERS.min(count - 1) {
            let peer = (number + step * step * 7 + step) % count;
            if peer != number {
                all[number].reach(&format!("c{peer}"), all[peer].address)?;
            }
        }
        Ok(())
    })?;
    eprintln!(
        "{count} containers started in {started:?}; each reached {PEERS} others, in {:?} altogether",
        begun.elapsed()
    );
    drop(all);
    each(count, |number| {
        daemon
            .delete(&format!("/containers/c{number}?force=1"))?
            .ok()?;
        Ok(())
    })?;
    finish(&daemon)
}

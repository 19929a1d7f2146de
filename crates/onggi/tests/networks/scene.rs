//! A host with a daemon, the world outside, and two networks that must not see each other: what tests of firewalls share.

use crate::ok;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Namespace, Subject, wait_until};
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The one outside, its way to the host.
pub(crate) const HOST: &str = "192.0.2.1";
const WORLD: &str = "192.0.2.2";
/// The port that packets which must not arrive are sent to.
const PORT: u16 = 9999;

/// A daemon's machine, the world outside, and two networks that must not see each other.
pub(crate) struct Scene {
    pub(crate) daemon: Daemon,
    pub(crate) world: Namespace,
    victim: Namespace,
    /// Where the victim is, and who must not reach it.
    pub(crate) address: IpAddr,
    stranger: Namespace,
}

fn ip(namespace: &Namespace, arguments: &str) -> Result<()> {
    run(namespace, "ip", arguments).map(drop)
}

/// What a program prints in a namespace.
pub(crate) fn run(namespace: &Namespace, program: &str, arguments: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    let output = namespace.run(|| command.output())??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Rules in nft's language.
pub(crate) fn nft(daemon: &Daemon, rules: &str) -> Result<()> {
    let path = daemon.path("rules.nft");
    std::fs::write(&path, rules)?;
    run(daemon.namespace(), "nft", &format!("-f {}", path.display())).map(drop)
}

/// Everything of others, without numbers that packets change.
pub(crate) fn of_others(daemon: &Daemon) -> Result<String> {
    let all = run(daemon.namespace(), "nft", "-s list ruleset")?;
    let mut others = String::new();
    let mut ours = false;
    for line in all.lines() {
        if line.starts_with("table ") {
            ours = line.contains(" onggi ");
        }
        // The one jump and its chain, which `docs/FIREWALL.md` tells of.
        if !ours && !line.contains("onggi") && !line.contains("ONGGI") {
            others.push_str(line);
            others.push('\n');
        }
    }
    Ok(others)
}

impl Scene {
    /// A daemon with these arguments, on a host with these rules.
    pub(crate) fn open(arguments: &[&str], rules: &str) -> Result<Self> {
        Self::open_with(arguments, |daemon| match rules {
            "" => Ok(()),
            rules => nft(daemon, rules),
        })
    }

    /// A daemon with these arguments; the host is made ready before there are networks.
    pub(crate) fn open_with(
        arguments: &[&str],
        prepare: impl FnOnce(&Daemon) -> Result<()>,
    ) -> Result<Self> {
        let (host, world) = (Namespace::new()?, Namespace::new()?);
        let path = format!("/proc/{}/fd/{}", std::process::id(), world.fd().as_raw_fd());
        ip(&host, "link add up0 type veth peer name out0")?;
        ip(&host, &format!("link set out0 netns {path}"))?;
        for (namespace, link, own, other) in
            [(&host, "up0", HOST, WORLD), (&world, "out0", WORLD, HOST)]
        {
            ip(namespace, &format!("address add {own}/24 dev {link}"))?;
            ip(namespace, &format!("link set {link} up"))?;
            ip(namespace, &format!("route add default via {other}"))?;
        }
        let daemon = Daemon::start_with(DaemonOptions {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            namespace: Some(host),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        prepare(&daemon)?;
        ok(&daemon, "network create one")?;
        ok(&daemon, "network create two")?;
        let serve = |name: &str, flags: &str| {
            let script = "mkdir /www; echo here > /www/index.html; exec httpd -f -p 80 -h /www";
            let mut words = vec!["run", "-d", "--name", name];
            words.extend(flags.split(' '));
            words.extend(["busybox", "sh", "-c", script]);
            daemon.cli(&words)?.ok().map(drop).context(name.to_owned())
        };
        serve("victim", "--network one -p 8080:80 -p 8081:80")?;
        serve("stranger", "--network two")?;
        let namespace = |name: &str| -> Result<Namespace> {
            let pid = crate::shows(&daemon, "container", name, "{{.State.Pid}}")?;
            Ok(OwnedFd::from(File::open(format!("/proc/{pid}/ns/net"))?).into())
        };
        let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = crate::shows(&daemon, "container", "victim", address)?.parse()?;
        let (victim, stranger) = (namespace("victim")?, namespace("stranger")?);
        // Packets that arrive are counted before anybody looks at them.
        let counter = "add table ip seen; add chain ip seen in { type filter hook prerouting priority -400; }; \
                       add rule ip seen in udp dport 9999 counter";
        let mut command = Command::new("nft");
        command.arg(counter);
        let output = victim.run(|| command.output())??;
        ensure!(output.status.success(), "{output:?}");
        Ok(Self {
            daemon,
            world,
            victim,
            address,
            stranger,
        })
    }

    /// Packets that arrived at the victim.
    fn arrived(&self) -> Result<u64> {
        let text = run(&self.victim, "nft", "list chain ip seen in")?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "packets");
        let count = at.and_then(|at| words.get(at + 1)).context("a counter")?;
        Ok(count.parse()?)
    }

    /// Does something while packets fly that must not arrive: from the other network, and from outside by the address that
    /// the container has. None arrives.
    pub(crate) fn under_fire(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        // The counter counts, and what is not forbidden does arrive.
        let from_host = self
            .daemon
            .namespace()
            .run(|| UdpSocket::bind("0.0.0.0:0"))??;
        wait_until("the counter to count", LIMIT, || {
            let _ = from_host.send_to(b"x", (self.address, PORT));
            self.arrived().is_ok_and(|count| count > 0).then_some(())
        })?;
        drop(from_host);
        let before = self.settled()?;
        let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let sockets = [
            self.stranger.run(|| UdpSocket::bind("0.0.0.0:0"))??,
            self.world.run(|| UdpSocket::bind("0.0.0.0:0"))??,
        ];
        let to = (self.address, PORT);
        let done = std::thread::scope(|scope| {
            for socket in &sockets {
                let (over, sent) = (&over, &sent);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        // A burst each millisecond: 10,000 a second.
                        for _ in 0..10 {
                            let _ = socket.send_to(b"x", to);
                        }
                        sent.fetch_add(10, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            let done = work();
            over.store(true, Ordering::Relaxed);
            done
        });
        done?;
        let sent = sent.load(Ordering::Relaxed);
        ensure!(sent > 100, "only {sent} packets were sent");
        let after = self.settled()?;
        ensure!(
            after == before,
            "{} of {sent} packets passed",
            after - before
        );
        eprintln!("none of {sent} packets passed");
        Ok(())
    }

    /// The count when nothing is on its way any more.
    fn settled(&self) -> Result<u64> {
        let mut last = self.arrived()?;
        wait_until("the counter to stand still", LIMIT, || {
            let now = self.arrived().ok()?;
            let stands = now == last;
            last = now;
            stands.then_some(now)
        })
    }

    /// Until a port of the host answers from outside; how long that took.
    pub(crate) fn answers(&self, port: u16) -> Result<Duration> {
        let began = Instant::now();
        let to = SocketAddr::new(HOST.parse()?, port);
        let connect = || {
            let limit = Duration::from_millis(50);
            let stream = self.world.run(|| TcpStream::connect_timeout(&to, limit));
            stream.ok()?.ok()
        };
        wait_until(&format!("an answer of {to}"), LIMIT, connect)
            .with_context(|| self.kernel_and_daemon())?;
        Ok(began.elapsed())
    }

    /// What there is, for people who look for the reason of a failure.
    fn kernel_and_daemon(&self) -> String {
        let host = self.daemon.namespace();
        let mut text = String::new();
        for (program, arguments) in [
            ("nft", "list ruleset"),
            ("ip", "rule"),
            ("ip", "route show table all"),
            ("ip", "-s link"),
        ] {
            let shown = run(host, program, arguments).unwrap_or_else(|error| format!("{error:#}"));
            text.push_str(&format!("{program} {arguments}:\n{shown}\n"));
        }
        text.push_str(&self.daemon.log());
        text
    }

    /// Whether a port of the host stays silent, tried a few times.
    pub(crate) fn is_closed(&self, port: u16) -> Result<bool> {
        let to = SocketAddr::new(HOST.parse()?, port);
        for _ in 0..3 {
            let limit = Duration::from_millis(500);
            if self
                .world
                .run(|| TcpStream::connect_timeout(&to, limit))?
                .is_ok()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn close(self) -> Result<()> {
        let Self {
            daemon,
            victim,
            stranger,
            ..
        } = self;
        // Whoever holds a namespace holds its links.
        drop((victim, stranger));
        ok(&daemon, "rm -f victim stranger")?;
        crate::finish(&daemon)
    }
}

/// Whether this is asked of another daemon, or of a run that is to be short.
pub(crate) fn is_not_asked(full: bool) -> Result<bool> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: dockerd has rules of its own");
        return Ok(true);
    }
    if full && std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and this goes on for minutes");
        return Ok(true);
    }
    Ok(false)
}

/// The one in the middle.
pub(crate) fn middle(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

pub(crate) fn report(what: &str, mut times: Vec<Duration>) {
    let middle = middle(&mut times);
    if let Some(last) = times.last() {
        eprintln!("{what}: {middle:?} in the middle, {last:?} at most");
    }
}

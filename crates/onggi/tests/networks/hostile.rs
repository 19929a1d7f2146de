//! Firewalls of others, and what they do to ours: rules that are flushed during traffic, policies that drop, ufw's rules, a
//! daemon that is killed in the middle of changes. Isolation never opens: counted in the namespace of who must not be
//! reached, while somebody sends 10,000 packets a second. What is published answers again. Rules of others stay as they are.

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
const HOST: &str = "192.0.2.1";
const WORLD: &str = "192.0.2.2";
/// The port that packets which must not arrive are sent to.
const PORT: u16 = 9999;

/// Rules as ufw has them, in tables as iptables makes them: nothing comes in but answers and what is allowed, nothing
/// passes through.
const UFW: &str = r#"
table ip filter {
    chain ufw-user-input {
        tcp dport 22 counter accept
        tcp dport 8081 counter accept
    }
    chain ufw-before-input {
        iifname "lo" counter accept
        ct state related,established counter accept
        ct state invalid counter drop
        ip protocol icmp icmp type echo-request counter accept
        counter jump ufw-user-input
    }
    chain ufw-before-forward {
        ct state related,established counter accept
        ip protocol icmp icmp type echo-request counter accept
    }
    chain INPUT {
        type filter hook input priority filter; policy drop;
        counter jump ufw-before-input
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump ufw-before-forward
    }
    chain OUTPUT {
        type filter hook output priority filter; policy accept;
    }
}
"#;

/// A daemon's machine, the world outside, and two networks that must not see each other.
struct Scene {
    daemon: Daemon,
    world: Namespace,
    victim: Namespace,
    /// Where the victim is, and who must not reach it.
    address: IpAddr,
    stranger: Namespace,
}

fn ip(namespace: &Namespace, arguments: &str) -> Result<()> {
    run(namespace, "ip", arguments).map(drop)
}

/// What a program prints in a namespace.
fn run(namespace: &Namespace, program: &str, arguments: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    let output = namespace.run(|| command.output())??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments}: {error}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Rules in nft's language.
fn nft(daemon: &Daemon, rules: &str) -> Result<()> {
    let path = daemon.path("rules.nft");
    std::fs::write(&path, rules)?;
    run(daemon.namespace(), "nft", &format!("-f {}", path.display())).map(drop)
}

/// Everything of others, without numbers that packets change.
fn of_others(daemon: &Daemon) -> Result<String> {
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
    fn open(arguments: &[&str], rules: &str) -> Result<Self> {
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
        if !rules.is_empty() {
            nft(&daemon, rules)?;
        }
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
    fn under_fire(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
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
    fn answers(&self, port: u16) -> Result<Duration> {
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
    fn is_closed(&self, port: u16) -> Result<bool> {
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

    fn close(self) -> Result<()> {
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
fn is_not_asked(full: bool) -> Result<bool> {
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
fn middle(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn report(what: &str, mut times: Vec<Duration>) {
    let middle = middle(&mut times);
    if let Some(last) = times.last() {
        eprintln!("{what}: {middle:?} in the middle, {last:?} at most");
    }
}

#[test]
fn flushed_fifty_times_under_fire() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let scene = Scene::open(&[], "")?;
    let (mut times, mut plain) = (Vec::new(), Vec::new());
    scene.under_fire(|| {
        for _ in 0..50 {
            run(scene.daemon.namespace(), "nft", "flush ruleset")?;
            times.push(scene.answers(8080)?);
        }
        Ok(())
    })?;
    // What this machine needs for one rule by hand, under the same fire.
    scene.under_fire(|| {
        let rules = format!(
            "table ip plain {{\n chain in {{\n type nat hook prerouting priority dstnat;\n tcp dport 8090 dnat to {}:80\n }}\n}}",
            scene.address
        );
        for _ in 0..10 {
            let began = Instant::now();
            nft(&scene.daemon, &rules)?;
            scene.answers(8090)?;
            plain.push(began.elapsed());
            run(scene.daemon.namespace(), "nft", "delete table ip plain")?;
        }
        Ok(())
    })?;
    let limit = Duration::from_millis(100).max(middle(&mut plain) * 5);
    let usual = middle(&mut times);
    report("a rule by hand answered after", plain);
    report("published ports answered again after", times);
    ensure!(
        usual <= limit,
        "usually after {usual:?}, more than {limit:?}"
    );
    scene.close()
}

#[test]
fn tables_that_are_gone_are_made_by_the_next_daemon() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    // As after a start of the machine: networks whose subnets adjoin, and no table.
    let mut scene = Scene::open(&[], "")?;
    ok(&scene.daemon, "network create three --ipv6")?;
    ok(&scene.daemon, "network create four --ipv6")?;
    scene.answers(8080)?;
    scene.daemon.kill()?;
    run(scene.daemon.namespace(), "nft", "flush ruleset")?;
    scene.daemon.run()?;
    scene.answers(8080)?;
    let said = scene.daemon.log();
    ensure!(!said.contains("WARN"), "{said}");
    scene.close()
}

#[test]
fn policies_that_drop_and_rules_of_ufw() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let scene = Scene::open(&[], UFW)?;
    let before = of_others(&scene.daemon)?;
    scene.answers(8080)?;
    let mut times = Vec::new();
    scene.under_fire(|| {
        for _ in 0..20 {
            // As ufw reloads: everything of its own goes, and comes again.
            nft(&scene.daemon, &format!("delete table ip filter\n{UFW}"))?;
            times.push(scene.answers(8080)?);
        }
        Ok(())
    })?;
    report(
        "published ports answered again after a reload of ufw's rules",
        times,
    );
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    // Those who have it are asked.
    let user = "add chain ip filter DOCKER-USER\nadd rule ip filter DOCKER-USER tcp dport 80 drop";
    nft(&scene.daemon, user)?;
    wait_until("DOCKER-USER to be asked", LIMIT, || {
        scene
            .is_closed(8080)
            .is_ok_and(|closed| closed)
            .then_some(())
    })?;
    nft(&scene.daemon, "flush chain ip filter DOCKER-USER")?;
    scene.answers(8080)?;
    scene.close()
}

#[test]
fn killed_in_the_middle_of_changes() -> Result<()> {
    if is_not_asked(true)? {
        return Ok(());
    }
    let mut scene = Scene::open(&[], UFW)?;
    let before = of_others(&scene.daemon)?;
    const CHANGES: usize = 200;
    const KILLS: usize = 8;
    for round in 0..KILLS {
        // The changes end where the daemon does.
        scene.under_fire(|| {
            for number in 0..CHANGES / KILLS {
                let name = format!("n{round}-{number}");
                if number == CHANGES / KILLS / 2 + round {
                    let pid = scene.daemon.pid().context("a daemon")?;
                    let change = scene.daemon.cli_process(&["network", "create", &name])?;
                    run(scene.daemon.namespace(), "kill", &format!("-9 {pid}"))?;
                    drop(change);
                    return Ok(());
                }
                ok(&scene.daemon, &format!("network create {name}"))?;
                let line = format!("network connect {name} stranger");
                ok(&scene.daemon, &line)?;
            }
            Ok(())
        })?;
        let _ = scene.daemon.kill();
        let away = scene.answers(8080)?;
        scene.daemon.run()?;
        let back = scene.answers(8080)?;
        eprintln!("answered after {away:?} without a daemon, {back:?} with the next");
        for name in ok(&scene.daemon, "network ls --format {{.Name}}")?.lines() {
            if name.starts_with('n') && name.contains('-') {
                ok(
                    &scene.daemon,
                    &format!("network disconnect -f {name} stranger"),
                )?;
                ok(&scene.daemon, &format!("network rm {name}"))?;
            }
        }
    }
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    scene.close()
}

#[test]
fn published_ports_obey_the_host_where_asked() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    // Docker's: rules of input are for servers of the host.
    let mut scene = Scene::open(&[], UFW)?;
    for port in [8080, 8081] {
        scene.answers(port)?;
    }
    // The same containers with the next daemon, which asks them. ufw lets 8081 in.
    scene.close()?;
    scene = Scene::open(&["--publish-policy=host"], UFW)?;
    scene.answers(8081)?;
    ensure!(scene.is_closed(8080)?, "8080 is not allowed");
    // It is closed to nobody else.
    let own: SocketAddr = "127.0.0.1:8080".parse()?;
    let connect = || {
        let limit = Duration::from_secs(1);
        let stream = scene
            .daemon
            .namespace()
            .run(|| TcpStream::connect_timeout(&own, limit));
        stream.ok()?.ok()
    };
    wait_until("the host itself to get through", LIMIT, connect)?;
    nft(
        &scene.daemon,
        "add rule ip filter ufw-user-input tcp dport 8080 accept",
    )?;
    scene.answers(8080)?;
    run(scene.daemon.namespace(), "nft", "flush ruleset")?;
    scene.answers(8080)?;
    scene.close()
}

#[test]
fn chains_of_others_that_drop_are_named() -> Result<()> {
    if is_not_asked(false)? {
        return Ok(());
    }
    let rules = "table inet fence {\n chain passing {\n type filter hook forward priority 10; policy drop;\n }\n}";
    let mut scene = Scene::open(&[], rules)?;
    ensure!(
        scene.is_closed(8080)?,
        "a verdict of ours undid one of theirs"
    );
    let before = of_others(&scene.daemon)?;
    // At the latest the next daemon looks.
    scene.daemon.kill()?;
    scene.daemon.run()?;
    let log = scene.daemon.log();
    let line = log.lines().find(|line| line.contains("chain passing"));
    let line = line.context("no warning")?;
    // The line to add, as it is said.
    let (_, said) = line.split_once("nft '").context("no line to add")?;
    let (said, _) = said.split_once('\'').context("no end of the line")?;
    ensure!(
        of_others(&scene.daemon)? == before,
        "rules of others have changed"
    );
    let links = run(scene.daemon.namespace(), "ip", "-o link show type bridge")?;
    let named = said
        .split('"')
        .nth(1)
        .context("the line names no bridge")?
        .to_owned();
    ensure!(links.contains(&named), "{named} is no bridge: {links}");
    for link in links.lines().filter_map(|line| line.split(": ").nth(1)) {
        nft(
            &scene.daemon,
            &said.replace("; ", "\n").replace(&named, link),
        )?;
    }
    scene.answers(8080)?;
    scene.close()
}

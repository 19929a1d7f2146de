//! Ports that move while the daemon is killed: whenever that is, the next one has each port with one of both, and it answers,
//! at `[::1]` of the host too. What moves is published as it was asked for.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Api, Daemon, LIMIT, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::many::{difference, kernel, page};
use crate::{daemon, finish, is_dockerd, ok};

/// Where the page is published.
const PORT: u16 = 18080;
const LOOPBACKS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

fn rounds() -> u64 {
    match std::env::var_os("ONGGI_FULL") {
        Some(_) => 100,
        None => 5,
    }
}

/// Starts a container whose page is its name.
fn serve(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    let script = format!("echo {name} > /tmp/index.html; exec httpd -f -p 80 -h /tmp");
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags.split_whitespace());
    words.extend(["busybox", "sh", "-c", &script]);
    daemon.cli(&words)?.ok().map(drop).context(name.to_owned())
}

/// Whose page it is. One that is just ending may never answer: then it is asked again.
fn said(daemon: &Daemon, ip: IpAddr, port: u16) -> Result<String> {
    let ask = || -> Result<String> {
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(ip, port), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, page) = text.split_once("\r\n\r\n").context("no answer")?;
        Ok(page.trim().to_owned())
    };
    daemon.namespace().run(ask)?
}

/// Until both loopback addresses lead to this container.
fn answers(daemon: &Daemon, port: u16, name: &str) -> Result<()> {
    for ip in LOOPBACKS {
        let mut last = String::new();
        let right = wait_until(&format!("{name} at {ip}:{port}"), LIMIT, || {
            last = said(daemon, ip, port).unwrap_or_else(|error| format!("{error:#}"));
            (last == name).then_some(())
        });
        right.with_context(|| format!("instead: {last}"))?;
    }
    Ok(())
}

/// Who has the port on record: one of both.
fn holder(daemon: &Daemon) -> Result<&'static str> {
    let mut holders = Vec::new();
    for name in ["blue", "green"] {
        let path = format!("/containers/{name}/json");
        let container = daemon.get(&path)?.ok()?.json()?;
        let asked = &container["HostConfig"]["PortBindings"]["80/tcp"];
        let has = &container["NetworkSettings"]["Ports"]["80/tcp"];
        ensure!(
            asked.is_array() == has.is_array(),
            "{name}: {asked} and {has}"
        );
        if has.is_array() {
            holders.push(name);
        }
    }
    ensure!(holders.len() == 1, "the port is {holders:?}'s");
    Ok(holders[0])
}

/// Moves the port to and fro until the daemon answers no more.
fn moves(api: &Api, count: &AtomicU64) {
    loop {
        for (from, to) in [("blue", "green"), ("green", "blue")] {
            let path = format!("/containers/{from}/ports/move");
            if api.post(&path, &json!({"To": to})).is_err() {
                return;
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn killed_inside_of_a_move() -> Result<()> {
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "its ports do not move") {
        return Ok(());
    }
    serve(&daemon, "blue", &format!("-p {PORT}:80"))?;
    serve(&daemon, "green", "")?;
    answers(&daemon, PORT, "blue")?;
    let began = Instant::now();
    ok(&daemon, "port --move-to green blue")?;
    answers(&daemon, PORT, "green")?;
    ok(&daemon, "port --move-to blue green")?;
    let once = began.elapsed().min(Duration::from_millis(200)) / 2;
    answers(&daemon, PORT, "blue")?;
    let before = kernel(&daemon)?;
    let over = AtomicBool::new(false);
    let failed = std::sync::Mutex::new(None);
    std::thread::scope(|scope| -> Result<()> {
        // Somebody asks for the page all the time: it is never refused.
        let asker = daemon.namespace().try_clone()?;
        let (over, failed) = (&over, &failed);
        scope.spawn(move || {
            let ask = || {
                while !over.load(Ordering::Relaxed) {
                    let said = page((Ipv4Addr::LOCALHOST, PORT).into());
                    if !matches!(said.as_deref(), Ok("blue" | "green")) {
                        *failed.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(said);
                        return;
                    }
                }
            };
            asker.run(ask).expect("the daemon's namespace");
        });
        let done = (0..rounds()).try_for_each(|round| {
            kill(&mut daemon, round, once).with_context(|| format!("round {round}"))
        });
        over.store(true, Ordering::Relaxed);
        done
    })?;
    let failed = failed.into_inner().unwrap_or_else(|lock| lock.into_inner());
    ensure!(failed.is_none(), "{failed:?}");
    if holder(&daemon)? == "green" {
        ok(&daemon, "port --move-to blue green")?;
    }
    answers(&daemon, PORT, "blue")?;
    let left = || difference(&kernel(&daemon).unwrap_or_default(), &before);
    let same = wait_until("nothing to be left", LIMIT, || {
        left().is_none().then_some(())
    });
    same.with_context(|| left().unwrap_or_default())?;
    // The other one has nothing of it, and nobody else can have it.
    ok(&daemon, "rm -f green")?;
    let bind = || TcpListener::bind(("0.0.0.0", PORT));
    ensure!(daemon.namespace().run(bind)?.is_err(), "not held");
    ok(&daemon, "rm -f blue")?;
    daemon.namespace().run(bind)?.context("held for nobody")?;
    finish(&daemon)
}

#[test]
fn a_monitor_that_is_stopped_lets_go_later() -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: ONGGI_FULL is not set, and the daemon waits for a stopped monitor");
        return Ok(());
    }
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "its ports do not move") {
        return Ok(());
    }
    serve(&daemon, "blue", "")?;
    serve(&daemon, "green", &format!("-p {PORT}:80"))?;
    // The kernel lets those go on who lose their parent while they are stopped: it is lost before.
    daemon.kill()?;
    daemon.run()?;
    let process = monitor(&daemon, "green")?;
    kill_process(process, Signal::STOP)?;
    ok(&daemon, "port --move-to blue green")?;
    daemon.kill()?;
    daemon.run()?;
    kill_process(process, Signal::CONT)?;
    wait_until("it to be taken up", LIMIT, || {
        let said = daemon.cli(&["exec", "green", "true"]).ok()?;
        (said.code == 0).then_some(())
    })?;
    ok(&daemon, "rm -f green")?;
    is_held(&daemon)?;
    answers(&daemon, PORT, "blue")?;
    ok(&daemon, "rm -f blue")?;
    finish(&daemon)
}

/// The parent of a container's process.
fn monitor(daemon: &Daemon, name: &str) -> Result<Pid> {
    let pid = crate::shows(daemon, "container", name, "{{.State.Pid}}")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent = parent.and_then(|number| number.trim().parse().ok());
    parent.and_then(Pid::from_raw).context("PPid")
}

/// Waits until nobody of the host can have the port. On a machine that has no time, a monitor lets go of one after the
/// daemon has begun to answer.
fn is_held(daemon: &Daemon) -> Result<()> {
    let is_held = || {
        let bind = || TcpListener::bind(("0.0.0.0", PORT));
        let bound = daemon.namespace().run(bind).ok()?;
        bound.is_err().then_some(())
    };
    wait_until("the port to be held", LIMIT, is_held).with_context(|| daemon.log())
}

/// Kills the daemon while it moves the port, each time somewhere else; the next one knows whose it is.
fn kill(daemon: &mut Daemon, round: u64, once: Duration) -> Result<()> {
    let api = daemon.api();
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| moves(&api, &count));
        let enough = || (count.load(Ordering::Relaxed) > round % 3).then_some(());
        let moved = wait_until("moves", LIMIT, enough);
        // Any place in a move is as good as another: the golden ratio finds all.
        let at = once.mul_f64((round as f64 * 0.618_034).fract());
        let now = Instant::now();
        while now.elapsed() < at {
            std::thread::yield_now();
        }
        // Without it those who move would go on for ever.
        daemon.kill()?;
        moved
    })?;
    daemon.run()?;
    let holder = holder(daemon)?;
    answers(daemon, PORT, holder)?;
    is_held(daemon).with_context(|| format!("{holder} does not hold it"))
}

#[test]
fn what_moves_is_published_as_it_was_asked_for() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "its ports do not move") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --ipv6 --subnet 10.73.0.0/24 --subnet fd00:73::/64 six",
    )?;
    let bindings = |name: &str| -> Result<String> {
        let format =
            "{{range .HostConfig.PortBindings}}{{range .}}{{.HostIP}};{{.HostPort}} {{end}}{{end}}";
        crate::shows(&daemon, "container", name, format)
    };
    for (network, number) in [("bridge", 0), ("six", 1)] {
        let name = |kind: &str| format!("{kind}{number}");
        let (fixed, any, to) = (name("fixed"), name("any"), name("to"));
        let port = 18090 + number;
        serve(
            &daemon,
            &fixed,
            &format!("--network {network} -p {port}:80"),
        )?;
        serve(&daemon, &any, &format!("--network {network} -p 80"))?;
        serve(&daemon, &to, &format!("--network {network}"))?;
        let chosen = ok(&daemon, &format!("port {any} 80"))?;
        let chosen = chosen
            .lines()
            .next()
            .and_then(|line| line.rsplit(':').next());
        let chosen: u16 = chosen.context("a port")?.parse()?;
        for (from, port) in [(&fixed, port), (&any, chosen)] {
            answers(&daemon, port, from)?;
            ok(&daemon, &format!("port --move-to {to} {from}"))?;
            answers(&daemon, port, &to)?;
            ensure!(bindings(&to)? == format!(";{port}"), "{}", bindings(&to)?);
            // As it is when that one starts again.
            ok(&daemon, &format!("restart -t 0 {to}"))?;
            ensure!(bindings(&to)? == format!(";{port}"), "{}", bindings(&to)?);
            ok(&daemon, &format!("port --move-to {from} {to}"))?;
            answers(&daemon, port, from)?;
            ensure!(bindings(from)? == format!(";{port}"), "{}", bindings(from)?);
        }
        ok(&daemon, &format!("rm -f {fixed} {any} {to}"))?;
    }
    // An address that was named stays named.
    serve(&daemon, "named", "-p 127.0.0.1:18099:80")?;
    serve(&daemon, "to", "")?;
    ok(&daemon, "port --move-to to named")?;
    ensure!(bindings("to")? == "127.0.0.1;18099", "{}", bindings("to")?);
    ensure!(
        said(&daemon, LOOPBACKS[1], 18099).is_err(),
        "127.0.0.1 is not [::1]"
    );
    ok(&daemon, "rm -f named to")?;
    finish(&daemon)
}

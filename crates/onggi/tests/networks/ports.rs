//! Published ports while containers run: held after the daemon was killed, kept by containers without a network, moved
//! from one container to another, and many of them.

use crate::{daemon, ok, refuses};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A daemon that has busybox, unless it is not ours.
fn ours() -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: what dockerd does not promise");
        return Ok(None);
    }
    daemon().map(Some)
}

/// Starts a container that says its name to whoever connects, and then what it is told.
fn serve(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    let script = format!("exec nc -ll -p 80 -e sh -c 'echo {name}; exec cat'");
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let command = ["busybox", "sh", "-c", &script];
    daemon
        .cli(&[&["run", "-d", "--name", name], &flags[..], &command].concat())?
        .ok()?;
    Ok(())
}

/// A connection to a port of the host, and the name that was said.
fn connect(daemon: &Daemon, to: SocketAddr) -> Result<(TcpStream, String)> {
    let stream = daemon
        .namespace()
        .run(|| TcpStream::connect_timeout(&to, LIMIT))??;
    stream.set_read_timeout(Some(LIMIT))?;
    let name = line(&stream)?;
    Ok((stream, name))
}

fn line(mut stream: &TcpStream) -> Result<String> {
    let mut text = String::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).context("the stream ended")?;
        match byte[0] {
            b'\n' => return Ok(text),
            byte => text.push(char::from(byte)),
        }
    }
}

/// Who answers at a port, once somebody does.
fn answers(daemon: &Daemon, port: u16) -> Result<String> {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(&format!("an answer at port {port}"), LIMIT, || {
        connect(daemon, to).ok().map(|(_, name)| name)
    })
}

/// Whether a process of the host can have a port.
fn is_free(daemon: &Daemon, port: u16) -> Result<bool> {
    let bound = daemon
        .namespace()
        .run(|| TcpListener::bind(("0.0.0.0", port)))?;
    Ok(bound.is_ok())
}

/// The port of the host that leads to port 80.
fn port_of(daemon: &Daemon, name: &str) -> Result<u16> {
    let text = ok(daemon, &format!("port {name} 80"))?;
    let port = text.lines().next().and_then(|line| line.rsplit(':').next());
    Ok(port.context("no port")?.parse()?)
}

#[test]
fn ports_that_came_with_a_network_are_held_when_the_daemon_is_killed() -> Result<()> {
    let Some(mut daemon) = ours()? else {
        return Ok(());
    };
    ok(&daemon, "network create --internal inside")?;
    ok(&daemon, "network create open")?;
    serve(&daemon, "web", "--network inside -p 8080:80")?;
    ensure!(
        is_free(&daemon, 8080)?,
        "an internal network publishes nothing"
    );
    ok(&daemon, "network connect open web")?;
    ensure!(answers(&daemon, 8080)? == "web");
    ensure!(!is_free(&daemon, 8080)?, "not held");
    daemon.kill()?;
    ensure!(!is_free(&daemon, 8080)?, "not held without the daemon");
    ensure!(answers(&daemon, 8080)? == "web", "it goes on");
    daemon.run()?;
    ensure!(!is_free(&daemon, 8080)?, "not held by the next daemon");
    ensure!(answers(&daemon, 8080)? == "web");
    refuses(
        &daemon,
        "run --rm -p 8080:80 busybox true",
        "port is already allocated",
    )?;
    ok(&daemon, "rm -f web")?;
    ensure!(is_free(&daemon, 8080)?, "held for nobody");
    ok(&daemon, "network prune -f")?;
    daemon.clean()
}

#[test]
fn ports_wait_for_the_next_network_even_when_the_daemon_is_killed() -> Result<()> {
    let Some(mut daemon) = ours()? else {
        return Ok(());
    };
    ok(&daemon, "network create one")?;
    serve(&daemon, "web", "--network one -p 80")?;
    let port = port_of(&daemon, "web")?;
    ensure!(answers(&daemon, port)? == "web");
    ok(&daemon, "network disconnect one web")?;
    daemon.kill()?;
    daemon.run()?;
    ensure!(!is_free(&daemon, port)?, "not held");
    refuses(
        &daemon,
        &format!("run --rm -p {port}:80 busybox true"),
        "port is already allocated",
    )?;
    ok(&daemon, "network connect one web")?;
    ensure!(port_of(&daemon, "web")? == port, "another port");
    ensure!(answers(&daemon, port)? == "web");
    // A container that ends gives its ports back, in a network or not.
    ok(&daemon, "network disconnect one web")?;
    ok(&daemon, "stop -t 0 web")?;
    ensure!(is_free(&daemon, port)?, "held for nobody");
    ok(&daemon, &format!("run --rm -p {port}:80 busybox true"))?;
    ok(&daemon, "rm -f web")?;
    ok(&daemon, "network prune -f")?;
    daemon.clean()
}

/// Connects again and again from the host; tells how often, and what failed.
struct Clients<'a> {
    daemon: &'a Daemon,
    to: SocketAddr,
    done: AtomicBool,
    count: AtomicUsize,
}

impl Clients<'_> {
    fn run(&self) -> Result<()> {
        while !self.done.load(Ordering::Relaxed) {
            let (_, name) = connect(self.daemon, self.to)
                .with_context(|| format!("connection {}", self.count.load(Ordering::Relaxed)))?;
            ensure!(["blue", "green"].contains(&name.as_str()), "{name}");
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn more(&self, count: usize) -> Result<()> {
        let wanted = self.count.load(Ordering::Relaxed) + count;
        wait_until("more connections", LIMIT, || {
            let enough = self.count.load(Ordering::Relaxed) >= wanted;
            (enough || self.done.load(Ordering::Relaxed)).then_some(())
        })
    }
}

#[test]
fn ports_move_while_connections_go_on() -> Result<()> {
    let Some(mut daemon) = ours()? else {
        return Ok(());
    };
    serve(&daemon, "blue", "-p 8080:80")?;
    serve(&daemon, "green", "")?;
    let to = SocketAddr::from(([127, 0, 0, 1], 8080));
    ensure!(answers(&daemon, 8080)? == "blue");
    let address = ok(
        &daemon,
        "inspect -f {{.NetworkSettings.Networks.bridge.IPAddress}} green",
    )?;
    let own: SocketAddr = format!("{address}:80").parse()?;
    wait_until("the other server", LIMIT, || {
        connect(&daemon, own).ok().map(drop)
    })?;
    let (mut stands, name) = connect(&daemon, to)?;
    ensure!(name == "blue");
    let gateway = ok(
        &daemon,
        "inspect -f {{.NetworkSettings.Networks.bridge.Gateway}} green",
    )?;
    let clients = [to, format!("{gateway}:8080").parse()?].map(|to| Clients {
        daemon: &daemon,
        to,
        done: AtomicBool::new(false),
        count: AtomicUsize::new(0),
    });
    // From another network, by the way of whoever comes from outside.
    ok(&daemon, "network create other")?;
    // Read to its end: a peer that vanishes leaves a socket behind that waits for it.
    let ask = format!("echo | nc -w 20 {gateway} 8080 >/said; grep -qE 'blue|green' /said");
    let script = format!(
        "n=0; while [ ! -e /stop ]; do {{ {ask}; }} || echo failed; n=$((n + 1)); done; echo $n times"
    );
    let outside = [
        "run",
        "-d",
        "--name",
        "outside",
        "--network",
        "other",
        "busybox",
    ];
    daemon
        .cli(&[&outside[..], &["sh", "-c", &script]].concat())?
        .ok()?;
    let mut moves = || -> Result<()> {
        for turn in 0..20 {
            let (from, to) = match turn % 2 {
                0 => ("blue", "green"),
                _ => ("green", "blue"),
            };
            let said = ok(&daemon, &format!("port --move-to {to} {from}"))?;
            ensure!(said == "80/tcp -> 0.0.0.0:8080", "{said}");
            for clients in &clients {
                clients.more(2)?;
            }
            stands.write_all(format!("turn {turn}\n").as_bytes())?;
            ensure!(line(&stands)? == format!("turn {turn}"), "the stream broke");
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let running = clients.each_ref().map(|clients| {
            scope.spawn(|| {
                let ended = clients.run();
                clients.done.store(true, Ordering::Relaxed);
                ended
            })
        });
        let moved = moves();
        for clients in &clients {
            clients.done.store(true, Ordering::Relaxed);
        }
        for thread in running {
            thread.join().expect("a client panicked")?;
        }
        moved
    })?;
    drop(stands);
    ok(&daemon, "exec outside touch /stop")?;
    ok(&daemon, "wait outside")?;
    let said = ok(&daemon, "logs outside")?;
    ensure!(
        said.ends_with(" times") && !said.contains("failed"),
        "{said}"
    );
    ok(&daemon, "rm outside")?;
    ok(&daemon, "network rm other")?;
    ok(&daemon, "port --move-to green blue 80/tcp")?;
    ensure!(ok(&daemon, "port blue")?.is_empty());
    ensure!(ok(&daemon, "port green")? == "80/tcp -> 0.0.0.0:8080");
    refuses(
        &daemon,
        "port --move-to green blue",
        "has no published ports",
    )?;
    refuses(
        &daemon,
        "port --move-to blue green 81",
        "No public port '81/tcp' published for green",
    )?;
    refuses(&daemon, "port --move-to green green", "to itself")?;
    // Who had it may go: the port is the other one's, on record as well.
    ok(&daemon, "rm -f blue")?;
    ensure!(!is_free(&daemon, 8080)?, "not held");
    daemon.kill()?;
    ensure!(!is_free(&daemon, 8080)?, "not held without the daemon");
    daemon.run()?;
    ensure!(answers(&daemon, 8080)? == "green");
    ok(&daemon, "restart -t 0 green")?;
    ensure!(answers(&daemon, 8080)? == "green");
    ok(&daemon, "create --name still busybox true")?;
    refuses(&daemon, "port --move-to still green", "is not running")?;
    ok(&daemon, "rm -f green still")?;
    ensure!(is_free(&daemon, 8080)?, "held for nobody");
    daemon.clean()
}

#[test]
fn a_port_leaves_its_run_and_comes_back() -> Result<()> {
    let Some(daemon) = ours()? else {
        return Ok(());
    };
    ok(
        &daemon,
        "run -d --name many -p 20000-59999:20000-59999/udp busybox sleep 1000",
    )?;
    ok(&daemon, "run -d --name one busybox sleep 1000")?;
    ok(&daemon, "port --move-to one many 30000/udp")?;
    let count = "{{len .HostConfig.PortBindings}} {{len .NetworkSettings.Ports}}";
    let counts = |name: &str| -> Result<String> {
        Ok(daemon
            .cli(&["inspect", "-f", count, name])?
            .ok()?
            .to_owned())
    };
    ensure!(counts("one")? == "1 1");
    ensure!(counts("many")?.starts_with("39999 "));
    let shown = ok(&daemon, "ps --filter name=many --format {{.Ports}}")?;
    ensure!(
        shown.contains("0.0.0.0:20000-29999->20000-29999/udp"),
        "{shown}"
    );
    refuses(
        &daemon,
        "run --rm -p 30000:1/udp busybox true",
        "port is already allocated",
    )?;
    ok(&daemon, "port --move-to many one")?;
    ensure!(counts("many")? == "40000 40000");
    ok(&daemon, "rm -f many one")?;
    daemon.clean()
}

#[test]
fn lists_of_many_ports_are_whole_for_all_clients() -> Result<()> {
    let Some(daemon) = ours()? else {
        return Ok(());
    };
    ok(
        &daemon,
        "run -d --name game -p 9990-12000:9990-12000/udp -p 80:80 busybox sleep 1000",
    )?;
    for version in ["v1.44", "v1.51", "v1.55"] {
        let path = format!("/{version}/containers/game/json");
        let document = daemon.get(&path)?.ok()?.json()?;
        let length = |pointer: &str| {
            document
                .pointer(pointer)
                .and_then(Value::as_object)
                .map(|map| map.len())
        };
        for pointer in [
            "/Config/ExposedPorts",
            "/HostConfig/PortBindings",
            "/NetworkSettings/Ports",
        ] {
            ensure!(
                length(pointer) == Some(2_012),
                "{version} {pointer}: {:?}",
                length(pointer)
            );
        }
        let list = daemon
            .get(&format!("/{version}/containers/json"))?
            .ok()?
            .json()?;
        let ports = list
            .pointer("/0/Ports")
            .and_then(Value::as_array)
            .context("Ports")?;
        ensure!(ports.len() == 2_012, "{version}: {}", ports.len());
        ensure!(
            ports
                .iter()
                .any(|one| one["PrivatePort"] == 12_000 && one["PublicPort"] == 12_000)
        );
    }
    ok(&daemon, "rm -f game")?;
    daemon.clean()
}

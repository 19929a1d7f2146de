//! Who reaches whom through the firewall: networks apart, ports published, runs of them, rules that others flush, rules
//! that are switched off.

use crate::{ok, refuses};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Subject, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// A daemon that has busybox, unless these rules are dockerd's to make otherwise.
fn daemon() -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: dockerd has rules and limits of its own");
        return Ok(None);
    }
    crate::daemon().map(Some)
}

/// Starts a container with a web server.
fn serve(daemon: &Daemon, flags: &str) -> Result<()> {
    let arguments: Vec<&str> = flags.split_whitespace().collect();
    let server = [
        "busybox",
        "sh",
        "-c",
        "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp",
    ];
    daemon
        .cli(&[&["run", "-d"], &arguments[..], &server].concat())?
        .ok()?;
    Ok(())
}

/// What asks an address for its page: busybox's wget wants libraries for names, and dies without.
fn get(address: &str, port: u16, seconds: u8) -> String {
    format!(r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w {seconds} {address} {port} | grep -q hello")
}

/// Whether a container in a network gets the page; it asks again until it does.
fn fetches(daemon: &Daemon, network: &str, address: &str, port: u16) -> Result<()> {
    let script = format!("until {}; do :; done; echo got", get(address, port, 3));
    let run = ["run", "--rm", "--network", network, "busybox"];
    let shell = ["timeout", "50", "sh", "-c", &script];
    let said = daemon.cli(&[&run[..], &shell].concat())?;
    ensure!(said.ok()? == "got", "{network} {address}: {said:?}");
    Ok(())
}

/// Whether a container in a network does not get the page.
fn fails(daemon: &Daemon, network: &str, address: &str) -> Result<()> {
    let script = format!("{} || echo nothing", get(address, 80, 1));
    let run = [
        "run",
        "--rm",
        "--network",
        network,
        "busybox",
        "sh",
        "-c",
        &script,
    ];
    let said = daemon.cli(&run)?;
    ensure!(said.ok()? == "nothing", "{network} {address}: {said:?}");
    Ok(())
}

fn inspect(daemon: &Daemon, name: &str, template: &str) -> Result<String> {
    Ok(daemon
        .cli(&["inspect", "-f", template, name])?
        .ok()?
        .to_owned())
}

/// Until a connection from the host comes about.
fn reached(daemon: &Daemon, to: &str) -> Result<()> {
    let to: SocketAddr = to.parse()?;
    let connect = || {
        let stream = daemon
            .namespace()
            .run(|| TcpStream::connect_timeout(&to, Duration::from_secs(3)));
        stream.ok()?.ok()
    };
    wait_until(&format!("a connection to {to}"), LIMIT, connect).map(drop)
}

/// Removes these containers and the networks of users; nothing may be left.
fn finish(daemon: &Daemon, containers: &str) -> Result<()> {
    ok(daemon, &format!("rm -f {containers}"))?;
    ok(daemon, "network prune -f")?;
    daemon.clean()
}

/// What `nft` prints in the daemon's namespace.
fn nft(daemon: &Daemon, arguments: &str) -> Result<String> {
    let mut command = Command::new("nft");
    command.args(arguments.split_whitespace());
    let output = daemon.namespace().run(|| command.output())??;
    ensure!(output.status.success(), "nft {arguments}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn networks_are_closed_to_each_other_but_for_what_is_published() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    ok(&daemon, "network create one")?;
    ok(&daemon, "network create two")?;
    ok(&daemon, "network create --internal inside")?;
    serve(&daemon, "--name web --network one -p 8080:80")?;
    serve(&daemon, "--name hidden --network inside")?;
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let gateway = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
    let web = inspect(&daemon, "web", address)?;
    let hidden = inspect(&daemon, "hidden", address)?;
    let host = inspect(&daemon, "web", gateway)?;
    reached(&daemon, "127.0.0.1:8080")?;
    reached(&daemon, &format!("{web}:80"))?;
    fetches(&daemon, "one", &web, 80)?;
    fetches(&daemon, "inside", &hidden, 80)?;
    for network in ["bridge", "one", "two"] {
        fetches(&daemon, network, &host, 8080)?;
        fails(&daemon, network, &hidden)?;
    }
    fails(&daemon, "bridge", &web)?;
    fails(&daemon, "two", &web)?;
    fails(&daemon, "inside", &web)?;
    // A rule for every network is an element of a set.
    let forward = nft(&daemon, "list chain ip onggi forward")?;
    ok(&daemon, "network create three")?;
    ensure!(
        nft(&daemon, "list chain ip onggi forward")? == forward,
        "a network made rules"
    );
    finish(&daemon, "web hidden")
}

#[test]
fn gateway_modes() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    for mode in ["routed", "nat-unprotected"] {
        ok(
            &daemon,
            &format!("network create -o com.docker.network.bridge.gateway_mode_ipv4={mode} {mode}"),
        )?;
        serve(&daemon, &format!("--name {mode} --network {mode} -p 80:80"))?;
        serve(&daemon, &format!("--name {mode}-shut --network {mode}"))?;
    }
    let address = |name: &str| {
        inspect(
            &daemon,
            name,
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        )
    };
    fetches(&daemon, "bridge", &address("routed")?, 80)?;
    fails(&daemon, "bridge", &address("routed-shut")?)?;
    for name in ["nat-unprotected", "nat-unprotected-shut"] {
        fetches(&daemon, "bridge", &address(name)?, 80)?;
    }
    // What is reached at its own address is bound to no port of the host.
    ensure!(
        ok(&daemon, "port routed")?.is_empty(),
        "routed ports are not the host's"
    );
    reached(&daemon, "127.0.0.1:80")?;
    finish(
        &daemon,
        "routed routed-shut nat-unprotected nat-unprotected-shut",
    )
}

#[test]
fn forty_thousand_ports_are_one_element() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    let range = "10000-49999:10000-49999/udp";
    ok(
        &daemon,
        &format!("run -d --name game -p {range} busybox sleep 1000"),
    )?;
    let elements = nft(&daemon, "list map ip onggi ranges-any")?;
    ensure!(elements.contains("udp . 10000-49999"), "{elements}");
    let many = "{{len .HostConfig.PortBindings}} {{len .NetworkSettings.Ports}}";
    ensure!(inspect(&daemon, "game", many)? == "40000 40000");
    ensure!(ok(&daemon, "port game 40000/udp")? == "0.0.0.0:40000");
    ensure!(ok(&daemon, "ps --format {{.Ports}}")?.contains("10000-49999->10000-49999/udp"));
    refuses(
        &daemon,
        "run -d -p 20000:80/udp busybox true",
        "Bind for 0.0.0.0:20000 failed: port is already allocated",
    )?;
    ok(&daemon, "rm -f game")?;
    ok(&daemon, "run --rm -p 20000:80/udp busybox true")?;
    daemon.clean()
}

#[test]
fn flushed_rules_come_back() -> Result<()> {
    let Some(daemon) = daemon()? else {
        return Ok(());
    };
    ok(&daemon, "network create one")?;
    serve(&daemon, "--name web --network one -p 8080:80")?;
    reached(&daemon, "127.0.0.1:8080")?;
    for _ in 0..10 {
        nft(&daemon, "flush ruleset")?;
        reached(&daemon, "127.0.0.1:8080")?;
    }
    finish(&daemon, "web")
}

#[test]
fn without_rules_nothing_is_published() -> Result<()> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: dockerd publishes by a proxy then");
        return Ok(());
    }
    let daemon = Daemon::start_with(DaemonOptions {
        arguments: vec!["--iptables=false".to_owned()],
        ..DaemonOptions::default()
    })?;
    daemon.load_busybox()?;
    ok(&daemon, "run --rm busybox true")?;
    let tables = nft(&daemon, "list tables").context("tables")?;
    ensure!(!tables.contains("onggi"), "{tables}");
    refuses(
        &daemon,
        "run --rm -p 8080:80 busybox true",
        "--iptables=false",
    )?;
    daemon.clean()
}

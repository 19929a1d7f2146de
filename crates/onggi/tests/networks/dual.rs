//! IPv6 on the default bridge: what the daemon is told, what containers get, and what holds when the daemon is told
//! otherwise while they run. Packets of both families are in `matrix`.

use crate::{is, ok, says, shows};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use serde_json::{Value, json};
use std::fs;

/// A daemon of ours with this `daemon.json` and busybox.
fn daemon(file: &Value) -> Result<Option<Daemon>> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped on dockerd: keys of newer engines");
        return Ok(None);
    }
    let mut daemon = Daemon::start()?;
    daemon.stop()?;
    tell(&daemon, file)?;
    daemon.run()?;
    daemon.load_busybox()?;
    Ok(Some(daemon))
}

fn tell(daemon: &Daemon, file: &Value) -> Result<()> {
    Ok(fs::write(daemon.path("daemon.json"), file.to_string())?)
}

fn waits(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    let line = format!("run -d --init --name {name} {flags} busybox sleep 100000");
    ok(daemon, &line).map(drop)
}

fn inside(daemon: &Daemon, name: &str, script: &str) -> Result<String> {
    let output = daemon.cli(&["exec", name, "sh", "-c", script])?;
    Ok(output.ok()?.trim().to_owned())
}

fn six(daemon: &Daemon, name: &str) -> Result<String> {
    let key = "{{.NetworkSettings.Networks.bridge.GlobalIPv6Address}}";
    shows(daemon, "container", name, key)
}

fn reaches(daemon: &Daemon, name: &str, address: &str) -> Result<()> {
    wait_until(&format!("{name} to reach {address}"), LIMIT, || {
        inside(daemon, name, &format!("ping -6 -c1 -W1 {address}")).ok()
    })
    .map(drop)
}

const SUBNETS: &str = "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}};{{end}}";

#[test]
fn a_subnet_is_found_where_none_is_said() -> Result<()> {
    let Some(mut daemon) = daemon(&json!({"ipv6": true}))? else {
        return Ok(());
    };
    is(&daemon, "network", "bridge", "{{.EnableIPv6}}", "true")?;
    let subnets = shows(&daemon, "network", "bridge", SUBNETS)?;
    let own = subnets.split([';', ' ']).nth(2).context("two subnets")?;
    ensure!(own.starts_with("fd") && own.ends_with("::/64"), "{subnets}");
    let base = own.trim_end_matches("/64");
    waits(&daemon, "one", "--add-host host:host-gateway")?;
    waits(&daemon, "two", "")?;
    ensure!(six(&daemon, "one")? == format!("{base}2"));
    is(
        &daemon,
        "container",
        "one",
        "{{with .NetworkSettings.Networks.bridge}}{{.GlobalIPv6PrefixLen}} {{.IPv6Gateway}}{{end}}",
        &format!("64 {base}1"),
    )?;
    reaches(&daemon, "one", &six(&daemon, "two")?)?;
    reaches(&daemon, "one", &format!("{base}1"))?;
    let way = inside(&daemon, "one", "ip -6 route show default")?;
    ensure!(way.contains(&format!("via {base}1 ")), "{way}");
    // The host has two addresses, the container too.
    let hosts = inside(&daemon, "one", "grep -w -e host -e $(hostname) /etc/hosts")?;
    ensure!(
        hosts.contains(&format!("{base}1\thost")) && hosts.contains(&format!("{base}2\t")),
        "{hosts}"
    );
    // It stays the same.
    daemon.kill()?;
    daemon.run()?;
    is(&daemon, "network", "bridge", SUBNETS, &subnets)?;
    reaches(&daemon, "one", &six(&daemon, "two")?)?;
    ok(&daemon, "rm -f one two")?;
    daemon.clean()
}

#[test]
fn addresses_and_routers_are_those_of_the_configuration() -> Result<()> {
    let file = json!({
        "bip": "10.212.0.1/24", "ipv6": true, "bip6": "fd00:212::1/64", "fixed-cidr-v6": "fd00:212::a:0/112",
        "default-gateway": "10.212.0.250", "default-gateway-v6": "fd00:212::250",
        "host-gateway-ips": ["192.0.2.77", "2001:db8::77"],
    });
    let Some(daemon) = daemon(&file)? else {
        return Ok(());
    };
    let network = daemon.get("/networks/bridge")?.ok()?.json()?;
    let configs = json!([
        {
            "Subnet": "10.212.0.0/24", "Gateway": "10.212.0.1",
            "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.212.0.250"},
        },
        {
            "Subnet": "fd00:212::/64", "IPRange": "fd00:212::a:0/112", "Gateway": "fd00:212::1",
            "AuxiliaryAddresses": {"DefaultGatewayIPv6": "fd00:212::250"},
        },
    ]);
    ensure!(network["IPAM"]["Config"] == configs, "{network}");
    waits(&daemon, "one", "--add-host host:host-gateway")?;
    ensure!(six(&daemon, "one")?.starts_with("fd00:212::a:"));
    for (family, router) in [("-4", "10.212.0.250"), ("-6", "fd00:212::250")] {
        let way = inside(&daemon, "one", &format!("ip {family} route show default"))?;
        ensure!(way.contains(&format!("via {router} ")), "{way}");
    }
    is(
        &daemon,
        "container",
        "one",
        "{{with .NetworkSettings.Networks.bridge}}{{.Gateway}} {{.IPv6Gateway}}{{end}}",
        "10.212.0.250 fd00:212::250",
    )?;
    let hosts = inside(&daemon, "one", "grep -w host /etc/hosts")?;
    ensure!(hosts == "192.0.2.77\thost\n2001:db8::77\thost", "{hosts}");
    ok(&daemon, "rm -f one")?;
    // Networks of users name their router in the same way.
    ok(
        &daemon,
        "network create --subnet 10.213.0.0/24 --aux-address DefaultGatewayIPv4=10.213.0.9 net",
    )?;
    let line = "run --rm --network net busybox ip route show default";
    let way = ok(&daemon, line)?;
    ensure!(way.contains("via 10.213.0.9 "), "{way}");
    ok(&daemon, "network rm net")?;
    daemon.clean()
}

#[test]
fn what_containers_use_stays_while_they_run() -> Result<()> {
    let Some(mut daemon) = daemon(&json!({}))? else {
        return Ok(());
    };
    waits(&daemon, "old", "")?;
    ensure!(six(&daemon, "old")?.is_empty());
    // Switched on: who runs has what it had, who comes has both.
    daemon.stop()?;
    tell(
        &daemon,
        &json!({"ipv6": true, "fixed-cidr-v6": "fd00:214::/64"}),
    )?;
    daemon.run()?;
    ensure!(six(&daemon, "old")?.is_empty());
    waits(&daemon, "one", "-p 8080:80")?;
    waits(&daemon, "two", "")?;
    ensure!(six(&daemon, "one")? == "fd00:214::2");
    reaches(&daemon, "one", "fd00:214::3")?;
    let router = shows(
        &daemon,
        "container",
        "old",
        "{{.NetworkSettings.Networks.bridge.Gateway}}",
    )?;
    let ping = format!("ping -4 -c1 -W9 {router}");
    inside(&daemon, "old", &ping)?;
    // Another subnet is refused while containers are in this one.
    daemon.stop()?;
    tell(
        &daemon,
        &json!({"ipv6": true, "fixed-cidr-v6": "fd00:215::/64"}),
    )?;
    let said = format!("{:#}", daemon.run().err().context("it starts")?);
    let why = "cannot change from fd00:214::/64 to fd00:215::/64 while containers use it";
    ensure!(said.contains(why), "{said}");
    // Switched off: who runs keeps it.
    tell(&daemon, &json!({"ipv6": false}))?;
    daemon.run()?;
    ensure!(daemon.log().contains("it keeps fd00:214::/64"));
    reaches(&daemon, "one", "fd00:214::3")?;
    reaches(&daemon, "one", "fd00:214::1")?;
    ok(&daemon, "rm -f one two")?;
    daemon.stop()?;
    daemon.run()?;
    is(&daemon, "network", "bridge", "{{.EnableIPv6}}", "false")?;
    says(
        &daemon,
        "run --rm busybox ip -6 -o address show dev eth0",
        "",
    )?;
    inside(&daemon, "old", &ping)?;
    ok(&daemon, "rm -f old")?;
    daemon.clean()
}

//! Containers in networks: addresses, hardware addresses, links, routes, names in `/etc/hosts`; coming and going while
//! they run; what a daemon that dies leaves behind.

use crate::{daemon, is, is_dockerd, ok, refuses, says, shows};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts `run -d FLAGS busybox sleep 1000`.
fn sleeper(daemon: &Daemon, flags: &str) -> Result<String> {
    ok(daemon, &format!("run -d --init {flags} busybox sleep 1000"))
}

/// What a script prints in a container.
fn inside(daemon: &Daemon, name: &str, script: &str) -> Result<String> {
    let output = daemon.cli(&["exec", name, "sh", "-c", script])?;
    let said = output
        .ok()
        .with_context(|| format!("in {name}: {script}"))?;
    Ok(said.trim().to_owned())
}

/// Whether one container reaches an address, once its bridge forwards.
fn reaches(daemon: &Daemon, name: &str, address: &str) -> Result<()> {
    let six = if address.contains(':') { "-6" } else { "" };
    let script = format!("ping {six} -c1 -W1 {address}");
    let what = format!("{name} to reach {address}");
    wait_until(&what, PATIENCE, || {
        inside(daemon, name, &script).ok().map(|_| ())
    })
}

fn cannot_reach(daemon: &Daemon, name: &str, address: &str) -> Result<()> {
    let script = format!("ping -c1 -W1 {address} >/dev/null 2>&1 && echo yes || echo no");
    ensure!(
        inside(daemon, name, &script)? == "no",
        "{name} reaches {address}"
    );
    Ok(())
}

fn links(daemon: &Daemon) -> Result<String> {
    let output = daemon.namespace().run(|| {
        std::process::Command::new("ip")
            .args(["-o", "link"])
            .output()
    })??;
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_network_gives_what_is_asked_of_it() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "a hardware address for each network came with 25") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --subnet 10.77.0.0/24 --ip-range 10.77.0.128/25 --gateway 10.77.0.1 \
         --aux-address spare=10.77.0.128 -o com.docker.network.driver.mtu=1400 one",
    )?;
    ok(&daemon, "network create two")?;
    let flags = "--name web --network one --ip 10.77.0.9 --network-alias www --hostname shop";
    sleeper(&daemon, &format!("{flags} --mac-address 02:42:0a:4d:00:09"))?;
    sleeper(&daemon, "--name other --network one")?;
    let all = shows(
        &daemon,
        "container",
        "web",
        "{{json .NetworkSettings.Networks}}",
    )?;
    let all: Value = serde_json::from_str(&all)?;
    let one = &all["one"];
    ensure!(
        one["IPAddress"] == "10.77.0.9"
            && one["IPPrefixLen"] == 24
            && one["Gateway"] == "10.77.0.1"
            && one["MacAddress"] == "02:42:0a:4d:00:09"
            && one["Aliases"] == json!(["www"]),
        "{all}"
    );
    {
        let id = shows(&daemon, "container", "web", "{{.Id}}")?;
        let names = json!(["web", "www", &id[..12], "shop"]);
        ensure!(one["DNSNames"] == names, "{all}");
    }
    // The range begins with the auxiliary address.
    let address = "{{.NetworkSettings.Networks.one.IPAddress}}";
    is(&daemon, "container", "other", address, "10.77.0.129")?;
    let link = inside(&daemon, "web", "ip -o link show eth0")?;
    ensure!(
        link.contains("mtu 1400") && link.contains("02:42:0a:4d:00:09"),
        "{link}"
    );
    let hosts = inside(&daemon, "web", "grep 10.77 /etc/hosts")?;
    ensure!(hosts == "10.77.0.9\tshop", "{hosts}");
    reaches(&daemon, "other", "10.77.0.9")?;
    reaches(&daemon, "other", "10.77.0.1")?;
    let inspect: Value = serde_json::from_str(&ok(&daemon, "network inspect one")?)?;
    let containers = inspect[0]["Containers"].as_object().context("containers")?;
    ensure!(
        containers.len() == 2
            && containers
                .values()
                .any(|c| c["Name"] == "web" && c["IPv4Address"] == "10.77.0.9/24"),
        "{inspect}"
    );
    for (line, text) in [
        (
            "run --rm --network one --ip 10.78.0.1 busybox true",
            "10.78.0.1",
        ),
        (
            "run --rm --network one --ip 10.77.0.9 busybox true",
            "Address already in use",
        ),
        (
            "run --rm --network two --ip 172.18.0.9 busybox true",
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ),
        (
            "run --rm --ip 172.17.0.9 busybox true",
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "run --rm --network nosuch busybox true",
            "network nosuch not found",
        ),
        ("network rm one", "has active endpoints"),
        (
            "network rm bridge",
            "bridge is a pre-defined network and cannot be removed",
        ),
        ("network create one", "network with name one already exists"),
        (
            "network create --subnet 10.77.0.0/16 three",
            "Pool overlaps with other one on this address space",
        ),
    ] {
        refuses(&daemon, line, text)?;
    }
    ok(&daemon, "rm -f web other")?;
    says(&daemon, "network rm one two", "one\ntwo")?;
    // Their bridges go behind the answer.
    wait_until("the bridges to be gone", LIMIT, || {
        links(&daemon)
            .is_ok_and(|links| !links.contains("br-"))
            .then_some(())
    })?;
    daemon.clean()
}

#[test]
fn containers_come_and_go_while_they_run() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it took all lines of the container from its hosts") {
        return Ok(());
    }
    ok(&daemon, "network create --subnet 10.71.0.0/24 a")?;
    ok(&daemon, "network create --subnet 10.72.0.0/24 b")?;
    sleeper(&daemon, "--name left --network a")?;
    sleeper(&daemon, "--name right --network b")?;
    cannot_reach(&daemon, "left", "10.72.0.2")?;
    ok(&daemon, "network connect --ip 10.72.0.40 --alias l b left")?;
    let ip = "{{range.NetworkSettings.Networks}}{{.IPAddress}}.{{end}}";
    is(&daemon, "container", "left", ip, "10.71.0.2.10.72.0.40.")?;
    reaches(&daemon, "left", "10.72.0.2")?;
    reaches(&daemon, "right", "10.72.0.40")?;
    let hosts = inside(&daemon, "left", "grep -c ^10.7 /etc/hosts")?;
    ensure!(hosts == "2", "{hosts}");
    refuses(
        &daemon,
        "network connect b left",
        "already exists in network b",
    )?;
    // The default route moves on when its network goes.
    let route = inside(&daemon, "left", "ip route show default")?;
    ensure!(route.contains("10.71.0.1 dev eth0"), "{route}");
    ok(&daemon, "network disconnect a left")?;
    let route = inside(&daemon, "left", "ip route show default")?;
    ensure!(route.contains("10.72.0.1 dev eth1"), "{route}");
    let shown = inside(&daemon, "left", "ls /sys/class/net | tr '\\n' ' '")?;
    ensure!(shown == "eth1 lo", "{shown}");
    let hosts = inside(&daemon, "left", "grep ^10.7 /etc/hosts")?;
    ensure!(
        hosts.starts_with("10.72.0.40\t") && hosts.lines().count() == 1,
        "{hosts}"
    );
    refuses(&daemon, "network disconnect a left", "is not connected to")?;
    // It comes back with what it had: one network, the same address.
    ok(&daemon, "restart -t 0 left")?;
    is(&daemon, "container", "left", ip, "10.72.0.40.")?;
    // One that does not run is connected when it starts.
    ok(&daemon, "stop -t 0 left")?;
    ok(&daemon, "network connect a left")?;
    ok(&daemon, "network disconnect b left")?;
    ok(&daemon, "start left")?;
    is(&daemon, "container", "left", ip, "10.71.0.2.")?;
    ok(&daemon, "network disconnect a left")?;
    is(&daemon, "container", "left", ip, "")?;
    let shown = inside(&daemon, "left", "ls /sys/class/net | tr '\\n' ' '")?;
    ensure!(shown == "lo", "{shown}");
    ok(&daemon, "network connect a left")?;
    reaches(&daemon, "left", "10.71.0.1")?;
    ok(&daemon, "rm -f left right")?;
    ok(&daemon, "network rm a b")?;
    daemon.clean()
}

#[test]
fn several_networks_from_the_start() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(
        &daemon,
        "several networks at once came with 25, priorities with 28",
    ) {
        return Ok(());
    }
    for (name, subnet) in [
        ("a", "10.71.0.0/24"),
        ("b", "10.72.0.0/24"),
        ("z", "10.73.0.0/24"),
    ] {
        ok(&daemon, &format!("network create --subnet {subnet} {name}"))?;
    }
    let endpoints = json!({
        "z": {"IPAMConfig": {"IPv4Address": "10.73.0.5"}, "Aliases": ["zed"]},
        "a": {},
        "b": {"GwPriority": 7, "MacAddress": "02:42:0a:48:00:05"},
    });
    let id = daemon.run_container(&json!({
        "Image": "busybox", "Cmd": ["sleep", "1000"],
        "HostConfig": {"NetworkMode": "z", "Init": true},
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }))?;
    let shown = inside(&daemon, &id, "ip -o -4 address | grep -o 'eth.*/24'")?;
    let mut lines: Vec<String> = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.sort();
    ensure!(
        lines
            == [
                "eth0 inet 10.73.0.5/24",
                "eth1 inet 10.71.0.2/24",
                "eth2 inet 10.72.0.2/24"
            ],
        "{shown}"
    );
    let route = inside(&daemon, &id, "ip route show default")?;
    ensure!(route.contains("10.72.0.1 dev eth2"), "{route}");
    ok(&daemon, &format!("rm -f {id}"))?;
    ok(&daemon, "network rm a b z")?;
    daemon.clean()
}

#[test]
fn both_families_and_one_alone() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(
        &daemon,
        "IPv6 without a subnet came with 27, without IPv4 with 28",
    ) {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --ipv6 --subnet fd00:71::/64 --subnet 10.71.0.0/24 dual",
    )?;
    ok(&daemon, "network create --ipv6 ula")?;
    ok(
        &daemon,
        "network create --ipv6 --ipv4=false --subnet fd00:72::/64 six",
    )?;
    sleeper(
        &daemon,
        "--name one --network dual --ip6 fd00:71::9 --ip 10.71.0.9",
    )?;
    sleeper(&daemon, "--name two --network dual")?;
    let six = "{{.NetworkSettings.Networks.dual.GlobalIPv6Address}}/{{.NetworkSettings.Networks.dual.GlobalIPv6PrefixLen}} {{.NetworkSettings.Networks.dual.IPv6Gateway}}";
    is(&daemon, "container", "one", six, "fd00:71::9/64 fd00:71::1")?;
    is(&daemon, "container", "two", six, "fd00:71::2/64 fd00:71::1")?;
    // Without waiting for anybody: the address is its own from the first moment.
    let address = inside(
        &daemon,
        "one",
        "ip -6 -o address show dev eth0 scope global",
    )?;
    ensure!(
        address.contains("fd00:71::9/64") && !address.contains("tentative"),
        "{address}"
    );
    let route = inside(&daemon, "one", "ip -6 route show default")?;
    ensure!(route.contains("via fd00:71::1 dev eth0"), "{route}");
    reaches(&daemon, "two", "fd00:71::9")?;
    reaches(&daemon, "two", "fd00:71::1")?;
    reaches(&daemon, "two", "10.71.0.9")?;
    sleeper(&daemon, "--name three --network six")?;
    sleeper(&daemon, "--name four --network ula")?;
    let addresses = inside(
        &daemon,
        "three",
        "ip -o -4 address show dev eth0; ip -o -6 address show dev eth0 scope global",
    )?;
    ensure!(
        addresses.contains("fd00:72::2/64") && !addresses.contains("inet "),
        "{addresses}"
    );
    reaches(&daemon, "three", "fd00:72::1")?;
    let ula = shows(
        &daemon,
        "container",
        "four",
        "{{.NetworkSettings.Networks.ula.GlobalIPv6Address}}",
    )?;
    ensure!(ula.starts_with("fd"), "{ula}");
    refuses(
        &daemon,
        "network create --ipv4=false none4",
        "IPv4 or IPv6 must be enabled",
    )?;
    ok(&daemon, "rm -f one two three four")?;
    ok(&daemon, "network rm dual ula six")?;
    daemon.clean()
}

#[test]
fn internal_networks_lead_nowhere() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "there was a default route to nowhere") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --internal --subnet 10.71.0.0/24 inner",
    )?;
    sleeper(&daemon, "--name one --network inner")?;
    sleeper(&daemon, "--name two --network inner")?;
    let routes = inside(&daemon, "one", "ip route")?;
    ensure!(!routes.contains("default"), "{routes}");
    reaches(&daemon, "one", "10.71.0.3")?;
    ok(&daemon, "rm -f one two")?;
    ok(&daemon, "network rm inner")?;
    daemon.clean()
}

#[test]
fn configurations_of_networks() -> Result<()> {
    let daemon = daemon()?;
    ok(
        &daemon,
        "network create --config-only --subnet 10.71.0.0/24 -o com.docker.network.driver.mtu=1300 plan",
    )?;
    ok(&daemon, "network create --config-from plan real")?;
    is(
        &daemon,
        "network",
        "real",
        "{{.ConfigFrom.Network}} {{(index .IPAM.Config 0).Subnet}}",
        "plan 10.71.0.0/24",
    )?;
    refuses(
        &daemon,
        "network rm plan",
        "configuration network \"plan\" is in use",
    )?;
    refuses(
        &daemon,
        "network create --config-from nosuch x",
        "configuration network \"nosuch\" does not exist",
    )?;
    refuses(
        &daemon,
        "network create --config-from bridge x",
        "configuration network \"bridge\" does not exist",
    )?;
    ok(&daemon, "run --rm --network real busybox true")?;
    ok(&daemon, "network rm real plan")?;
    daemon.clean()
}

#[test]
fn a_shared_link_of_the_host() -> Result<()> {
    let daemon = daemon()?;
    daemon.namespace().run(|| {
        let run = |arguments: &str| {
            std::process::Command::new("ip")
                .args(arguments.split_whitespace())
                .status()
        };
        run("link add wire0 type veth peer name wire1")?;
        run("link set wire1 up")?;
        run("link set wire0 up")
    })??;
    ok(
        &daemon,
        "network create -d macvlan --subnet 10.71.0.0/24 --gateway 10.71.0.254 -o parent=wire0 lan",
    )?;
    ok(
        &daemon,
        "network create -d macvlan --subnet 10.72.0.0/24 -o parent=wire1 wan",
    )?;
    refuses(
        &daemon,
        "network create -d macvlan -o parent=wire0 again",
        "is already using parent interface wire0",
    )?;
    refuses(
        &daemon,
        "network create -d macvlan -o parent=nosuch again",
        "nosuch",
    )?;
    sleeper(&daemon, "--name one --network lan --ip 10.71.0.9")?;
    sleeper(&daemon, "--name two --network lan")?;
    reaches(&daemon, "two", "10.71.0.9")?;
    let route = inside(&daemon, "one", "ip route show default")?;
    ensure!(route.contains("10.71.0.254 dev eth0"), "{route}");
    ok(&daemon, "network connect wan one")?;
    let shown = inside(&daemon, "one", "ip -o -4 address show dev eth1")?;
    ensure!(shown.contains("10.72.0.2/24"), "{shown}");
    ok(&daemon, "network disconnect lan one")?;
    let route = inside(&daemon, "one", "ip route show default")?;
    ensure!(route.contains("10.72.0.1 dev eth1"), "{route}");
    ok(&daemon, "rm -f one two")?;
    ok(&daemon, "network rm lan wan")?;
    daemon.namespace().run(|| {
        std::process::Command::new("ip")
            .args(["link", "delete", "wire0"])
            .status()
    })??;
    daemon.clean()
}

#[test]
fn networks_outlive_the_daemon() -> Result<()> {
    let mut daemon = daemon()?;
    if is_dockerd(&daemon, "its containers do not outlive it") {
        return Ok(());
    }
    ok(&daemon, "network create --subnet 10.71.0.0/24 a")?;
    ok(&daemon, "network create --subnet 10.72.0.0/24 b")?;
    let id = shows(&daemon, "network", "b", "{{.Id}}")?;
    sleeper(&daemon, "--name one --network a -p 18080:80")?;
    sleeper(&daemon, "--name two --network a")?;
    daemon.kill()?;
    // Meanwhile a link of a network that nobody knows, and one of ours that is gone.
    let bridge = format!("br-{}", &id[..12]);
    daemon.namespace().run(|| {
        let run = |arguments: &[&str]| std::process::Command::new("ip").args(arguments).status();
        run(&["link", "add", "br-stray", "type", "bridge"])?;
        run(&[
            "link",
            "set",
            "br-stray",
            "alias",
            "onggi: 0123456789abcdef",
        ])?;
        run(&["link", "add", "foreign0", "type", "bridge"])?;
        run(&["link", "delete", &bridge])
    })??;
    daemon.run()?;
    {
        let links = links(&daemon)?;
        ensure!(links.contains(&bridge), "{links}");
        ensure!(
            !links.contains("br-stray") && links.contains("foreign0"),
            "{links}"
        );
    }
    reaches(&daemon, "one", "10.71.0.3")?;
    ok(&daemon, "network connect b one")?;
    reaches(&daemon, "one", "10.72.0.1")?;
    daemon.kill()?;
    daemon.run()?;
    reaches(&daemon, "one", "10.72.0.1")?;
    ok(&daemon, "network disconnect a one")?;
    // Its port moved on with the default route.
    is(
        &daemon,
        "container",
        "one",
        "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}",
        "18080",
    )?;
    ok(&daemon, "rm -f one two")?;
    ok(&daemon, "network rm a b")?;
    daemon.namespace().run(|| {
        std::process::Command::new("ip")
            .args(["link", "delete", "foreign0"])
            .status()
    })??;
    daemon.clean()
}

#[test]
fn links_of_the_default_bridge() -> Result<()> {
    let daemon = daemon()?;
    ok(
        &daemon,
        "run -d --init --name db -e ROLE=store --expose 5432 --hostname base busybox sleep 1000",
    )?;
    sleeper(&daemon, "--name web --link db:store")?;
    let address = shows(
        &daemon,
        "container",
        "db",
        "{{.NetworkSettings.Networks.bridge.IPAddress}}",
    )?;
    let hosts = inside(&daemon, "web", "grep store /etc/hosts")?;
    ensure!(hosts == format!("{address}\tstore base db"), "{hosts}");
    let variables = inside(
        &daemon,
        "web",
        "tr '\\0' '\\n' < /proc/1/environ | grep ^STORE | sort",
    )?;
    let expected = format!(
        "STORE_ENV_ROLE=store\nSTORE_NAME=/web/store\nSTORE_PORT=tcp://{address}:5432\n\
         STORE_PORT_5432_TCP=tcp://{address}:5432\nSTORE_PORT_5432_TCP_ADDR={address}\n\
         STORE_PORT_5432_TCP_PORT=5432\nSTORE_PORT_5432_TCP_PROTO=tcp"
    );
    ensure!(variables == expected, "{variables}");
    is(
        &daemon,
        "container",
        "web",
        "{{json .HostConfig.Links}}",
        "[\"/db:/web/store\"]",
    )?;
    ok(&daemon, "stop -t 0 web db")?;
    refuses(
        &daemon,
        "start web",
        "Cannot link to a non running container: /db AS /web/store",
    )?;
    ok(&daemon, "rm --link web/store")?;
    ok(&daemon, "start web")?;
    refuses(
        &daemon,
        "run --rm --link nosuch busybox true",
        "could not get container for nosuch",
    )?;
    ok(&daemon, "rm -f web db")?;
    daemon.clean()
}

#[test]
fn what_is_not_there_is_refused_by_name() -> Result<()> {
    let daemon = daemon()?;
    for (line, text) in [
        ("network create -d nosuch x", "nosuch"),
        (
            "network create -d host x",
            "only one instance of \"host\" network is allowed",
        ),
        (
            "network create host",
            "operation is not permitted on predefined host network",
        ),
        (
            "network create --subnet 10.0.0.1/24 x",
            "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24",
        ),
        ("network connect nosuch nosuch", "No such container: nosuch"),
    ] {
        if text.contains("it should be") && is_dockerd(&daemon, "the check came with 25") {
            continue;
        }
        refuses(&daemon, line, text)?;
    }
    ok(&daemon, "create --name one --network host busybox true")?;
    ok(&daemon, "network create x")?;
    refuses(&daemon, "network connect x one", "host network")?;
    ok(&daemon, "rm one")?;
    ok(&daemon, "network rm x")?;
    daemon.clean()
}

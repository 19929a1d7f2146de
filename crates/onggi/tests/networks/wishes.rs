//! What users ask of networks and places in them, seen from inside; what nobody can do is refused with the way out, and
//! what changes nothing is said. Networks by their ids.

use crate::{daemon, finish, is, is_dockerd, ok, refuses, says};
use anyhow::{Result, ensure};
use onggi_testkit::Daemon;
use serde_json::json;

fn waits(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    let line = format!("run -d --init --name {name} {flags} busybox sleep 100000");
    ok(daemon, &line).map(drop)
}

fn inside(daemon: &Daemon, container: &str, script: &str) -> Result<String> {
    let output = daemon.cli(&["exec", container, "sh", "-c", script])?;
    Ok(output.ok()?.trim().to_owned())
}

#[test]
fn flags_of_create_hold_inside() -> Result<()> {
    let daemon = daemon()?;
    ok(
        &daemon,
        "network create --subnet 10.97.0.0/24 --ip-range 10.97.0.128/29 --gateway 10.97.0.129 \
         --aux-address a=10.97.0.130 --aux-address b=10.97.0.131 -o com.docker.network.driver.mtu=1400 \
         -o com.docker.network.bridge.name=wishes0 --ipv6 --subnet fd00:97::/64 net",
    )?;
    for name in ["one", "two", "three"] {
        waits(&daemon, name, "--network net")?;
        let line = inside(&daemon, name, "ip -4 -o address show dev eth0")?;
        let taken = ["10.97.0.129/", "10.97.0.130/", "10.97.0.131/"];
        ensure!(
            line.contains("10.97.0.1") && taken.iter().all(|taken| !line.contains(taken)),
            "{line}"
        );
    }
    let way = inside(&daemon, "one", "ip -4 route show default")?;
    ensure!(way.contains("via 10.97.0.129 "), "{way}");
    let mtu = inside(&daemon, "one", "cat /sys/class/net/eth0/mtu")?;
    ensure!(mtu == "1400", "{mtu}");
    let six = inside(&daemon, "one", "ip -6 -o address show dev eth0")?;
    ensure!(six.contains("fd00:97::"), "{six}");
    let bridge = daemon
        .namespace()
        .run(|| std::path::Path::new("/proc/sys/net/ipv4/conf/wishes0").exists())?;
    ensure!(bridge, "there is no wishes0");
    ok(&daemon, "rm -f one two three")?;
    finish(&daemon)
}

#[test]
fn options_of_places_work_or_are_refused() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "options of endpoints came with 28") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --subnet 10.98.0.0/24 --ipv6 --subnet fd00:98::/64 net",
    )?;
    let option = "com.docker.network.endpoint";
    let sysctl = "net.ipv4.conf.IFNAME.log_martians=1";
    waits(&daemon, "one", "")?;
    ok(
        &daemon,
        &format!(
            "network connect --ip6 fd00:98::9 --driver-opt {option}.ifname=wan0 --driver-opt {option}.sysctls={sysctl} net one"
        ),
    )?;
    let told = inside(&daemon, "one", "ip -6 -o address show dev wan0")?;
    ensure!(told.contains("fd00:98::9/64"), "{told}");
    let told = inside(
        &daemon,
        "one",
        "cat /proc/sys/net/ipv4/conf/wan0/log_martians",
    )?;
    ensure!(told == "1", "{told}");
    ok(&daemon, "network disconnect net one")?;
    for (key, value, why) in [
        ("exposedports", "80", "--expose"),
        ("macaddress", "02:00:00:00:00:01", "--mac-address"),
        ("colour", "red", "leave it away"),
        ("ifname", "lo", "invalid interface name"),
        ("sysctls", "kernel.x=1", "IFNAME"),
    ] {
        let line = format!("network connect --driver-opt {option}.{key}={value} net one");
        refuses(&daemon, &line, why)?;
        let options = json!({"DriverOpts": {format!("{option}.{key}"): value}});
        let body = json!({
            "Image": "busybox", "HostConfig": {"NetworkMode": "net"},
            "NetworkingConfig": {"EndpointsConfig": {"net": options}},
        });
        let response = daemon.post("/containers/create", &body)?;
        ensure!(
            response.status == 400 && response.text().contains(why),
            "{key}: {} {}",
            response.status,
            response.text()
        );
    }
    // Those of others are for others.
    ok(
        &daemon,
        "network connect --driver-opt com.example.a=b net one",
    )?;
    ok(&daemon, "rm -f one")?;
    finish(&daemon)
}

#[test]
fn options_of_networks_work_or_are_refused_or_named() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "it takes what it does not know and says nothing") {
        return Ok(());
    }
    let default = "network create -o com.docker.network.bridge.default_bridge";
    let why = "only the network \"bridge\" is the default one";
    refuses(&daemon, &format!("{default}=true net"), why)?;
    refuses(
        &daemon,
        "network create -o com.docker.network.colour=red net",
        "has no option com.docker.network.colour; leave it away",
    )?;
    ok(&daemon, &format!("{default}=false net"))?;
    ok(&daemon, "network rm net")?;
    for (body, warning) in [
        (
            json!({"Name": "net", "IPAM": {"Options": {"a": "b"}}}),
            "the IPAM driver \"default\" has no options: a changes nothing",
        ),
        (
            json!({"Name": "net", "Options": {"parent": "eth0"}}),
            "the bridge driver has no option parent: it changes nothing",
        ),
        (
            json!({"Name": "net", "Options": {"com.docker.network.driver.mtu": "1400"}}),
            "",
        ),
    ] {
        let made = daemon.post("/networks/create", &body)?.ok()?.json()?;
        ensure!(made["Warning"] == warning, "{body}: {made}");
        ok(&daemon, "network rm net")?;
    }
    finish(&daemon)
}

#[test]
fn networks_may_be_named_by_their_ids() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create --subnet 10.99.1.0/24 alpha")?;
    let id = ok(&daemon, "network create --subnet 10.99.2.0/24 omega")?;
    waits(&daemon, "peer", &format!("--network {id}"))?;
    for (name, id) in [("whole", id.as_str()), ("short", &id[..12])] {
        ok(
            &daemon,
            &format!(
                "create --init --name {name} --network {id} --link peer:friend busybox sleep 100000"
            ),
        )?;
        // The first link is that of `--network`, whatever comes by name before it.
        ok(&daemon, &format!("network connect alpha {name}"))?;
        ok(&daemon, &format!("start {name}"))?;
        let addresses = inside(&daemon, name, "ip -4 -o address show")?;
        let of = |link: &str| {
            let mut lines = addresses.lines();
            let line = lines.find(|line| line.contains(link));
            line.unwrap_or_default().to_owned()
        };
        if !is_dockerd(&daemon, "links are numbered as they come") {
            ensure!(of("eth0").contains("10.99.2."), "{addresses}");
            ensure!(of("eth1").contains("10.99.1."), "{addresses}");
            inside(&daemon, name, "ping -4 -c 1 -W 10 friend")?;
        }
        ok(&daemon, &format!("network disconnect {id} {name}"))?;
        ok(&daemon, &format!("network connect {id} {name}"))?;
        ok(&daemon, &format!("network disconnect -f {id} {name}"))?;
        says(
            &daemon,
            &format!("ps -q --no-trunc --filter network={id} --filter name={name}"),
            "",
        )?;
    }
    is(&daemon, "network", &id[..20], "{{.Name}}", "omega")?;
    ok(&daemon, "rm -f whole short peer")?;
    for built_in in ["host", "none"] {
        let line = format!("network inspect --format {{{{.Id}}}} {built_in}");
        let id = ok(&daemon, &line)?;
        if !is_dockerd(&daemon, "it starts such a container without a network") {
            let line = format!("create --network {id} busybox");
            refuses(&daemon, &line, &format!("use --network {built_in}"))?;
        }
    }
    says(&daemon, &format!("network rm {}", &id[..12]), &id[..12])?;
    finish(&daemon)
}

#[test]
fn who_is_gone_can_be_taken_out_by_force() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create net")?;
    refuses(
        &daemon,
        "network disconnect net gone",
        "No such container: gone",
    )?;
    refuses(
        &daemon,
        "network disconnect --force net gone",
        "endpoint gone not found",
    )?;
    refuses(
        &daemon,
        "network disconnect --force nosuch gone",
        "network nosuch not found",
    )?;
    let body = json!({"Container": "gone", "Force": true});
    let response = daemon.post("/networks/net/disconnect", &body)?;
    ensure!(response.status == 404, "{}", response.status);
    finish(&daemon)
}

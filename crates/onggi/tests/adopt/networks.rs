//! Networks come with their ids, subnets and options, and containers come back into them as they were.

use crate::tree::{differences, tree};
use crate::{adopt, docker, onggi, result};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use serde_json::Value;
use std::process::Command;

/// Flags of the networks that are made, and their names; configurations before what follows them.
const MADE: [(&str, &str); 7] = [
    (
        "front",
        "--subnet 10.181.0.0/24 --ip-range 10.181.0.128/25 --gateway 10.181.0.9 --aux-address spare=10.181.0.77 \
         --label team=blue -o com.docker.network.driver.mtu=1400 -o com.docker.network.bridge.name=front0",
    ),
    (
        "both",
        "--ipv6 --subnet 10.182.0.0/24 --subnet fd00:182::/64 --internal",
    ),
    ("back", ""),
    (
        "plan",
        "--config-only --subnet 10.183.0.0/24 -o com.docker.network.driver.mtu=1300",
    ),
    ("built", "--config-from plan"),
    (
        "wire",
        "--driver macvlan -o parent=dm0 --subnet 10.184.0.0/24",
    ),
    // An option that nobody knows here.
    ("odd", "-o com.docker.network.bridge.colour=red"),
];

fn ok(daemon: &Daemon, line: &str) -> Result<String> {
    let output = daemon.cli(&line.split_whitespace().collect::<Vec<_>>())?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| line.to_owned())
}

/// A link that macvlan networks share is made, or goes.
fn parent(daemon: &Daemon, change: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["link", change, "dm0", "type", "veth"]);
    let status = daemon.namespace().run(|| command.status())??;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// What has to be the same of a network.
fn shown(daemon: &Daemon, name: &str) -> Result<Value> {
    let mut network: Value = daemon.get(&format!("/networks/{name}"))?.ok()?.json()?;
    let fields = network.as_object_mut().context("an object")?;
    // Newer engines tell these, too.
    fields
        .retain(|key, _| !["EnableIPv4", "Status", "Containers", "Peers"].contains(&key.as_str()));
    network["IPAM"]["Options"].take();
    for config in network["IPAM"]["Config"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let config = config.as_object_mut().context("an object")?;
        // A router that nobody asked for is not shown by the old one.
        config.retain(|key, value| key != "Gateway" && *value != "");
    }
    Ok(network)
}

#[test]
fn networks_come_with_those_who_are_in_them() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    parent(&docker, "add")?;
    for (name, flags) in MADE {
        ok(&docker, &format!("network create {flags} {name}"))?;
    }
    let sleep = "busybox sleep 100000";
    ok(
        &docker,
        &format!("create --name web --network front --ip 10.181.0.200 --network-alias www {sleep}"),
    )?;
    ok(&docker, "network connect --alias second back web")?;
    ok(&docker, "network connect --ip 10.183.0.7 built web")?;
    ok(
        &docker,
        &format!("create --name peer --network both {sleep}"),
    )?;
    let id = shown(&docker, "back")?["Id"].clone();
    let id = id.as_str().context("an id")?;
    // By the id of its network; this one has run.
    ok(
        &docker,
        &format!("run -d --name ran --network {id} {sleep}"),
    )?;
    ok(&docker, "stop -t 0 ran")?;
    ok(
        &docker,
        &format!("create --name strange --network odd {sleep}"),
    )?;
    let names: Vec<&str> = MADE.iter().map(|(name, _)| *name).collect();
    let names = &names[..names.len() - 1];
    let theirs: Vec<Value> = (names.iter())
        .map(|name| shown(&docker, name))
        .collect::<Result<_>>()?;
    docker.stop()?;
    let before = tree(&docker.data_root())?;

    let ours = onggi()?;
    parent(&ours, "add")?;
    let output = adopt(&ours, &docker)?;
    ensure!(output.code == 1, "{output:?}");
    let changed = differences(&before, &tree(&docker.data_root())?);
    ensure!(changed.is_empty(), "{changed:#?}");
    for (name, theirs) in names.iter().zip(&theirs) {
        let said = result(&output, "network", name)?;
        ensure!(said.starts_with("taken"), "{name}: {said}");
        let found = shown(&ours, name)?;
        ensure!(found == *theirs, "{name}: {found:#} {theirs:#}");
    }
    let routers = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    let front = ours.cli(&["network", "inspect", "--format", routers, "front"])?;
    ensure!(front.ok()? == "10.181.0.9", "{front:?}");
    let said = result(&output, "network", "odd")?;
    ensure!(
        said.contains("no option com.docker.network.bridge.colour"),
        "{said}"
    );
    let said = result(&output, "container", "strange")?;
    ensure!(
        said == "skipped: it is in the network \"odd\", which is not here",
        "{said}"
    );
    for name in ["web", "peer", "ran"] {
        let said = result(&output, "container", name)?;
        ensure!(said.starts_with("taken"), "{name}: {said}");
    }

    // They run where they ran.
    ok(&ours, "start web peer ran")?;
    let places = "{{range $name, $place := .NetworkSettings.Networks}}{{$name}}={{$place.IPAddress}} {{end}}";
    let output = ours.cli(&["inspect", "--format", places, "web"])?;
    let places = output.ok()?;
    ensure!(
        places.contains("built=10.183.0.7") && places.contains("front=10.181.0.200"),
        "{places}"
    );
    let links = ok(&ours, "exec web ip -o -4 address show dev eth0")?;
    ensure!(links.contains("10.181.0.200/24"), "{links}");
    let mtu = ok(&ours, "exec web cat /sys/class/net/eth0/mtu")?;
    ensure!(mtu == "1400", "{mtu}");
    wait_until("the alias to answer", LIMIT, || {
        ok(&ours, "exec ran ping -4 -c 1 -W 1 second").ok()
    })?;
    let six = ok(&ours, "exec peer ip -o -6 address show dev eth0")?;
    ensure!(six.contains("fd00:182::"), "{six}");

    let output = adopt(&ours, &docker)?;
    for name in names {
        let said = result(&output, "network", name)?;
        ensure!(said == "already here: it stays as it is", "{name}: {said}");
    }
    ok(&ours, "rm -f web peer ran")?;
    ok(&ours, "network rm front both back built plan wire")?;
    parent(&ours, "delete")?;
    ours.clean()
}

/// What is another network's here stays that: a subnet that nobody asked for gives way, one that was asked for cannot.
#[test]
fn what_is_taken_gives_way_or_is_named() -> Result<()> {
    let Some(mut docker) = docker(&[])? else {
        return Ok(());
    };
    ok(&docker, "network create found")?;
    ok(&docker, "network create --subnet 10.185.0.0/24 asked")?;
    ok(&docker, "network create --subnet 10.186.0.0/24 same")?;
    ok(&docker, "create --name box --network same busybox true")?;
    let subnet = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
    let found = docker.cli(&["network", "inspect", "--format", subnet, "found"])?;
    let found = found.ok()?.to_owned();
    docker.stop()?;
    let ours = onggi()?;
    // Whoever has the subnet of the default bridge already leaves nothing to take.
    ours.cli(&["network", "create", "--subnet", &found, "mine"])?;
    ok(&ours, "network create --subnet 10.185.0.0/25 other")?;
    ok(&ours, "network create --subnet 10.187.0.0/24 same")?;
    let output = adopt(&ours, &docker)?;
    ensure!(output.code == 1, "{output:?}");
    let said = result(&output, "network", "found")?;
    ensure!(said.contains("what it had is another network's"), "{said}");
    let said = result(&output, "network", "asked")?;
    ensure!(
        said.starts_with("skipped: ") && said.contains("Pool overlaps with other one"),
        "{said}"
    );
    let said = result(&output, "network", "same")?;
    ensure!(
        said.contains("another network of this name is here"),
        "{said}"
    );
    let said = result(&output, "container", "box")?;
    ensure!(said.starts_with("taken"), "{said}");
    ok(&ours, "rm box")?;
    ok(&ours, "network prune -f")?;
    ours.clean()
}

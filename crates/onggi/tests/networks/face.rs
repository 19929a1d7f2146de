//! `network create`, `connect`, `disconnect`, `inspect`, `ls`, `rm`, `prune`, and the flags of `run` about networks:
//! each flag seen by inspect or from inside, each refusal with Docker's status and words.

use crate::{daemon, finish, is, is_dockerd, names_resolve, ok, refuses, says, shows};
use anyhow::{Context as _, Result, ensure};
use onggi_testkit::{Daemon, Subject};
use serde_json::{Value, json};

/// A container that waits, with these flags.
fn waits(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    ok(
        daemon,
        &format!("run -d --name {name} {flags} busybox sleep 100000"),
    )
    .map(drop)
}

/// What a script prints inside.
fn inside(daemon: &Daemon, container: &str, script: &str) -> Result<String> {
    let output = daemon.cli(&["exec", container, "sh", "-c", script])?;
    Ok(output.ok()?.to_owned())
}

/// Flags of `network create`, and what a template then shows.
const MADE: &[(&str, &str, &str)] = &[
    (
        "",
        "{{.Driver}} {{.Scope}} {{.Internal}} {{.Attachable}} {{.EnableIPv6}} {{.IPAM.Driver}}",
        "bridge local false false false default",
    ),
    ("--driver bridge", "{{.Driver}}", "bridge"),
    ("-d bridge", "{{.Driver}}", "bridge"),
    ("--internal", "{{.Internal}}", "true"),
    ("--attachable", "{{.Attachable}}", "true"),
    ("--scope local", "{{.Scope}}", "local"),
    (
        "--label a=b --label c",
        "{{json .Labels}}",
        r#"{"a":"b","c":""}"#,
    ),
    (
        "--opt com.docker.network.driver.mtu=1400",
        "{{json .Options}}",
        r#"{"com.docker.network.driver.mtu":"1400"}"#,
    ),
    (
        "-o com.docker.network.bridge.name=named0",
        r#"{{index .Options "com.docker.network.bridge.name"}}"#,
        "named0",
    ),
    ("--ipam-driver default", "{{.IPAM.Driver}}", "default"),
    ("--ipam-opt a=b", "{{json .IPAM.Options}}", r#"{"a":"b"}"#),
    (
        "--subnet 10.81.0.0/24",
        "{{range .IPAM.Config}}{{.Subnet}}{{end}}",
        "10.81.0.0/24",
    ),
    (
        "--subnet 10.82.0.0/24 --gateway 10.82.0.254",
        "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}",
        "10.82.0.0/24 10.82.0.254",
    ),
    (
        "--subnet 10.83.0.0/24 --ip-range 10.83.0.128/25",
        "{{range .IPAM.Config}}{{.Subnet}} {{.IPRange}}{{end}}",
        "10.83.0.0/24 10.83.0.128/25",
    ),
    (
        "--subnet 10.84.0.0/24 --aux-address spare=10.84.0.2",
        "{{range .IPAM.Config}}{{json .AuxiliaryAddresses}}{{end}}",
        r#"{"spare":"10.84.0.2"}"#,
    ),
    (
        "--ipv6 --subnet fd00:85::/64",
        "{{.EnableIPv6}} {{len .IPAM.Config}}",
        "true 2",
    ),
    ("--ipv6=false", "{{.EnableIPv6}}", "false"),
    (
        "--config-only --subnet 10.86.0.0/24",
        "{{.ConfigOnly}} {{.Driver}}",
        "true null",
    ),
];

#[test]
fn a_network_is_what_the_flags_say() -> Result<()> {
    let daemon = daemon()?;
    for (number, (flags, template, shown)) in MADE.iter().enumerate() {
        let name = format!("made{number}");
        let id = ok(&daemon, &format!("network create {flags} {name}"))?;
        is(&daemon, "network", &name, template, shown)?;
        is(&daemon, "network", &id[..12], "{{.Name}}", &name)?;
        says(&daemon, &format!("network rm {name}"), &name)?;
    }
    // The configuration of another.
    ok(
        &daemon,
        "network create --config-only --subnet 10.87.0.0/24 -o com.docker.network.driver.mtu=1300 plan",
    )?;
    ok(&daemon, "network create --config-from plan built")?;
    is(
        &daemon,
        "network",
        "built",
        "{{.ConfigFrom.Network}} {{range .IPAM.Config}}{{.Subnet}}{{end}} {{index .Options \"com.docker.network.driver.mtu\"}}",
        "plan 10.87.0.0/24 1300",
    )?;
    refuses(&daemon, "run --rm --network plan busybox true", "")?;
    refuses(&daemon, "network rm plan", "plan")?;
    says(&daemon, "network rm built plan", "built\nplan")?;
    refuses(&daemon, "network create --ingress way", "")?;
    finish(&daemon)
}

#[test]
fn ipv4_may_be_left_out() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "--ipv4=false is of newer engines") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --ipv4=false --ipv6 --subnet fd00:90::/64 six",
    )?;
    is(
        &daemon,
        "network",
        "six",
        "{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}}",
        "false true 1",
    )?;
    waits(&daemon, "one", "--network six")?;
    let addresses = inside(&daemon, "one", "ip address show dev eth0")?;
    ensure!(
        !addresses.contains("inet ") && addresses.contains("inet6 fd00:90::"),
        "{addresses}"
    );
    ok(&daemon, "rm -f one")?;
    ok(&daemon, "network create --ipv4 four")?;
    is(&daemon, "network", "four", "{{.EnableIPv4}}", "true")?;
    finish(&daemon)
}

/// What the API refuses, with status and words: method, path, body.
fn refused() -> Vec<(&'static str, &'static str, Value, u16, &'static str)> {
    vec![
        (
            "POST",
            "/networks/create",
            json!({"Name": "taken", "CheckDuplicate": true}),
            409,
            "network with name taken already exists",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "host"}),
            403,
            "operation is not permitted on predefined host network",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "bridge"}),
            403,
            "operation is not permitted on predefined bridge network",
        ),
        ("POST", "/networks/create", json!({"Name": ""}), 400, ""),
        (
            "POST",
            "/networks/create",
            json!({"Name": "x", "Driver": "nosuch"}),
            404,
            "nosuch",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.88.0.0/25"}]}}),
            403,
            "verlaps",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.89.0.0/24", "Gateway": "10.89.0.255"}]}}),
            403,
            "failed to allocate gateway (10.89.0.255): Address already in use",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "x", "IPAM": {"Config": [{"Subnet": "10.89.0.0/24", "Gateway": "10.89.0.9",
                "AuxiliaryAddresses": {"a": "10.89.0.9"}}]}}),
            403,
            "failed to allocate secondary ip address (a:10.89.0.9): Address already in use",
        ),
        (
            "POST",
            "/networks/create",
            json!({"Name": "x", "ConfigFrom": {"Network": "nosuch"}}),
            404,
            "nosuch",
        ),
        (
            "GET",
            "/networks/nosuch",
            Value::Null,
            404,
            "network nosuch not found",
        ),
        (
            "GET",
            "/networks/taken?scope=swarm",
            Value::Null,
            404,
            "network taken not found",
        ),
        (
            "GET",
            "/networks/taken?verbose=perhaps",
            Value::Null,
            400,
            "invalid value for verbose: perhaps",
        ),
        (
            "GET",
            "/networks?filters={\"x\":[\"y\"]}",
            Value::Null,
            400,
            "nvalid filter 'x'",
        ),
        (
            "GET",
            "/networks?filters={\"type\":[\"y\"]}",
            Value::Null,
            400,
            "nvalid filter",
        ),
        (
            "GET",
            "/networks?filters={\"dangling\":[\"y\"]}",
            Value::Null,
            400,
            "nvalid filter",
        ),
        (
            "POST",
            "/networks/prune?filters={\"x\":[\"y\"]}",
            Value::Null,
            400,
            "nvalid filter 'x'",
        ),
        (
            "DELETE",
            "/networks/nosuch",
            Value::Null,
            404,
            "network nosuch not found",
        ),
        (
            "DELETE",
            "/networks/bridge",
            Value::Null,
            403,
            "bridge is a pre-defined network and cannot be removed",
        ),
        (
            "DELETE",
            "/networks/host",
            Value::Null,
            403,
            "host is a pre-defined network and cannot be removed",
        ),
        (
            "DELETE",
            "/networks/taken",
            Value::Null,
            403,
            "has active endpoints",
        ),
        (
            "POST",
            "/networks/nosuch/connect",
            json!({"Container": "one"}),
            404,
            "network nosuch not found",
        ),
        (
            "POST",
            "/networks/taken/connect",
            json!({"Container": "nosuch"}),
            404,
            "No such container: nosuch",
        ),
        (
            "POST",
            "/networks/taken/connect",
            json!({"Container": "one"}),
            403,
            "endpoint with name one already exists in network taken",
        ),
        (
            "POST",
            "/networks/host/connect",
            json!({"Container": "one"}),
            400,
            "host",
        ),
        (
            "POST",
            "/networks/other/connect",
            json!({"Container": "one", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.99.0.9"}}}),
            400,
            "",
        ),
        (
            "POST",
            "/networks/nosuch/disconnect",
            json!({"Container": "one"}),
            404,
            "network nosuch not found",
        ),
        (
            "POST",
            "/networks/taken/disconnect",
            json!({"Container": "nosuch"}),
            404,
            "No such container: nosuch",
        ),
        (
            "POST",
            "/networks/other/disconnect",
            json!({"Container": "one"}),
            403,
            "is not connected to",
        ),
    ]
}

#[test]
fn what_cannot_be_is_refused_with_docker_s_status_and_words() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create --subnet 10.88.0.0/24 taken")?;
    ok(&daemon, "network create other")?;
    waits(&daemon, "one", "--network taken")?;
    let mut wrong = Vec::new();
    for (method, path, body, status, text) in refused() {
        let response = match method {
            "GET" => daemon.get(&escaped(path))?,
            "DELETE" => daemon.delete(path)?,
            _ => daemon.post(&escaped(path), &body)?,
        };
        // Some of these came with newer engines, at 400, that 20.10 knows as its own faults.
        let old = daemon.subject() == Subject::Dockerd;
        let fits = response.status == status || (old && response.status >= 400);
        if !fits || (!old && !response.text().contains(text)) {
            wrong.push(format!(
                "{method} {path} {body}: {} {}",
                response.status,
                response.text()
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ok(&daemon, "rm -f one")?;
    finish(&daemon)
}

/// A query as it may be sent.
fn escaped(path: &str) -> String {
    path.replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22")
}

#[test]
fn bodies_are_read_as_strictly_as_docker_s() -> Result<()> {
    use onggi_testkit::Request;
    let daemon = daemon()?;
    let send = |body: &str, kind: &str| {
        daemon.send(&Request::new("POST", "/networks/create").body(kind, body))
    };
    for (body, kind) in [
        ("", "application/json"),
        ("{", "application/json"),
        ("{\"Name\":1}", "application/json"),
        ("{\"Name\":\"x\",\"Options\":{\"a\":1}}", "application/json"),
        ("{\"Name\":\"x\"}", "text/plain"),
    ] {
        let response = send(body, kind)?;
        ensure!(
            response.status >= 400 && response.status < 600,
            "{body} {kind}: {}",
            response.status
        );
        ensure!(
            daemon.subject() == Subject::Dockerd || response.status == 400,
            "{body} {kind}: {} {}",
            response.status,
            response.text()
        );
    }
    // Keys in any case, and those nobody knows.
    let made = send("{\"name\":\"x\",\"nobody\":[1]}", "application/json")?;
    ensure!(made.status == 201, "{}", made.text());
    ensure!(made.json()?["Warning"] == "");
    finish(&daemon)
}

/// Flags of `network connect`, a template of the container's place, and what it shows.
const JOINED: &[(&str, &str, &str)] = &[
    (
        "--ip 10.91.0.9",
        "{{.IPAMConfig.IPv4Address}} {{.IPAddress}}",
        "10.91.0.9 10.91.0.9",
    ),
    (
        "--ip6 fd00:91::9",
        "{{.IPAMConfig.IPv6Address}} {{.GlobalIPv6Address}}",
        "fd00:91::9 fd00:91::9",
    ),
    (
        "--link-local-ip 169.254.9.9",
        "{{json .IPAMConfig.LinkLocalIPs}}",
        r#"["169.254.9.9"]"#,
    ),
    (
        "--link peer:friend",
        "{{json .Links}}",
        r#"["peer:friend"]"#,
    ),
    (
        "--driver-opt com.example.a=b",
        "{{json .DriverOpts}}",
        r#"{"com.example.a":"b"}"#,
    ),
];

#[test]
fn a_place_is_what_the_flags_of_connect_say() -> Result<()> {
    let daemon = daemon()?;
    ok(
        &daemon,
        "network create --subnet 10.91.0.0/24 --ipv6 --subnet fd00:91::/64 net",
    )?;
    waits(&daemon, "peer", "--network net")?;
    waits(&daemon, "one", "")?;
    for (flags, template, shown) in JOINED {
        ok(&daemon, &format!("network connect {flags} net one"))?;
        let template = format!("{{{{with .NetworkSettings.Networks.net}}}}{template}{{{{end}}}}");
        is(&daemon, "container", "one", &template, shown)?;
        ok(&daemon, "network disconnect net one")?;
    }
    // From inside: the address, the names.
    ok(
        &daemon,
        "network connect --ip 10.91.0.8 --link-local-ip 169.254.9.9 --link peer:friend --alias other --alias third net one",
    )?;
    let addresses = inside(&daemon, "one", "ip -4 -o address show")?;
    ensure!(
        addresses.contains("10.91.0.8/24") && addresses.contains("169.254.9.9/"),
        "{addresses}"
    );
    let names = [
        ("one", "friend"),
        ("peer", "other"),
        ("peer", "third"),
        ("peer", "one"),
    ];
    if names_resolve(&daemon, "net")? {
        for (from, name) in names {
            inside(&daemon, from, &format!("ping -4 -c 1 -W 10 {name}"))?;
        }
    }
    let aliases = shows(
        &daemon,
        "container",
        "one",
        "{{json .NetworkSettings.Networks.net.Aliases}}",
    )?;
    ensure!(
        aliases.contains("other") && aliases.contains("third"),
        "{aliases}"
    );
    is(&daemon, "network", "net", "{{len .Containers}}", "2")?;
    let names = shows(
        &daemon,
        "network",
        "net",
        "{{range .Containers}}{{.Name}}={{.IPv4Address}} {{end}}",
    )?;
    ensure!(names.contains("one=10.91.0.8/24"), "{names}");
    ok(&daemon, "rm -f one peer")?;
    finish(&daemon)
}

#[test]
fn the_highest_priority_gives_the_way_out() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "--gw-priority is of newer engines") {
        return Ok(());
    }
    ok(&daemon, "network create --subnet 10.92.0.0/24 one")?;
    ok(&daemon, "network create --subnet 10.93.0.0/24 two")?;
    waits(&daemon, "box", "--network one")?;
    let way = || inside(&daemon, "box", "ip route show default");
    ensure!(way()?.contains("10.92.0.1"), "{}", way()?);
    ok(&daemon, "network connect --gw-priority 1 two box")?;
    ensure!(way()?.contains("10.93.0.1"), "{}", way()?);
    is(
        &daemon,
        "container",
        "box",
        "{{.NetworkSettings.Networks.two.GwPriority}}",
        "1",
    )?;
    ok(&daemon, "network disconnect two box")?;
    ensure!(way()?.contains("10.92.0.1"), "{}", way()?);
    ok(&daemon, "network connect --gw-priority -1 two box")?;
    ensure!(way()?.contains("10.92.0.1"), "{}", way()?);
    ok(&daemon, "rm -f box")?;
    waits(
        &daemon,
        "box",
        "--network name=one,gw-priority=1 --network name=two,gw-priority=2",
    )?;
    ensure!(way()?.contains("10.93.0.1"), "{}", way()?);
    ok(&daemon, "rm -f box")?;
    finish(&daemon)
}

/// Flags of `run`, a template of the container's place in `net`, and what it shows.
const RUN: &[(&str, &str, &str)] = &[
    (
        "--network net --ip 10.94.0.9",
        "{{.IPAMConfig.IPv4Address}} {{.IPAddress}}",
        "10.94.0.9 10.94.0.9",
    ),
    (
        "--net net --ip6 fd00:94::9",
        "{{.GlobalIPv6Address}}",
        "fd00:94::9",
    ),
    (
        "--network net --link-local-ip 169.254.9.9",
        "{{json .IPAMConfig.LinkLocalIPs}}",
        r#"["169.254.9.9"]"#,
    ),
    (
        "--network net --link peer:friend",
        "{{json .Links}}",
        r#"["peer:friend"]"#,
    ),
    (
        "--network net --mac-address 02:00:00:00:94:09",
        "{{.MacAddress}}",
        "02:00:00:00:94:09",
    ),
    (
        "--network name=net,ip=10.94.0.9,ip6=fd00:94::9",
        "{{.IPAddress}} {{.GlobalIPv6Address}}",
        "10.94.0.9 fd00:94::9",
    ),
    (
        "--network name=net,driver-opt=com.example.a=b",
        "{{json .DriverOpts}}",
        r#"{"com.example.a":"b"}"#,
    ),
    (
        "--network name=net,link-local-ip=169.254.9.9",
        "{{json .IPAMConfig.LinkLocalIPs}}",
        r#"["169.254.9.9"]"#,
    ),
];

#[test]
fn a_place_is_what_the_flags_of_run_say() -> Result<()> {
    let daemon = daemon()?;
    ok(
        &daemon,
        "network create --subnet 10.94.0.0/24 --ipv6 --subnet fd00:94::/64 net",
    )?;
    waits(&daemon, "peer", "--network net")?;
    for (flags, template, shown) in RUN {
        if flags.contains("mac") && is_dockerd(&daemon, "addresses of endpoints came with 1.44") {
            continue;
        }
        waits(&daemon, "one", flags)?;
        let template = format!("{{{{with .NetworkSettings.Networks.net}}}}{template}{{{{end}}}}");
        is(&daemon, "container", "one", &template, shown)?;
        ok(&daemon, "rm -f one")?;
    }
    let names = names_resolve(&daemon, "net")?;
    for flags in [
        "--network net --network-alias other",
        "--network net --net-alias other",
        "--network name=net,alias=other",
    ] {
        waits(&daemon, "one", flags)?;
        let aliases = "{{json .NetworkSettings.Networks.net.Aliases}}";
        let aliases = shows(&daemon, "container", "one", aliases)?;
        ensure!(aliases.contains("other"), "{flags}: {aliases}");
        if names {
            inside(&daemon, "peer", "ping -4 -c 1 -W 10 other")?;
        }
        ok(&daemon, "rm -f one")?;
    }
    waits(&daemon, "one", "--network net --link peer:friend")?;
    if names {
        inside(&daemon, "one", "ping -4 -c 1 -W 10 friend")?;
    }
    ok(&daemon, "rm -f one")?;
    if !is_dockerd(&daemon, "addresses of endpoints came with 1.44") {
        waits(
            &daemon,
            "one",
            "--network net --mac-address 02:00:00:00:94:09",
        )?;
        let told = inside(&daemon, "one", "cat /sys/class/net/eth0/address")?;
        ensure!(told == "02:00:00:00:94:09", "{told}");
        ok(&daemon, "rm -f one")?;
    }
    ok(&daemon, "rm -f peer")?;
    finish(&daemon)
}

#[test]
fn a_container_may_be_in_several_networks() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create --subnet 10.95.0.0/24 one")?;
    ok(&daemon, "network create --subnet 10.96.0.0/24 two")?;
    match is_dockerd(&daemon, "--network twice is of newer engines") {
        true => {
            ok(
                &daemon,
                "create --name box --network one busybox sleep 100000",
            )?;
            ok(&daemon, "network connect two box")?;
        }
        false => {
            ok(
                &daemon,
                "create --name box --network one --network name=two,ip=10.96.0.7,mac-address=02:00:00:00:96:07 busybox sleep 100000",
            )?;
        }
    }
    ok(&daemon, "start box")?;
    let addresses = inside(&daemon, "box", "ip -4 -o address show")?;
    ensure!(
        addresses.contains("10.95.0.2/24") && addresses.contains("10.96.0."),
        "{addresses}"
    );
    if daemon.subject() != Subject::Dockerd {
        ensure!(addresses.contains("10.96.0.7/24"), "{addresses}");
        let links = inside(&daemon, "box", "cat /sys/class/net/eth1/address")?;
        ensure!(links == "02:00:00:00:96:07", "{links}");
    }
    // Out of one, and in again; what is left is left.
    ok(&daemon, "network disconnect one box")?;
    let addresses = inside(&daemon, "box", "ip -4 -o address show")?;
    ensure!(
        !addresses.contains("10.95.0.") && addresses.contains("10.96.0."),
        "{addresses}"
    );
    refuses(&daemon, "network disconnect one box", "is not connected to")?;
    ok(&daemon, "network connect one box")?;
    ok(&daemon, "restart -t 0 box")?;
    let addresses = inside(&daemon, "box", "ip -4 -o address show")?;
    ensure!(
        addresses.contains("10.95.0.") && addresses.contains("10.96.0."),
        "{addresses}"
    );
    ok(&daemon, "network disconnect --force two box")?;
    is(
        &daemon,
        "container",
        "box",
        "{{len .NetworkSettings.Networks}}",
        "1",
    )?;
    // Stopped ones join and leave, too.
    ok(&daemon, "stop -t 0 box")?;
    ok(&daemon, "network connect two box")?;
    ok(&daemon, "network disconnect one box")?;
    ok(&daemon, "start box")?;
    let addresses = inside(&daemon, "box", "ip -4 -o address show")?;
    ensure!(
        !addresses.contains("10.95.0.") && addresses.contains("10.96.0."),
        "{addresses}"
    );
    refuses(&daemon, "network rm two", "has active endpoints")?;
    ok(&daemon, "rm -f box")?;
    says(&daemon, "network rm one two", "one\ntwo")?;
    finish(&daemon)
}

#[test]
fn networks_are_listed() -> Result<()> {
    let daemon = daemon()?;
    ok(&daemon, "network create --label a=b red")?;
    let id = ok(&daemon, "network create --label a=c --internal blue")?;
    waits(&daemon, "one", "--network red")?;
    let list = |filter: &str| {
        let found = ok(
            &daemon,
            &format!("network ls --format {{{{.Name}}}} {filter}"),
        )?;
        anyhow::Ok(found.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    for (filter, names) in [
        ("", &["blue", "bridge", "host", "none", "red"][..]),
        ("--filter type=custom", &["blue", "red"]),
        ("--filter type=builtin", &["bridge", "host", "none"]),
        ("--filter dangling=true", &["blue"]),
        ("-f driver=bridge", &["blue", "bridge", "red"]),
        ("-f driver=host -f driver=null", &["host", "none"]),
        ("-f label=a", &["blue", "red"]),
        ("-f label=a=c", &["blue"]),
        ("-f name=lu", &["blue"]),
        ("-f scope=local -f name=red", &["red"]),
        ("-f scope=swarm", &[]),
        (&format!("-f id={}", &id[..8]), &["blue"]),
    ] {
        // 20.10 does not look who is in a network when it lists.
        if filter.contains("dangling") && daemon.subject() == Subject::Dockerd {
            continue;
        }
        let found = list(filter)?;
        ensure!(found == names, "{filter}: {found:?}");
    }
    if daemon.subject() != Subject::Dockerd {
        let used = list("-f dangling=false")?;
        ensure!(
            used.contains(&"red".to_owned()) && !used.contains(&"blue".to_owned()),
            "{used:?}"
        );
    }
    says(&daemon, "network ls -q -f name=blue", &id[..12])?;
    says(&daemon, "network ls -q --no-trunc -f name=blue", &id)?;
    says(
        &daemon,
        "network ls -f name=blue --format {{.Name}},{{.Driver}},{{.Scope}},{{.Internal}},{{.Labels}}",
        "blue,bridge,local,true,a=c",
    )?;
    ok(&daemon, "rm -f one")?;
    finish(&daemon)
}

#[test]
fn removing_and_pruning() -> Result<()> {
    let daemon = daemon()?;
    for line in [
        "--label keep one",
        "--label go=1 two",
        "three",
        "four",
        "five",
    ] {
        ok(&daemon, &format!("network create {line}"))?;
    }
    waits(&daemon, "box", "--network four")?;
    says(&daemon, "network prune -f --filter until=2h", "")?;
    says(
        &daemon,
        "network prune -f --filter label=go=1",
        "Deleted Networks:\ntwo",
    )?;
    let pruned = ok(&daemon, "network prune --force --filter label!=keep")?;
    ensure!(
        pruned.contains("three") && pruned.contains("five") && !pruned.contains("four"),
        "{pruned}"
    );
    says(
        &daemon,
        "network ls -f type=custom --format {{.Name}}",
        "four\none",
    )?;
    // A stopped container is no user; the one that runs is.
    refuses(&daemon, "network rm four", "has active endpoints")?;
    ok(&daemon, "stop -t 0 box")?;
    ok(&daemon, "network rm four")?;
    refuses(&daemon, "start box", "not found")?;
    ok(&daemon, "rm box")?;
    refuses(
        &daemon,
        "network rm nothing one",
        "network nothing not found",
    )?;
    says(&daemon, "network ls -q -f type=custom", "")?;
    says(&daemon, "network rm --force nothing", "")?;
    ok(&daemon, "network create six")?;
    says(&daemon, "network remove six", "six")?;
    finish(&daemon)
}

#[test]
fn inspect_counts_addresses() -> Result<()> {
    let daemon = daemon()?;
    if is_dockerd(&daemon, "Status is of newer engines") {
        return Ok(());
    }
    ok(
        &daemon,
        "network create --subnet 10.97.0.0/24 --ip-range 10.97.0.128/25 --aux-address a=10.97.0.130 net",
    )?;
    let subnet = || -> Result<Value> {
        let network = daemon.get("/v1.52/networks/net")?.ok()?.json()?;
        Ok(network["Status"]["IPAM"]["Subnets"]["10.97.0.0/24"].clone())
    };
    let before = subnet()?;
    waits(&daemon, "one", "--network net")?;
    let after = subnet()?;
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap_or_default();
    ensure!(
        number(&after, "IPsInUse") == number(&before, "IPsInUse") + 1
            && number(&after, "DynamicIPsAvailable") + 1 == number(&before, "DynamicIPsAvailable"),
        "{before} {after}"
    );
    let old = daemon.get("/v1.51/networks/net")?.ok()?.json()?;
    ensure!(old.get("Status").is_none(), "{old}");
    let verbose = daemon
        .get("/networks/net?verbose=true&scope=local")?
        .ok()?
        .json()?;
    ensure!(
        verbose["Containers"]
            .as_object()
            .is_some_and(|c| c.len() == 1),
        "{verbose}"
    );
    ok(&daemon, "rm -f one")?;
    finish(&daemon)
}

/// The list of networks has two paths, with Docker as well; other lists have one.
#[test]
fn the_list_of_networks_has_two_paths() -> Result<()> {
    let daemon = crate::daemon()?;
    let names = |path: &str| -> Result<Vec<String>> {
        let found = daemon.get(path)?.ok()?.json()?;
        let all = found.as_array().context("a list")?;
        let mut names: Vec<_> = all.iter().map(|one| one["Name"].to_string()).collect();
        names.sort();
        Ok(names)
    };
    let all = names("/networks")?;
    ensure!(all.len() == 3, "{all:?}");
    for path in ["/networks/", "/v1.41/networks/"] {
        ensure!(names(path)? == all, "{path}");
    }
    let filter = "?filters=%7B%22driver%22%3A%5B%22host%22%5D%7D";
    ensure!(names(&format!("/networks/{filter}"))? == ["\"host\""]);
    for path in [
        "/containers/json/",
        "/images/json/",
        "/volumes/",
        "/plugins/",
        "/info/",
        "/networks/create/",
    ] {
        ensure!(daemon.get(path)?.status == 404, "{path}");
    }
    ensure!(
        daemon
            .post("/networks/prune/", &serde_json::Value::Null)?
            .status
            == 404
    );
    daemon.clean()
}

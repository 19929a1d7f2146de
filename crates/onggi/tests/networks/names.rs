//! Names: containers of a network call each other by them, wherever they come from and whoever is away.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, NameAnswer, NameServer, Namespace, wait_until};

/// The gateway of the network "back", where an upstream of ours is.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A daemon with busybox and a network "back", and who is asked for other names: it knows those that end in ".example".
fn daemon() -> Result<(Daemon, NameServer)> {
    let options = DaemonOptions {
        arguments: vec!["--dns".to_owned(), GATEWAY.to_string()],
        ..DaemonOptions::default()
    };
    let daemon = Daemon::start_with(options)?;
    daemon.load_busybox()?;
    cli(
        &daemon,
        &["network", "create", "--subnet", "10.77.0.0/24", "back"],
    )?;
    let server = NameServer::start(daemon.namespace(), GATEWAY, |name| {
        match name.ends_with(".example") {
            true => NameAnswer::one(Ipv4Addr::new(192, 0, 2, 7)),
            false => NameAnswer::Unknown,
        }
    })?;
    Ok((daemon, server))
}

fn cli(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let output = daemon.cli(arguments)?;
    let said = output.ok().map(str::to_owned);
    said.with_context(|| format!("{arguments:?}"))
}

/// A container that waits, in the network "back".
fn start(daemon: &Daemon, name: &str, flags: &[&str]) -> Result<String> {
    let run = ["run", "-d", "--name", name, "--network", "back"];
    cli(
        daemon,
        &[&run[..], flags, &["busybox", "sleep", "1000"]].concat(),
    )
}

fn address(daemon: &Daemon, container: &str, network: &str) -> Result<String> {
    let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    cli(daemon, &["inspect", "-f", &format, container])
}

/// What a container hears of a name, sorted: addresses, or names for a `ptr`; and the whole text.
fn hears(
    daemon: &Daemon,
    container: &str,
    kind: &str,
    name: &str,
) -> Result<(Vec<String>, String)> {
    let output = daemon.cli(&[
        "exec",
        container,
        "nslookup",
        &format!("-type={kind}"),
        name,
    ])?;
    let answers = output
        .stdout
        .split_once("\n\n")
        .map_or("", |(_, rest)| rest);
    let mut found: Vec<String> = answers
        .lines()
        .filter_map(|line| {
            line.strip_prefix("Address: ")
                .or_else(|| Some(line.split_once("name = ")?.1))
        })
        .map(|word| word.trim().to_owned())
        .collect();
    found.sort();
    Ok((found, output.stdout + &output.stderr))
}

fn knows(daemon: &Daemon, container: &str, name: &str, addresses: &[&str]) -> Result<()> {
    let (found, text) = hears(daemon, container, "a", name)?;
    let mut addresses = addresses.to_vec();
    addresses.sort_unstable();
    ensure!(
        found == addresses,
        "{container} asks for {name}: {addresses:?} expected: {text}"
    );
    Ok(())
}

fn knows_not(daemon: &Daemon, container: &str, name: &str) -> Result<()> {
    let (found, text) = hears(daemon, container, "a", name)?;
    ensure!(found.is_empty(), "{container} knows {name}: {text}");
    Ok(())
}

#[test]
fn containers_of_a_network_know_each_other() -> Result<()> {
    let (daemon, _server) = daemon()?;
    let id = start(
        &daemon,
        "web",
        &["--network-alias", "www", "--hostname", "front"],
    )?;
    start(&daemon, "db", &[])?;
    let web = address(&daemon, "web", "back")?;
    let short = &id[..12];
    for name in ["web", "WEB", "www", "front", short, "web.back", "www.back"] {
        knows(&daemon, "db", name, &[&web])?;
    }
    knows(&daemon, "db", "db", &[&address(&daemon, "db", "back")?])?;
    let reversed: Vec<&str> = web.rsplit('.').collect();
    let reversed = format!("{}.in-addr.arpa", reversed.join("."));
    let (back, text) = hears(&daemon, "db", "ptr", &reversed)?;
    ensure!(back == ["web.back"], "{text}");
    let (none, text) = hears(&daemon, "db", "aaaa", "web")?;
    ensure!(none.is_empty() && !text.contains("can't find"), "{text}");
    cli(
        &daemon,
        &["exec", "db", "ping", "-c", "1", "-W", "20", "web"],
    )?;
    let file = cli(&daemon, &["exec", "db", "cat", "/etc/resolv.conf"])?;
    ensure!(
        file.contains("nameserver 127.0.0.11\n") && file.contains("ndots:0"),
        "{file}"
    );

    cli(&daemon, &["rename", "web", "site"])?;
    knows(&daemon, "db", "site", &[&web])?;
    knows_not(&daemon, "db", "web")?;
    cli(&daemon, &["rm", "-f", "site"])?;
    knows_not(&daemon, "db", "site")
}

#[test]
fn networks_are_joined_and_left_while_it_runs() -> Result<()> {
    let (daemon, _server) = daemon()?;
    start(&daemon, "db", &[])?;
    cli(
        &daemon,
        &["run", "-d", "--name", "late", "busybox", "sleep", "1000"],
    )?;
    knows_not(&daemon, "late", "db")?;
    cli(
        &daemon,
        &["network", "connect", "--alias", "guest", "back", "late"],
    )?;
    let late = address(&daemon, "late", "back")?;
    knows(&daemon, "late", "db", &[&address(&daemon, "db", "back")?])?;
    knows(&daemon, "db", "late", &[&late])?;
    knows(&daemon, "db", "guest", &[&late])?;
    cli(&daemon, &["network", "disconnect", "back", "late"])?;
    knows_not(&daemon, "db", "late")?;
    knows_not(&daemon, "db", "guest")?;
    knows_not(&daemon, "late", "db")
}

#[test]
fn one_name_may_have_many_holders() -> Result<()> {
    let (daemon, _server) = daemon()?;
    for name in ["one", "two"] {
        start(&daemon, name, &["--network-alias", "app"])?;
    }
    let (one, two) = (
        address(&daemon, "one", "back")?,
        address(&daemon, "two", "back")?,
    );
    knows(&daemon, "one", "app", &[&one, &two])?;
    cli(&daemon, &["stop", "-t", "0", "two"])?;
    knows(&daemon, "one", "app", &[&one])
}

#[test]
fn links_are_names_for_one_container_alone() -> Result<()> {
    let (daemon, _server) = daemon()?;
    start(&daemon, "db", &[])?;
    start(&daemon, "web", &["--link", "db:database"])?;
    knows(
        &daemon,
        "web",
        "database",
        &[&address(&daemon, "db", "back")?],
    )?;
    knows_not(&daemon, "db", "database")
}

#[test]
fn an_image_may_have_a_resolver_of_its_own() -> Result<()> {
    let (daemon, _server) = daemon()?;
    start(&daemon, "db", &[])?;
    start(&daemon, "own", &[])?;
    let pid = cli(&daemon, &["inspect", "-f", "{{.State.Pid}}", "own"])?;
    let netns = std::fs::File::open(format!("/proc/{pid}/ns/net"))?;
    let inside = Namespace::from(OwnedFd::from(netns));
    let own = NameServer::start(&inside, Ipv4Addr::UNSPECIFIED, |_| NameAnswer::Unknown)?;
    knows(&daemon, "own", "db", &[&address(&daemon, "db", "back")?])?;
    ensure!(own.asked().is_empty(), "{:?}", own.asked());
    Ok(())
}

#[test]
fn internal_networks_know_their_own_names() -> Result<()> {
    let (daemon, server) = daemon()?;
    cli(&daemon, &["network", "create", "--internal", "inner"])?;
    for name in ["web", "db"] {
        let run = ["run", "-d", "--name", name, "--network", "inner", "busybox"];
        cli(&daemon, &[&run[..], &["sleep", "1000"]].concat())?;
    }
    knows(&daemon, "db", "web", &[&address(&daemon, "web", "inner")?])?;
    knows_not(&daemon, "db", "www.example")?;
    ensure!(server.asked().is_empty(), "{:?}", server.asked());
    Ok(())
}

#[test]
fn other_names_are_asked_of_the_servers() -> Result<()> {
    let (daemon, server) = daemon()?;
    start(&daemon, "db", &[])?;
    start(&daemon, "web", &[])?;
    knows(&daemon, "web", "www.example", &["192.0.2.7"])?;
    knows(&daemon, "web", "db", &[&address(&daemon, "db", "back")?])?;
    hears(&daemon, "web", "aaaa", "db")?;
    hears(&daemon, "web", "txt", "db")?;
    let asked = server.asked();
    ensure!(asked.contains(&"www.example".to_owned()), "{asked:?}");
    ensure!(!asked.contains(&"db".to_owned()), "{asked:?}");
    Ok(())
}

#[test]
fn names_are_answered_while_the_daemon_is_away() -> Result<()> {
    let (mut daemon, _server) = daemon()?;
    start(&daemon, "db", &[])?;
    let db = address(&daemon, "db", "back")?;
    let script = format!(
        "while true; do nslookup -type=a db | grep -q '{db}$' && echo good || echo bad; done"
    );
    let run = [
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "back",
        "busybox",
        "sh",
        "-c",
    ];
    let id = cli(&daemon, &[&run[..], &[&script]].concat())?;
    let log = daemon
        .data_root()
        .join("containers")
        .join(&id)
        .join(format!("{id}-json.log"));
    let good = || {
        std::fs::read_to_string(&log)
            .unwrap_or_default()
            .matches("good")
            .count()
    };
    let goes_on = |what: &str| {
        let before = good();
        wait_until(what, LIMIT, || (good() >= before + 20).then_some(()))
    };
    goes_on("answers of the daemon")?;
    for _ in 0..2 {
        daemon.kill()?;
        goes_on("answers of the monitor")?;
        daemon.run()?;
        goes_on("answers of the next daemon")?;
    }
    // The next daemon knows who comes and goes.
    start(&daemon, "new", &[])?;
    knows(&daemon, "web", "new", &[&address(&daemon, "new", "back")?])?;
    cli(&daemon, &["rm", "-f", "db"])?;
    knows_not(&daemon, "web", "db")
}

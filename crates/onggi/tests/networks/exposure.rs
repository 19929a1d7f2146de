//! Who can reach which port, as `network inspect --exposure` and `port --exposure` tell it: every answer is tried with real
//! packets, from the host, from containers beside and of other networks, and from two places outside.

use crate::{ok, refuses, shows};
use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Namespace, Subject, wait_until};
use serde_json::Value;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::Command;
use std::time::Duration;

/// The host, and who is outside: near by the way that everybody comes, and aside.
const NEAR: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const ASIDE: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

/// Somebody who tries.
struct Place {
    namespace: Namespace,
    /// Where the host is from there.
    host: IpAddr,
    kind: Kind,
}

enum Kind {
    Host,
    /// A container of this network.
    Container(String),
    /// By this link, with this address.
    Outside(&'static str, IpAddr),
}

struct Scene {
    daemon: Daemon,
    places: Vec<Place>,
    /// Whether there are rules of others.
    rules: bool,
}

fn run(namespace: &Namespace, program: &str, arguments: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    let output = namespace.run(|| command.output())??;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments}: {error}");
    Ok(())
}

/// A link from the host to somebody new.
fn outside(host: &Namespace, link: &'static str, [own, other]: [&str; 2]) -> Result<Place> {
    let world = Namespace::new()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), world.fd().as_raw_fd());
    let ip = |namespace: &Namespace, line: &str| run(namespace, "ip", line);
    ip(host, &format!("link add {link} type veth peer name out0"))?;
    ip(host, &format!("link set out0 netns {path}"))?;
    for (namespace, link, address) in [(host, link, own), (&world, "out0", other)] {
        ip(namespace, &format!("address add {address}/24 dev {link}"))?;
        ip(namespace, &format!("link set {link} up"))?;
    }
    ip(&world, &format!("route add default via {own}"))?;
    Ok(Place {
        namespace: world,
        host: own.parse()?,
        kind: Kind::Outside(link, other.parse()?),
    })
}

impl Scene {
    fn open(arguments: &[&str], rules: &str) -> Result<Self> {
        let host = Namespace::new()?;
        let near = outside(&host, "up0", NEAR)?;
        let aside = outside(&host, "up1", ASIDE)?;
        run(&host, "ip", &format!("route add default via {}", NEAR[1]))?;
        let here = Place {
            namespace: host.try_clone()?,
            host: Ipv4Addr::LOCALHOST.into(),
            kind: Kind::Host,
        };
        let daemon = Daemon::start_with(DaemonOptions {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            namespace: Some(host),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        let mut scene = Self {
            daemon,
            places: vec![here, near, aside],
            rules: !rules.is_empty(),
        };
        if !rules.is_empty() {
            scene.nft(rules)?;
        }
        scene.network("stranger", "")?;
        Ok(scene)
    }

    fn nft(&self, rules: &str) -> Result<()> {
        let path = self.daemon.path("rules.nft");
        std::fs::write(&path, rules)?;
        run(
            self.daemon.namespace(),
            "nft",
            &format!("-f {}", path.display()),
        )
    }

    /// A network, and somebody in it who tries.
    fn network(&mut self, name: &str, flags: &str) -> Result<()> {
        ok(&self.daemon, &format!("network create {flags} {name}"))?;
        let peer = format!("in-{name}");
        self.serve(&peer, &format!("--network {name}"))?;
        let pid = shows(&self.daemon, "container", &peer, "{{.State.Pid}}")?;
        let gateway = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
        let place = Place {
            namespace: OwnedFd::from(File::open(format!("/proc/{pid}/ns/net"))?).into(),
            host: shows(&self.daemon, "network", name, gateway)?.parse()?,
            kind: Kind::Container(name.to_owned()),
        };
        self.places.push(place);
        Ok(())
    }

    /// A container with servers at ports 80 and 81.
    fn serve(&self, name: &str, flags: &str) -> Result<()> {
        let script = "mkdir /www; httpd -p 80 -h /www; exec httpd -f -p 81 -h /www";
        let mut words = vec!["run", "-d", "--name", name];
        words.extend(flags.split_whitespace());
        words.extend(["busybox", "sh", "-c", script]);
        self.daemon
            .cli(&words)?
            .ok()
            .map(drop)
            .context(name.to_owned())
    }

    fn exposure(&self, path: &str) -> Result<Vec<Value>> {
        let found = self.daemon.get(&format!("{path}/exposure"))?.ok()?.json()?;
        Ok(found["Ports"].as_array().context("Ports")?.clone())
    }

    fn row(&self, container: &str, at: &str) -> Result<Value> {
        let rows = self.exposure(&format!("/containers/{container}"))?;
        let row = rows.iter().find(|row| row["At"] == at || row["Port"] == at);
        row.cloned().with_context(|| format!("no {at}: {rows:#?}"))
    }

    /// Tries every answer about a container from everywhere.
    fn prove(&self, container: &str) -> Result<()> {
        // It serves by now.
        let own = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let own: IpAddr = shows(&self.daemon, "container", container, own)?.parse()?;
        for port in [80, 81] {
            self.reached(&self.places[0], (own, port).into())?;
        }
        let rows = self.exposure(&format!("/containers/{container}"))?;
        ensure!(!rows.is_empty(), "{container}: nothing is said");
        for row in &rows {
            let at = row["At"].as_str().context("At")?;
            let at = match row["Port"].as_str() {
                // The other server.
                Some("*") => SocketAddr::new(at.parse()?, 81),
                _ => at.parse()?,
            };
            for place in &self.places {
                let to = match at.ip().is_unspecified() {
                    true => SocketAddr::new(place.host, at.port()),
                    false => at,
                };
                let said = claim(row, place);
                let seen = match said {
                    "yes" => self.reached(place, to).is_ok(),
                    "no" => connects(place, to)?,
                    // It says that it depends: on rules of others.
                    "some" if self.rules => continue,
                    other => bail!("{other:?} in {row:#?}"),
                };
                let who = place.name();
                ensure!(
                    seen == (said == "yes"),
                    "{container} at {to} from {who}: {said} is said, in {row:#?}"
                );
            }
        }
        Ok(())
    }

    fn reached(&self, place: &Place, to: SocketAddr) -> Result<()> {
        let what = format!("a connection from {} to {to}", place.name());
        wait_until(&what, LIMIT, || {
            connects(place, to).ok().filter(|is| *is).map(drop)
        })
    }

    fn close(self) -> Result<()> {
        // Whoever holds a namespace holds its links.
        drop(self.places);
        let names = ok(&self.daemon, "ps -aq")?.replace('\n', " ");
        ok(&self.daemon, &format!("rm -f {names}"))?;
        crate::finish(&self.daemon)
    }
}

impl Place {
    fn name(&self) -> &str {
        match &self.kind {
            Kind::Host => "the host",
            Kind::Container(network) => network,
            Kind::Outside(link, _) => link,
        }
    }
}

fn connects(place: &Place, to: SocketAddr) -> Result<bool> {
    let limit = Duration::from_millis(300);
    Ok(place
        .namespace
        .run(|| TcpStream::connect_timeout(&to, limit))?
        .is_ok())
}

/// What is said of somebody.
fn claim<'a>(row: &'a Value, place: &Place) -> &'a str {
    let said = match &place.kind {
        Kind::Host => &row["Host"],
        Kind::Container(network) if row["Network"] == **network => &row["SameNetwork"],
        Kind::Container(network) => &row["OtherNetworks"][network],
        Kind::Outside(link, address) => {
            let all = row["Outside"].as_array().map_or(&[][..], Vec::as_slice);
            let fits = |one: &&Value| {
                let nets = [&NEAR, &ASIDE].map(|[own, _]| format!("{own}/24"));
                let is_any = one["Net"] == "0.0.0.0/0";
                let is_own = nets.iter().any(|net| {
                    let net = net.replace(".1/", ".0/");
                    one["Net"] == *net && net.starts_with(&address.to_string()[..8])
                });
                one["Link"] == **link && (is_any || is_own)
            };
            all.iter()
                .find(fits)
                .map_or(&Value::Null, |one| &one["Reach"])
        }
    };
    said.as_str().unwrap_or("no")
}

fn is_not_asked() -> Result<bool> {
    let is = Subject::from_env()? != Subject::Onggi;
    if is {
        eprintln!("skipped: dockerd does not tell");
    }
    Ok(is)
}

#[test]
fn what_is_said_of_published_ports_is_so() -> Result<()> {
    if is_not_asked()? {
        return Ok(());
    }
    let mut scene = Scene::open(&[], "")?;
    scene.network("one", "")?;
    let ports = "-p 127.0.0.1:8001:80 -p 0.0.0.0:8002:80 -p 192.0.2.1:8003:80 -p 8004:80";
    scene.serve("web", &format!("--network one {ports}"))?;
    scene.serve("shut", "--network one")?;
    scene.prove("web")?;
    scene.prove("shut")?;
    let own = scene.row("web", "127.0.0.1:8001")?;
    ensure!(
        own["Host"] == "yes" && own["SameNetwork"] == "no",
        "{own:#?}"
    );
    ensure!(own["Outside"] == serde_json::json!([]), "{own:#?}");
    let any = scene.row("web", "0.0.0.0:8002")?;
    ensure!(any["OtherNetworks"]["stranger"] == "yes", "{any:#?}");
    let nets = |row: &Value| -> Vec<String> {
        let all = row["Outside"].as_array().into_iter().flatten();
        let mut all: Vec<_> = all
            .map(|one| format!("{} {} {}", one["Net"], one["Link"], one["Attached"]))
            .map(|text| text.replace('"', ""))
            .collect();
        all.sort();
        all
    };
    let expected = [
        "0.0.0.0/0 up0 false",
        "192.0.2.0/24 up0 true",
        "198.51.100.0/24 up1 true",
    ];
    ensure!(nets(&any) == expected, "{any:#?}");
    // Those aside need a route to an address that is not in their network.
    let bound = scene.row("web", "192.0.2.1:8003")?;
    ensure!(nets(&bound)[2] == "198.51.100.0/24 up1 false", "{bound:#?}");
    // Without an address it is at [::1] as well.
    let loopback = scene.row("web", "[::1]:8004")?;
    ensure!(loopback["Host"] == "yes", "{loopback:#?}");
    ensure!(scene.row("web", "[::1]:8002").is_err());
    let shut = scene.row("shut", "*")?;
    ensure!(
        shut["Host"] == "yes" && shut["SameNetwork"] == "yes",
        "{shut:#?}"
    );
    ensure!(
        shut["Outside"] == serde_json::json!([]) && shut["OtherNetworks"] == serde_json::json!({}),
        "{shut:#?}"
    );
    let why = shut["Why"].to_string();
    ensure!(why.contains("nothing else comes in"), "{why}");
    // On the command line.
    let table = ok(&scene.daemon, "port --exposure web")?;
    let line = table.lines().find(|line| line.contains("0.0.0.0:8002"));
    let line: Vec<&str> = line.context("a line")?.split_whitespace().collect();
    let expected = [
        "web",
        "one",
        "80/tcp",
        "0.0.0.0:8002",
        "yes",
        "yes",
        "stranger",
        "anyone",
    ];
    let others: Vec<&str> = line
        .iter()
        .copied()
        .filter(|word| *word != "bridge,")
        .collect();
    ensure!(others == expected, "{table}");
    let format = "port --exposure --format {{.At}}={{.Outside}} web 80/tcp";
    let said = ok(&scene.daemon, format)?;
    ensure!(
        said.contains("127.0.0.1:8001=no") && !said.contains("172."),
        "{said}"
    );
    let json = ok(
        &scene.daemon,
        "network inspect --exposure --format json one",
    )?;
    let rows: Vec<Value> = json
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(
        rows.iter()
            .any(|row| row["At"] == "0.0.0.0:8002" && row["Outside"].is_array())
    );
    for name in ["web", "shut", "in-one"] {
        ensure!(rows.iter().any(|row| row["Name"] == name), "{name}: {json}");
    }
    refuses(&scene.daemon, "port --format json web", "--exposure")?;
    refuses(&scene.daemon, "port --exposure nobody", "No such container")?;
    refuses(
        &scene.daemon,
        "network inspect --exposure nothing",
        "not found",
    )?;
    ok(&scene.daemon, "stop -t 0 shut")?;
    refuses(&scene.daemon, "port --exposure shut", "is not running")?;
    scene.close()
}

#[test]
fn what_is_said_of_networks_is_so() -> Result<()> {
    if is_not_asked()? {
        return Ok(());
    }
    let mut scene = Scene::open(&[], "")?;
    let option = "-o com.docker.network.bridge";
    scene.network("inside", "--internal")?;
    scene.network("routed", &format!("{option}.gateway_mode_ipv4=routed"))?;
    scene.network(
        "open",
        &format!("{option}.gateway_mode_ipv4=nat-unprotected"),
    )?;
    scene.network("apart", &format!("{option}.enable_icc=false"))?;
    for (name, port) in [
        ("inside", 8001),
        ("routed", 80),
        ("open", 8003),
        ("apart", 8004),
    ] {
        scene.serve(
            &format!("web-{name}"),
            &format!("--network {name} -p {port}:80"),
        )?;
    }
    for name in ["inside", "routed", "open", "apart"] {
        scene.prove(&format!("web-{name}"))?;
    }
    let inside = scene.exposure("/containers/web-inside")?;
    ensure!(inside.len() == 1 && inside[0]["Port"] == "*", "{inside:#?}");
    ensure!(inside[0]["Host"] == "yes" && inside[0]["SameNetwork"] == "yes");
    let routed = scene.row("web-routed", "80/tcp")?;
    ensure!(routed["OtherNetworks"]["stranger"] == "yes", "{routed:#?}");
    ensure!(!routed["Outside"].as_array().context("a list")?.is_empty());
    let others = scene.row("web-routed", "*")?;
    ensure!(others["Outside"] == serde_json::json!([]), "{others:#?}");
    let open = scene.row("web-open", "*")?;
    ensure!(open["OtherNetworks"]["stranger"] == "yes", "{open:#?}");
    let apart = scene.row("web-apart", "*")?;
    ensure!(
        apart["SameNetwork"] == "no" && apart["Host"] == "yes",
        "{apart:#?}"
    );
    let published = scene.row("web-apart", "0.0.0.0:8004")?;
    ensure!(published["SameNetwork"] == "yes", "{published:#?}");
    ok(
        &scene.daemon,
        "run -d --name plain --network host busybox sleep 1000",
    )?;
    let said = scene.daemon.cli(&["port", "--exposure", "plain"])?;
    ensure!(
        said.code == 0 && said.stderr.contains("host's own rules decide"),
        "{said:?}"
    );
    scene.close()
}

#[test]
fn rules_of_the_host_are_asked() -> Result<()> {
    if is_not_asked()? {
        return Ok(());
    }
    let rules = r#"
table ip filter {
    chain user-input {
        tcp dport 8002 counter accept
        ip saddr 192.0.2.128/25 tcp dport 8003 counter accept
    }
    chain INPUT {
        type filter hook input priority filter; policy drop;
        iifname "lo" counter accept
        ct state related,established counter accept
        counter jump user-input
    }
    chain DOCKER-USER {
        ip saddr 198.51.100.0/24 counter drop
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
    }
}
"#;
    let mut scene = Scene::open(&["--publish-policy=host"], rules)?;
    scene.network("one", "")?;
    scene.serve("web", "--network one -p 8001:80 -p 8002:80 -p 8003:80")?;
    scene.prove("web")?;
    let outside = |at: &str| -> Result<String> { Ok(shows_outside(&scene.row("web", at)?)) };
    ensure!(outside("0.0.0.0:8001")?.is_empty(), "nobody lets it in");
    // DOCKER-USER drops those aside.
    let near = "0.0.0.0/0=some 192.0.2.0/24=yes";
    ensure!(
        outside("0.0.0.0:8002")? == near,
        "{}",
        outside("0.0.0.0:8002")?
    );
    ensure!(outside("0.0.0.0:8003")?.contains("192.0.2.0/24=some"));
    let why = scene.row("web", "0.0.0.0:8001")?["Why"].to_string();
    ensure!(
        why.contains("outside: ip filter INPUT (policy drop)"),
        "{why}"
    );
    let why = scene.row("web", "0.0.0.0:8002")?["Why"].to_string();
    ensure!(why.contains("DOCKER-USER"), "{why}");
    // A chain of somebody else that drops, and one that lets pass.
    let fence = "table inet fence {\n chain passing {\n type filter hook forward priority 10; policy drop;\n }\n}";
    scene.nft(fence)?;
    ensure!(outside("0.0.0.0:8002")?.is_empty());
    let why = scene.row("web", "0.0.0.0:8002")?["Why"].to_string();
    ensure!(why.contains("inet fence passing (policy drop)"), "{why}");
    scene.prove("web")?;
    scene.nft("add rule inet fence passing iifname up0 accept")?;
    // The rule sees who comes back by the links that we send them over.
    ensure!(outside("0.0.0.0:8002")?.is_empty());
    scene.nft("add rule inet fence passing iifname \"onggi-gate1\" accept\nadd rule inet fence passing ct state established accept")?;
    ensure!(outside("0.0.0.0:8002")? == near);
    scene.prove("web")?;
    scene.close()
}

/// Who comes from outside, as words.
fn shows_outside(row: &Value) -> String {
    let all = row["Outside"].as_array().into_iter().flatten();
    let mut all: Vec<String> = all
        .map(|one| format!("{}={}", one["Net"], one["Reach"]).replace('"', ""))
        .collect();
    all.sort();
    all.join(" ")
}

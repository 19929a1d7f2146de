//! Who reaches whom: kinds of networks x families of addresses x ways, each cell asserted on real packets. The daemon's
//! machine is a namespace with one link to another, the world outside; both ends have addresses of both families.

use crate::{names_resolve, ok, shows};
use anyhow::{Context, Result, bail, ensure};
use onggi_testkit::{Daemon, DaemonOptions, LIMIT, Namespace, Subject, wait_until};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long we wait for what must not come.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Default,
    User,
    Internal,
    Routed,
    Macvlan,
    Host,
    None,
    /// In the namespace of a container that is in a user's bridge.
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Dual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A neighbour in the same network, by name.
    Name,
    /// From a neighbour to the world.
    Out,
    /// From the world to what is published; where nothing is translated, to the container's own address.
    In,
    /// From the host: to what is published on its loopback, else to the container's own address.
    FromHost,
    /// From a neighbour to what is published, by the host's address.
    Hairpin,
    /// From a container in another network to the container's own address.
    Apart,
}

const WAYS: [Way; 6] = [
    Way::Name,
    Way::Out,
    Way::In,
    Way::FromHost,
    Way::Hairpin,
    Way::Apart,
];

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// It gets through.
    Through,
    /// It must not get through.
    Closed,
    /// There is nothing to ask.
    Empty(&'static str),
    /// Not asked, for want of the feature.
    Missing(&'static str),
}

use Cell::{Closed, Empty, Missing, Through};

/// The table.
fn cell(kind: Kind, family: Family, way: Way) -> Cell {
    match (kind, way) {
        (Kind::None, Way::Out) => Closed,
        (Kind::None, _) => Empty("no address but loopback's"),
        (Kind::Host, Way::Name) => Empty("the host's network gives no names"),
        (Kind::Host, Way::Apart) => Empty("the host itself is not apart"),
        (Kind::Default, _) if family == Family::V6 => Empty("the default bridge always has IPv4"),
        (Kind::Default, Way::Name) => Closed,
        (Kind::Internal, Way::Out | Way::In | Way::Hairpin) => Closed,
        (Kind::Routed, Way::Hairpin) => Empty("nothing is translated"),
        (Kind::Macvlan, Way::Hairpin) => Empty("nothing is published"),
        // The kernel keeps a parent and its macvlans apart.
        (Kind::Macvlan, Way::FromHost) => Closed,
        (_, Way::Apart) => Closed,
        _ => Through,
    }
}

/// What dockerd 20.10 cannot be asked.
fn old(kind: Kind, family: Family, way: Way) -> Option<Cell> {
    match (kind, family, way) {
        (Kind::Routed, ..) => Some(Missing("gateway modes are of newer engines")),
        (Kind::User | Kind::Internal | Kind::Macvlan | Kind::Shared, Family::V6, _) => {
            Some(Missing("networks without IPv4 are of newer engines"))
        }
        (Kind::Internal, Family::Dual, Way::Name) => {
            Some(Missing("rules of 20.10 drop IPv6 between neighbours"))
        }
        _ => None,
    }
}

/// The daemon's machine and the world.
struct Stage {
    daemon: Daemon,
    world: Namespace,
    kind: Kind,
    family: Family,
    /// Whether names resolve in networks of users.
    names: bool,
}

/// The host's and the world's addresses on the link between them.
const HOST: [&str; 2] = ["192.0.2.1", "2001:db8:2::1"];
const WORLD: [&str; 2] = ["192.0.2.2", "2001:db8:2::2"];

/// What runs in the container: port 80, which is published, and 81, which is not.
const SERVER: &str =
    "mkdir -p /www; echo here > /www/index.html; httpd -p 81 -h /www; exec httpd -f -p 80 -h /www";

impl Stage {
    /// Two namespaces, a link, a daemon; in the world a server on port 7000 of every address.
    fn open(kind: Kind, subject: Subject) -> Result<Self> {
        let (host, world) = (Namespace::new()?, Namespace::new()?);
        let path = format!("/proc/{}/fd/{}", std::process::id(), world.fd().as_raw_fd());
        ip(&host, "link add up0 type veth peer name out0")?;
        ip(&host, &format!("link set out0 netns {path}"))?;
        for (namespace, link, own, other) in
            [(&host, "up0", HOST, WORLD), (&world, "out0", WORLD, HOST)]
        {
            ip(namespace, &format!("address add {}/24 dev {link}", own[0]))?;
            ip(
                namespace,
                &format!("address add {}/64 dev {link} nodad", own[1]),
            )?;
            ip(namespace, &format!("link set {link} up"))?;
            // The world knows the way to what is routed; the host knows the way to the world.
            let routes = match link {
                "up0" => ["default", "default"],
                _ => ["10.70.0.0/16", "fd00:70::/32"],
            };
            ip(
                namespace,
                &format!("route add {} via {}", routes[0], other[0]),
            )?;
            ip(
                namespace,
                &format!("-6 route add {} via {}", routes[1], other[1]),
            )?;
        }
        let listener = world.run(|| TcpListener::bind("[::]:7000"))??;
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhere\n");
            }
        });
        let arguments = match (subject, kind) {
            (Subject::Dockerd, Kind::Default) => {
                "--experimental --ip6tables --ipv6 --fixed-cidr-v6=fd00:70:1::/64"
            }
            (Subject::Dockerd, _) => "--experimental --ip6tables",
            (Subject::Onggi, Kind::Default) => "--ipv6 --fixed-cidr-v6=fd00:70:1::/64",
            (Subject::Onggi, _) => "",
        };
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        let daemon = Daemon::start_with(DaemonOptions {
            arguments,
            subject: Some(subject),
            namespace: Some(host),
            ..DaemonOptions::default()
        })?;
        daemon.load_busybox()?;
        Ok(Self {
            daemon,
            world,
            kind,
            family: Family::V4,
            names: true,
        })
    }

    /// The cell of the table, as far as the subject has it.
    fn cell(&self, way: Way) -> Cell {
        let old = match self.daemon.subject() {
            Subject::Dockerd => old(self.kind, self.family, way),
            Subject::Onggi if way == Way::Name && !self.names => {
                Some(Missing("a resolver at 127.0.0.11"))
            }
            Subject::Onggi => None,
        };
        match cell(self.kind, self.family, way) {
            Empty(why) => Empty(why),
            cell => old.unwrap_or(cell),
        }
    }

    /// Makes the networks and starts who is in them: `srv`, its neighbour `near`, and `far` in another network.
    fn set(&self) -> Result<()> {
        let net = match (self.kind, self.family) {
            (Kind::Macvlan, Family::V4) => {
                "--subnet 192.0.2.0/24 --ip-range 192.0.2.128/25 --gateway 192.0.2.2"
            }
            (Kind::Macvlan, Family::V6) => {
                "--ipv4=false --ipv6 --subnet 2001:db8:2::/64 --ip-range 2001:db8:2::8000/113 --gateway 2001:db8:2::2"
            }
            (Kind::Macvlan, Family::Dual) => {
                "--ipv6 --subnet 192.0.2.0/24 --ip-range 192.0.2.128/25 --gateway 192.0.2.2 --subnet 2001:db8:2::/64 --ip-range 2001:db8:2::8000/113 --gateway 2001:db8:2::2"
            }
            (_, Family::V4) => "--subnet 10.70.1.0/24",
            (_, Family::V6) => "--ipv4=false --ipv6 --subnet fd00:70:2::/64",
            (_, Family::Dual) => "--ipv6 --subnet 10.70.1.0/24 --subnet fd00:70:2::/64",
        };
        let kind = match self.kind {
            Kind::User | Kind::Shared => " --driver bridge",
            Kind::Internal => " --internal",
            Kind::Routed => {
                " -o com.docker.network.bridge.gateway_mode_ipv4=routed -o com.docker.network.bridge.gateway_mode_ipv6=routed"
            }
            Kind::Macvlan => " --driver macvlan -o parent=up0",
            Kind::Default | Kind::Host | Kind::None => "",
        };
        if !kind.is_empty() {
            ok(&self.daemon, &format!("network create{kind} {net} net"))?;
        }
        ok(
            &self.daemon,
            "network create --ipv6 --subnet 10.79.0.0/24 --subnet fd00:79::/64 elsewhere",
        )?;
        let (server, near) = match self.kind {
            Kind::Default => ("--publish 8080:80", "--network bridge"),
            Kind::Host => ("--network host", "--network host"),
            Kind::None => ("--network none", "--network none"),
            Kind::Macvlan => ("--network net", "--network net"),
            Kind::Shared => ("--network container:holder", "--network net"),
            _ => ("--network net --publish 8080:80", "--network net"),
        };
        if self.kind == Kind::Shared {
            self.run(
                "holder",
                "--network net --publish 8080:80",
                "exec sleep 100000",
            )?;
        }
        self.run("srv", server, SERVER)?;
        self.run("near", near, "exec sleep 100000")?;
        self.run("far", "--network elsewhere", "exec sleep 100000")?;
        wait_until("the server to listen", LIMIT, || {
            self.inside("srv", "wget -q -O - http://127.0.0.1:80/").ok()
        })
        .map(drop)
    }

    /// Removes all of it.
    fn strike(&self) -> Result<()> {
        let names = ok(&self.daemon, "ps -a --format {{.Names}}")?;
        for name in names.lines() {
            ok(&self.daemon, &format!("rm -f {name}"))?;
        }
        ok(&self.daemon, "network prune -f").map(drop)
    }

    fn run(&self, name: &str, flags: &str, script: &str) -> Result<()> {
        let mut words = vec!["run", "-d", "--name", name];
        words.extend(flags.split(' '));
        words.extend(["busybox", "sh", "-c", script]);
        self.daemon
            .cli(&words)?
            .ok()
            .map(drop)
            .with_context(|| format!("{words:?}"))
    }

    /// What a script prints in a container; an error where it fails.
    fn inside(&self, container: &str, script: &str) -> Result<String> {
        let output = self.daemon.cli(&["exec", container, "sh", "-c", script])?;
        output.ok().map(str::to_owned)
    }

    /// The container's own address.
    fn address(&self, six: bool) -> Result<String> {
        let holder = match self.kind {
            Kind::Shared => "holder",
            _ => "srv",
        };
        let key = match six {
            false => "IPAddress",
            true => "GlobalIPv6Address",
        };
        let template = format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{key}}}}}{{{{end}}}}");
        let address = shows(&self.daemon, "container", holder, &template)?;
        ensure!(!address.is_empty(), "{holder} has no {key}");
        Ok(bracketed(&address))
    }

    /// Whether one of the containers gets an answer from there.
    fn fetches(&self, container: &str, at: &str) -> bool {
        let script = format!("timeout 5 wget -q -O - http://{at}/");
        self.inside(container, &script)
            .is_ok_and(|said| said == "here")
    }

    /// Tries the way once.
    fn try_once(&self, way: Way, six: bool) -> Result<bool> {
        let index = usize::from(six);
        let host = bracketed(HOST[index]);
        let own_port = matches!(self.kind, Kind::Host);
        let published = if own_port { 80 } else { 8080 };
        Ok(match way {
            Way::Name => {
                let name = if self.kind == Kind::Shared {
                    "holder"
                } else {
                    "srv"
                };
                let family = if six { "-6" } else { "-4" };
                let script = format!("timeout 5 ping {family} -c 1 -W 3 {name}");
                self.inside("near", &script).is_ok()
            }
            Way::Out => self.fetches("near", &format!("{}:7000", bracketed(WORLD[index]))),
            Way::In => {
                let at = match self.kind {
                    Kind::Routed | Kind::Macvlan => format!("{}:80", self.address(six)?),
                    _ => format!("{host}:{published}"),
                };
                fetched(&self.world, &at)?
            }
            Way::FromHost => {
                let loopback = if six { "[::1]" } else { "127.0.0.1" };
                let at = match self.kind {
                    Kind::Internal | Kind::Routed | Kind::Macvlan => {
                        format!("{}:80", self.address(six)?)
                    }
                    _ => format!("{loopback}:{published}"),
                };
                fetched(self.daemon.namespace(), &at)?
            }
            Way::Hairpin => self.fetches("near", &format!("{host}:{published}")),
            Way::Apart => self.fetches("far", &format!("{}:81", self.address(six)?)),
        })
    }

    /// Whether the way is as the cell says, for each family it has.
    fn check(&self, way: Way) -> Result<()> {
        let families: &[bool] = match self.family {
            Family::V4 => &[false],
            Family::V6 => &[true],
            Family::Dual => &[false, true],
        };
        for &six in families {
            let number = if six { 6 } else { 4 };
            match self.cell(way) {
                Through => {
                    wait_until("an answer", LIMIT, || {
                        self.try_once(way, six).is_ok_and(|came| came).then_some(())
                    })
                    .with_context(|| format!("IPv{number}"))?;
                }
                Closed => {
                    ensure!(!self.try_once(way, six)?, "IPv{number}: it gets through");
                }
                Empty(_) | Missing(_) => {}
            }
        }
        Ok(())
    }
}

/// Whether who is in this namespace gets an answer from there.
fn fetched(namespace: &Namespace, at: &str) -> Result<bool> {
    let address: SocketAddr = at.parse().with_context(|| at.to_owned())?;
    namespace.run(|| {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        ask().is_ok_and(|text| text.ends_with("here\n"))
    })
}

fn bracketed(address: &str) -> String {
    match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    }
}

fn ip(namespace: &Namespace, arguments: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    let output = namespace.run(|| command.output())??;
    ensure!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// All cells of a kind of network.
fn row(kind: Kind, subject: Subject) -> Result<()> {
    let mut stage = Stage::open(kind, subject)?;
    ok(&stage.daemon, "network create --internal names")?;
    stage.names = names_resolve(&stage.daemon, "names")?;
    ok(&stage.daemon, "network rm names")?;
    let mut wrong = Vec::new();
    for family in [Family::V4, Family::V6, Family::Dual] {
        stage.family = family;
        for way in WAYS {
            match stage.cell(way) {
                Missing(why) => eprintln!("not asked: {kind:?} {family:?} {way:?}: {why}"),
                Empty(why) => eprintln!("empty: {kind:?} {family:?} {way:?}: {why}"),
                Through | Closed => {}
            }
        }
        if !WAYS
            .iter()
            .any(|&way| matches!(stage.cell(way), Through | Closed))
        {
            continue;
        }
        stage
            .set()
            .with_context(|| format!("{kind:?} {family:?}"))?;
        for way in WAYS {
            if let Err(error) = stage.check(way) {
                let cell = stage.cell(way);
                wrong.push(format!(
                    "{kind:?} {family:?} {way:?} is not {cell:?}: {error:#}"
                ));
            }
        }
        stage.strike()?;
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    stage.daemon.clean()
}

/// The same cells on dockerd: where it differs, [`old`] says why.
fn row_of_dockerd(kind: Kind) -> Result<()> {
    if std::env::var_os("ONGGI_FULL").is_none() {
        eprintln!("skipped: the other engine is asked with ONGGI_FULL");
        return Ok(());
    }
    if !Path::new("/usr/sbin/dockerd").exists() {
        eprintln!("skipped, no dockerd is installed");
        return Ok(());
    }
    row(kind, Subject::Dockerd)
}

macro_rules! rows {
    ($($name:ident: $kind:ident),* $(,)?) => {
        $(#[test] fn $name() -> Result<()> { row(Kind::$kind, Subject::from_env()?) })*

        mod dockerd {
            $(#[test] fn $name() -> super::Result<()> { super::row_of_dockerd(super::Kind::$kind) })*
        }
    };
}

rows!(
    the_default_bridge: Default,
    a_bridge_of_users: User,
    an_internal_network: Internal,
    a_routed_network: Routed,
    a_macvlan: Macvlan,
    the_host_s_network: Host,
    no_network: None,
    the_network_of_another: Shared,
);

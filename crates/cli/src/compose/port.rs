//! `compose port`: where a port of a service is published.

use onggi_compose::Container;

use super::containers::{self, Among};
use super::project;
use crate::Cli;
use crate::args::check::{self, parse_uint};
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, value};
use crate::columns::ports::address;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// `--index`, of every command that means one container.
pub(super) const INDEX: Flag = value(
    None,
    "index",
    "int",
    "Number of the container, if the service has several",
)
.checked(check::int);

const FLAGS: &[Flag] = &[
    INDEX,
    value(None, "protocol", "string", "tcp, udp or sctp")
        .default("\"tcp\"")
        .completed(Complete::Words(&["tcp", "udp", "sctp"])),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] SERVICE PRIVATE_PORT",
    about: "Show where a port of a service is published",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Services, Complete::Nothing],
    ..command(&["compose port"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (service, port) = (&matches.args[0], &matches.args[1]);
    let (port, protocol) = port.split_once('/').unwrap_or((port, ""));
    let protocol = match (protocol, matches.text("protocol")) {
        ("", "") => "tcp".to_owned(),
        ("", given) => given.to_lowercase(),
        (own, _) => own.to_lowercase(),
    };
    let number = parse_uint(port, 16).map_err(Error::new)?;
    let subject = project::subject(cli)?;
    let index = matches.int("index").unwrap_or(0);
    let container = containers::one(cli, &subject, service, index, Among::All)?;
    let at = published(&container, number, &protocol).ok_or_else(|| {
        Error::new(format!(
            "no port {number}/{protocol} for container {}: {}",
            container.name,
            everything(&container)
        ))
    })?;
    cli.line(&at)?;
    Ok(0)
}

fn published(container: &Container, number: u64, protocol: &str) -> Option<String> {
    let mut ports = container.summary.ports.runs().flat_map(|run| run.each());
    let port = ports.find(|port| {
        u64::from(port.private_port) == number && port.kind == protocol && port.public_port != 0
    })?;
    Some(address(&port.ip, &port.public_port.to_string()))
}

/// What there is instead.
fn everything(container: &Container) -> String {
    match crate::columns::ports::display(&container.summary.ports) {
        ports if ports.is_empty() => "it has none".to_owned(),
        ports => ports,
    }
}

//! `port`: where a container's ports are published.

use onggi_api::container::{MovePortsRequest, PortMap};
use onggi_model::Port;
use serde::Deserialize as _;

use crate::Cli;
use crate::args::check::parse_uint;
use crate::args::flag::{Complete, Flag, Kind, flag};
use crate::args::{Matches, value};
use crate::columns::ports::address;
use crate::command::{Arity, Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::{Error, Result};
use crate::network::exposure::{self, EXPOSURE};

pub(crate) const COMMAND: Command = Command {
    usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "Show where the ports of a container are published",
    arity: Arity::Between(1, 2),
    complete: &[Complete::Containers, Complete::Nothing],
    flags: &[FLAGS],
    ..command(&["container port", "port"], run)
};

const FLAGS: &[Flag] = &[
    EXPOSURE,
    value(Some('f'), "format", "string", FORMAT_HELP),
    Flag {
        complete: Complete::Containers,
        ..flag(
            None,
            "move-to",
            Kind::One,
            "container",
            "Move the ports to another running container; established connections stay",
        )
    },
];

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let exposure = matches.on("exposure");
    if matches.one("format").is_some() && !exposure {
        let text = "--format is how --exposure prints: give both, or use inspect for a template";
        return Err(Error::new(text.to_owned()));
    }
    if let Some(to) = matches.one("move-to") {
        if exposure {
            let text = "--exposure shows and --move-to changes: give one of them";
            return Err(Error::new(text.to_owned()));
        }
        return move_to(cli, matches, to.to_owned());
    }
    if exposure {
        return exposed(cli, matches);
    }
    let client = cli.client()?;
    let name = &matches.args[0];
    let container = cli.block_on(client.container_inspect(name, false))??;
    let ports = PortMap::deserialize(&container["NetworkSettings"]["Ports"]).unwrap_or_default();
    let mut lines: Vec<(u16, String)> = Vec::new();
    if let Some(port) = matches.args.get(1) {
        let (number, protocol) = port.split_once('/').unwrap_or((port, ""));
        let protocol = if protocol.is_empty() { "tcp" } else { protocol };
        parse_uint(number, 16)
            .map_err(|error| Error::new(format!("Error: invalid port ({number}): {error}")))?;
        let bindings = ports.get(&format!("{number}/{protocol}")).flatten();
        let bindings = bindings
            .filter(|bindings| !bindings.is_empty())
            .ok_or_else(|| {
                Error::new(format!(
                    "Error: No public port '{port}' published for {name}"
                ))
            })?;
        for binding in bindings {
            lines.push((0, address(&binding.host_ip, &binding.host_port)));
        }
    } else {
        lines = published(&ports);
    }
    print(cli, lines)
}

/// Who reaches the ports, or one of them.
fn exposed(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let mut found = cli.block_on(client.container_exposure(&matches.args[0]))??;
    if let Some(text) = matches.args.get(1) {
        let wanted = Port::parse(text).map_err(|fault| Error::new(fault.to_string()))?;
        found.ports.retain(|one| is_in(wanted, &one.port));
    }
    exposure::print(cli, matches.text("format"), &[found])
}

/// Whether a port is one of `80/tcp`, `80-90/tcp`.
fn is_in(port: Port, ports: &str) -> bool {
    let Some((numbers, protocol)) = ports.split_once('/') else {
        return false;
    };
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let inside = match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port.number),
        _ => false,
    };
    inside && protocol == port.protocol.to_string()
}

fn move_to(cli: &mut Cli, matches: &Matches, to: String) -> Result<u8> {
    let client = cli.client()?;
    let port = matches.args.get(1).cloned();
    let request = MovePortsRequest {
        to,
        ports: port.map(|port| vec![port]),
    };
    let moved = cli.block_on(client.container_move_ports(&matches.args[0], &request))??;
    print(cli, published(&moved.ports))
}

/// Each port and where it is, with its number.
fn published(ports: &PortMap) -> Vec<(u16, String)> {
    let mut lines = Vec::new();
    for (port, bindings) in ports {
        let number = port.split('/').next().and_then(|n| n.parse().ok());
        for binding in bindings.iter().flatten() {
            let host = address(&binding.host_ip, &binding.host_port);
            lines.push((number.unwrap_or(0), format!("{port} -> {host}")));
        }
    }
    lines
}

fn print(cli: &mut Cli, mut lines: Vec<(u16, String)>) -> Result<u8> {
    lines.sort();
    for (_, line) in lines {
        cli.line(&line)?;
    }
    Ok(0)
}

//! `network disconnect`.

use onggi_api::network::DisconnectRequest;

use super::named;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::Result;

pub(super) const FLAGS: &[Flag] = &[switch(
    Some('f'),
    "force",
    "Forget the container's place even where the container cannot be found",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NETWORK CONTAINER",
    about: "Disconnect a container from a network",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Networks, Complete::Containers],
    ..command(&["network disconnect"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let request = request(matches);
    let network = named("network", &matches.args[0])?;
    let client = cli.client()?;
    cli.block_on(client.network_disconnect(network, &request))??;
    Ok(0)
}

/// What the flags mean.
pub(super) fn request(matches: &Matches) -> DisconnectRequest {
    DisconnectRequest {
        container: matches.args[1].clone(),
        force: matches.on("force"),
    }
}

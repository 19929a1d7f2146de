//! `network rm`: removes networks.

use super::named;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::confirm::confirm;
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[switch(
    Some('f'),
    "force",
    "A network that is not there is fine",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "NETWORK [NETWORK...]",
    about: "Remove networks that no container is in",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Networks],
    ..command(&["network rm", "network remove"], run)
};

const INGRESS: &str = "WARNING! Before removing the routing-mesh network, make sure all the nodes \
                       in your swarm run the same docker engine version. Otherwise, removal may not \
                       be effective and functionality of newly create ingress networks will be \
                       impaired.\nAre you sure you want to continue?";

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let mut failed = false;
    for name in &matches.args {
        match remove(cli, name, matches.on("force")) {
            Ok(true) => cli.line(name)?,
            Ok(false) => {}
            Err(error) => {
                failed = true;
                cli.complain(&error.message)?;
            }
        }
    }
    match failed {
        // Docker's words.
        true => Err(Error::new("exit status 1")),
        false => Ok(0),
    }
}

/// Whether it is gone: the way into a swarm goes only after a question, and with `force` what is not there is fine.
fn remove(cli: &mut Cli, name: &str, force: bool) -> Result<bool> {
    let name = named("network", name)?;
    let client = cli.client()?;
    let found = cli.block_on(client.network_inspect(name, false))?;
    if found.is_ok_and(|network| network["Ingress"] == true) && !confirm(cli, INGRESS)? {
        return Ok(false);
    }
    match cli.block_on(client.network_remove(name))? {
        Err(error) if force && error.status() == Some(404) => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}

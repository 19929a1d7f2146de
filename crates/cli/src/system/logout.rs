//! `logout`: forgets the login of a registry.

use crate::Cli;
use crate::args::Matches;
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::settings::credentials::DOCKER_HUB;
use crate::system::login::server;

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVER]",
    about: "Log out from a registry",
    arity: Arity::AtMost(1),
    common: Some(8),
    ..command(&["logout"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let server = server(matches);
    cli.line(&format!("Removing login credentials for {server}"))?;
    let path = cli.settings.directory.join("config.json");
    let mut names = vec![server.clone()];
    if server != DOCKER_HUB {
        // As older clients kept them.
        names.extend([format!("https://{server}"), format!("http://{server}")]);
    }
    for name in names {
        if name == server || cli.settings.file.auths.contains_key(&name) {
            cli.settings.file.forget(&path, &name)?;
        }
    }
    Ok(0)
}

//! `compose wait`: until the containers of services end.

use super::{containers, project};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

pub(crate) const COMMAND: Command = Command {
    usage: "SERVICE [SERVICE...] [OPTIONS]",
    about: "Wait until the containers of services end; the exit code is that of the last one",
    arity: Arity::AtLeast(1),
    complete: &[Complete::Services],
    ..command(&["compose wait"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let found = containers::of(cli, &subject, &matches.args)?;
    if found.is_empty() {
        return Err(Error::new(format!(
            "no containers for project {:?}",
            subject.name
        )));
    }
    let client = cli.client()?;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut code = 0;
    cli.block_on(async {
        for container in found {
            let (client, sender) = (client.clone(), sender.clone());
            tokio::spawn(async move {
                let ended = client.container_wait_exit(&container.id).await;
                // Nobody listens any more after an error of another one.
                let _ = sender.send((container.name, ended));
            });
        }
        drop(sender);
    })?;
    while let Some((name, ended)) = cli.block_on(receiver.recv())? {
        code = crate::container::run::exit_code(&ended?)?;
        cli.line(&format!(
            "container {name:?} exited with status code {code}"
        ))?;
        cli.flush()?;
    }
    Ok(code)
}

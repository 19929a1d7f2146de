//! `compose wait`: until the containers of services end.

use onggi_compose::command::Down;
use onggi_compose::plan;

use super::application::act;
use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[switch(
    None,
    "down-project",
    "Take the project down when the first container ends",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "SERVICE [SERVICE...] [OPTIONS]",
    about: "Wait until the containers of services end; the exit code is that of the last one",
    flags: &[FLAGS],
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
        if matches.on("down-project") {
            let down = Down::default();
            act(cli, "Running", |name, application, facts| {
                plan::down(name, application, facts, &down)
            })?;
            break;
        }
    }
    Ok(code)
}

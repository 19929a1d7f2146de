//! `compose unpause`.

use onggi_compose::State;

use super::each::{Words, each};
use super::{containers, project};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::Result;

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVICE...]",
    about: "Let the containers of services go on",
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose unpause"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let mut found = containers::of(cli, &subject, &matches.args)?;
    found.retain(|container| container.state == State::Paused);
    let words = Words {
        working: "Unpausing",
        done: "Unpaused",
    };
    each(cli, found, words, |client, container| async move {
        client.container_unpause(&container.id).await
    })?;
    Ok(0)
}

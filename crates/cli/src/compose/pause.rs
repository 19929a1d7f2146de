//! `compose pause`.

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
    about: "Freeze the containers of services",
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose pause"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let mut found = containers::of(cli, &subject, &matches.args)?;
    found.retain(|container| container.state == State::Running);
    let words = Words {
        working: "Pausing",
        done: "Paused",
    };
    each(cli, found, words, |client, container| async move {
        client.container_pause(&container.id).await
    })?;
    Ok(0)
}

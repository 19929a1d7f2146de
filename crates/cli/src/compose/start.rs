//! `compose start`.

use std::time::Duration;

use onggi_compose::command::Start;
use onggi_compose::plan;

use super::application::act;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// `--wait` and `--wait-timeout`.
pub(super) const WAIT: &[Flag] = &[
    switch(None, "wait", "Wait until services run, and are healthy"),
    value(None, "wait-timeout", "int", "Seconds that may take").checked(check::int),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVICE...]",
    about: "Start the containers of services again",
    flags: &[WAIT],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose start"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let start = Start {
        services: matches.args.clone(),
        wait: matches.on("wait"),
        wait_timeout: limit(matches)?,
    };
    act(cli, "Running", |name, application, facts| {
        plan::start(name, application, facts, &start)
    })?;
    Ok(0)
}

/// How long may be waited.
pub(super) fn limit(matches: &Matches) -> Result<Option<Duration>> {
    match matches.int("wait-timeout") {
        None | Some(0) => Ok(None),
        Some(_) if !matches.on("wait") => {
            Err(Error::new("--wait-timeout is for --wait: give both"))
        }
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(Error::new("--wait-timeout: a time is not negative")),
        },
    }
}

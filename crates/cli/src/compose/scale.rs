//! `compose scale`: how many containers services have.

use std::collections::BTreeMap;

use onggi_compose::command::{Recreate, Up};

use super::drive::Manner;
use super::{application, up};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[switch(
    None,
    "no-deps",
    "Do not start what the services need",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVICE=REPLICAS...]",
    about: "Change how many containers services have",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Services],
    ..command(&["compose scale"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let scale = read(matches.args.iter().map(String::as_str))?;
    let services: Vec<String> = scale.keys().cloned().collect();
    let application = application::load(cli, &services)?;
    let options = Up {
        services,
        scale,
        recreate: Recreate::Never,
        no_deps: matches.on("no-deps"),
        ..Up::default()
    };
    up::detached(cli, &application, &options, Manner::titled("Running"))?;
    Ok(0)
}

/// `SERVICE=NUMBER`s.
pub(super) fn read<'a>(words: impl Iterator<Item = &'a str>) -> Result<BTreeMap<String, u32>> {
    let mut scale = BTreeMap::new();
    for word in words {
        let (service, number) = word
            .split_once('=')
            .ok_or_else(|| Error::new(format!("invalid scale specifier: {word}")))?;
        let number = number
            .parse()
            .map_err(|_| Error::new(format!("invalid scale specifier: {word}")))?;
        scale.insert(service.to_owned(), number);
    }
    Ok(scale)
}

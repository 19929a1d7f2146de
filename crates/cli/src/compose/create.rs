//! `compose create`: makes the containers of services, and starts none.

use onggi_compose::command::{Pull, Recreate, Up};

use super::drive::Manner;
use super::{application, scale, up};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// What `create` and `up` have in common.
pub(super) const MAKING: &[Flag] = &[
    switch(None, "build", "Build images though they are there"),
    switch(
        None,
        "force-recreate",
        "Make containers anew though nothing has changed",
    ),
    switch(None, "no-build", "Build no image, even if it is missing"),
    switch(
        None,
        "no-recreate",
        "Keep containers that are there, whatever has changed",
    ),
    value(
        None,
        "pull",
        "string",
        "When images are pulled (\"always\", \"missing\", \"never\", \"build\")",
    )
    .default("\"policy\"")
    .completed(Complete::Words(&[
        "always", "missing", "never", "build", "policy",
    ])),
    switch(None, "quiet-pull", "Do not show the progress of pulls"),
    switch(
        None,
        "remove-orphans",
        "Remove containers of services that the files do not know",
    ),
    list(
        None,
        "scale",
        "stringArray",
        "How many containers a service has (SERVICE=NUMBER)",
    ),
    switch(
        Some('y'),
        "yes",
        "Answer every question with yes (none is asked: no data goes by itself)",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Make the containers of services without starting them",
    flags: &[MAKING],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose create"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let application = application::load(cli, &matches.args)?;
    let options = Up {
        no_start: true,
        ..making(matches)?
    };
    let manner = Manner {
        quiet_pull: matches.on("quiet-pull"),
        ..Manner::titled("Creating")
    };
    up::detached(cli, &application, &options, manner)?;
    Ok(0)
}

/// What the flags that `create` and `up` have in common ask for.
pub(super) fn making(matches: &Matches) -> Result<Up> {
    let both = |one: &str, other: &str| match matches.on(one) && matches.on(other) {
        true => Err(Error::new(format!(
            "--{one} and --{other} are incompatible"
        ))),
        false => Ok(()),
    };
    both("force-recreate", "no-recreate")?;
    both("build", "no-build")?;
    Ok(Up {
        services: matches.args.clone(),
        recreate: match (matches.on("force-recreate"), matches.on("no-recreate")) {
            (true, _) => Recreate::Force,
            (_, true) => Recreate::Never,
            _ => Recreate::Diverged,
        },
        remove_orphans: matches.on("remove-orphans"),
        scale: scale::read(matches.all("scale"))?,
        pull: pull_policy(matches.text("pull"))?,
        build: matches.on("build"),
        no_build: matches.on("no-build"),
        ..Up::default()
    })
}

/// When images are pulled.
pub(super) fn pull_policy(text: &str) -> Result<Pull> {
    match text {
        "" | "policy" => Ok(Pull::Policy),
        "always" => Ok(Pull::Always),
        "missing" | "if_not_present" => Ok(Pull::Missing),
        "never" => Ok(Pull::Never),
        "build" => Ok(Pull::Build),
        other => Err(Error::new(format!(
            "invalid --pull option {} (always, missing, never, build)",
            crate::quote(other)
        ))),
    }
}

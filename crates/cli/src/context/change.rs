//! `context create`, `update`, `rm` and `use`.

use crate::Cli;
use crate::args::{Flag, Matches, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::container::each;
use crate::error::{Error, Result};
use crate::settings::store::{self, Metadata};
use crate::settings::{ConfigFile, Store};

const DESCRIPTION: Flag = value(
    None,
    "description",
    "string",
    "What the context is, in words",
);

const DOCKER: Flag = list(
    None,
    "docker",
    "stringToString",
    "Where the daemon is, as key=value pairs:\nhost:             the address (unix://, tcp:// or ssh://)\nca, cert, key:    files for TLS\nskip-tls-verify:  trust any daemon\nfrom:             copy the address of this context",
)
.checked(super::endpoint::check)
.default("[]");

pub(super) const CREATE: Command = Command {
    usage: "[OPTIONS] CONTEXT",
    about: "Make a context",
    flags: &[&[
        DESCRIPTION,
        DOCKER,
        value(None, "from", "string", "Copy this context")
            .completed(crate::args::flag::Complete::Contexts),
    ]],
    arity: Arity::Exactly(1),
    ..command(&["context create"], create)
};

pub(super) const UPDATE: Command = Command {
    usage: "[OPTIONS] CONTEXT",
    about: "Change a context",
    flags: &[&[DESCRIPTION, DOCKER]],
    arity: Arity::Exactly(1),
    complete: super::NAMES,
    ..command(&["context update"], update)
};

pub(super) const RM: Command = Command {
    usage: "CONTEXT [CONTEXT...]",
    about: "Remove contexts",
    flags: &[&[switch(
        Some('f'),
        "force",
        "Remove even the one in use, and do not mind those that are not there",
    )]],
    arity: Arity::AtLeast(1),
    complete: super::NAMES,
    ..command(&["context rm", "context remove"], rm)
};

pub(super) const USE: Command = Command {
    usage: "CONTEXT",
    about: "Use a context from now on",
    arity: Arity::Exactly(1),
    complete: super::NAMES,
    ..command(&["context use"], use_context)
};

fn create(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = matches.args[0].as_str();
    let store = Store::new(&cli.settings.directory);
    store::check_name(name)?;
    if store.exists(name) {
        return Err(Error::new(format!(
            "context {} already exists",
            crate::quote(name)
        )));
    }
    let endpoint = super::endpoint::read(matches, &store)?;
    let from = matches.one("from").filter(|from| !from.is_empty());
    let (mut metadata, mut pems) = match from {
        Some(store::DEFAULT) => (by_default(cli), Vec::new()),
        Some(from) => (store.read(from)?, store.pems(from)),
        None if endpoint.is_some() => (Metadata::new(name, "", "", false), Vec::new()),
        None => (by_default(cli), Vec::new()),
    };
    metadata = metadata.named(name);
    if matches.given("description") {
        metadata.describe(matches.text("description"));
    }
    if let Some(endpoint) = endpoint {
        metadata.point(&endpoint.host, endpoint.skip_verify);
        pems = endpoint.pems;
    }
    store.write(&metadata, Some(&pems))?;
    cli.line(name)?;
    cli.complain(&format!(
        "Successfully created context {}",
        crate::quote(name)
    ))?;
    Ok(0)
}

/// What options and environment say, as a context.
fn by_default(cli: &Cli) -> Metadata {
    let host = &cli.settings.default_host;
    Metadata::new("", super::show::BY_ENVIRONMENT, host, false)
}

fn update(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = matches.args[0].as_str();
    let store = Store::new(&cli.settings.directory);
    store::check_name(name)?;
    let mut metadata = store.read(name)?;
    if !matches.text("description").is_empty() {
        metadata.describe(matches.text("description"));
    }
    let endpoint = super::endpoint::read(matches, &store)?;
    if let Some(endpoint) = &endpoint {
        metadata.point(&endpoint.host, endpoint.skip_verify);
    }
    store.write(&metadata, endpoint.as_ref().map(|endpoint| &endpoint.pems))?;
    cli.line(name)?;
    cli.complain(&format!(
        "Successfully updated context {}",
        crate::quote(name)
    ))?;
    Ok(0)
}

fn rm(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let force = matches.on("force");
    let store = Store::new(&cli.settings.directory);
    each(cli, &matches.args, |cli, name| {
        let quoted = crate::quote(name);
        if name == store::DEFAULT {
            return Err(Error::new(format!("context {quoted} cannot be removed")));
        }
        if !force && !store.exists(name) {
            return Err(Error::new(format!("context {quoted} does not exist")));
        }
        if cli.settings.context == name {
            if !force {
                return Err(Error::new(format!(
                    "context {quoted} is in use, set -f flag to force remove"
                )));
            }
            if cli.settings.file.current_context == name {
                ConfigFile::set(
                    &cli.settings.directory.join("config.json"),
                    "currentContext",
                    None,
                )?;
            }
        }
        store.remove(name)?;
        Ok(Some(name.to_owned()))
    })
}

fn use_context(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let name = matches.args[0].as_str();
    if name != store::DEFAULT {
        let store = Store::new(&cli.settings.directory);
        store.read(name)?;
    }
    let path = cli.settings.directory.join("config.json");
    let value = Some(name).filter(|name| *name != store::DEFAULT);
    if value.unwrap_or_default() != cli.settings.file.current_context {
        ConfigFile::set(&path, "currentContext", value)?;
    }
    cli.line(name)?;
    cli.complain(&format!("Current context is now {}", crate::quote(name)))?;
    if name != store::DEFAULT && cli.settings.by_environment {
        cli.complain(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {}, either set the global --context flag, or unset DOCKER_HOST environment variable.",
            crate::quote(name)
        ))?;
    }
    Ok(0)
}

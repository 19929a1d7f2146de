//! `compose push`: the images of services that are built, to their registries.

use std::collections::BTreeSet;

use onggi_compose::plan;
use onggi_model::ImageRef;

use super::application::{self, failed};
use super::show::{Mode, mode};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::progress::{self, Show};

const FLAGS: &[Flag] = &[
    switch(
        None,
        "ignore-push-failures",
        "Push what can be pushed, and go on without the rest",
    ),
    switch(None, "include-deps", "Push what the services need as well"),
    switch(Some('q'), "quiet", "Do not show the progress"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Push the images of services that are built",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose push"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let application = application::load(cli, &matches.args)?;
    let deps = matches.on("include-deps");
    let services = plan::named(&application, &matches.args, deps).map_err(failed)?;
    let mut names = BTreeSet::new();
    for service in services
        .iter()
        .filter_map(|name| application.services.get(name))
    {
        let Some(build) = &service.build else {
            continue;
        };
        // One without a name of its own is known here alone.
        if service.image.is_empty() {
            cli.complain(&format!(
                "WARNING: service {} has no image of its own name: skipped",
                service.name
            ))?;
        } else {
            names.insert(service.image.clone());
        }
        names.extend(build.tags.iter().cloned());
    }
    for name in names {
        if cli.group.on("dry-run") {
            cli.line(&format!("push image {name}"))?;
            continue;
        }
        match push(cli, &name, matches.on("quiet")) {
            Err(error) if matches.on("ignore-push-failures") => {
                cli.complain(&format!("WARNING: {name}: {}", error.message))?;
            }
            other => other?,
        }
    }
    Ok(0)
}

fn push(cli: &mut Cli, name: &str, quiet: bool) -> Result<()> {
    let reference = ImageRef::parse(name).map_err(|error| Error::new(error.to_string()))?;
    let auth = cli.registry_auth(reference.domain())?;
    let client = cli.client()?;
    let show = match mode(cli) {
        _ if quiet => Show::Nothing,
        Mode::Quiet => Show::Nothing,
        Mode::Terminal(_, columns) => Show::Terminal(columns),
        Mode::Plain | Mode::Json => Show::Plain,
    };
    cli.flush()?;
    let tag = reference.tag().unwrap_or("latest");
    cli.block_on(async {
        let repository = reference.familiar_name();
        let mut values = client.image_push(&repository, tag, "", &auth).await?;
        progress::show(&mut values, show, &mut std::io::stderr()).await
    })?
}

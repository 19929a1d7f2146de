//! `compose pull`: fetches the images of services.

use onggi_compose::command::{Pull, PullImages};
use onggi_compose::{Known, plan};

use super::application;
use super::drive::{Manner, drive};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    switch(None, "ignore-buildable", "Leave out what can be built"),
    switch(
        None,
        "ignore-pull-failures",
        "Fetch what can be had, and go on without the rest",
    ),
    switch(None, "include-deps", "Fetch what the services need as well"),
    value(
        None,
        "policy",
        "string",
        "When images are fetched (\"missing\", \"always\")",
    )
    .completed(Complete::Words(&["missing", "always"])),
    switch(Some('q'), "quiet", "Do not show the progress"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Fetch the images of services",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose pull"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let options = PullImages {
        services: matches.args.clone(),
        include_deps: matches.on("include-deps"),
        ignore_buildable: matches.on("ignore-buildable"),
        ignore_failures: matches.on("ignore-pull-failures"),
        policy: match matches.text("policy") {
            "" => Pull::Policy,
            "missing" => Pull::Missing,
            "always" => Pull::Always,
            other => {
                return Err(Error::new(format!(
                    "invalid --policy {} (missing, always)",
                    crate::quote(other)
                )));
            }
        },
    };
    let application = application::load(cli, &matches.args)?;
    let dry = cli.group.on("dry-run");
    let manner = Manner {
        quiet: matches.on("quiet"),
        ..Manner::titled("Pulling")
    };
    let plan = drive(cli, manner, async |compose| {
        let services = plan::named(&application, &options.services, options.include_deps)?;
        let facts = compose.images_of(&application, &services).await?;
        let plan = plan::pull(&application, &services, &facts, &options);
        if !dry {
            let known = Known::files(&application);
            compose.execute(known, &facts, &plan).await?;
        }
        Ok(plan)
    })?;
    application::told(cli, &plan)?;
    Ok(0)
}

//! `push`: gives an image to a registry.

use onggi_model::ImageRef;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::progress::{self, Show};

const FLAGS: &[Flag] = &[
    switch(Some('a'), "all-tags", "Push every tag of the repository"),
    switch(
        None,
        "disable-content-trust",
        "Do not check signatures (the only way: images are not signed that way)",
    )
    .default("true"),
    value(
        None,
        "platform",
        "string",
        "Push the image of this platform alone, not the index it is in",
    )
    .since(1, 46)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
    switch(Some('q'), "quiet", "Do not show the progress"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NAME[:TAG]",
    about: "Give an image to a registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Images],
    common: Some(4),
    ..command(&["image push", "push"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    super::trust(matches)?;
    let reference = ImageRef::parse_untagged(&matches.args[0])
        .map_err(|error| Error::new(error.to_string()))?;
    let (all, quiet) = (matches.on("all-tags"), matches.on("quiet"));
    if reference.digest().is_some() {
        return Err(Error::new("cannot push a digest reference"));
    }
    let tag = match (all, reference.tag()) {
        (true, Some(_)) => return Err(Error::new("tag can't be used with --all-tags/-a")),
        (true, None) => "",
        (false, Some(tag)) => tag,
        (false, None) => {
            if !quiet {
                cli.line("Using default tag: latest")?;
            }
            "latest"
        }
    };
    cli.flush()?;
    let platform = super::platform(matches.text("platform"))?;
    let auth = cli.registry_auth(reference.domain())?;
    let client = cli.client()?;
    let show = match quiet {
        true => Show::Nothing,
        false => Show::on(std::io::stdout()),
    };
    let name = reference.familiar_name();
    cli.block_on(async {
        let mut values = client.image_push(&name, tag, &platform, &auth).await?;
        progress::show(&mut values, show, &mut std::io::stdout()).await
    })??;
    if quiet {
        cli.line(&reference.to_string())?;
    }
    Ok(0)
}

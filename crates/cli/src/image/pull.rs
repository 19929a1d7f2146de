//! `pull`: fetches an image from a registry.

use std::io::Write;

use onggi_client::Client;
use onggi_client::image::Pull;
use onggi_model::ImageRef;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::progress::{self, Show};

const FLAGS: &[Flag] = &[
    switch(Some('a'), "all-tags", "Fetch every tag of the repository"),
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
        "Platform of the image, if there are several",
    )
    .since(1, 32)
    .completed(Complete::Words(crate::container::words::PLATFORMS)),
    switch(Some('q'), "quiet", "Do not show the progress"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Fetch an image from a registry",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Images],
    common: Some(3),
    ..command(&["image pull", "pull"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    super::trust(matches)?;
    let text = &matches.args[0];
    let refuse = |error: onggi_model::ReferenceError| Error::new(error.to_string());
    let given = ImageRef::parse_untagged(text).map_err(refuse)?;
    let all = matches.on("all-tags");
    let quiet = matches.on("quiet");
    if all && (given.tag().is_some() || given.digest().is_some()) {
        return Err(Error::new("tag can't be used with --all-tags/-a"));
    }
    let reference = if all {
        given.clone()
    } else {
        ImageRef::parse(text).map_err(refuse)?
    };
    if !all && !quiet && given.tag().is_none() && given.digest().is_none() {
        cli.line("Using default tag: latest")?;
    }
    cli.flush()?;
    let tag = crate::container::create::reference_tag(&reference);
    let show = if quiet {
        Show::Nothing
    } else {
        Show::on(std::io::stdout())
    };
    let client = cli.client()?;
    let platform = matches.text("platform");
    pull(
        cli,
        &client,
        &reference,
        tag,
        platform,
        show,
        &mut std::io::stdout(),
    )?;
    cli.line(&reference.to_string())?;
    Ok(0)
}

/// Pulls `reference`, showing the progress on `out`.
pub(crate) fn pull(
    cli: &mut Cli,
    client: &Client,
    reference: &ImageRef,
    tag: String,
    platform: &str,
    show: Show,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let auth = cli.registry_auth(reference.domain())?;
    let pull = Pull {
        name: reference.name(),
        tag,
        platform: platform.to_owned(),
        auth,
    };
    cli.block_on(async {
        let mut values = client.image_pull(&pull).await?;
        progress::show(&mut values, show, out).await
    })?
}

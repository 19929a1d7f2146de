//! `import`: makes an image of a root file system in a tar.

use onggi_client::image::Import;
use onggi_model::ImageRef;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, list, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::stream::progress::{self, Show};
use crate::stream::stdin;

const FLAGS: &[Flag] = &[
    list(
        Some('c'),
        "change",
        "list",
        "Dockerfile instruction to apply to the image",
    ),
    value(Some('m'), "message", "string", "Comment on the image"),
    value(None, "platform", "string", "Platform of the image")
        .since(1, 32)
        .completed(Complete::Words(crate::container::words::PLATFORMS)),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    about: "Make an image of a root file system in a tar",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Files, Complete::Images],
    ..command(&["image import", "import"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let source = matches.args[0].as_str();
    let repository = matches.args.get(1).map_or("", String::as_str);
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let body = if is_url {
        None
    } else if source == "-" {
        Some(stdin::body(std::io::stdin()))
    } else {
        let file =
            std::fs::File::open(source).map_err(|error| path_error("open", source, &error))?;
        Some(stdin::body(file))
    };
    if !repository.is_empty() {
        ImageRef::parse_untagged(repository).map_err(|error| Error::new(error.to_string()))?;
    }
    let import = Import {
        source: if is_url {
            source.to_owned()
        } else {
            "-".to_owned()
        },
        repository: repository.to_owned(),
        message: matches.text("message").to_owned(),
        changes: matches.list("change"),
        platform: matches.text("platform").to_owned(),
    };
    let client = cli.client()?;
    cli.block_on(async {
        let mut values = client.image_import(&import, body).await?;
        let mut out = std::io::stdout();
        progress::show(&mut values, Show::on(std::io::stdout()), &mut out).await
    })??;
    Ok(0)
}

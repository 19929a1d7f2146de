//! Commands on images, one file a verb.

pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod tag;
mod tree; // images --tree

use crate::args::Matches;
use crate::command::{Command, Group};
use crate::error::{Error, Result};

/// `image`.
pub(crate) const GROUP: Group = Group {
    name: "image",
    about: "Manage images",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 12] = [
    &crate::build::run::COMMAND,
    &history::COMMAND,
    &import::COMMAND,
    &inspect::COMMAND,
    &load::COMMAND,
    &ls::COMMAND,
    &prune::COMMAND,
    &pull::COMMAND,
    &push::COMMAND,
    &rm::COMMAND,
    &save::COMMAND,
    &tag::COMMAND,
];

/// Refuses to check or make signatures, which `--disable-content-trust=false` asks for.
pub(crate) fn trust(matches: &Matches) -> Result<()> {
    match matches.on_or("disable-content-trust", true) {
        true => Ok(()),
        false => Err(Error::new(
            "content trust is not supported: images are not signed that way; name an image by its digest instead",
        )),
    }
}

/// `linux/arm64/v8` as the JSON that queries of the API take; empty stays empty.
pub(crate) fn platform(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let platform = onggi_model::Platform::parse(text)
        .map_err(|error| Error::new(format!("invalid platform: {error}: invalid argument")))?;
    let document = onggi_api::image::Platform::from(&platform);
    serde_json::to_string(&document).map_err(|error| Error::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Positionals, parse::parse};

    #[test]
    fn signatures_are_refused_only_when_asked_for() {
        for command in [pull::COMMAND.flags, push::COMMAND.flags] {
            let trusts = |args: &[&str]| {
                let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
                trust(&parse(command, Positionals::Mixed, &args).expect("known flags"))
            };
            assert!(trusts(&["image"]).is_ok());
            assert!(trusts(&["--disable-content-trust", "image"]).is_ok());
            assert!(trusts(&["--disable-content-trust=false", "image"]).is_err());
        }
    }
}

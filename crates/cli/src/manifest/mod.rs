//! Commands on manifest lists: one name for the images of several platforms.
//!
//! All of it is the client's: lists in the making lie in its configuration, the rest is asked of registries, never of
//! the daemon. The files are those of the docker command line: either goes on where the other stopped.

mod annotate;
mod create;
mod document; // what is kept of an image, and the list made of it
mod inspect;
mod push;
mod remote; // what registries say
mod rm;
mod store; // lists in the making

use onggi_model::ImageRef;

use crate::args::{Flag, switch};
use crate::command::{Command, Group};
use crate::error::{Error, Result};

/// `manifest`.
pub(crate) const GROUP: Group = Group {
    name: "manifest",
    about: "Manage manifest lists: one name for several platforms",
    commands: &COMMANDS,
    flags: &[],
};

const COMMANDS: [&Command; 5] = [
    &annotate::COMMAND,
    &create::COMMAND,
    &inspect::COMMAND,
    &push::COMMAND,
    &rm::COMMAND,
];

const INSECURE: Flag = switch(
    None,
    "insecure",
    "Speak to the registry without TLS, or with TLS that nobody vouches for",
);

/// A name, with `latest` where it has neither tag nor digest.
fn reference(text: &str) -> Result<ImageRef> {
    ImageRef::parse(text).map_err(|error| Error::new(error.to_string()))
}

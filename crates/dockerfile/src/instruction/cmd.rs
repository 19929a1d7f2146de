//! `CMD ["program", "argument"]` or `CMD command`

use serde::Serialize;

use super::run::Command;
use crate::flags::Flags;
use crate::{Error, Statement};

/// What a container of the image runs, or the arguments of its entrypoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cmd {
    /// It; nothing in it takes away what the base image has.
    #[serde(flatten)]
    pub command: Command,
}

pub(super) fn parse(statement: &Statement) -> Result<Cmd, Error> {
    Flags::of(statement, &[])?;
    Ok(Cmd {
        command: Command::of(statement),
    })
}

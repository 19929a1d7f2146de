//! `ENTRYPOINT ["program", "argument"]` or `ENTRYPOINT command`

use serde::Serialize;

use super::run::Command;
use crate::flags::Flags;
use crate::{Error, Statement};

/// What a container of the image always runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entrypoint {
    /// It; nothing in it takes away what the base image has.
    #[serde(flatten)]
    pub command: Command,
}

pub(super) fn parse(statement: &Statement) -> Result<Entrypoint, Error> {
    Flags::of(statement, &[])?;
    Ok(Entrypoint {
        command: Command::of(statement),
    })
}

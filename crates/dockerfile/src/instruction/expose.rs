//! `EXPOSE <port>[/<protocol>] ...`

use serde::Serialize;

use super::at_least_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// Ports that containers of the image listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expose {
    /// Sorted, as they are written: one may be a range, or a variable with several.
    pub ports: Vec<String>,
}

pub(super) fn parse(statement: &Statement) -> Result<Expose, Error> {
    let mut ports = at_least_one(statement, "EXPOSE")?.to_vec();
    Flags::of(statement, &[])?;
    ports.sort();
    Ok(Expose { ports })
}

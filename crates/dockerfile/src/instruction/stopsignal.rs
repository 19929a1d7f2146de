//! `STOPSIGNAL <signal>`

use serde::Serialize;

use super::exactly_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// What asks a container of the image to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stopsignal {
    /// A name or a number.
    pub signal: String,
}

pub(super) fn parse(statement: &Statement) -> Result<Stopsignal, Error> {
    let signal = exactly_one(statement, "STOPSIGNAL")?;
    Flags::of(statement, &[])?;
    Ok(Stopsignal { signal })
}

//! `WORKDIR <path>`

use serde::Serialize;

use super::exactly_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// Where what comes behind runs, and containers of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Workdir {
    /// Relative ones are so to the one before.
    pub path: String,
}

pub(super) fn parse(statement: &Statement) -> Result<Workdir, Error> {
    let path = exactly_one(statement, "WORKDIR")?;
    Flags::of(statement, &[])?;
    Ok(Workdir { path })
}

//! `MAINTAINER <name>`: deprecated for a label.

use serde::Serialize;

use super::exactly_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// The author of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Maintainer {
    /// As written.
    pub maintainer: String,
}

pub(super) fn parse(statement: &Statement) -> Result<Maintainer, Error> {
    let maintainer = exactly_one(statement, "MAINTAINER")?;
    Flags::of(statement, &[])?;
    Ok(Maintainer { maintainer })
}

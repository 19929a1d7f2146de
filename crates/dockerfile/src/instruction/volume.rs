//! `VOLUME <path> ...`

use serde::Serialize;

use super::at_least_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// Where each container of the image has a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Paths in the image.
    pub volumes: Vec<String>,
}

pub(super) fn parse(statement: &Statement) -> Result<Volume, Error> {
    let paths = at_least_one(statement, "VOLUME")?;
    Flags::of(statement, &[])?;
    let volumes = paths.iter().map(|path| match path.trim() {
        "" => Err(Error::new("VOLUME specified can not be an empty string")),
        path => Ok(path.to_owned()),
    });
    Ok(Volume {
        volumes: volumes.collect::<Result<_, _>>()?,
    })
}

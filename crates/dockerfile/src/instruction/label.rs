//! `LABEL <name>=<value> ...`, or `LABEL <name> <value>` of old

use serde::Serialize;

use super::env::{Pair, pairs};
use crate::{Error, Statement};

/// Labels of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// In their order.
    pub labels: Vec<Pair>,
}

pub(super) fn parse(statement: &Statement) -> Result<Label, Error> {
    Ok(Label {
        labels: pairs(statement, "LABEL")?,
    })
}

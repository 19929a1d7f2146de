//! `ENV <name>=<value> ...`, or `ENV <name> <value>` of old

use serde::Serialize;

use super::blank_name;
use crate::flags::Flags;
use crate::{Error, Statement};

/// Variables of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Env {
    /// In their order.
    pub variables: Vec<Pair>,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// With its quotes, if it has some.
    pub name: String,
    /// With its quotes, if it has some.
    pub value: String,
    /// Written as `name value`, without `=`.
    pub is_legacy: bool,
}

pub(super) fn parse(statement: &Statement) -> Result<Env, Error> {
    Ok(Env {
        variables: pairs(statement, "ENV")?,
    })
}

/// The arguments of ENV and LABEL.
pub(super) fn pairs(statement: &Statement, name: &str) -> Result<Vec<Pair>, Error> {
    Flags::of(statement, &[])?;
    let words = super::at_least_one(statement, name)?;
    let pairs = words.chunks_exact(3).map(|words| match words[0].as_str() {
        "" => Err(blank_name(name)),
        _ => Ok(Pair {
            name: words[0].clone(),
            value: words[1].clone(),
            is_legacy: words[2].is_empty(),
        }),
    });
    pairs.collect()
}

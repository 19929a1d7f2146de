//! `ARG <name>[=<default>] ...`

use serde::Serialize;

use super::{at_least_one, blank_name};
use crate::flags::Flags;
use crate::{Error, Statement};

/// Arguments that need no ARG, stay out of the history, and change no result.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Variables that whoever builds may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arg {
    /// One after the other.
    pub arguments: Vec<Declared>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it is unless somebody sets it; without one it may stay unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

pub(super) fn parse(statement: &Statement) -> Result<Arg, Error> {
    Flags::of(statement, &[])?;
    let declared = at_least_one(statement, "ARG")?
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) => Err(blank_name("ARG")),
            Some((name, value)) => Ok(Declared {
                name: name.to_owned(),
                default: Some(value.to_owned()),
            }),
            None => Ok(Declared {
                name: word.clone(),
                default: None,
            }),
        });
    Ok(Arg {
        arguments: declared.collect::<Result<_, _>>()?,
    })
}

//! `FROM [--platform=<platform>] <image> [AS <name>]`

use serde::Serialize;

use crate::flags::{Flags, Takes};
use crate::{Error, Statement};
use onggi_model::quote;

/// The beginning of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct From {
    /// An image, an earlier stage, or `scratch`.
    pub base: String,
    /// The name of the stage, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The platform of the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

pub(super) fn parse(statement: &Statement) -> Result<From, Error> {
    let (base, name) = match statement.arguments.as_slice() {
        [base] => (base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (base, Some(stage_name(name)?)),
        _ => return Err(Error::new("FROM requires either one or three arguments")),
    };
    let flags = Flags::of(statement, &[("platform", Takes::Value)])?;
    Ok(From {
        base: base.clone(),
        name,
        platform: flags.value("platform"),
    })
}

fn stage_name(text: &str) -> Result<String, Error> {
    let name = text.to_lowercase();
    let is_right = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
    if is_right {
        Ok(name)
    } else {
        Err(Error::new(format!(
            "invalid name for build stage: {}, name can't start with a number or contain symbols",
            quote(text)
        )))
    }
}

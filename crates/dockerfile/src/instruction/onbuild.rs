//! `ONBUILD <instruction>`

use serde::Serialize;

use crate::flags::Flags;
use crate::{Error, Statement};

/// What is done when the image is the base of another build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Onbuild {
    /// The instruction as a text, with its here-documents: so the image keeps it.
    pub expression: String,
}

pub(super) fn parse(statement: &Statement) -> Result<Onbuild, Error> {
    let Some(trigger) = &statement.trigger else {
        return Err(Error::new("ONBUILD requires at least one argument"));
    };
    Flags::of(statement, &[])?;
    match trigger.keyword.to_uppercase().as_str() {
        "ONBUILD" => {
            return Err(Error::new(
                "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
            ));
        }
        name @ ("MAINTAINER" | "FROM") => {
            return Err(Error::new(format!(
                "{name} isn't allowed as an ONBUILD trigger"
            )));
        }
        _ => {}
    }
    let mut expression = trigger.original.clone();
    for document in &statement.heredocs {
        expression += &format!("\n{}{}", document.content, document.name);
    }
    Ok(Onbuild { expression })
}

//! `SHELL ["program", "argument"]`

use serde::Serialize;

use crate::flags::Flags;
use crate::{Error, Form, Statement};

/// The shell that runs what is no JSON array, from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shell {
    /// Program and arguments; the command comes behind them.
    pub shell: Vec<String>,
}

pub(super) fn parse(statement: &Statement) -> Result<Shell, Error> {
    Flags::of(statement, &[])?;
    let shell = super::at_least_one(statement, "SHELL")?.to_vec();
    match statement.form {
        Form::Exec => Ok(Shell { shell }),
        Form::Shell => Err(Error::new(
            "SHELL requires the arguments to be in JSON form",
        )),
    }
}

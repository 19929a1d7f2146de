//! `USER <user>[:<group>]`

use serde::Serialize;

use super::exactly_one;
use crate::flags::Flags;
use crate::{Error, Statement};

/// Who runs what comes behind, and containers of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Names or numbers.
    pub user: String,
}

pub(super) fn parse(statement: &Statement) -> Result<User, Error> {
    let user = exactly_one(statement, "USER")?;
    Flags::of(statement, &[])?;
    Ok(User { user })
}

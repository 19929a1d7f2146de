//! What each statement means: one file an instruction, one line of [`KINDS`] each.

mod add;
mod arg;
mod cmd;
mod copy;
mod entrypoint;
mod env;
mod expose;
mod from;
mod healthcheck;
mod label;
mod maintainer;
mod mount;
mod onbuild;
mod run;
mod shell;
mod stopsignal;
mod user;
mod volume;
mod workdir;

use serde::Serialize;

pub use add::Add;
pub use arg::{Arg, Declared, PROXIES};
pub use cmd::Cmd;
pub use copy::{Copy, InlineFile, Sources};
pub use entrypoint::Entrypoint;
pub use env::{Env, Pair};
pub use expose::Expose;
pub use from::From;
pub use healthcheck::{Healthcheck, Probe};
pub use label::Label;
pub use maintainer::Maintainer;
pub use mount::{Mount, MountKind, Sharing};
pub use onbuild::Onbuild;
pub use run::{Command, InlineScript, Network, Run, Security};
pub use shell::Shell;
pub use stopsignal::Stopsignal;
pub use user::User;
pub use volume::Volume;
pub use workdir::Workdir;

use crate::words::Cut;
use crate::{Error, Statement, suggest};

/// An instruction and what it was given; variables are not put in yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "instruction", rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "each is documented at its type")]
pub enum Instruction {
    Add(Add),
    Arg(Arg),
    Cmd(Cmd),
    Copy(Copy),
    Entrypoint(Entrypoint),
    Env(Env),
    Expose(Expose),
    From(From),
    Healthcheck(Healthcheck),
    Label(Label),
    Maintainer(Maintainer),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Shell),
    Stopsignal(Stopsignal),
    User(User),
    Volume(Volume),
    Workdir(Workdir),
}

/// One instruction of the language.
pub(crate) struct Kind {
    /// In upper case.
    pub(crate) name: &'static str,
    /// How its arguments are cut.
    pub(crate) cut: Cut,
    parse: fn(&Statement) -> Result<Instruction, Error>,
}

const KINDS: &[Kind] = &[
    kind("ADD", Cut::SpacesOrJson, |s| {
        add::parse(s).map(Instruction::Add)
    }),
    kind("ARG", Cut::Quoted, |s| arg::parse(s).map(Instruction::Arg)),
    kind("CMD", Cut::TextOrJson, |s| {
        cmd::parse(s).map(Instruction::Cmd)
    }),
    kind("COPY", Cut::SpacesOrJson, |s| {
        copy::parse(s).map(Instruction::Copy)
    }),
    kind("ENTRYPOINT", Cut::TextOrJson, |s| {
        entrypoint::parse(s).map(Instruction::Entrypoint)
    }),
    kind("ENV", Cut::Pairs, |s| env::parse(s).map(Instruction::Env)),
    kind("EXPOSE", Cut::Spaces, |s| {
        expose::parse(s).map(Instruction::Expose)
    }),
    kind("FROM", Cut::Spaces, |s| {
        from::parse(s).map(Instruction::From)
    }),
    kind("HEALTHCHECK", Cut::Health, |s| {
        healthcheck::parse(s).map(Instruction::Healthcheck)
    }),
    kind("LABEL", Cut::Pairs, |s| {
        label::parse(s).map(Instruction::Label)
    }),
    kind("MAINTAINER", Cut::Text, |s| {
        maintainer::parse(s).map(Instruction::Maintainer)
    }),
    kind("ONBUILD", Cut::Statement, |s| {
        onbuild::parse(s).map(Instruction::Onbuild)
    }),
    kind("RUN", Cut::TextOrJson, |s| {
        run::parse(s).map(Instruction::Run)
    }),
    kind("SHELL", Cut::TextOrJson, |s| {
        shell::parse(s).map(Instruction::Shell)
    }),
    kind("STOPSIGNAL", Cut::Text, |s| {
        stopsignal::parse(s).map(Instruction::Stopsignal)
    }),
    kind("USER", Cut::Text, |s| user::parse(s).map(Instruction::User)),
    kind("VOLUME", Cut::SpacesOrJson, |s| {
        volume::parse(s).map(Instruction::Volume)
    }),
    kind("WORKDIR", Cut::Text, |s| {
        workdir::parse(s).map(Instruction::Workdir)
    }),
];

const fn kind(
    name: &'static str,
    cut: Cut,
    parse: fn(&Statement) -> Result<Instruction, Error>,
) -> Kind {
    Kind { name, cut, parse }
}

impl Kind {
    /// Of a keyword in any case.
    pub(crate) fn of(keyword: &str) -> Option<&'static Self> {
        KINDS
            .iter()
            .find(|kind| kind.name.eq_ignore_ascii_case(keyword))
    }
}

impl Instruction {
    /// Gives a statement its type.
    ///
    /// # Errors
    /// With the line: unknown instructions and flags, and arguments that are too many, too few or wrong.
    pub fn parse(statement: &Statement) -> Result<Self, Error> {
        let parsed = match Kind::of(&statement.keyword) {
            Some(kind) => (kind.parse)(statement),
            None => Err(unknown(&statement.keyword)),
        };
        parsed.map_err(|error| error.at(statement.lines))
    }
}

/// Whether here-documents may belong to an instruction.
pub(crate) fn may_have_heredocs(keyword: &str) -> bool {
    ["ADD", "COPY", "RUN"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(keyword))
}

fn unknown(keyword: &str) -> Error {
    let message = format!("unknown instruction: {keyword}");
    let upper = keyword.to_uppercase();
    let near = suggest::nearest(&upper, KINDS.iter().map(|kind| kind.name));
    Error::new(match near {
        Some(near) if keyword.chars().any(char::is_uppercase) => {
            format!("{message} (did you mean {near}?)")
        }
        Some(near) => format!("{message} (did you mean {}?)", near.to_lowercase()),
        None => message,
    })
}

/// The only argument.
fn exactly_one(statement: &Statement, name: &str) -> Result<String, Error> {
    match statement.arguments.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(Error::new(format!("{name} requires exactly one argument"))),
    }
}

/// All arguments, of which there is one.
fn at_least_one<'a>(statement: &'a Statement, name: &str) -> Result<&'a [String], Error> {
    match statement.arguments.as_slice() {
        [] => Err(Error::new(format!("{name} requires at least one argument"))),
        arguments => Ok(arguments),
    }
}

fn blank_name(name: &str) -> Error {
    Error::new(format!("{name} names can not be blank"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

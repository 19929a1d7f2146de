//! `cp`: files into and out of a container.
//!
//! The API knows tars and directories to unpack them into; what goes under which name into which directory is decided
//! here, by what both sides are and how their paths end, as Docker decides it.

pub(crate) mod from;
pub(crate) mod paths; // local paths, and what they are
mod progress; // how much went over
mod to;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// How files are taken and given.
pub(crate) const HOW: &[Flag] = &[
    switch(
        Some('a'),
        "archive",
        "Give what is copied into a container to the container's user",
    ),
    switch(
        Some('L'),
        "follow-link",
        "Follow symbolic links in SRC_PATH",
    ),
];

const FLAGS: &[Flag] = &[switch(
    Some('q'),
    "quiet",
    "Say nothing about progress; the default where there is no terminal",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t{program} cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files into and out of a container",
    flags: &[HOW, FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Files, Complete::Files],
    ..command(&["container cp", "cp"], run)
};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) container: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) follow: bool,
    pub(crate) archive: bool,
    pub(crate) quiet: bool,
}

/// Which way files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Out of the container.
    From,
    /// Into it.
    To,
}

/// One side of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    path: String,
    exists: bool,
    directory: bool,
    /// The name it is to have instead of its own.
    rebase: Option<String>,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (way, copy) = asked(
        matches,
        matches.on_or("quiet", !is_terminal(std::io::stdout())),
    )?;
    transfer(cli, way, &copy)
}

/// Copies.
pub(crate) fn transfer(cli: &mut Cli, way: Way, copy: &Copy) -> Result<u8> {
    match way {
        Way::From => from::copy(cli, copy),
        Way::To => to::copy(cli, copy),
    }
}

/// What the two arguments and the flags ask for.
pub(crate) fn asked(matches: &Matches, quiet: bool) -> Result<(Way, Copy)> {
    let (source, destination) = (matches.args[0].as_str(), matches.args[1].as_str());
    if source.is_empty() {
        return Err(Error::new("source can not be empty"));
    }
    if destination.is_empty() {
        return Err(Error::new("destination can not be empty"));
    }
    let (from, source) = split(source);
    let (to, destination) = split(destination);
    let mut copy = Copy {
        container: String::new(),
        source: source.to_owned(),
        destination: destination.to_owned(),
        follow: matches.on("follow-link"),
        archive: matches.on("archive"),
        quiet,
    };
    match (from, to) {
        (Some(_), Some(_)) => Err(Error::new("copying between containers is not supported")),
        (None, None) => Err(Error::new("must specify at least one container source")),
        (Some(container), None) => {
            container.clone_into(&mut copy.container);
            Ok((Way::From, copy))
        }
        (None, Some(container)) => {
            container.clone_into(&mut copy.container);
            Ok((Way::To, copy))
        }
    }
}

/// Container and path. A local path with a colon in it begins with `/` or `.`.
fn split(argument: &str) -> (Option<&str>, &str) {
    if argument.starts_with('/') {
        return (None, argument);
    }
    match argument.split_once(':') {
        Some((container, path)) if !container.starts_with('.') && !container.is_empty() => {
            (Some(container), path)
        }
        _ => (None, argument),
    }
}

/// The directory to unpack into, and the name of the source there; `None` where it keeps its own.
fn plan(source: &Side, destination: &Side) -> Result<(String, Option<String>)> {
    let (parent, name) = paths::split_entry(&destination.path);
    match (destination.exists, destination.directory, source.directory) {
        (true, true, _) => Ok((destination.path.clone(), None)),
        (true, false, true) => Err(Error::new("cannot copy directory")),
        (false, _, false) if paths::asserts_directory(&destination.path) => {
            Err(Error::new("no such directory"))
        }
        _ => Ok((parent, Some(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_at_the_colon() {
        for (argument, expected) in [
            ("c:/etc", (Some("c"), "/etc")),
            ("c:", (Some("c"), "")),
            ("/a:b", (None, "/a:b")),
            ("./a:b", (None, "./a:b")),
            ("../a:b", (None, "../a:b")),
            ("file", (None, "file")),
            (":x", (None, ":x")),
            ("-", (None, "-")),
        ] {
            assert_eq!(split(argument), expected, "{argument}");
        }
    }

    #[test]
    fn the_name_depends_on_what_is_there() {
        let side = |path: &str, exists: bool, directory: bool| Side {
            path: path.to_owned(),
            exists,
            directory,
            rebase: None,
        };
        let file = side("/s", true, false);
        let folder = side("/s", true, true);
        let named = |directory: &str, name: &str| (directory.to_owned(), Some(name.to_owned()));
        let planned =
            |source, destination: Side| plan(source, &destination).map_err(|error| error.message);
        assert_eq!(
            planned(&file, side("/d/", true, true)),
            Ok(("/d/".to_owned(), None))
        );
        assert_eq!(
            planned(&folder, side("/d", true, true)),
            Ok(("/d".to_owned(), None))
        );
        assert_eq!(
            planned(&file, side("/d/f", true, false)),
            Ok(named("/d", "f"))
        );
        assert_eq!(
            planned(&file, side("/d/new", false, false)),
            Ok(named("/d", "new"))
        );
        assert_eq!(
            planned(&folder, side("/d/new/", false, false)),
            Ok(named("/d", "new"))
        );
        assert_eq!(
            planned(&folder, side("/d/f", true, false)),
            Err("cannot copy directory".to_owned())
        );
        assert_eq!(
            planned(&file, side("/d/new/", false, false)),
            Err("no such directory".to_owned())
        );
    }
}

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

const FLAGS: &[Flag] = &[
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
    switch(
        Some('q'),
        "quiet",
        "Say nothing about progress; the default where there is no terminal",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t{program} cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files into and out of a container",
    flags: &[FLAGS],
    arity: Arity::Exactly(2),
    complete: &[Complete::Files, Complete::Files],
    ..command(&["container cp", "cp"], run)
};

/// What is asked for.
struct Copy {
    container: String,
    source: String,
    destination: String,
    follow: bool,
    archive: bool,
    quiet: bool,
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
        quiet: matches.on_or("quiet", !is_terminal(std::io::stdout())),
    };
    match (from, to) {
        (Some(_), Some(_)) => Err(Error::new("copying between containers is not supported")),
        (None, None) => Err(Error::new("must specify at least one container source")),
        (Some(container), None) => {
            container.clone_into(&mut copy.container);
            from::copy(cli, &copy)
        }
        (None, Some(container)) => {
            container.clone_into(&mut copy.container);
            to::copy(cli, &copy)
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

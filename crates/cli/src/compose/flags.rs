//! The options before the command: which project is meant, and how its commands show what they do.

use crate::args::flag::Complete;
use crate::args::{Flag, check, list, switch, value};

/// The options of `compose` itself.
pub(super) const GLOBAL: &[Flag] = &[
    switch(
        None,
        "all-resources",
        "Include networks, volumes, configs and secrets that no service uses",
    ),
    value(
        None,
        "ansi",
        "string",
        "When to print control characters (\"never\", \"always\", \"auto\")",
    )
    .default("\"auto\"")
    .checked(ansi)
    .completed(Complete::Words(&["never", "always", "auto"])),
    switch(
        None,
        "compatibility",
        "Name containers as version 1 did (refused: they are found by labels, whatever their names)",
    ),
    switch(None, "dry-run", "Show what would be done, and do nothing"),
    list(
        None,
        "env-file",
        "stringArray",
        "File of variables, instead of .env",
    )
    .completed(Complete::Files),
    list(Some('f'), "file", "stringArray", "Compose file").completed(Complete::Files),
    value(
        None,
        "parallel",
        "int",
        "At most so many things at once, -1 for no limit",
    )
    .default("-1")
    .checked(check::int),
    list(None, "profile", "stringArray", "Profile to activate").completed(Complete::Profiles),
    value(
        None,
        "progress",
        "string",
        "How to show progress (\"auto\", \"tty\", \"plain\", \"json\", \"quiet\")",
    )
    .checked(progress)
    .completed(Complete::Words(&["auto", "tty", "plain", "json", "quiet"])),
    value(
        None,
        "project-directory",
        "string",
        "Folder of the project, instead of that of the first file",
    )
    .completed(Complete::Files),
    value(Some('p'), "project-name", "string", "Name of the project"),
    // Of old command lines.
    switch(Some('v'), "version", "Print the version and quit").hidden(),
    switch(None, "no-ansi", "As --ansi never").hidden(),
    value(None, "workdir", "string", "As --project-directory").hidden(),
];

fn ansi(text: &str) -> Result<(), String> {
    match text {
        "never" | "always" | "auto" => Ok(()),
        _ => Err("one of never, always, auto is needed".to_owned()),
    }
}

fn progress(text: &str) -> Result<(), String> {
    match text {
        "auto" | "tty" | "plain" | "json" | "quiet" => Ok(()),
        _ => Err("one of auto, tty, plain, json, quiet is needed".to_owned()),
    }
}

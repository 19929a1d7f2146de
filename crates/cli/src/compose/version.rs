//! `compose version`.

use serde_json::json;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Command, command};
use crate::error::{Error, Result};

const FLAGS: &[Flag] = &[
    value(
        Some('f'),
        "format",
        "string",
        "How to print (\"pretty\", \"json\")",
    )
    .default("\"pretty\"")
    .completed(Complete::Words(&["pretty", "json"])),
    switch(None, "short", "Print the number alone"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show the version of compose",
    flags: &[FLAGS],
    ..command(&["compose version"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let version = crate::VERSION;
    if matches.on("short") {
        cli.line(version)?;
        return Ok(0);
    }
    match matches.one("format").unwrap_or("pretty") {
        "json" => cli.line(&json!({ "version": format!("v{version}") }).to_string())?,
        "pretty" | "" => {
            let name = match cli.program.as_str() {
                "docker" => "Docker Compose",
                _ => "onggi compose",
            };
            cli.line(&format!("{name} version v{version}"))?;
        }
        other => {
            return Err(Error::new(format!(
                "format value {} could not be parsed: \"pretty\" and \"json\" are known",
                crate::quote(other)
            )));
        }
    }
    Ok(0)
}

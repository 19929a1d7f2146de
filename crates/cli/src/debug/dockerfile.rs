//! `debug dockerfile`: what onggi reads in a Dockerfile.

use onggi_dockerfile::{Dockerfile, Instruction, Lines};
use serde::Serialize;

use crate::Cli;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};

const FLAGS: &[Flag] = &[switch(
    None,
    "ast",
    "Print words as s-expressions, before they get a meaning",
)];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] FILE",
    about: "Print the instructions of a Dockerfile as JSON",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    hidden: true,
    ..command(&["debug dockerfile"], run)
};

/// An instruction, and where it stands.
#[derive(Serialize)]
struct Read {
    #[serde(flatten)]
    instruction: Instruction,
    lines: Lines,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let path = &matches.args[0];
    let text = match path.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).map(String::into_bytes),
        path => std::fs::read(path),
    };
    let text = text.map_err(|error| path_error("open", path, &error))?;
    let text = String::from_utf8_lossy(&text);
    let failed = |error: onggi_dockerfile::Error| {
        Error::new(format!("{}{error}", error.excerpt(path, &text)))
    };
    let file = Dockerfile::parse(&text).map_err(failed)?;
    if matches.on("ast") {
        cli.print(&file.expressions())?;
        return Ok(0);
    }
    let mut lines = Vec::with_capacity(file.statements.len());
    for statement in &file.statements {
        let read = Read {
            instruction: Instruction::parse(statement).map_err(failed)?,
            lines: statement.lines,
        };
        let json = serde_json::to_string(&read);
        lines.push(json.map_err(|error| Error::new(error.to_string()))?);
    }
    cli.print(&format!("[\n{}\n]\n", lines.join(",\n")))?;
    Ok(0)
}

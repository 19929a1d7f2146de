//! `compose top`: the processes of a project.

use super::{containers, project};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::command::{Arity, Command, command};
use crate::error::Result;
use crate::format::table::{LIST, align};

pub(crate) const COMMAND: Command = Command {
    usage: "[SERVICE...]",
    about: "Show the processes of a project",
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose top"], run)
};

/// A process, and its cells by their titles.
struct Row {
    service: String,
    number: u32,
    cells: Vec<(String, String)>,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let subject = project::subject(cli)?;
    let mut found = containers::of(cli, &subject, &matches.args)?;
    found.retain(|container| container.state.runs());
    let client = cli.client()?;
    // Of what the daemons tell, columns are the same for all containers but for those whose ps is another one.
    let mut titles: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for container in &found {
        let answer = match cli.block_on(client.container_top(&container.id, ""))? {
            Ok(answer) => answer,
            // It ended meanwhile.
            Err(error) if matches!(error.status(), Some(404 | 409)) => continue,
            Err(error) => return Err(error.into()),
        };
        let own = answer.titles.unwrap_or_default();
        for title in &own {
            if !titles.contains(title) {
                titles.push(title.clone());
            }
        }
        for process in answer.processes.unwrap_or_default() {
            rows.push(Row {
                service: container.service.clone(),
                number: container.number,
                cells: own.iter().cloned().zip(process).collect(),
            });
        }
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let mut text = format!("SERVICE\t#\t{}\n", titles.join("\t"));
    for row in rows {
        let cell = |title: &String| {
            let found = row.cells.iter().find(|(own, _)| own == title);
            found.map_or("-", |(_, cell)| cell.as_str())
        };
        let cells: Vec<&str> = titles.iter().map(cell).collect();
        let (service, number) = (&row.service, row.number);
        text.push_str(&format!("{service}\t{number}\t{}\n", cells.join("\t")));
    }
    cli.print(&align(&text, LIST))?;
    Ok(0)
}

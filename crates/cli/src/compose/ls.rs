//! `compose ls`: the projects of a daemon.

use onggi_compose::ProjectSummary;
use serde_json::json;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, list, switch, value};
use crate::command::{Command, command};
use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, List, column};

/// As a table, or for programs.
pub(super) const FORMAT: Flag = value(
    None,
    "format",
    "string",
    "How to print (\"table\", \"json\")",
)
.default("\"table\"")
.completed(Complete::Words(&["table", "json"]));

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Show all projects, not only those that run",
    ),
    list(
        None,
        "filter",
        "filter",
        "Show only what fits (name=PATTERN)",
    )
    .checked(check::filter),
    FORMAT,
    switch(Some('q'), "quiet", "Show names only"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "List projects",
    flags: &[FLAGS],
    ..command(&["compose ls"], run)
};

const COLUMNS: &[Column<ProjectSummary>] = &[
    column("Name", "NAME", |p, _| p.name.clone().into()),
    column("Status", "STATUS", |p, _| p.status().into()),
    column("ConfigFiles", "CONFIG FILES", |p, _| {
        p.config_files.join(",").into()
    }),
];

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let filters = crate::container::ls::filters(matches);
    filters
        .check(&["name"])
        .map_err(|error| Error::new(error.to_string()))?;
    let format = matches.one("format").unwrap_or("table");
    if !matches!(format, "table" | "pretty" | "json" | "") {
        return Err(Error::new(format!(
            "format value {} could not be parsed: table and json are known",
            crate::quote(format)
        )));
    }
    let client = cli.client()?;
    let mut found = cli.block_on(onggi_compose::projects(&client, matches.on("all")))??;
    found.retain(|project| filters.pattern("name", &project.name));
    if matches.on("quiet") {
        for project in &found {
            cli.line(&project.name)?;
        }
        return Ok(0);
    }
    if format == "json" {
        let projects = found.iter().map(|project| {
            json!({
                "Name": project.name,
                "Status": project.status(),
                "ConfigFiles": project.config_files.join(","),
            })
        });
        let text = projects.collect::<serde_json::Value>().to_string();
        cli.line(&text)?;
        return Ok(0);
    }
    let rows = List {
        columns: COLUMNS,
        type_name: "*formatter.projectContext",
        default: "{{.Name}}\t{{.Status}}\t{{.ConfigFiles}}".to_owned(),
        raw: None,
        options: &Options::default(),
    };
    let text = rows.render("", &found)?;
    cli.print(&text)?;
    Ok(0)
}

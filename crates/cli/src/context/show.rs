//! `context ls`, `show` and `inspect`.

use serde_json::{Value, json};

use crate::Cli;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::Result;
use crate::format::rows::Options;
use crate::format::{Column, List, column};
use crate::settings::Store;
use crate::settings::store::{DEFAULT, Metadata};
use crate::system::inspect::{self, Object};
use crate::text::ellipsis;

/// What the default context is called in words.
pub(super) const BY_ENVIRONMENT: &str = "Current DOCKER_HOST based configuration";

const LS_FLAGS: &[Flag] = &[
    value(None, "format", "string", FORMAT_HELP),
    switch(Some('q'), "quiet", "Show names only"),
];

pub(super) const LS: Command = Command {
    usage: "[OPTIONS]",
    about: "List contexts",
    flags: &[LS_FLAGS],
    ..command(&["context ls", "context list"], ls)
};

pub(super) const SHOW: Command = Command {
    about: "Print the name of the context in use",
    ..command(&["context show"], |cli, _| {
        let name = cli.settings.context.clone();
        cli.line(&name)?;
        Ok(0)
    })
};

pub(super) const INSPECT: Command = Command {
    usage: "[OPTIONS] [CONTEXT] [CONTEXT...]",
    about: "Show everything about contexts",
    flags: &[&[value(Some('f'), "format", "string", inspect::FORMAT_HELP)]],
    arity: crate::command::Arity::AtLeast(0),
    complete: super::NAMES,
    ..command(&["context inspect"], run_inspect)
};

/// A line of the list.
#[derive(Debug, Clone, Default)]
struct Row {
    name: String,
    current: bool,
    description: String,
    host: String,
    error: String,
}

const COLUMNS: &[Column<Row>] = &[
    column("Name", "NAME", |row, _| row.name.clone().into()),
    // No header: in the table it is the star behind the name.
    column("Current", "", |row, _| row.current.into()),
    column("Description", "DESCRIPTION", |row, _| {
        row.description.clone().into()
    }),
    column("DockerEndpoint", "DOCKER ENDPOINT", |row, _| {
        row.host.clone().into()
    }),
    column("Error", "ERROR", |row, _| ellipsis(&row.error, 45).into()),
];

const TABLE: &str =
    "{{.Name}}{{if .Current}} *{{end}}\t{{.Description}}\t{{.DockerEndpoint}}\t{{.Error}}";

fn ls(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let current = cli.settings.context.clone();
    let row = |metadata: &Metadata| Row {
        name: metadata.name().to_owned(),
        current: metadata.name() == current,
        description: metadata.description().to_owned(),
        host: metadata.host().to_owned(),
        error: String::new(),
    };
    let host = &cli.settings.default_host;
    let mut rows = vec![row(&Metadata::new(DEFAULT, BY_ENVIRONMENT, host, false))];
    let store = Store::new(&cli.settings.directory);
    rows.extend(store.list()?.iter().map(row));
    if !rows.iter().any(|row| row.current) {
        // The one in use is not there: that is worth a line.
        rows.push(Row {
            name: current.clone(),
            current: true,
            error: store
                .read(&current)
                .map_or_else(|error| error.message, |_| String::new()),
            ..Row::default()
        });
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let format = if matches.on("quiet") {
        "{{.Name}}"
    } else {
        matches.text("format")
    };
    let options = Options::default();
    let list = List {
        columns: COLUMNS,
        type_name: "*formatter.clientContextContext",
        default: TABLE.to_owned(),
        raw: None,
        options: &options,
    };
    let text = list.render(format, &rows)?;
    cli.print(&text)?;
    if cli.settings.by_environment && current == DEFAULT {
        cli.complain("Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable.")?;
    }
    Ok(0)
}

fn run_inspect(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let names = if matches.args.is_empty() {
        vec![cli.settings.context.clone()]
    } else {
        matches.args.clone()
    };
    let store = Store::new(&cli.settings.directory);
    inspect::inspect(cli, matches.text("format"), &names, |cli, name| {
        if name == DEFAULT {
            let metadata = Metadata::new(DEFAULT, "", &cli.settings.default_host, false);
            let memory = || "<IN MEMORY>".to_owned();
            return Ok(Object::context(document(metadata, &[], memory(), memory())));
        }
        let metadata = store.read(name)?;
        let pems: Vec<String> = store.pems(name).into_iter().map(|(pem, _)| pem).collect();
        Ok(Object::context(document(
            metadata,
            &pems,
            store.metadata_path(name).display().to_string(),
            store.tls_path(name).display().to_string(),
        )))
    })
}

fn document(metadata: Metadata, pems: &[String], path: String, tls: String) -> Value {
    let mut document = metadata.0;
    document["TLSMaterial"] = if pems.is_empty() {
        json!({})
    } else {
        json!({"docker": pems})
    };
    document["Storage"] = json!({"MetadataPath": path, "TLSPath": tls});
    document
}

//! `inspect`: everything about objects of any kind, as JSON or by a template.

use onggi_gotmpl::{Data, Template, escape_html, write_pretty};

use super::kinds::Documents;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};

/// How `--format` is explained where there are no tables.
pub(crate) const FORMAT_HELP: &str =
    "How to print:\n'json':             JSON on one line\n'TEMPLATE':         a Go template";

/// Kinds of objects, in the order they are looked for, with the collection of the API they are in.
const KINDS: [(&str, &str); 10] = [
    ("container", "containers"),
    ("image", "images"),
    ("network", "networks"),
    ("volume", "volumes"),
    ("service", "services"),
    ("task", "tasks"),
    ("node", "nodes"),
    ("plugin", "plugins"),
    ("secret", "secrets"),
    ("config", "configs"),
];

const FLAGS: &[Flag] = &[
    crate::recipe::AS,
    value(Some('f'), "format", "string", FORMAT_HELP),
    switch(
        Some('s'),
        "size",
        "Show the sizes of containers, which takes time to find out",
    ),
    value(None, "type", "string", "Look for objects of this kind only").completed(Complete::Words(
        &[
            "config",
            "container",
            "image",
            "network",
            "node",
            "plugin",
            "secret",
            "service",
            "task",
            "volume",
        ],
    )),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Show everything about an object",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Objects],
    ..command(&["inspect"], run)
};

/// An object that was found.
pub(crate) struct Object {
    json: serde_json::Value,
    /// Written by Go's encoder, which escapes `<`, `>` and `&`; what comes from the daemon is shown as it came.
    ours: bool,
}

impl Object {
    pub(crate) fn container(json: serde_json::Value) -> Self {
        Object { json, ours: false }
    }

    pub(crate) fn context(json: serde_json::Value) -> Self {
        Object { json, ours: true }
    }

    pub(crate) fn image(json: serde_json::Value) -> Self {
        Object { json, ours: false }
    }

    pub(crate) fn network(json: serde_json::Value) -> Self {
        Object { json, ours: false }
    }

    pub(crate) fn volume(json: serde_json::Value) -> Self {
        Object { json, ours: false }
    }
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    if matches.given("as") {
        return crate::recipe::show(cli, matches);
    }
    let kind = matches.text("type").to_owned();
    if matches.given("type") && !KINDS.iter().any(|(name, _)| *name == kind) {
        let mut names: Vec<String> = KINDS.iter().map(|(name, _)| crate::quote(name)).collect();
        names.sort();
        return Err(Error::new(if kind.is_empty() {
            format!("type is empty: must be one of {}", names.join(", "))
        } else {
            format!(
                "unknown type: {}: must be one of {}",
                crate::quote(&kind),
                names.join(", ")
            )
        }));
    }
    let size = matches.on("size");
    inspect(cli, matches.text("format"), &matches.args, |cli, name| {
        find(cli, name, &kind, size)
    })
}

/// Looks for an object, kind by kind, or of the one kind.
fn find(cli: &mut Cli, name: &str, wanted: &str, size: bool) -> Result<Object> {
    let client = cli.client()?;
    for (kind, collection) in KINDS {
        if !wanted.is_empty() && kind != wanted {
            continue;
        }
        let found = match kind {
            "container" => cli.block_on(client.container_inspect(name, size))?,
            "image" => cli.block_on(client.image_inspect(name, ""))?,
            "plugin" => cli.block_on(client.object(collection, &format!("{name}/json")))?,
            _ => cli.block_on(client.object(collection, name))?,
        };
        match found {
            Ok(json) => {
                if size && kind != "container" {
                    cli.complain(&format!("WARNING: --size ignored for {kind}"))?;
                }
                return Ok(Object { json, ours: false });
            }
            Err(error) if wanted.is_empty() && skips(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(format!("Error: No such object: {name}")))
}

/// Whether the error only says that there is no such object of this kind, or that the daemon has no such kind.
fn skips(error: &onggi_client::Error) -> bool {
    let message = error.message();
    matches!(error.status(), Some(404 | 501 | 503 | 406))
        || message.contains("not supported")
        || message.contains("invalid reference format")
        || message.contains("This node is not a swarm manager")
}

/// Looks up every name with `get`, and prints what was found by `format`; errors come last, all of them.
pub(crate) fn inspect(
    cli: &mut Cli,
    format: &str,
    names: &[String],
    mut get: impl FnMut(&mut Cli, &str) -> Result<Object>,
) -> Result<u8> {
    let template = match format {
        "" | "json" => None,
        source => Some(Template::parse(source).map_err(|error| {
            Error::new(format!("template parsing error: {error}")).with_code(64)
        })?),
    };
    let mut errors = Vec::new();
    let mut found = Vec::new();
    let mut rendered = String::new();
    let mut escaped = false;
    for name in names {
        match get(cli, name) {
            Ok(Object { json, ours }) => match &template {
                None => {
                    escaped |= ours;
                    found.push(json);
                }
                Some(template) => match template.render(&Data::document(&json, &Documents)) {
                    Ok(text) => {
                        rendered.push_str(&text);
                        rendered.push('\n');
                    }
                    Err(error) => errors.push(format!("template parsing error: {error}")),
                },
            },
            Err(error) => errors.push(error.message),
        }
    }
    let text = match (&template, format) {
        (Some(_), _) if rendered.is_empty() => "\n".to_owned(),
        (Some(_), _) => rendered,
        (None, "json") => format!("{}\n", serde_json::Value::Array(found)),
        (None, _) => format!(
            "{}\n",
            write_pretty(&serde_json::Value::Array(found), "    ")
        ),
    };
    let text = if escaped { escape_html(&text) } else { text };
    cli.print(&text)?;
    if errors.is_empty() {
        Ok(0)
    } else {
        Err(Error::new(errors.join("\n")))
    }
}

//! `compose images`: what the containers of a project were made from.

use std::collections::BTreeSet;

use onggi_model::{ImageRef, units};
use serde_json::json;

use super::ls::FORMAT;
use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, List, column};
use crate::text::{ago, short_id};

const FLAGS: &[Flag] = &[FORMAT, switch(Some('q'), "quiet", "Show IDs only")];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "List the images of a project's containers",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose images"], run)
};

#[derive(Clone)]
struct Row {
    container: String,
    repository: String,
    tag: String,
    platform: String,
    id: String,
    size: i64,
    created: String,
}

const COLUMNS: &[Column<Row>] = &[
    column("ContainerName", "CONTAINER", |r, _| {
        r.container.clone().into()
    }),
    column("Repository", "REPOSITORY", |r, _| {
        r.repository.clone().into()
    }),
    column("Tag", "TAG", |r, _| r.tag.clone().into()),
    column("Platform", "PLATFORM", |r, _| r.platform.clone().into()),
    column("ID", "IMAGE ID", |r, _| short_id(&r.id).into()),
    column("Size", "SIZE", |r, _| {
        units::human_size_with_precision(r.size as f64, 3).into()
    }),
    column("Created", "CREATED", |r, _| {
        match r.created.parse::<jiff::Timestamp>() {
            Ok(time) if time.as_second() > 0 => ago(time.as_second()).into(),
            _ => "N/A".into(),
        }
    }),
];

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let format = matches.one("format").unwrap_or("table");
    if !matches!(format, "table" | "pretty" | "json" | "") {
        return Err(Error::new(format!(
            "format value {} could not be parsed: table and json are known",
            crate::quote(format)
        )));
    }
    let subject = project::subject(cli)?;
    let found = containers::of(cli, &subject, &matches.args)?;
    if matches.on("quiet") {
        let ids: BTreeSet<&str> = found
            .iter()
            .map(|one| one.summary.image_id.as_str())
            .collect();
        for id in ids {
            cli.line(id.strip_prefix("sha256:").unwrap_or(id))?;
        }
        return Ok(0);
    }
    let client = cli.client()?;
    let mut rows = Vec::new();
    for container in &found {
        let id = &container.summary.image_id;
        // An image may be removed while its containers stay.
        let image = match cli.block_on(client.image_inspect(id, ""))? {
            Ok(image) => image,
            Err(error) if error.is_not_found() => serde_json::Value::Null,
            Err(error) => return Err(error.into()),
        };
        let reference = ImageRef::parse_untagged(&container.image).ok();
        let reference = reference.filter(|_| !container.image.starts_with("sha256:"));
        let text = |field: &str| image[field].as_str().unwrap_or_default().to_owned();
        let platform = [text("Os"), text("Architecture"), text("Variant")];
        let platform: Vec<String> = platform
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let named = |part: Option<String>| part.unwrap_or_else(|| "<none>".to_owned());
        rows.push(Row {
            container: container.name.clone(),
            repository: named(reference.as_ref().map(ImageRef::familiar_name)),
            tag: named(reference.map(|name| name.tag().unwrap_or("latest").to_owned())),
            platform: platform.join("/"),
            id: id.clone(),
            size: image["Size"].as_i64().unwrap_or_default(),
            created: text("Created"),
        });
    }
    rows.sort_by(|left, right| left.container.cmp(&right.container));
    if format == "json" {
        let images = rows.iter().map(|row| {
            json!({
                "ID": row.id,
                "ContainerName": row.container,
                "Repository": row.repository,
                "Tag": row.tag,
                "Platform": row.platform,
                "Size": row.size,
                "Created": row.created,
            })
        });
        let text = images.collect::<serde_json::Value>().to_string();
        cli.line(&text)?;
        return Ok(0);
    }
    let list = List {
        columns: COLUMNS,
        type_name: "*formatter.imageContext",
        default: "{{.ContainerName}}\t{{.Repository}}\t{{.Tag}}\t{{.Platform}}\t{{.ID}}\t{{.Size}}\t{{.Created}}".to_owned(),
        raw: None,
        options: &Options::default(),
    };
    let text = list.render("", &rows)?;
    cli.print(&text)?;
    Ok(0)
}

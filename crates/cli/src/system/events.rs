//! `events`: what happens, as it happens.

use onggi_api::event::Message;
use onggi_client::system::Events;
use onggi_gotmpl::{Data, Field, Template};

use super::inspect::FORMAT_HELP;
use crate::Cli;
use crate::args::{Flag, Matches, check, list, value};
use crate::command::{Command, command};
use crate::container::ls::filters;
use crate::error::{Error, Result};
use crate::text::rfc3339_nano;
use crate::times;

const FLAGS: &[Flag] = &[
    list(
        Some('f'),
        "filter",
        "filter",
        "Show only what fits (name=value)",
    )
    .checked(check::filter),
    value(None, "format", "string", FORMAT_HELP),
    value(None, "since", "string", "Show events from this time on"),
    value(None, "until", "string", "Stop at this time"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS]",
    about: "Show events of the daemon as they happen",
    flags: &[FLAGS],
    ..command(&["system events", "events"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let template = match matches.text("format") {
        "" => None,
        "json" => Some("{{json .}}"),
        text => Some(text),
    };
    let template = template
        .map(Template::parse)
        .transpose()
        .map_err(|error| Error::new(format!("Error parsing format: {error}")).with_code(64))?;
    if let Some(template) = &template {
        // Before anything is asked of the daemon: a field that is not there.
        let nothing = Message::default();
        let value = serde_json::to_value(&nothing).unwrap_or_default();
        template
            .render(&data(&nothing, &value))
            .map_err(|error| Error::new(format!("Error parsing format: {error}")).with_code(64))?;
    }
    let time = |flag: &str| match matches.one(flag).filter(|text| !text.is_empty()) {
        None => Ok(String::new()),
        Some(text) => times::api(text).map_err(Error::new),
    };
    let events = Events {
        since: time("since")?,
        until: time("until")?,
        filters: filters(matches),
    };
    let client = cli.client()?;
    let mut values = cli.block_on(client.events(&events))??;
    while let Some(value) = cli.block_on(values.next::<serde_json::Value>())?? {
        let message: Message =
            serde_json::from_value(value.clone()).map_err(|error| Error::new(error.to_string()))?;
        match &template {
            None => cli.line(&line(&message))?,
            Some(template) => {
                let text = template
                    .render(&data(&message, &value))
                    .map_err(|error| Error::new(error.to_string()))?;
                cli.line(&text)?;
            }
        }
        cli.flush()?;
    }
    Ok(0)
}

/// `TIME TYPE ACTION ID (key=value, ...)`.
fn line(message: &Message) -> String {
    let mut out = String::new();
    if message.time_nano != 0 {
        out.push_str(&format!("{} ", rfc3339_nano(message.time_nano)));
    } else if message.time != 0 {
        out.push_str(&format!(
            "{} ",
            rfc3339_nano(message.time.saturating_mul(1_000_000_000))
        ));
    }
    out.push_str(&format!(
        "{} {} {}",
        message.kind, message.action, message.actor.id
    ));
    if !message.actor.attributes.is_empty() {
        let pairs: Vec<String> = message
            .actor
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        out.push_str(&format!(" ({})", pairs.join(", ")));
    }
    out
}

/// An event for templates, with the fields by the names they have in Go.
fn data(message: &Message, value: &serde_json::Value) -> Data {
    let text = |text: &Option<String>| Field::Json(text.clone().unwrap_or_default().into());
    let fields = [
        ("Status", text(&message.status)),
        ("ID", text(&message.id)),
        ("From", text(&message.from)),
        ("Type", Field::Json(message.kind.clone().into())),
        ("Action", Field::Json(message.action.clone().into())),
        (
            "Actor",
            Field::Json(value.get("Actor").cloned().unwrap_or_default()),
        ),
        ("Scope", Field::Json(message.scope.clone().into())),
        ("Time", Field::Json(message.time.into())),
        ("TimeNano", Field::Json(message.time_nano.into())),
    ];
    Data::row("*events.Message", fields, value.to_string())
}

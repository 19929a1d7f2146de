//! `compose events`: what happens to the containers of a project.

use onggi_api::event::Message;
use onggi_client::system::Events;
use onggi_compose::labels;
use onggi_model::Filters;
use serde_json::json;

use super::project;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::times;

const FLAGS: &[Flag] = &[
    switch(None, "json", "Print JSON, one object a line"),
    value(None, "since", "string", "Show events from this time on"),
    value(None, "until", "string", "Stop at this time"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Show what happens to the containers of a project",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose events"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let time = |flag: &str| match matches.text(flag) {
        "" => Ok(String::new()),
        text => times::api(text).map_err(Error::new),
    };
    let (since, until) = (time("since")?, time("until")?);
    let subject = project::subject(cli)?;
    let mut filters = of_project(&subject.name);
    filters.add("type", "container");
    let events = Events {
        since,
        until,
        filters,
    };
    let client = cli.client()?;
    let mut values = cli.block_on(client.events(&events))??;
    while let Some(message) = cli.block_on(values.next::<Message>())?? {
        let attribute = |name: &str| {
            let attributes = &message.actor.attributes;
            attributes.get(name).map_or("", String::as_str)
        };
        let service = attribute(labels::SERVICE);
        let asked = matches.args.is_empty() || matches.args.iter().any(|name| name == service);
        if !asked || attribute(labels::ONEOFF) == "True" {
            continue;
        }
        let text = match matches.on("json") {
            true => as_json(&message, service),
            false => line(&message),
        };
        cli.line(&text)?;
        cli.flush()?;
    }
    Ok(0)
}

/// What has the project's label.
pub(super) fn of_project(name: &str) -> Filters {
    let mut filters = Filters::default();
    filters.add("label", format!("{}={name}", labels::PROJECT));
    filters
}

/// What is told of a container beside Compose's own labels.
fn attributes(message: &Message) -> impl Iterator<Item = (&String, &String)> {
    let attributes = message.actor.attributes.iter();
    attributes.filter(|(name, _)| !name.starts_with("com.docker.compose."))
}

fn time(message: &Message) -> jiff::Timestamp {
    let nanoseconds = match message.time_nano {
        0 => message.time.saturating_mul(1_000_000_000),
        nanoseconds => nanoseconds,
    };
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}

fn line(message: &Message) -> String {
    let time = time(message).to_zoned(jiff::tz::TimeZone::system());
    let pairs: Vec<String> = attributes(message)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!(
        "{} container {} {} ({})",
        time.strftime("%Y-%m-%d %H:%M:%S%.6f"),
        message.action,
        message.actor.id,
        pairs.join(", ")
    )
}

fn as_json(message: &Message, service: &str) -> String {
    let attributes: serde_json::Map<String, serde_json::Value> = attributes(message)
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    json!({
        "time": time(message).to_string(),
        "type": "container",
        "service": service,
        "id": message.actor.id,
        "action": message.action,
        "attributes": attributes,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_compose_are_left_out() {
        let mut message = Message {
            kind: "container".to_owned(),
            action: "start".to_owned(),
            time_nano: 1_500_000_000_000_000_000,
            ..Message::default()
        };
        message.actor.id = "abc".to_owned();
        for (name, value) in [("image", "busybox"), (labels::SERVICE, "web")] {
            let attributes = &mut message.actor.attributes;
            attributes.insert(name.to_owned(), value.to_owned());
        }
        assert!(line(&message).ends_with(" container start abc (image=busybox)"));
        assert_eq!(
            as_json(&message, "web"),
            r#"{"time":"2017-07-14T02:40:00Z","type":"container","service":"web","id":"abc","action":"start","attributes":{"image":"busybox"}}"#
        );
    }
}

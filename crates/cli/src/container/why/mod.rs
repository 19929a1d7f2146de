//! `why`: why a container died, restarts, is unhealthy or does not start, with its last words and what to do.
//!
//! What is known comes from the daemon here; what it means is decided in [`cause`], which asks nobody.

mod cause; // from what is known to what it means
mod report; // the page

use onggi_api::event::Message;
use onggi_client::Client;
use onggi_client::container::Logs;
use onggi_client::system::Events;
use onggi_model::Filters;
use serde_json::Value;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, check, value};
use crate::command::{Arity, Command, command};
use crate::container::each;
use crate::error::Result;
use crate::stream::output::Demux;

const FLAGS: &[Flag] = &[value(
    Some('n'),
    "tail",
    "int",
    "Show so many lines from the end of the log",
)
.checked(check::int)
.default("10")];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Tell why containers ended, restart or are unhealthy, and what to do",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container why", "why"], run)
};

/// What is known about a container.
struct Known {
    /// As `inspect` shows it.
    container: Value,
    /// What happened to it since it was started last, the oldest first.
    events: Vec<Message>,
    /// Its last lines, or why they cannot be had.
    log: std::result::Result<Vec<String>, String>,
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let tail = matches.int("tail").unwrap_or(10).max(0);
    let several = matches.args.len() > 1;
    let mut first = true;
    each(cli, &matches.args, |cli, name| {
        let known = cli.block_on(ask(&client, name, tail))??;
        let now = jiff::Timestamp::now();
        let verdict = cause::of(&known, now);
        let page = report::page(&cli.program, &known, &verdict, now);
        if several && !std::mem::take(&mut first) {
            cli.print("\n")?;
        }
        cli.print(&page)?;
        Ok(None)
    })
}

async fn ask(client: &Client, name: &str, tail: i64) -> Result<Known> {
    let container = client.container_inspect(name, false).await?;
    let id = container["Id"].as_str().unwrap_or(name).to_owned();
    let mut filters = Filters::default();
    filters.add("container", &id);
    let started = container["State"]["StartedAt"]
        .as_str()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok())
        .unwrap_or_default()
        .max(jiff::Timestamp::UNIX_EPOCH);
    let now = jiff::Timestamp::now();
    let wanted = Events {
        since: started.as_second().to_string(),
        until: format!("{}.{:09}", now.as_second(), now.subsec_nanosecond()),
        filters,
    };
    // Without events less is known, which is no reason to say nothing.
    let mut events = events(client, &wanted).await.unwrap_or_default();
    // What ended the run before this one is of the same second, perhaps.
    events.retain(|event| i128::from(event.time_nano) >= started.as_nanosecond());
    let log = if tail == 0 {
        Ok(Vec::new())
    } else {
        log(client, &container, &id, tail)
            .await
            .map_err(|error| error.message)
    };
    Ok(Known {
        container,
        events,
        log,
    })
}

async fn events(client: &Client, wanted: &Events) -> Result<Vec<Message>> {
    let mut values = client.events(wanted).await?;
    let mut all = Vec::new();
    while let Some(message) = values.next::<Message>().await? {
        all.push(message);
    }
    Ok(all)
}

async fn log(client: &Client, container: &Value, id: &str, tail: i64) -> Result<Vec<String>> {
    let tty = container["Config"]["Tty"].as_bool().unwrap_or(false);
    let options = Logs {
        tail: tail.to_string(),
        ..Logs::default()
    };
    let mut response = client.container_logs(id, &options).await?;
    let mut demux = Demux::new(tty);
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        for (_, bytes) in demux.feed(&chunk)? {
            text.extend_from_slice(&bytes);
        }
    }
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(printable).collect())
}

/// A line without what would move the cursor or change colours.
fn printable(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        if c == '\u{1b}' {
            // A sequence ends with a letter; what is cut off with it is no loss.
            if letters.next() == Some('[') {
                letters.find(|c| ('@'..='~').contains(c));
            }
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

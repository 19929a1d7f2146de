//! `logs`: what a container wrote.

use onggi_client::Client;
use onggi_client::container::Logs;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::output::{Demux, Output};
use crate::times;

/// Which lines of a log are meant.
pub(crate) const LINES: &[Flag] = &[
    value(
        None,
        "since",
        "string",
        "Only from this time on: a time (\"2013-01-02T13:23:37Z\"), or how long ago (\"42m\")",
    ),
    value(
        Some('n'),
        "tail",
        "string",
        "Only so many lines from the end",
    )
    .default("\"all\""),
    switch(Some('t'), "timestamps", "Show the time of each line"),
    value(
        None,
        "until",
        "string",
        "Only up to this time: a time (\"2013-01-02T13:23:37Z\"), or how long ago (\"42m\")",
    ),
];

const FLAGS: &[Flag] = &[
    switch(None, "details", "Show what else was logged with each line"),
    switch(Some('f'), "follow", "Stay, and show what comes"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    about: "Show what a container wrote",
    flags: &[FLAGS, LINES],
    arity: Arity::Exactly(1),
    complete: &[Complete::Containers],
    ..command(&["container logs", "logs"], run)
};

/// A time that a flag says, as the API wants it; empty where it says none.
pub(crate) fn time(matches: &Matches, flag: &str) -> Result<String> {
    match matches.text(flag) {
        "" => Ok(String::new()),
        text => times::api(text).map_err(|error| {
            Error::new(format!("invalid value for {}: {error}", crate::quote(flag)))
        }),
    }
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let options = Logs {
        follow: matches.on("follow"),
        timestamps: matches.on("timestamps"),
        details: matches.on("details"),
        since: time(matches, "since")?,
        until: time(matches, "until")?,
        tail: matches.one("tail").unwrap_or("all").to_owned(),
    };
    let client = cli.client()?;
    cli.block_on(logs(&client, &matches.args[0], &options))?
}

async fn logs(client: &Client, name: &str, options: &Logs) -> Result<u8> {
    let container = client.container_inspect(name, false).await?;
    let tty = container["Config"]["Tty"].as_bool().unwrap_or(false);
    let id = container["Id"].as_str().unwrap_or(name);
    let mut response = client.container_logs(id, options).await?;
    let mut demux = Demux::new(tty);
    let output = Output::open()?;
    let mut failure = None;
    'stream: loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                failure = Some(Error::from(error));
                break;
            }
        };
        match demux.feed(&chunk) {
            Ok(pieces) => {
                for (stream, bytes) in pieces {
                    if output.write(stream, bytes).await.is_err() {
                        break 'stream;
                    }
                }
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    output.finish(false).await?;
    failure.map_or(Ok(0), Err)
}

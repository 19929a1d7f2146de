//! `compose logs`: what the containers of a project wrote, and write.

mod follow; // streams of many containers, those that come later too
mod screen; // lines with the name of who wrote them

use onggi_client::Client;
use onggi_client::container::Logs;
use onggi_compose::Container;

use super::port::INDEX;
use super::{containers, project};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch};
use crate::command::{Arity, Command, command};
use crate::container::logs::{LINES, time};
use crate::error::{Error, Result};
use crate::stream::output::{Demux, Output};

pub(super) use follow::{Flow, Follow, News};
pub(super) use screen::Screen;

const FLAGS: &[Flag] = &[
    switch(Some('f'), "follow", "Stay, and show what comes"),
    INDEX,
    switch(None, "no-color", "Print no colours"),
    switch(
        None,
        "no-log-prefix",
        "Do not print the name of the container before each line",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVICE...]",
    about: "Show what the containers of a project wrote",
    flags: &[FLAGS, LINES],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Services],
    ..command(&["compose logs"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let logs = Logs {
        follow: matches.on("follow"),
        timestamps: matches.on("timestamps"),
        details: false,
        since: time(matches, "since")?,
        until: time(matches, "until")?,
        tail: matches.one("tail").unwrap_or("all").to_owned(),
    };
    let index = matches.int("index").unwrap_or(0);
    if index != 0 && matches.args.len() != 1 {
        return Err(Error::new(
            "--index is the number of a container of one service: name that service",
        ));
    }
    let subject = project::subject(cli)?;
    let mut found = containers::of(cli, &subject, &matches.args)?;
    if index != 0 {
        let service = &matches.args[0];
        found = vec![containers::one(
            cli,
            &subject,
            service,
            index,
            containers::Among::All,
        )?];
    }
    let colours = super::show::colours(cli) && !matches.on("no-color");
    let screen = Screen::new(!matches.on("no-log-prefix"), colours);
    let client = cli.client()?;
    if !logs.follow {
        return cli.block_on(print(&client, found, &logs, screen))?;
    }
    let follow = Follow {
        project: subject.name,
        services: matches.args.clone(),
        mute: Vec::new(),
        index,
        logs,
    };
    cli.block_on(watch(&client, found, follow, screen))?
}

/// What was written so far, one container after the other.
async fn print(
    client: &Client,
    found: Vec<Container>,
    logs: &Logs,
    mut screen: Screen,
) -> Result<u8> {
    for container in &found {
        screen.announce(&containers::short_name(container));
    }
    let output = Output::open()?;
    'containers: for container in &found {
        let name = containers::short_name(container);
        let inspect = client.container_inspect(&container.id, false).await?;
        let mut demux = Demux::new(inspect["Config"]["Tty"] == true);
        let mut response = client.container_logs(&container.id, logs).await?;
        while let Some(chunk) = response.chunk().await? {
            for (stream, bytes) in demux.feed(&chunk)? {
                for (stream, line) in screen.feed(&name, stream, &bytes) {
                    if output.write(stream, line).await.is_err() {
                        break 'containers;
                    }
                }
            }
        }
        for (stream, line) in screen.finish(&name) {
            // That nobody reads any more is told below.
            let _ = output.write(stream, line).await;
        }
    }
    output.finish(false).await?;
    Ok(0)
}

/// What is written, until no container of the project runs any more.
async fn watch(
    client: &Client,
    found: Vec<Container>,
    follow: Follow,
    mut screen: Screen,
) -> Result<u8> {
    for container in &found {
        screen.announce(&containers::short_name(container));
    }
    let mut news = follow.start(client, found).await?;
    let output = Output::open()?;
    while let Some(piece) = news.next().await? {
        let lines = match piece {
            News::Wrote {
                name,
                stream,
                bytes,
            } => screen.feed(&name, stream, &bytes),
            News::Silent { name } => screen.finish(&name),
            News::Started { name, .. } => {
                screen.announce(&name);
                Vec::new()
            }
            News::Ended { .. } => Vec::new(),
        };
        for (stream, line) in lines {
            if output.write(stream, line).await.is_err() {
                output.finish(false).await?;
                return Ok(0);
            }
        }
        if news.is_idle() && !news.any_runs().await? {
            break;
        }
    }
    output.finish(false).await?;
    Ok(0)
}

//! `builder history`: the builds that a daemon of ours has done, and what they told.

use std::time::Duration;

use jiff::Timestamp;
use onggi_api::build::BuildRecord;
use onggi_api::stream::Message;
use onggi_client::Client;

use super::progress::{Display, End, Event, Plain, Raw};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::container::ls::FORMAT_HELP;
use crate::error::{Error, Result};
use crate::format::rows::Options;
use crate::format::{Column, List, column};
use crate::text::ago;

const LS_FLAGS: &[Flag] = &[
    value(None, "format", "string", FORMAT_HELP),
    switch(Some('q'), "quiet", "Show IDs only"),
];

pub(crate) const LS: Command = Command {
    usage: "[OPTIONS]",
    about: "List the builds that were done, the newest first",
    flags: &[LS_FLAGS],
    ..command(&["builder history ls"], ls)
};

const INSPECT_FLAGS: &[Flag] = &[value(None, "format", "string", FORMAT_HELP)];

pub(crate) const INSPECT: Command = Command {
    usage: "[OPTIONS] [BUILD]",
    about: "Show what is known of a build: of the last one, or of one by ID or ^N, the N-th before it",
    flags: &[INSPECT_FLAGS],
    arity: Arity::AtMost(1),
    ..command(&["builder history inspect"], inspect)
};

const LOGS_FLAGS: &[Flag] = &[value(
    None,
    "progress",
    "string",
    "How it is shown (\"plain\", \"rawjson\")",
)
.default("\"plain\"")
.completed(Complete::Words(&["plain", "rawjson"]))];

pub(crate) const LOGS: Command = Command {
    usage: "[OPTIONS] [BUILD]",
    about: "Show what a build told, step by step",
    flags: &[LOGS_FLAGS],
    arity: Arity::AtMost(1),
    ..command(&["builder history logs"], logs)
};

const RM_FLAGS: &[Flag] = &[switch(None, "all", "All of them")];

pub(crate) const RM: Command = Command {
    usage: "[OPTIONS] [BUILD...]",
    about: "Forget builds; images and cache stay",
    flags: &[RM_FLAGS],
    arity: Arity::AtLeast(0),
    ..command(&["builder history rm"], rm)
};

const COLUMNS: &[Column<BuildRecord>] = &[
    column("ID", "BUILD ID", |build, _| build.id.clone().into()),
    column("Name", "NAME", |build, _| build.name.clone().into()),
    column("Status", "STATUS", |build, _| status(build).into()),
    column("CreatedAt", "CREATED AT", |build, _| {
        let time = build.created_at.parse::<Timestamp>();
        time.map_or_else(|_| String::new(), |time| ago(time.as_second()))
            .into()
    }),
    column("Duration", "DURATION", |build, _| duration(build).into()),
    column("Steps", "STEPS", |build, _| steps(build).into()),
    column("Image", "IMAGE", |build, _| build.image.clone().into()),
    column("Error", "ERROR", |build, _| build.error.clone().into()),
];

const DEFAULT: &str = "{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.CreatedAt}}\t{{.Duration}}";

fn ls(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = daemon(cli)?;
    let builds = cli.block_on(client.build_history())??;
    let format = match matches.on("quiet") {
        true => "{{.ID}}",
        false => matches.text("format"),
    };
    cli.print(&list().render(format, &builds)?)?;
    Ok(0)
}

fn list() -> List<'static, BuildRecord> {
    const OPTIONS: &Options = &Options {
        no_trunc: true,
        digests: false,
        human: false,
    };
    List {
        columns: COLUMNS,
        type_name: "*history.record",
        default: DEFAULT.to_owned(),
        raw: None,
        options: OPTIONS,
    }
}

fn inspect(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = daemon(cli)?;
    let id = found(cli, &client, matches.args.first())?;
    let build = cli.block_on(client.build_record(&id))??;
    let text = match matches.text("format") {
        "" => full(&build),
        "json" => {
            let document = serde_json::to_value(&build).map_err(|e| Error::new(e.to_string()))?;
            onggi_gotmpl::write_pretty(&document, "    ") + "\n"
        }
        format => list().render(format, &[build])?,
    };
    cli.print(&text)?;
    Ok(0)
}

fn logs(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let mut display = match matches.one("progress").unwrap_or("plain") {
        "rawjson" => Display::Raw(Raw::default()),
        "plain" => Display::Plain(Plain::new()),
        other => {
            return Err(Error::new(format!(
                "invalid progress {}: there are plain and rawjson",
                crate::quote(other)
            )));
        }
    };
    let client = daemon(cli)?;
    let id = found(cli, &client, matches.args.first())?;
    let messages: Vec<Message> = cli.block_on(async {
        let mut values = client.build_log(&id).await?.values();
        let mut messages = Vec::new();
        while let Some(message) = values.next().await? {
            messages.push(message);
        }
        Ok::<_, onggi_client::Error>(messages)
    })??;
    let mut clock = Clock::default();
    for message in &messages {
        if let Some(event) = Event::read(message) {
            let at = clock.at(message);
            cli.print(&display.event(event, at))?;
        }
    }
    cli.print(&display.end(clock.last, End::Good))?;
    Ok(0)
}

fn rm(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = daemon(cli)?;
    let mut ids = matches.args.clone();
    match (matches.on("all"), ids.is_empty()) {
        (true, true) => {
            let all = cli.block_on(client.build_history())??;
            let ended = all.into_iter().filter(|build| build.status != "running");
            ids = ended.map(|build| build.id).collect();
        }
        (false, false) => {
            for id in &mut ids {
                *id = found(cli, &client, Some(&*id))?;
            }
        }
        (true, false) => return Err(Error::new("name builds, or say --all, not both")),
        (false, true) => return Err(Error::new("name a build, or say --all")),
    }
    crate::container::each(cli, &ids, |cli, id| {
        cli.block_on(client.build_forget(id))??;
        Ok(Some(id.to_owned()))
    })
}

/// A daemon that remembers builds.
fn daemon(cli: &mut Cli) -> Result<Client> {
    let client = cli.client()?;
    match cli.block_on(client.ping())??.is_onggi() {
        true => Ok(client),
        false => Err(Error::new(
            "builder history needs onggi's own daemon: Docker's remembers no builds on this way; \"docker buildx history\" asks BuildKit",
        )),
    }
}

/// The ID that is meant: the last one, `^N`, or as it is.
fn found(cli: &mut Cli, client: &Client, given: Option<&String>) -> Result<String> {
    let back = match given.map(|text| text.strip_prefix('^')) {
        None => 0,
        Some(None) => return Ok(given.cloned().unwrap_or_default()),
        Some(Some(number)) => number.parse::<usize>().map_err(|_| {
            Error::new(format!(
                "invalid build {}",
                crate::quote(&format!("^{number}"))
            ))
        })?,
    };
    let mut all = cli.block_on(client.build_history())??;
    match back < all.len() {
        true => Ok(all.swap_remove(back).id),
        false => Err(Error::new(match all.len() {
            0 => "no build is remembered".to_owned(),
            count => format!("only {count} builds are remembered"),
        })),
    }
}

/// A build line by line.
fn full(build: &BuildRecord) -> String {
    let mut lines = vec![
        ("Name", build.name.clone()),
        ("ID", build.id.clone()),
        ("Dockerfile", build.dockerfile.clone()),
        ("Target", build.target.clone()),
        ("Platform", build.platform.clone()),
        (
            "Tags",
            build
                .tags
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("Status", status(build)),
        ("Created", build.created_at.clone()),
        ("Duration", duration(build)),
        ("Build Steps", steps(build)),
        ("Image", build.image.clone()),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    let mut out: String = lines
        .iter()
        .map(|(name, value)| format!("{:<16}{value}\n", format!("{name}:")))
        .collect();
    if !build.error.is_empty() {
        out.push_str(&format!("\nError:\n{}\n", build.error));
    }
    out
}

/// `Completed`
fn status(build: &BuildRecord) -> String {
    let mut letters = build.status.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// `5/5 (80% cached)`
fn steps(build: &BuildRecord) -> String {
    let cached = match build.completed_steps {
        0 => 0,
        done => build.cached_steps * 100 / done,
    };
    let (done, total) = (build.completed_steps, build.total_steps);
    format!("{done}/{total} ({cached}% cached)")
}

/// `1m 12s`, `0.4s`; of one that runs nothing.
fn duration(build: &BuildRecord) -> String {
    if build.completed_at.is_none() {
        return String::new();
    }
    let seconds = build.duration as f64 / 1e9;
    match seconds {
        s if s < 60.0 => format!("{s:.1}s"),
        s if s < 3600.0 => format!("{}m {:02}s", s as u64 / 60, s as u64 % 60),
        s => format!("{}h {:02}m", s as u64 / 3600, s as u64 / 60 % 60),
    }
}

/// The time of what is read again, since the build began.
#[derive(Default)]
struct Clock {
    began: Option<Timestamp>,
    last: Duration,
}

impl Clock {
    fn at(&mut self, message: &Message) -> Duration {
        let aux = message.aux.as_ref();
        let text = aux.and_then(|aux| {
            let vertex = &aux["vertex"];
            let times = [
                &vertex["completed"],
                &vertex["started"],
                &aux["log"]["time"],
            ];
            times.into_iter().find_map(|time| time.as_str())
        });
        if let Some(time) = text.and_then(|text| text.parse::<Timestamp>().ok()) {
            let began = *self.began.get_or_insert(time);
            let since = Duration::try_from(time.duration_since(began)).unwrap_or_default();
            self.last = self.last.max(since);
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> BuildRecord {
        BuildRecord {
            id: "abc".to_owned(),
            name: "app".to_owned(),
            status: "error".to_owned(),
            dockerfile: "Dockerfile".to_owned(),
            created_at: "2026-01-02T03:04:05Z".to_owned(),
            completed_at: Some("2026-01-02T03:05:17Z".to_owned()),
            duration: 72_300_000_000,
            total_steps: 5,
            completed_steps: 4,
            cached_steps: 3,
            error: "exit code: 1".to_owned(),
            ..BuildRecord::default()
        }
    }

    #[test]
    fn a_build_is_told_line_by_line() {
        assert_eq!(
            full(&build()),
            "Name:           app\nID:             abc\nDockerfile:     Dockerfile\nStatus:         Error\n\
             Created:        2026-01-02T03:04:05Z\nDuration:       1m 12s\nBuild Steps:    4/5 (75% cached)\n\nError:\nexit code: 1\n"
        );
        let running = BuildRecord {
            completed_at: None,
            ..build()
        };
        assert_eq!(duration(&running), "");
    }

    #[test]
    fn times_go_on_from_the_first() {
        let message = |aux: serde_json::Value| Message {
            aux: Some(aux),
            ..Message::default()
        };
        let mut clock = Clock::default();
        for (aux, wanted) in [
            (
                serde_json::json!({"vertex": {"started": "2026-01-02T03:04:05Z"}}),
                0,
            ),
            (
                serde_json::json!({"log": {"time": "2026-01-02T03:04:07Z"}}),
                2,
            ),
            (serde_json::json!({"log": {}}), 2),
            (
                serde_json::json!({"vertex": {"completed": "2026-01-02T03:04:09Z"}}),
                4,
            ),
        ] {
            assert_eq!(clock.at(&message(aux)), Duration::from_secs(wanted));
        }
    }
}

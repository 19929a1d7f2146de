//! `stats`: what containers use, once or live.
//!
//! On a terminal the table is drawn over itself; elsewhere tables follow each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use onggi_api::container::Stats;
use onggi_api::event::Message;
use onggi_client::Client;
use onggi_client::container::List as Wanted;
use onggi_client::system::Events;
use onggi_model::Filters;
use tokio::task::JoinHandle;

use super::ls::FORMAT_HELP;
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::cli::is_terminal;
use crate::columns::stats::{COLUMNS, DEFAULT, Usage};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::format::List;
use crate::format::rows::Options;
use crate::text::short_id;

/// Between two tables.
const PERIOD: Duration = Duration::from_millis(500);
/// Without news for so long, nothing is known of a container.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "all",
        "Show all containers, not only those that run",
    ),
    value(None, "format", "string", FORMAT_HELP),
    switch(None, "no-stream", "Show one table, and end"),
    switch(None, "no-trunc", "Show everything at full length"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Show what containers use, live",
    flags: &[FLAGS],
    arity: Arity::AtLeast(0),
    complete: &[Complete::Running],
    ..command(&["container stats", "stats"], run)
};

/// The containers that are shown, in order.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    usage: Usage,
    error: Option<Error>,
    /// The task that keeps it up to date.
    task: Option<JoinHandle<()>>,
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> Vec<Usage> {
        self.lock()
            .iter()
            .map(|entry| entry.usage.clone())
            .collect()
    }

    /// Changes the entry of a container that is still shown.
    fn change(&self, container: &str, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.lock();
        if let Some(entry) = entries.iter_mut().find(|e| e.usage.container == container) {
            change(entry);
        }
    }

    /// Shows a container from now on; the task ends after one document, or never.
    fn add(&self, client: &Client, container: &str, stream: bool) {
        let mut entries = self.lock();
        if entries.iter().any(|e| e.usage.container == container) {
            return;
        }
        let (shown, client, name) = (self.clone(), client.clone(), container.to_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = shown.collect(&client, &name, stream).await {
                shown.change(&name, |entry| {
                    entry.usage.unknown = true;
                    entry.error = Some(error);
                });
            }
        });
        entries.push(Entry {
            usage: Usage {
                container: container.to_owned(),
                ..Usage::default()
            },
            error: None,
            task: Some(task),
        });
    }

    fn remove(&self, container: &str) {
        self.lock().retain(|entry| {
            let gone = entry.usage.container == container;
            if gone && let Some(task) = &entry.task {
                task.abort();
            }
            !gone
        });
    }

    async fn collect(&self, client: &Client, name: &str, stream: bool) -> Result<()> {
        let mut values = client.container_stats(name, stream).await?;
        loop {
            let next = tokio::time::timeout(PATIENCE, values.next::<Stats>()).await;
            match next {
                Ok(Ok(Some(stats))) => {
                    let usage = Usage::of(name, &stats);
                    self.change(name, |entry| entry.usage = usage);
                    if !stream {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => {
                    self.change(name, |entry| entry.usage.unknown = true);
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => self.change(name, |entry| {
                    entry.usage = Usage {
                        container: entry.usage.container.clone(),
                        name: entry.usage.name.clone(),
                        id: entry.usage.id.clone(),
                        unknown: true,
                        ..Usage::default()
                    };
                }),
            }
        }
    }

    /// Until every container has something to show, or has failed.
    async fn first(&self) {
        loop {
            let waiting = self.lock().iter().any(|entry| {
                entry.usage.id.is_empty() && entry.error.is_none() && !entry.usage.unknown
            });
            if !waiting {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    show(cli, matches, &matches.args, Filters::default())
}

/// Shows these containers, or without any those that fit the filters, by the flags of `stats`.
pub(crate) fn show(
    cli: &mut Cli,
    matches: &Matches,
    names: &[String],
    filters: Filters,
) -> Result<u8> {
    let options = Options {
        no_trunc: matches.on("no-trunc"),
        ..Options::default()
    };
    let rows = List {
        columns: COLUMNS,
        type_name: "*container.statsContext",
        default: DEFAULT.to_owned(),
        raw: None,
        options: &options,
    };
    let mut format = matches.text("format").to_owned();
    if format.is_empty() {
        format = cli.settings.file.stats_format.clone();
    }
    // What cannot be printed is told before anything is asked.
    rows.render(&format, &[])?;
    let client = cli.client()?;
    let (stream, all) = (!matches.on("no-stream"), matches.on("all"));
    let shown = Shown::default();
    let mut watcher = None;
    if names.is_empty() {
        let wanted = Wanted {
            all,
            filters: filters.clone(),
            ..Wanted::default()
        };
        let listed = async {
            if stream {
                watcher = Some(watch(&client, &shown, all, filters).await?);
            }
            for container in client.container_list(&wanted).await? {
                shown.add(&client, short_id(&container.id), stream);
            }
            shown.first().await;
            Ok::<(), Error>(())
        };
        cli.block_on(listed)??;
    } else {
        cli.block_on(async {
            for name in names {
                shown.add(&client, name, stream);
            }
            shown.first().await;
        })?;
        let errors: Vec<String> = shown
            .lock()
            .iter()
            .filter_map(|entry| Some(entry.error.as_ref()?.message.clone()))
            .collect();
        if !errors.is_empty() {
            return Err(Error::new(errors.join("\n")));
        }
    }
    let live = stream && is_terminal(std::io::stdout());
    if live {
        cli.print("\x1b[2J")?;
    }
    loop {
        let text = rows.render(&format, &shown.rows())?;
        cli.print(&if live { over_the_last(&text) } else { text })?;
        cli.flush()?;
        if !stream || watcher.as_ref().is_some_and(JoinHandle::is_finished) {
            return Ok(0);
        }
        let ended = |entry: &Entry| entry.task.as_ref().is_some_and(JoinHandle::is_finished);
        if watcher.is_none() && shown.lock().iter().all(ended) {
            return Ok(0);
        }
        cli.block_on(async { tokio::time::sleep(PERIOD).await })?;
    }
}

/// From the corner, each line cleared to its end, and what is left below.
fn over_the_last(text: &str) -> String {
    let lines = text.replace('\n', "\x1b[K\n");
    format!("\x1b[H{lines}\x1b[J")
}

/// Follows containers as they come and go; ends with the daemon.
async fn watch(
    client: &Client,
    shown: &Shown,
    all: bool,
    mut filters: Filters,
) -> Result<JoinHandle<()>> {
    filters.add("type", "container");
    let events = Events {
        filters,
        ..Events::default()
    };
    let mut events = client.events(&events).await?;
    let (client, shown) = (client.clone(), shown.clone());
    Ok(tokio::spawn(async move {
        while let Ok(Some(event)) = events.next::<Message>().await {
            let id = short_id(&event.actor.id);
            match event.action.as_str() {
                "start" => shown.add(&client, id, true),
                "create" if all => shown.add(&client, id, true),
                "die" if !all => shown.remove(id),
                "destroy" => shown.remove(id),
                _ => {}
            }
        }
    }))
}

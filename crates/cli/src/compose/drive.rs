//! Commands of the library carried out, with their progress on standard error.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onggi_client::Client;
use onggi_client::container::Logs;
use onggi_compose::execute::{Thing, Word};
use onggi_compose::plan::Act;
use onggi_compose::{Compose, Event, Failure};
use onggi_model::units::human_size_with_precision;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::builder::Builder;
use super::show::{Mode, Progress, Standing, mode};
use crate::Cli;
use crate::error::{Error, Result};
use crate::stream::output::Demux;

/// Between two pages.
const PACE: Duration = Duration::from_millis(100);

/// How many of the last lines of a container are shown when it fails.
const LAST: &str = "10";

/// How a command is carried out.
#[derive(Clone, Debug, Default)]
pub(super) struct Manner {
    /// `Running`, over the progress.
    pub(super) title: &'static str,
    /// Say nothing of how far pulls are.
    pub(super) quiet_pull: bool,
    /// Say nothing of builds.
    pub(super) quiet_build: bool,
    /// Say nothing at all.
    pub(super) quiet: bool,
}

impl Manner {
    pub(super) fn titled(title: &'static str) -> Self {
        Manner {
            title,
            ..Manner::default()
        }
    }
}

/// Carries out a command and shows how it does.
pub(super) fn drive<T>(
    cli: &mut Cli,
    manner: Manner,
    work: impl AsyncFnOnce(&Compose<'_>) -> std::result::Result<T, Failure>,
) -> Result<T> {
    let client = cli.client()?;
    let limit = cli.environment.get("COMPOSE_PARALLEL_LIMIT");
    let limit = limit.and_then(|text| text.parse().ok());
    let parallel = cli.group.int("parallel").or(limit);
    let mode = match manner.quiet {
        true => Mode::Quiet,
        false => mode(cli),
    };
    let hidden = Arc::new(AtomicBool::new(false));
    let builder = Builder::of(
        cli,
        manner.quiet_build || manner.quiet,
        mode,
        hidden.clone(),
    );
    let mut page = Page::new(mode, &manner, hidden);
    let outcome = cli.block_on(async {
        let (sender, mut events) = unbounded_channel();
        let compose = Compose {
            client: &client,
            host: &builder,
            events: Some(sender),
            parallel: parallel.and_then(|limit| usize::try_from(limit).ok()),
        };
        // A build takes these signals for itself, and leaves them taken.
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::terminate())?;
        let mut pace = tokio::time::interval(PACE);
        let mut work = std::pin::pin!(work(&compose));
        let outcome = loop {
            tokio::select! {
                biased;
                Some(event) = events.recv() => page.event(&event)?,
                outcome = &mut work => break outcome,
                _ = interrupted.recv() => return Err(Error::silent(130)),
                _ = ended.recv() => return Err(Error::silent(143)),
                _ = pace.tick() => page.draw()?,
            }
        };
        while let Ok(event) = events.try_recv() {
            page.event(&event)?;
        }
        page.draw()?;
        Ok::<_, Error>(outcome)
    })??;
    match outcome {
        Ok(done) => Ok(done),
        Err(failure) => {
            let targets = ended(&failure);
            cli.block_on(last_words(&client, &targets))??;
            Err(Error::new(failure.to_string()))
        }
    }
}

/// The containers that a failure is about.
fn ended(failure: &Failure) -> Vec<String> {
    let Failure::Operations(failed) = failure else {
        return Vec::new();
    };
    let names = failed.iter().flat_map(|one| match &one.act {
        Act::Await { targets, .. } => targets.iter().map(|one| one.name.clone()).collect(),
        Act::Start { target } => vec![target.name.clone()],
        _ => Vec::new(),
    });
    names.collect()
}

/// Shows the last lines of those of these containers that have ended badly.
pub(super) async fn last_words(client: &Client, names: &[String]) -> Result<()> {
    for name in names {
        // A container that is not there any more has nothing to say.
        let Ok(found) = client.container_inspect(name, false).await else {
            continue;
        };
        let state = &found["State"];
        let code = state["ExitCode"].as_i64().unwrap_or_default();
        if state["Running"] == true || state["Status"] == "created" || code == 0 {
            continue;
        }
        let logs = Logs {
            tail: LAST.to_owned(),
            ..Logs::default()
        };
        let mut text = format!("{name} exited with code {code}\n");
        let mut demux = Demux::new(found["Config"]["Tty"] == true);
        // A log that cannot be read is no second failure.
        if let Ok(mut response) = client.container_logs(name, &logs).await {
            let mut lines = Vec::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                for (_, bytes) in demux.feed(&chunk)? {
                    lines.extend_from_slice(&bytes);
                }
            }
            for line in String::from_utf8_lossy(&lines).lines() {
                text.push_str(&format!("{name}  | {line}\n"));
            }
        }
        eprint(&text)?;
    }
    Ok(())
}

fn eprint(text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut stderr = std::io::stderr().lock();
    stderr
        .write_all(text.as_bytes())
        .map_err(|error| crate::cli::pipe(&error))
}

/// What happens, as lines.
pub(super) struct Page {
    progress: Progress,
    quiet_pull: bool,
    plain: bool,
    /// A build has the terminal for itself.
    hidden: Arc<AtomicBool>,
    was_hidden: bool,
    /// How far the parts of images are.
    parts: BTreeMap<String, BTreeMap<String, (u64, u64)>>,
}

impl Page {
    pub(super) fn new(mode: Mode, manner: &Manner, hidden: Arc<AtomicBool>) -> Self {
        Page {
            progress: Progress::new(mode, manner.title),
            quiet_pull: manner.quiet_pull,
            plain: !matches!(mode, Mode::Terminal(..)),
            hidden,
            was_hidden: false,
            parts: BTreeMap::new(),
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Result<()> {
        let id = format!("{} {}", event.thing.as_str(), event.name);
        let word = event.word.as_str();
        let mut text = word.to_owned();
        if event.thing == Thing::Image && event.word == Word::Pulling {
            match &event.progress {
                Some(_) if self.quiet_pull || self.plain => return Ok(()),
                Some(progress) => {
                    let parts = self.parts.entry(event.name.clone()).or_default();
                    let (current, total) = parts.entry(progress.part.clone()).or_default();
                    if progress.total > 0 {
                        (*current, *total) = (progress.current, progress.total);
                    }
                    let sum = |pick: fn(&(u64, u64)) -> u64| parts.values().map(pick).sum::<u64>();
                    let size = |bytes: u64| human_size_with_precision(bytes as f64, 3);
                    let (current, total) = (sum(|part| part.0), sum(|part| part.1));
                    if total > 0 {
                        text = format!("{word} {} / {}", size(current), size(total));
                    }
                }
                None if !event.text.is_empty() => return Ok(()),
                None => {}
            }
        }
        let standing = match event.word {
            Word::Error => Standing::Error,
            Word::Warning => Standing::Warning,
            word if word.is_last() => Standing::Done,
            _ => Standing::Working,
        };
        if matches!(standing, Standing::Error | Standing::Warning) {
            text = format!("{word} {}", event.text);
        }
        self.settle();
        self.progress.tell(&id, &text, standing)
    }

    pub(super) fn draw(&mut self) -> Result<()> {
        self.settle();
        self.progress.draw()
    }

    /// Takes what was drawn away, so that other lines can be printed.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.progress.clear()
    }

    /// Draws nothing while a build does, and below it afterwards.
    fn settle(&mut self) {
        let hidden = self.hidden.load(Ordering::Relaxed);
        if hidden != self.was_hidden {
            self.was_hidden = hidden;
            self.progress.hide(hidden);
        }
    }
}

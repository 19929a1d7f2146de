//! `up` with what the containers write, until they have ended or the user stops them: once for a graceful end, twice to
//! kill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use onggi_api::stream::Stream;
use onggi_client::container::Logs;
use onggi_compose::command::{Kill, Stop, Up};
use onggi_compose::plan::{Act, Plan};
use onggi_compose::{Application, Compose, Failure, Known};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use super::builder::Builder;
use super::containers::short_name;
use super::drive::{Manner, Page};
use super::logs::{Follow, News, Screen};
use super::show::mode;
use crate::Cli;
use crate::error::{Error, Result};

/// Between two pages of progress.
const PACE: Duration = Duration::from_millis(100);

/// So long the last lines of containers that have ended are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// When everything is stopped because one container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abort {
    Never,
    OnExit,
    OnFailure,
}

/// What is brought up, and how it is shown.
pub(super) struct Attached<'a> {
    pub(super) application: &'a Application,
    pub(super) options: &'a Up,
    pub(super) manner: Manner,
    /// The services that come up.
    pub(super) wanted: Vec<String>,
    /// Those of them whose lines are not shown.
    pub(super) mute: Vec<String>,
    pub(super) timestamps: bool,
    pub(super) abort: Abort,
    /// The service whose exit code is ours.
    pub(super) code_from: Option<String>,
    pub(super) screen: Screen,
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Containers are made and started.
    Starting,
    /// They run.
    Running,
    /// They are stopped, because the user or a container wants it.
    Stopping,
}

type Work<'a> = Pin<Box<dyn Future<Output = std::result::Result<Plan, Failure>> + 'a>>;

/// Brings it up and stays; the exit code is that of `up`.
pub(super) fn attached(cli: &mut Cli, mut job: Attached<'_>) -> Result<u8> {
    let client = cli.client()?;
    let mode = mode(cli);
    let hidden = Arc::new(AtomicBool::new(false));
    let builder = Builder::of(cli, job.manner.quiet_build, mode, hidden.clone());
    let parallel = cli.group.int("parallel");
    let mut page = Page::new(mode, &job.manner, hidden);
    let known = Known::files(job.application);
    let services: Vec<String> = job.wanted.clone();
    cli.flush()?;
    cli.block_on(async {
        let mut found = onggi_compose::containers(&client, known.name).await?;
        found.retain(|one| {
            let shown = job.wanted.contains(&one.service) && !job.mute.contains(&one.service);
            shown && !one.oneoff && one.state.runs()
        });
        attaching(&mut job)?;
        let running: Vec<String> = found.iter().map(short_name).collect();
        for name in &running {
            job.screen.announce(name);
        }
        let follow = Follow {
            project: known.name.to_owned(),
            services: job.wanted.clone(),
            mute: job.mute.clone(),
            index: 0,
            logs: Logs {
                follow: true,
                timestamps: job.timestamps,
                tail: "0".to_owned(),
                ..Logs::default()
            },
        };
        // Before anything is started, so that nothing is missed.
        let mut flow = follow.start(&client, found).await?;
        let (sender, mut events) = unbounded_channel();
        let compose = Compose {
            client: &client,
            host: &builder,
            events: Some(sender),
            parallel: parallel.and_then(|limit| usize::try_from(limit).ok()),
        };
        let stop = |timeout| -> Work<'_> {
            let services = services.clone();
            let compose = &compose;
            Box::pin(async move { compose.stop(known, &Stop { services, timeout }).await })
        };
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::terminate())?;
        let mut pace = tokio::time::interval(PACE);
        let mut work: Option<Work<'_>> = Some(Box::pin(compose.up(job.application, job.options)));
        let mut phase = Phase::Starting;
        let mut asked = 0;
        let mut codes: BTreeMap<String, u8> = BTreeMap::new();
        let mut first = None;
        // Containers that were started and of which the daemon has not told yet.
        let (mut started, mut awaited) = (BTreeSet::new(), BTreeSet::new());
        // Those that have not ended yet, as far as it was told.
        let mut alive: BTreeSet<String> = running.into_iter().collect();
        loop {
            let mut settled = false;
            tokio::select! {
                biased;
                Some(event) = events.recv() => page.event(&event)?,
                outcome = async { match &mut work { Some(work) => work.await, None => std::future::pending().await } } => {
                    work = None;
                    match (phase, outcome) {
                        (Phase::Starting, Ok(plan)) => {
                            phase = Phase::Running;
                            awaited = starts(&plan);
                        }
                        (Phase::Starting, Err(failure)) => {
                            drain(&mut flow, &mut job.screen, &mut page, &mut codes, Duration::from_millis(500)).await?;
                            return Err(Error::new(failure.to_string()));
                        }
                        (_, outcome) => {
                            while let Ok(event) = events.try_recv() {
                                page.event(&event)?;
                            }
                            drain(&mut flow, &mut job.screen, &mut page, &mut codes, PATIENCE).await?;
                            outcome.map_err(|failure| Error::new(failure.to_string()))?;
                            return Ok(match (asked, &job.code_from) {
                                (1.., _) => 130,
                                (_, Some(service)) => codes.get(service).copied().unwrap_or_default(),
                                (_, None) => first.unwrap_or_default(),
                            });
                        }
                    }
                    settled = true;
                }
                _ = interrupted.recv() => asked += 1,
                _ = ended.recv() => asked += 1,
                news = flow.next() => {
                    let Some(news) = news? else {
                        return Err(Error::new("the daemon went away"));
                    };
                    if let News::Started { name } = &news {
                        started.insert(name.clone());
                        let service = name.rsplit_once('-').map_or("", |(service, _)| service);
                        if !job.mute.iter().any(|one| one == service) {
                            alive.insert(name.clone());
                        }
                    }
                    settled = !matches!(news, News::Wrote { .. });
                    if let News::Ended { name, service, code } = &news {
                        let code = (code & 0xff) as u8;
                        codes.insert(service.clone(), code);
                        alive.remove(name);
                        let aborts = match job.abort {
                            Abort::Never => false,
                            Abort::OnExit => true,
                            Abort::OnFailure => code != 0,
                        };
                        if aborts && phase != Phase::Stopping {
                            first = Some(code);
                            phase = Phase::Stopping;
                            show(&mut page, &[], "Aborting on container exit...\n")?;
                            work = Some(stop(job.options.timeout));
                        }
                    }
                    tell(&mut job.screen, &mut page, news)?;
                }
                _ = pace.tick() => page.draw()?,
            }
            if asked == 1 && phase != Phase::Stopping {
                phase = Phase::Stopping;
                show(&mut page, &[], "Gracefully stopping... (press Ctrl+C again to force)\n")?;
                work = Some(stop(job.options.timeout));
            } else if asked == 2 {
                asked = 3;
                let kill = Kill { services: services.clone(), ..Kill::default() };
                let compose = &compose;
                work = Some(Box::pin(async move { compose.kill(known, &kill).await }));
            }
            if settled
                && phase == Phase::Running
                && awaited.is_subset(&started)
                && alive.is_empty()
                && flow.is_idle()
                && !flow.any_runs().await?
            {
                while let Ok(event) = events.try_recv() {
                    page.event(&event)?;
                }
                drain(&mut flow, &mut job.screen, &mut page, &mut codes, Duration::ZERO).await?;
                return Ok(0);
            }
        }
    })?
}

/// The containers that a plan started, by their short names.
fn starts(plan: &Plan) -> BTreeSet<String> {
    let acts = plan.operations.iter().map(|operation| &operation.act);
    let targets = acts.filter_map(|act| match act {
        Act::Start { target } | Act::Replace { target, .. } => Some(target),
        _ => None,
    });
    targets
        .map(|target| format!("{}-{}", target.service, target.number))
        .collect()
}

/// Says whose lines will be shown.
fn attaching(job: &mut Attached<'_>) -> Result<()> {
    let mut names = Vec::new();
    for service in job.wanted.iter().filter(|name| !job.mute.contains(name)) {
        let Some(service) = job.application.services.get(service) else {
            continue;
        };
        let scaled = job.options.scale.get(&service.name).copied();
        for number in 1..=scaled.unwrap_or_else(|| service.replicas()) {
            names.push(format!("{}-{number}", service.name));
        }
    }
    for name in &names {
        job.screen.announce(name);
    }
    let text = format!("Attaching to {}\n", names.join(", "));
    write(&[(Stream::Stdout, Bytes::from(text))])
}

/// Shows the lines of containers that have ended until their streams have, or for so long.
async fn drain(
    flow: &mut super::logs::Flow,
    screen: &mut Screen,
    page: &mut Page,
    codes: &mut BTreeMap<String, u8>,
    limit: Duration,
) -> Result<()> {
    let until = tokio::time::Instant::now() + limit;
    while !flow.is_idle() {
        let Ok(news) = tokio::time::timeout_at(until, flow.next()).await else {
            break;
        };
        match news? {
            Some(news) => {
                if let News::Ended { service, code, .. } = &news {
                    codes.insert(service.clone(), (code & 0xff) as u8);
                }
                tell(screen, page, news)?;
            }
            None => break,
        }
    }
    page.draw()
}

fn tell(screen: &mut Screen, page: &mut Page, news: News) -> Result<()> {
    match news {
        News::Wrote {
            name,
            stream,
            bytes,
        } => show(page, &screen.feed(&name, stream, &bytes), ""),
        News::Silent { name } => show(page, &screen.finish(&name), ""),
        News::Started { name, .. } => {
            screen.announce(&name);
            Ok(())
        }
        News::Ended { name, code, .. } => {
            let text = format!("{} exited with code {code}\n", screen.painted(&name));
            show(page, &[(Stream::Stdout, Bytes::from(text))], "")
        }
    }
}

/// Prints lines above the progress, and a word of our own on standard error.
fn show(page: &mut Page, lines: &[(Stream, Bytes)], own: &str) -> Result<()> {
    if lines.is_empty() && own.is_empty() {
        return Ok(());
    }
    page.clear()?;
    write(lines)?;
    if !own.is_empty() {
        write(&[(Stream::Stderr, Bytes::from(own.to_owned()))])?;
    }
    Ok(())
}

fn write(lines: &[(Stream, Bytes)]) -> Result<()> {
    for (stream, bytes) in lines {
        let written = match stream {
            Stream::Stderr => std::io::stderr().lock().write_all(bytes),
            _ => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
        };
        written.map_err(|error| crate::cli::pipe(&error))?;
    }
    Ok(())
}

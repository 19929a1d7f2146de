//! Sending a build and following it to its end, in one of three ways: step by step, as lines, or in silence.

use std::io::Write;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use onggi_api::stream::Message;
use onggi_client::{Build, Client, Values};
use onggi_model::units::human_size;

use super::body::{Body, Count};
use super::classic;
use super::progress::{Display, End, Event, Vertex};
use super::session::{self, Session};
use crate::cli::{is_terminal, pipe};
use crate::error::{Error, Result};
use crate::stream::progress::Show;

/// Between two looks at how far it is.
const PACE: Duration = Duration::from_millis(100);
/// The step that is ours: no daemon counts so far.
const CONTEXT: u64 = u64::MAX;

/// How a build is followed.
pub(super) enum Way {
    /// Step by step, on standard error.
    Steps {
        display: Box<Display>,
        began: Instant,
    },
    /// Line by line; on standard error where standard output is for the result.
    Lines { to_stderr: bool },
    /// The ID alone.
    Quiet,
    /// Nothing, unless it fails.
    Silent,
}

/// What is built with, and the way it goes.
pub(super) enum Context {
    /// The daemon has what it needs.
    Nothing,
    /// The body of the request.
    Body(Body),
    /// A session with our own daemon.
    Session(Box<session::Content>),
}

/// What the daemon says.
pub(super) enum Messages {
    /// In the answer.
    Answer(Values),
    /// In the session.
    Session(Session),
}

impl Messages {
    /// The next one; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Message>> {
        match self {
            Messages::Answer(values) => Ok(values.next().await?),
            Messages::Session(session) => session.next().await,
        }
    }
}

impl Way {
    /// Writes what is left to show. Called once, however the build ended.
    pub(super) fn end(&mut self, end: End) {
        if let Way::Steps { display, began } = self {
            let text = display.end(began.elapsed(), end);
            // A terminal that went away has seen enough.
            let _ = write(&mut std::io::stderr(), &text);
        }
    }
}

/// Sends a build and follows it; gives the image's ID.
///
/// # Errors
/// Why there is no image.
pub(super) async fn follow(
    client: &Client,
    build: &Build,
    context: Context,
    way: &mut Way,
) -> Result<Option<String>> {
    match way {
        Way::Steps { display, began } => steps(client, build, context, display, *began).await,
        Way::Lines { to_stderr: false } => {
            lines(
                client,
                build,
                context,
                &mut std::io::stdout(),
                is_terminal(std::io::stdout()),
            )
            .await
        }
        Way::Lines { to_stderr: true } => {
            lines(
                client,
                build,
                context,
                &mut std::io::stderr(),
                is_terminal(std::io::stderr()),
            )
            .await
        }
        Way::Quiet => quiet(client, build, context, &mut std::io::stdout()).await,
        Way::Silent => quiet(client, build, context, &mut std::io::sink()).await,
    }
}

/// Sends it; the answer begins when the daemon has something to say.
async fn send(
    client: &Client,
    build: &Build,
    context: Context,
    mut tick: impl FnMut(&Count, bool),
) -> Result<Messages> {
    let body = match context {
        Context::Nothing => return Ok(Messages::Answer(client.build(build, None).await?.values())),
        Context::Session(content) => {
            let mut session = session::begin(client, build, *content).await?;
            let mut pace = tokio::time::interval(PACE);
            let count = session.sent.clone();
            loop {
                tokio::select! {
                    () = session.told() => break,
                    _ = pace.tick() => tick(&count, false),
                }
            }
            tick(&count, true);
            return Ok(Messages::Session(session));
        }
        Context::Body(body) => body,
    };
    let count = body.sent.clone();
    let (pieces, packing) = body.split();
    let answer = {
        let mut work = std::pin::pin!(client.build(build, Some(pieces)));
        let mut pace = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                answer = &mut work => break answer,
                _ = pace.tick() => tick(&count, false),
            }
        }
    };
    tick(&count, true);
    let packed = match answer.is_err() || packing.is_finished() {
        true => Body::finish(packing),
        // A daemon that answers before all is sent may never take the rest.
        false => Ok(()),
    };
    match (answer, packed) {
        (Ok(answer), _) => Ok(Messages::Answer(answer.values())),
        // A daemon that refuses stops reading; what it says is the reason.
        (Err(error @ onggi_client::Error::Daemon { .. }), _) => Err(error.into()),
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error.into()),
    }
}

async fn lines(
    client: &Client,
    build: &Build,
    context: Context,
    out: &mut (dyn Write + Send),
    terminal: bool,
) -> Result<Option<String>> {
    let answer = send(client, build, context, |count, is_last| {
        if is_last || terminal {
            // What cannot be written now cannot be written later, where it is told.
            let _ = write(out, &classic::sending(count.value(), is_last));
        }
    });
    let mut values = answer.await?;
    let show = match terminal {
        true => Show::on(std::io::stdout()),
        false => Show::Plain,
    };
    classic::show(&mut values, show, out).await
}

async fn quiet(
    client: &Client,
    build: &Build,
    context: Context,
    out: &mut (dyn std::io::Write + Send),
) -> Result<Option<String>> {
    let mut values = send(client, build, context, |_, _| ()).await?;
    // What is said is of interest only when it fails.
    let mut said = Vec::new();
    let shown = classic::show(&mut values, Show::Plain, &mut said).await;
    let said = String::from_utf8_lossy(&said);
    match shown {
        Ok(id) => {
            write(out, &said)?;
            // Docker's daemon says it in no other way then.
            let said = said.trim();
            let is_id = said.starts_with("sha256:") && !said.contains(char::is_whitespace);
            Ok(id.or_else(|| is_id.then(|| said.to_owned())))
        }
        Err(error) => {
            write(&mut std::io::stderr(), &said)?;
            Err(error)
        }
    }
}

async fn steps(
    client: &Client,
    build: &Build,
    context: Context,
    display: &mut Display,
    began: Instant,
) -> Result<Option<String>> {
    let mut err = std::io::stderr();
    let started = Some(Timestamp::now());
    let mut sending = Vertex {
        n: CONTEXT,
        name: "[internal] load build context".to_owned(),
        started,
        ..Vertex::default()
    };
    if !matches!(context, Context::Nothing) {
        let text = display.event(Event::Vertex(sending.clone()), began.elapsed());
        write(&mut err, &text)?;
    }
    let answer = send(client, build, context, |count, is_last| {
        let size = human_size(count.value() as f64);
        let mut text = match display {
            Display::Tree(_) => display.event(
                Event::Status {
                    n: CONTEXT,
                    text: format!("transferring context: {size}"),
                },
                began.elapsed(),
            ),
            _ => String::new(),
        };
        if is_last {
            let status = Event::Status {
                n: CONTEXT,
                text: format!("transferring context: {size} done"),
            };
            text.push_str(&display.event(status, began.elapsed()));
            sending.completed = Some(Timestamp::now());
            text.push_str(&display.event(Event::Vertex(sending.clone()), began.elapsed()));
        }
        text.push_str(&display.tick(began.elapsed()));
        // As above.
        let _ = write(&mut err, &text);
    });
    let mut values = answer.await?;
    let mut pace = tokio::time::interval(PACE);
    let mut id = None;
    loop {
        let message = tokio::select! {
            message = values.next() => message?,
            _ = pace.tick() => {
                write(&mut std::io::stderr(), &display.tick(began.elapsed()))?;
                continue;
            }
        };
        let Some(message) = message else {
            return Ok(id);
        };
        if let Some(failure) = classic::failure(&message) {
            return Err(Error::new(failed(&failure.message)));
        }
        id = classic::image_id(&message).or(id);
        if let Some(event) = Event::read(&message) {
            let text = display.event(event, began.elapsed());
            write(&mut std::io::stderr(), &text)?;
        }
    }
}

/// The daemon's words as the last ones: the name of the step was shown with its output, the marked lines come first.
fn failed(message: &str) -> String {
    let message = match message
        .strip_prefix(" > ")
        .and_then(|rest| rest.split_once(":\n"))
    {
        Some((_, rest)) => rest,
        None => message,
    };
    const RULER: &str = "--------------------\n";
    let (marked, reason) = match message.rfind(RULER) {
        Some(at) => message.split_at(at + RULER.len()),
        None => ("", message),
    };
    format!("{marked}ERROR: failed to build: {reason}")
}

fn write(out: &mut (dyn Write + Send), text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| pipe(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_comes_last() {
        for (message, wanted) in [
            (
                "failed to solve: no",
                "ERROR: failed to build: failed to solve: no",
            ),
            (
                " > [2/2] RUN false:\nD:2\n--------------------\n   2 | >>> RUN false\n--------------------\nfailed to solve: no",
                "D:2\n--------------------\n   2 | >>> RUN false\n--------------------\nERROR: failed to build: failed to solve: no",
            ),
        ] {
            assert_eq!(failed(message), wanted);
        }
    }
}

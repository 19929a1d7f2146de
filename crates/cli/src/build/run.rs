//! `build`: makes an image of a Dockerfile.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use onggi_client::{Build, Client};
use onggi_model::Secret;
use tokio::signal::unix::{SignalKind, signal};

use super::body::{Body, Content, Count};
use super::classic;
use super::context;
use super::flags::FLAGS;
use super::request::{Asked, query};
use super::{named, secret};
use crate::Cli;
use crate::args::Matches;
use crate::args::flag::Complete;
use crate::cli::{is_terminal, pipe};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::stream::progress::Show;

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] PATH | URL | -",
    about: "Make an image of a Dockerfile",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Files],
    common: Some(2),
    ..command(&["image build", "build", "builder build"], run)
};

/// Between two looks at how much was sent.
const PACE: Duration = Duration::from_millis(100);

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    refuse(matches)?;
    let secrets = secret::secrets(matches, &cli.environment)?;
    let contexts = named::contexts(matches)?;
    let stdin = || Box::new(std::io::stdin()) as Box<dyn std::io::Read + Send>;
    let (source, input) = context::find(&matches.args[0], matches.text("file"), stdin)?;
    let iidfile = matches.one("iidfile").filter(|path| !path.is_empty());
    if let Some(path) = iidfile {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(path_error("remove", path, &error));
            }
            _ => {}
        }
    }
    let client = cli.client()?;
    let ping = cli.block_on(client.ping())??;
    let host = client.endpoint().to_string();
    let asked = Asked {
        matches,
        environment: &cli.environment,
        proxies: &cli.settings.file.proxy_environment(&host),
        contexts: &contexts,
        names: &[],
        is_onggi: ping.is_onggi(),
        is_experimental: ping.experimental,
        steps: false,
    };
    let parameters = query(&asked, &source)?;
    let content = Content {
        source,
        input,
        secrets,
        contexts,
        compress: matches.on("compress"),
    };
    let registries = registries(cli)?;
    let quiet = matches.on("quiet");
    cli.flush()?;
    let id = cli.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::terminate())?;
        let body = content.start();
        let build = Build {
            query: parameters,
            media_type: body
                .as_ref()
                .map_or("application/x-tar", |body| body.media_type),
            registries: registries.into_inner(),
        };
        // With the future goes the connection, by which the daemon knows.
        tokio::select! {
            id = classic(&client, &build, body, quiet) => id,
            _ = interrupted.recv() => Err(Error::silent(130)),
            _ = ended.recv() => Err(Error::silent(143)),
        }
    })??;
    if let Some(path) = iidfile {
        let Some(id) = &id else {
            return Err(Error::new(format!(
                "server did not provide an image ID. Cannot write {path}"
            )));
        };
        std::fs::write(path, id).map_err(|error| path_error("write", path, &error))?;
    }
    Ok(0)
}

/// Refuses what no daemon can do by this way.
fn refuse(matches: &Matches) -> Result<()> {
    crate::image::trust(matches)
}

/// Every login there is, by the registry's address, as the header `X-Registry-Config` wants them.
fn registries(cli: &mut Cli) -> Result<Secret<String>> {
    let (all, complaints) = cli.settings.file.all_credentials();
    for complaint in complaints {
        cli.complain(&format!(
            "WARNING: {}: going on without a login",
            complaint.message
        ))?;
    }
    let documents: serde_json::Map<String, serde_json::Value> = all
        .iter()
        .map(|login| {
            Ok((
                login.server.clone(),
                serde_json::to_value(login.document())?,
            ))
        })
        .collect::<std::result::Result<_, serde_json::Error>>()
        .map_err(|error| Error::new(error.to_string()))?;
    let text = serde_json::Value::Object(documents).to_string();
    Ok(Secret::new(
        base64::engine::general_purpose::URL_SAFE.encode(text),
    ))
}

/// Sends the context and prints the messages as they come; gives the image's ID.
async fn classic(
    client: &Client,
    build: &Build,
    body: Option<Body>,
    quiet: bool,
) -> Result<Option<String>> {
    let count = body.as_ref().map(|body| body.sent.clone());
    let (pieces, packing) = match body.map(Body::split) {
        Some((pieces, packing)) => (Some(pieces), Some(packing)),
        None => (None, None),
    };
    let answer = client.build(build, pieces);
    let answer = match count.filter(|_| !quiet) {
        Some(count) => counted(&count, answer).await,
        None => answer.await,
    };
    let packed = match packing {
        // A daemon that answers before all is sent may never take the rest.
        Some(packing) if answer.is_err() || packing.is_finished() => Body::finish(packing),
        _ => Ok(()),
    };
    let answer = match (answer, packed) {
        (Ok(answer), _) => answer,
        // A daemon that refuses stops reading; what it says is the reason.
        (Err(error @ onggi_client::Error::Daemon { .. }), _) => return Err(error.into()),
        (Err(_), Err(error)) => return Err(error),
        (Err(error), Ok(())) => return Err(error.into()),
    };
    let show = match is_terminal(std::io::stdout()) {
        true => Show::on(std::io::stdout()),
        false => Show::Plain,
    };
    let mut values = answer.values();
    if !quiet {
        return classic::show(&mut values, show, &mut std::io::stdout()).await;
    }
    // What was printed is of interest only when it fails.
    let mut printed = Vec::new();
    let shown = classic::show(&mut values, Show::Plain, &mut printed).await;
    match shown {
        Ok(id) => {
            std::io::stdout()
                .write_all(&printed)
                .map_err(|error| pipe(&error))?;
            Ok(id)
        }
        Err(error) => {
            std::io::stderr()
                .write_all(&printed)
                .map_err(|error| pipe(&error))?;
            Err(error)
        }
    }
}

/// Shows how much was sent while the daemon has not answered; on a terminal as it grows.
async fn counted<T>(count: &Count, work: impl Future<Output = T>) -> T {
    let terminal = is_terminal(std::io::stdout());
    let mut work = std::pin::pin!(work);
    let mut pace = tokio::time::interval(PACE);
    let say = |is_last| {
        let text = classic::sending(count.value(), is_last);
        // A terminal that went away stops nothing.
        let _ = std::io::stdout().write_all(text.as_bytes());
        let _ = std::io::stdout().flush();
    };
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = pace.tick(), if terminal => say(false),
        }
    };
    if count.value() > 0 {
        say(true);
    }
    done
}

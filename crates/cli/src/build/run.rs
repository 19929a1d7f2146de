//! `build`: makes an image of a Dockerfile.

use std::time::Instant;

use base64::Engine as _;
use onggi_client::{Build, Client};
use onggi_model::{ImageRef, Secret, csv};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::body;
use super::export::{Leftovers, export};
use super::flags::FLAGS;
use super::follow::{Context, Way, follow};
use super::output::{Output, names, outputs};
use super::progress::{Display, End, Plain, Raw, Tree};
use super::request::{Asked, query};
use super::{check, context, layout, named, secret, session, ssh};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Matches, parse};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::settings::Environment;
use crate::stream::progress::{self, Show};

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] PATH | URL | -",
    about: "Make an image of a Dockerfile",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Files],
    common: Some(2),
    ..command(&["image build", "build", "builder build"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    with(cli, matches, Way::Quiet, || Box::new(std::io::stdin()))
}

/// Builds by the words behind `build`; `-f -` is this Dockerfile.
pub(crate) fn build(cli: &mut Cli, words: &[String], dockerfile: Option<String>) -> Result<u8> {
    let matches = parse::parse(COMMAND.flags, COMMAND.positionals, words)
        .map_err(|error| Error::new(error.to_string()))?;
    if matches.args.len() != 1 {
        return Err(Error::new("a build has one context"));
    }
    let text = dockerfile.unwrap_or_default().into_bytes();
    with(cli, &matches, Way::Silent, || {
        Box::new(std::io::Cursor::new(text))
    })
}

fn with(
    cli: &mut Cli,
    matches: &Matches,
    quiet: Way,
    stdin: impl FnOnce() -> Box<dyn std::io::Read + Send>,
) -> Result<u8> {
    refuse(matches)?;
    let look = Look::of(matches, &cli.environment)?;
    let outputs = outputs(matches)?;
    let names = names(matches, &outputs);
    let is_pushed = |output: &Output| matches!(output, Output::Image { push: true, .. });
    let push = outputs.iter().any(is_pushed);
    if push && names.is_empty() {
        return Err(Error::new("tag is needed when pushing to registry"));
    }
    let secrets = secret::secrets(matches, &cli.environment)?;
    let agents = ssh::agents(matches, &cli.environment)?;
    let contexts = named::contexts(matches)?;
    let (source, input) = context::find(&matches.args[0], matches.text("file"), stdin)?;
    if matches.on("check") || matches.text("call") == "check" {
        return check::check(cli, matches, &source);
    }
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
    let asks_for_lines = look == Look::Auto
        && cli
            .environment
            .get("DOCKER_BUILDKIT")
            .is_some_and(|value| value == "0");
    let steps = ping.is_onggi() && look != Look::Quiet && !asks_for_lines;
    let host = client.endpoint().to_string();
    let asked = Asked {
        matches,
        environment: &cli.environment,
        proxies: &cli.settings.file.proxy_environment(&host),
        contexts: &contexts,
        names: &names,
        is_onggi: ping.is_onggi(),
        is_experimental: ping.experimental,
        steps,
        quiet: look == Look::Quiet,
    };
    let parameters = query(&asked, &source)?;
    let sent_as = source.sent_as();
    let is_local = |context: &named::Named| matches!(context.place, named::Place::Local(_));
    let caches = layout::directories(matches);
    let needs_session = !secrets.is_empty()
        || !agents.is_empty()
        || !caches.is_empty()
        || contexts.iter().any(is_local);
    let compress = matches.on("compress");
    // What is to be compressed is sent whole, as to any daemon.
    let told = (ping.is_onggi() && (needs_session || !compress)).then_some(&cli.environment);
    let told = told.cloned();
    let registries = registries(cli)?;
    let mut pushes = Vec::new();
    for name in names.iter().filter(|_| push) {
        let name = ImageRef::parse(name).map_err(|error| Error::new(error.to_string()))?;
        let auth = cli.registry_auth(name.domain())?;
        pushes.push((name, auth));
    }
    let to_stderr = outputs.iter().any(Output::is_stdout);
    let way = match steps {
        _ if look == Look::Quiet => quiet,
        false => Way::Lines { to_stderr },
        true => Way::Steps {
            display: Box::new(look.display()),
            began: Instant::now(),
        },
    };
    let job = Job {
        outputs,
        names,
        pushes,
        iidfile: iidfile.map(str::to_owned),
        metadata: matches.one("metadata-file").map(str::to_owned),
        sent_as,
        is_shown: look != Look::Quiet && !to_stderr,
    };
    cli.flush()?;
    cli.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::terminate())?;
        let context = match told {
            Some(environment) => Context::Session(Box::new(session::Content {
                source,
                input,
                secrets,
                contexts,
                agents,
                caches,
                environment,
            })),
            None => {
                let content = body::Content {
                    source,
                    input,
                    compress,
                };
                content.start().map_or(Context::Nothing, Context::Body)
            }
        };
        let build = Build {
            query: parameters,
            media_type: "application/x-tar",
            registries: registries.into_inner(),
        };
        let leftovers = Leftovers::default();
        // With the future goes the connection, by which the daemon knows.
        let done = tokio::select! {
            done = job.run(&client, &build, context, way, &leftovers) => done,
            _ = interrupted.recv() => Err(Error::silent(130)),
            _ = ended.recv() => Err(Error::silent(143)),
        };
        leftovers.clean(&client).await;
        done
    })??;
    Ok(0)
}

/// How the progress is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Auto,
    Plain,
    Tree,
    Raw,
    Quiet,
}

impl Look {
    fn of(matches: &Matches, environment: &Environment) -> Result<Look> {
        let usual = environment
            .get("BUILDKIT_PROGRESS")
            .map_or("", String::as_str);
        let look = match matches.one("progress").unwrap_or(usual) {
            _ if matches.on("quiet") => Look::Quiet,
            "" | "auto" => Look::Auto,
            "plain" => Look::Plain,
            "tty" => Look::Tree,
            "rawjson" => Look::Raw,
            "quiet" => Look::Quiet,
            other => {
                return Err(Error::new(format!(
                    "invalid progress {}: there are auto, plain, tty, rawjson and quiet",
                    crate::quote(other)
                )));
            }
        };
        match look == Look::Tree && !is_terminal(std::io::stderr()) {
            true => Err(Error::new(
                "--progress=tty needs a terminal on STDERR: use --progress=plain",
            )),
            false => Ok(look),
        }
    }

    fn display(self) -> Display {
        match self {
            Look::Raw => Display::Raw(Raw::default()),
            Look::Tree => Display::Tree(Tree::new(size)),
            Look::Auto if is_terminal(std::io::stderr()) => Display::Tree(Tree::new(size)),
            Look::Auto | Look::Plain | Look::Quiet => Display::Plain(Plain::new()),
        }
    }
}

/// Rows and columns of the terminal on standard error.
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Refuses what cannot be had, whatever the daemon.
fn refuse(matches: &Matches) -> Result<()> {
    crate::image::trust(matches)?;
    let builder = matches.text("builder");
    if !matches!(builder, "" | "default") {
        return Err(Error::new(format!(
            "no builder {} found: the daemon builds, and is the only builder; choose one with --context or --host",
            crate::quote(builder)
        )));
    }
    for right in matches.all("allow").flat_map(csv) {
        if right != "network.host" {
            return Err(Error::new(format!(
                "--allow {right} is not supported: RUN has the rights of a container; --privileged containers and \"commit\" give more"
            )));
        }
    }
    let is_off = |text: &str| matches!(text, "false" | "0" | "f" | "F" | "FALSE" | "False");
    let off = |text: &str| is_off(text) || csv(text).iter().any(|field| field == "disabled=true");
    for flag in ["attest", "provenance", "sbom"] {
        if let Some(text) = matches.all(flag).find(|text| !off(text)) {
            return Err(Error::new(format!(
                "--{flag} {text} is not supported: images carry no attestations; leave it out, or say {}",
                if flag == "attest" {
                    "disabled=true"
                } else {
                    "false"
                }
            )));
        }
    }
    Ok(())
}

/// Every login there is, by the registry's address, as the header `X-Registry-Config` wants them.
fn registries(cli: &mut Cli) -> Result<Secret<String>> {
    let (all, complaints) = cli.settings.file.all_credentials();
    for complaint in complaints {
        let why = complaint.message;
        cli.complain(&format!("WARNING: {why}: going on without a login"))?;
    }
    let documents: serde_json::Map<String, Value> = all
        .iter()
        .map(|login| {
            Ok((
                login.server.clone(),
                serde_json::to_value(login.document())?,
            ))
        })
        .collect::<std::result::Result<_, serde_json::Error>>()
        .map_err(|error| Error::new(error.to_string()))?;
    let text = Value::Object(documents).to_string();
    Ok(Secret::new(
        base64::engine::general_purpose::URL_SAFE.encode(text),
    ))
}

/// Draws it even where the build is dropped on its way.
struct LastFrame<'a> {
    way: &'a mut Way,
    end: End,
}

impl Drop for LastFrame<'_> {
    fn drop(&mut self) {
        self.way.end(self.end);
    }
}

/// What is done beside building.
struct Job {
    outputs: Vec<Output>,
    names: Vec<String>,
    /// Names to push, each with its login.
    pushes: Vec<(ImageRef, String)>,
    iidfile: Option<String>,
    metadata: Option<String>,
    /// What the Dockerfile is called on its way, and here.
    sent_as: Option<(String, String)>,
    /// Whether standard output is for messages.
    is_shown: bool,
}

impl Job {
    async fn run(
        &self,
        client: &Client,
        build: &Build,
        context: Context,
        mut way: Way,
        leftovers: &Leftovers,
    ) -> Result<()> {
        let mut last = LastFrame {
            way: &mut way,
            end: End::Cancelled,
        };
        let id = follow(client, build, context, last.way).await;
        last.end = match id {
            Ok(_) => End::Good,
            Err(_) => End::Failed,
        };
        drop(last);
        let id = id.map_err(|error| match &self.sent_as {
            Some((sent, here)) => Error {
                message: error.message.replace(sent, here),
                ..error
            },
            None => error,
        })?;
        let told = |path: &str| {
            id.clone().ok_or_else(|| {
                Error::new(format!(
                    "server did not provide an image ID. Cannot write {path}"
                ))
            })
        };
        if let Some(path) = &self.iidfile {
            let id = told(path)?;
            std::fs::write(path, id).map_err(|error| path_error("write", path, &error))?;
        }
        let keeps = |output: &Output| matches!(output, Output::Image { .. });
        for output in self.outputs.iter().filter(|output| !keeps(output)) {
            let id = told("the output")?;
            if !self.outputs.iter().any(keeps) {
                leftovers.image(&id);
            }
            export(client, output, &id, &self.names, leftovers).await?;
        }
        for (name, auth) in &self.pushes {
            let tag = name.tag().unwrap_or_default();
            let mut values = client
                .image_push(&name.familiar_name(), tag, "", auth)
                .await?;
            let show = match self.is_shown {
                true => Show::on(std::io::stdout()),
                false => Show::Nothing,
            };
            progress::show(&mut values, show, &mut std::io::stdout()).await?;
        }
        if let Some(path) = &self.metadata {
            let id = told(path)?;
            let found = client.image_inspect(&id, "").await?;
            let text = onggi_gotmpl::write_pretty(&metadata(&id, &found, &self.names), "  ");
            std::fs::write(path, text).map_err(|error| path_error("write", path, &error))?;
        }
        Ok(())
    }
}

/// What `--metadata-file` has of an image. Its manifest is known where the daemon keeps it, or it was pushed.
fn metadata(id: &str, found: &Value, names: &[String]) -> Value {
    let pushed = || Some(found["RepoDigests"][0].as_str()?.split_once('@')?.1);
    let digest = found["Descriptor"]["digest"]
        .as_str()
        .or_else(pushed)
        .unwrap_or(id);
    let mut fields = json!({
        "containerimage.config.digest": id,
        "containerimage.digest": digest,
    });
    let names = names.iter().filter_map(|name| ImageRef::parse(name).ok());
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    if !names.is_empty() {
        fields["image.name"] = names.join(",").into();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Positionals, parse::parse};

    fn matches(args: &str) -> Matches {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        parse(&[FLAGS], Positionals::Mixed, &args).expect("flags of build")
    }

    #[test]
    fn what_cannot_be_had_is_refused_with_its_reason() {
        for (args, wanted) in [
            ("--builder other", "no builder \"other\" found"),
            (
                "--allow security.insecure",
                "--allow security.insecure is not supported",
            ),
            ("--attest type=sbom", "--attest type=sbom is not supported"),
            (
                "--provenance mode=max",
                "--provenance mode=max is not supported",
            ),
            ("--sbom true", "--sbom true is not supported"),
            (
                "--disable-content-trust=false",
                "content trust is not supported",
            ),
        ] {
            let refused = refuse(&matches(args)).expect_err(args);
            assert!(
                refused.message.starts_with(wanted),
                "{args}: {}",
                refused.message
            );
        }
        for args in [
            "--builder default",
            "--allow network.host",
            "--attest type=sbom,disabled=true",
            "--provenance=false --sbom=false",
        ] {
            assert_eq!(refuse(&matches(args)), Ok(()), "{args}");
        }
    }

    #[test]
    fn the_look_is_said_by_flags_and_environment() {
        let environment: Environment =
            [("BUILDKIT_PROGRESS".to_owned(), "plain".to_owned())].into();
        for (args, wanted) in [
            ("", Look::Plain),
            ("--progress auto", Look::Auto),
            ("--progress rawjson", Look::Raw),
            ("--progress quiet", Look::Quiet),
            ("--progress plain -q", Look::Quiet),
        ] {
            assert_eq!(Look::of(&matches(args), &environment), Ok(wanted), "{args}");
        }
        let refused = Look::of(&matches("--progress fancy"), &environment);
        assert!(
            refused
                .expect_err("a look")
                .message
                .contains("invalid progress \"fancy\"")
        );
    }

    #[test]
    fn metadata_are_buildxs() {
        let names = ["a:1".to_owned(), "r.io/b".to_owned()];
        let kept = json!({"Descriptor": {"digest": "sha256:m"}, "RepoDigests": ["a@sha256:r"]});
        assert_eq!(
            metadata("sha256:c", &kept, &names),
            json!({
                "containerimage.config.digest": "sha256:c",
                "containerimage.digest": "sha256:m",
                "image.name": "docker.io/library/a:1,r.io/b:latest",
            })
        );
        let pushed = metadata("sha256:c", &json!({"RepoDigests": ["a@sha256:r"]}), &[]);
        assert_eq!(pushed["containerimage.digest"], "sha256:r");
        let alone = metadata("sha256:c", &json!({"RepoDigests": []}), &[]);
        assert_eq!(alone["containerimage.digest"], "sha256:c");
    }
}

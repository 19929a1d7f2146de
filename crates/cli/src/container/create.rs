//! `create`: makes a container, pulling its image when it is missing.

use std::io::Write as _;

use onggi_api::container::CreateResponse;
use onggi_client::Client;
use onggi_client::container::Create;
use onggi_model::ImageRef;

use super::{flags, request};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Matches, Positionals};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result, path_error};
use crate::stream::progress::Show;
use crate::stream::terminal;

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Make a container without starting it",
    flags: &[flags::CREATE],
    positionals: Positionals::Last,
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images, Complete::Nothing],
    ..command(&["container create", "create"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let help = |error: Error, cli: &Cli| Error {
        message: format!(
            "{}: {}\n\nRun '{0} create --help' for more information",
            cli.program, error.message
        ),
        code: 125,
    };
    check_pull(matches).map_err(|error| help(error, cli))?;
    let client = cli.client()?;
    let version = cli.block_on(client.version())??;
    let request = prepare(cli, matches, version).map_err(|error| help(error, cli))?;
    let made = create(cli, &client, matches, request)?;
    cli.line(&made.id)?;
    Ok(0)
}

/// Refuses unknown values of `--pull`, and signatures, which nobody checks.
pub(crate) fn check_pull(matches: &Matches) -> Result<()> {
    crate::image::trust(matches)?;
    match matches.one("pull") {
        None | Some("always" | "missing" | "never" | "") => Ok(()),
        Some(other) => Err(Error::new(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

/// Docker's daemon would take `--on-unhealthy` and pass over it: then it is refused here.
pub(crate) fn check_on_unhealthy(cli: &mut Cli, client: &Client, matches: &Matches) -> Result<()> {
    if matches!(matches.text("on-unhealthy"), "" | "no") {
        return Ok(());
    }
    let server = cli.block_on(client.server_version())??;
    if server.platform.name == "onggi" {
        return Ok(());
    }
    Err(Error::new(
        "--on-unhealthy: this daemon is not onggi's and would ignore it; use --restart and let the container end itself",
    ))
}

/// What the flags ask for, with what the CLI adds on its own: proxies, the terminal's size, the daemon's socket.
pub(crate) fn prepare(
    cli: &Cli,
    matches: &Matches,
    version: onggi_client::Version,
) -> Result<Create> {
    let mut create_request = request::create_request(matches, &cli.environment, version)?;
    let host = match &cli.settings.endpoint {
        Ok(endpoint) => endpoint.to_string(),
        Err(_) => String::new(),
    };
    let env = create_request.config.env.get_or_insert_default();
    let given: Vec<String> = env
        .iter()
        .map(|entry| entry.split('=').next().unwrap_or_default().to_owned())
        .collect();
    let proxies = cli.settings.file.proxy_environment(&host);
    env.extend(
        proxies
            .into_iter()
            .filter(|(name, _)| !given.contains(name))
            .map(|(name, value)| format!("{name}={value}")),
    );
    if env.is_empty() {
        create_request.config.env = None;
    }
    if matches.on("use-api-socket") {
        socket(cli, &mut create_request)?;
    }
    if let Some(host) = &mut create_request.host_config
        && create_request.config.tty
        && let Some((rows, columns)) = terminal::size()
    {
        host.console_size = [u32::from(rows), u32::from(columns)];
    }
    Ok(Create {
        name: matches.text("name").to_owned(),
        platform: matches.text("platform").to_owned(),
        request: create_request,
    })
}

/// Gives the container the daemon's socket. Logins stay here: they would have to be copied into the container.
fn socket(cli: &Cli, request: &mut onggi_api::container::CreateRequest) -> Result<()> {
    let Ok(onggi_client::Endpoint::Unix(path)) = &cli.settings.endpoint else {
        return Err(Error::new(
            "flag --use-api-socket can't be used with a remote daemon",
        ));
    };
    if !cli.settings.file.auths.is_empty() {
        return Err(Error::new(
            "flag --use-api-socket: handing registry logins to a container is not supported; log out first, or use -v",
        ));
    }
    let host = request.host_config.get_or_insert_default();
    host.binds
        .get_or_insert_default()
        .push(format!("{}:/var/run/docker.sock", path.display()));
    Ok(())
}

/// Makes the container: pulls first or when the image is missing, writes the ID to `--cidfile`, prints warnings.
pub(crate) fn create(
    cli: &mut Cli,
    client: &Client,
    matches: &Matches,
    mut create: Create,
) -> Result<CreateResponse> {
    check_on_unhealthy(cli, client, matches)?;
    let cidfile = matches.one("cidfile").filter(|path| !path.is_empty());
    let mut file = match cidfile {
        None => None,
        Some(path) => match std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
        {
            Ok(file) => Some((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::new(format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                )));
            }
            Err(error) => {
                let open = path_error("open", path, &error).message;
                return Err(Error::new(format!(
                    "failed to create the container ID file: {open}"
                )));
            }
        },
    };
    let made = attempt(cli, client, matches, &mut create);
    match (&made, &mut file) {
        (Ok(made), Some((path, file))) => file.write_all(made.id.as_bytes()).map_err(|error| {
            Error::new(format!(
                "failed to write the container ID ({}) to file: {}",
                made.id,
                path_error("write", path, &error).message
            ))
        })?,
        (Err(_), Some((path, _))) => {
            // An empty file would keep the next attempt from working.
            let _ = std::fs::remove_file(path);
        }
        _ => {}
    }
    let made = made?;
    for warning in &made.warnings {
        cli.complain(&format!("WARNING: {warning}"))?;
    }
    Ok(made)
}

fn attempt(
    cli: &mut Cli,
    client: &Client,
    matches: &Matches,
    create: &mut Create,
) -> Result<CreateResponse> {
    let image = create.request.config.image.clone();
    let reference = if onggi_model::is_hex(&image) && image.len() == 64 {
        None
    } else {
        let parsed = ImageRef::parse(&image).map_err(|error| Error::new(error.to_string()))?;
        Some(parsed)
    };
    let localhost = create
        .request
        .host_config
        .as_ref()
        .is_some_and(|host| host.dns.iter().flatten().any(|ip| ip.starts_with("127.")));
    if localhost {
        cli.complain("WARNING: Localhost DNS setting (--dns=127.0.0.1) may fail in containers.")?;
    }
    if !create.platform.is_empty() {
        onggi_model::Platform::parse(&create.platform).map_err(|error| {
            Error::new(format!(
                "error parsing specified platform: {error}: invalid argument"
            ))
        })?;
    }
    let policy = matches.one("pull").unwrap_or("missing");
    let quiet = matches.on("quiet");
    if policy == "always" {
        pull(cli, client, reference.as_ref(), &create.platform, quiet)?;
    }
    match cli.block_on(client.container_create(create))? {
        Err(error)
            if error.is_not_found()
                && policy == "missing"
                && reference.is_some()
                && names_image(&error) =>
        {
            let Some(reference) = &reference else {
                return Err(error.into());
            };
            if !quiet {
                cli.complain(&format!(
                    "Unable to find image '{}' locally",
                    reference.familiar()
                ))?;
            }
            pull(cli, client, Some(reference), &create.platform, quiet)?;
            Ok(cli.block_on(client.container_create(create))??)
        }
        other => Ok(other?),
    }
}

/// Whether what was not found is the image, and not a container or network that the request names.
fn names_image(error: &onggi_client::Error) -> bool {
    let message = error.message().to_lowercase();
    message.contains("no such image") || message.contains("does not match the specified platform")
}

fn pull(
    cli: &mut Cli,
    client: &Client,
    reference: Option<&ImageRef>,
    platform: &str,
    quiet: bool,
) -> Result<()> {
    let Some(reference) = reference else {
        return Ok(());
    };
    let show = if quiet {
        Show::Nothing
    } else {
        Show::on(std::io::stderr())
    };
    cli.flush()?;
    crate::image::pull::pull(
        cli,
        client,
        reference,
        reference_tag(reference),
        platform,
        show,
        &mut std::io::stderr(),
    )
}

/// The tag or digest to ask the registry for.
pub(crate) fn reference_tag(reference: &ImageRef) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => String::new(),
    }
}

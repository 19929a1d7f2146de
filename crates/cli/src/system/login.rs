//! `login`: tries a user and password at a registry, and keeps them.

use std::io::{BufRead as _, Read as _};

use onggi_model::Secret;

use crate::Cli;
use crate::args::{Flag, Matches, switch, value};
use crate::cli::is_terminal;
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::settings::credentials::{Credentials, DOCKER_HUB};
use crate::stream::terminal::Hidden;

const FLAGS: &[Flag] = &[
    value(
        Some('p'),
        "password",
        "string",
        "Password or token; others on this machine may see it",
    ),
    switch(None, "password-stdin", "Read the password from STDIN"),
    value(Some('u'), "username", "string", "User name"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] [SERVER]",
    about: "Log in to a registry",
    flags: &[FLAGS],
    arity: Arity::AtMost(1),
    common: Some(7),
    ..command(&["login"], run)
};

/// The address that a login is kept under: what was typed, without its scheme.
pub(crate) fn server(matches: &Matches) -> String {
    let Some(given) = matches.args.first() else {
        return DOCKER_HUB.to_owned();
    };
    let bare = given
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    match bare.split('/').next().unwrap_or_default() {
        "" | "docker.io" | "index.docker.io" => DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    }
}

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let server = server(matches);
    for flag in ["username", "password"] {
        if matches.one(flag).is_some_and(str::is_empty) {
            return Err(Error::new(format!("{flag} is empty")));
        }
    }
    let mut login = Credentials {
        server: server.clone(),
        username: matches.text("username").trim().to_owned(),
        password: Secret::new(matches.text("password").to_owned()),
        ..Credentials::default()
    };
    if !login.password.expose().is_empty() {
        if matches.on("password-stdin") {
            return Err(Error::new(
                "conflicting options: cannot specify both --password and --password-stdin",
            ));
        }
        cli.complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")?;
    }
    if matches.on("password-stdin") {
        if login.username.is_empty() {
            return Err(Error::new(
                "the --password-stdin option requires --username to be set",
            ));
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        login.password = Secret::new(text.strip_suffix('\r').unwrap_or(text).to_owned());
    }
    let kept = cli.settings.file.credentials(&server)?;
    let wants = login.username.is_empty() && login.password.expose().is_empty();
    if let Some(kept) = kept
        .as_ref()
        .filter(|kept| wants && !kept.username.is_empty())
    {
        cli.line(&format!(
            "Authenticating with existing credentials... [Username: {}]",
            kept.username
        ))?;
        match attempt(cli, kept.clone())? {
            Ok(()) => return Ok(0),
            Err(error) => cli.complain(&format!("Login did not succeed, error: {error}"))?,
        }
    }
    ask(cli, &mut login, kept.map(|kept| kept.username))?;
    attempt(cli, login)?.map_err(Error::from)?;
    Ok(0)
}

/// Asks for what was not given.
fn ask(cli: &mut Cli, login: &mut Credentials, known: Option<String>) -> Result<()> {
    if !login.username.is_empty() && !login.password.expose().is_empty() {
        return Ok(());
    }
    if !is_terminal(std::io::stdin()) {
        return Err(Error::new(
            "Error: Cannot perform an interactive login from a non TTY device",
        ));
    }
    let line = |cli: &mut Cli, question: &str| -> Result<String> {
        cli.print(question)?;
        cli.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    };
    if login.username.is_empty() {
        let known = known.unwrap_or_default();
        let question = match known.is_empty() {
            true => "Username: ".to_owned(),
            false => format!("Username ({known}): "),
        };
        login.username = line(cli, &question)?;
        if login.username.is_empty() {
            login.username = known;
        }
        if login.username.is_empty() {
            return Err(Error::new("Error: Non-null Username Required"));
        }
    }
    if login.password.expose().is_empty() {
        let hidden = Hidden::enter();
        login.password = Secret::new(line(cli, "Password: ")?);
        drop(hidden);
        cli.line("")?;
        if login.password.expose().is_empty() {
            return Err(Error::new("Error: Password Required"));
        }
    }
    Ok(())
}

/// Tries a login, and keeps it where it is good.
fn attempt(cli: &mut Cli, mut login: Credentials) -> Result<onggi_client::Result<()>> {
    let client = cli.client()?;
    let reply = match cli.block_on(client.login(&login.document()))? {
        Ok(reply) => reply,
        Err(error) => return Ok(Err(error)),
    };
    if !reply.identity_token.expose().is_empty() {
        login.identity_token = reply.identity_token;
        login.password = Secret::default();
    }
    let path = cli.settings.directory.join("config.json");
    if cli.settings.file.keep(&path, &login)? {
        let text = format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
            path.display()
        );
        cli.complain(&text)?;
    }
    cli.line(&reply.status)?;
    Ok(Ok(()))
}

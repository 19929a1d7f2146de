//! `exec`: runs a command in a running container.

use onggi_api::exec::{CreateRequest, StartRequest};
use onggi_client::{Client, Version};

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, Positionals, check, list, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::session::{self, End, Streams};
use crate::stream::{signals, terminal};

/// Those of every command that runs one inside.
pub(crate) const PRIVILEGED: Flag = switch(
    None,
    "privileged",
    "Give the command every privilege of root on the host",
);
pub(crate) const USER: Flag = value(
    Some('u'),
    "user",
    "string",
    "User, by name or number (<name|uid>[:<group|gid>])",
);
pub(crate) const WORKDIR: Flag = value(
    Some('w'),
    "workdir",
    "string",
    "Directory the command runs in",
);

const FLAGS: &[Flag] = &[
    switch(Some('d'), "detach", "Run the command in the background"),
    value(
        None,
        "detach-keys",
        "string",
        "Keys that detach from the command",
    ),
    list(
        Some('e'),
        "env",
        "list",
        "Set a variable of the environment",
    )
    .checked(check::env),
    list(
        None,
        "env-file",
        "list",
        "Read variables of the environment from a file",
    )
    .completed(Complete::Files),
    switch(
        Some('i'),
        "interactive",
        "Keep STDIN open even if nobody is attached",
    ),
    PRIVILEGED,
    switch(Some('t'), "tty", "Give the command a terminal"),
    USER,
    WORKDIR,
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Run a command in a running container",
    flags: &[FLAGS],
    positionals: Positionals::Last,
    arity: Arity::AtLeast(2),
    complete: &[Complete::Running, Complete::Nothing],
    common: Some(1),
    ..command(&["container exec", "exec"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let (container, command) = matches
        .args
        .split_first()
        .ok_or_else(|| Error::new("a container is needed"))?;
    let detach = matches.on("detach");
    let tty = matches.on("tty");
    let attach = !detach;
    let size = if tty { terminal::size() } else { None };
    let console_size = size.map(|(rows, columns)| [u32::from(rows), u32::from(columns)]);
    let detach_keys = cli.detach_keys(matches.text("detach-keys"));
    let env = super::request::environment_of(matches, &cli.environment)?;
    let request = CreateRequest {
        user: matches.text("user").to_owned(),
        privileged: matches.on("privileged"),
        tty,
        console_size: console_size.filter(|_| attach),
        attach_stdin: attach && matches.on("interactive"),
        attach_stderr: attach,
        attach_stdout: attach,
        detach_keys,
        env: Some(env).filter(|env| !env.is_empty()),
        working_dir: matches.text("workdir").to_owned(),
        cmd: Some(command.to_vec()),
    };
    let client = cli.client()?;
    cli.block_on(exec(&client, container, request, detach))?
}

/// Runs a command in a container, our streams on it unless `detach`; the exit code is the command's.
pub(crate) async fn exec(
    client: &Client,
    container: &str,
    mut request: CreateRequest,
    detach: bool,
) -> Result<u8> {
    if client.version().await? < Version(1, 42) {
        request.console_size = None;
    }
    // Asked first for the sake of the error: a container that is not there is told before a terminal that is not.
    client.container_inspect(container, false).await?;
    if !detach && request.attach_stdin && request.tty && !crate::cli::is_terminal(std::io::stdin())
    {
        return Err(Error::new("the input device is not a TTY"));
    }
    let id = client.exec_create(container, &request).await?;
    let start = StartRequest {
        detach,
        tty: request.tty,
        console_size: request.console_size,
    };
    if detach {
        client.exec_start(&id, &start).await?;
        return Ok(0);
    }
    let connection = client.exec_attach(&id, &start).await?;
    let resizing = if request.tty && crate::cli::is_terminal(std::io::stdin()) {
        Some(signals::resize(client, signals::Tty::Exec(id.clone()))?)
    } else {
        None
    };
    let streams = Streams {
        stdin: request.attach_stdin,
        output: true,
        tty: request.tty,
        detach_keys: request.detach_keys.clone(),
        caught: false,
    };
    let end = session::run(connection, streams).await?;
    drop(resizing);
    if end == End::Detached {
        return Err(Error::new("read escape sequence"));
    }
    // A daemon that is gone by now cannot tell how it ended.
    match client.exec_inspect(&id).await {
        Ok(inspect) => Ok((inspect.exit_code.unwrap_or(0) & 0xff) as u8),
        Err(error) if error.is_connection() => Ok(255),
        Err(error) => Err(error.into()),
    }
}

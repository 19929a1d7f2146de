//! `attach`: our terminal to a running container.

use onggi_client::Client;
use onggi_client::container::Attach;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::session::{self, End, Streams};
use crate::stream::{signals, terminal};

const FLAGS: &[Flag] = &[
    value(
        None,
        "detach-keys",
        "string",
        "Keys that detach from the container",
    ),
    switch(None, "no-stdin", "Do not pass standard input on"),
    switch(None, "sig-proxy", "Pass signals on to the container").default("true"),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER",
    about: "Attach standard input, output and error to a running container",
    flags: &[FLAGS],
    arity: Arity::Exactly(1),
    complete: &[Complete::Running],
    ..command(&["container attach", "attach"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let client = cli.client()?;
    let keys = cli.detach_keys(matches.text("detach-keys"));
    let stdin = !matches.on("no-stdin");
    let proxy = matches.on_or("sig-proxy", true);
    cli.block_on(attach(&client, &matches.args[0], stdin, proxy, keys))?
}

/// Our streams on a running container's until it ends; the exit code is its own.
pub(crate) async fn attach(
    client: &Client,
    name: &str,
    stdin: bool,
    proxy: bool,
    detach_keys: String,
) -> Result<u8> {
    let container = client.container_inspect(name, false).await?;
    let state = |field: &str| container["State"][field].as_bool().unwrap_or(false);
    if !state("Running") {
        return Err(Error::new(
            "You cannot attach to a stopped container, start it first",
        ));
    }
    if state("Paused") {
        return Err(Error::new(
            "You cannot attach to a paused container, unpause it first",
        ));
    }
    if state("Restarting") {
        return Err(Error::new(
            "You cannot attach to a restarting container, wait until it is running",
        ));
    }
    let id = container["Id"].as_str().unwrap_or(name).to_owned();
    let tty = container["Config"]["Tty"].as_bool().unwrap_or(false);
    let opens = container["Config"]["OpenStdin"].as_bool().unwrap_or(false);
    let stdin = stdin && opens;
    if stdin && tty && !crate::cli::is_terminal(std::io::stdin()) {
        return Err(Error::new("the input device is not a TTY"));
    }
    let _signals = if proxy && !tty {
        Some(signals::forward(client, &id)?)
    } else {
        None
    };
    let waiting = client
        .container_wait(&id, onggi_api::container::WaitCondition::NotRunning)
        .await?;
    let options = Attach {
        stdin,
        stdout: true,
        stderr: true,
        detach_keys: detach_keys.clone(),
    };
    let connection = client.container_attach(&id, &options).await?;
    // A container that ended in the meantime gives no more output, and nobody would tell.
    let resizing = if tty && terminal::size().is_some() {
        nudge(client, &id).await;
        Some(signals::resize(
            client,
            signals::Tty::Container(id.clone()),
        )?)
    } else {
        None
    };
    let end = session::run(
        connection,
        Streams {
            stdin,
            output: true,
            tty,
            detach_keys,
            caught: proxy && !tty,
        },
    )
    .await?;
    drop(resizing);
    if end == End::Detached {
        return Err(Error::new("read escape sequence"));
    }
    super::run::exit_code(&waiting.json().await?)
}

/// Makes the terminal one row higher for a moment, so that a full-screen program draws itself anew.
async fn nudge(client: &Client, id: &str) {
    if let Some((rows, columns)) = terminal::size() {
        // The container may be gone, which the session finds out.
        let _ = client
            .container_resize(id, rows.saturating_add(1), columns.saturating_add(1))
            .await;
    }
}

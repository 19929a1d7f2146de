//! `start`: starts containers; with `-a` or `-i` attaches to the one.

use onggi_api::container::WaitCondition;
use onggi_client::Client;
use onggi_client::container::Attach;

use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Flag, Matches, switch, value};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::session::{self, End, Streams};
use crate::stream::signals;

const FLAGS: &[Flag] = &[
    switch(
        Some('a'),
        "attach",
        "Show what the container writes and pass signals on",
    ),
    value(
        None,
        "checkpoint",
        "string",
        "Checkpoint to start from (not supported yet: refused)",
    ),
    value(
        None,
        "checkpoint-dir",
        "string",
        "Directory of checkpoints (not supported yet: refused)",
    ),
    value(
        None,
        "detach-keys",
        "string",
        "Keys that detach from the container",
    ),
    switch(
        Some('i'),
        "interactive",
        "Pass standard input on to the container",
    ),
];

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start containers that do not run",
    flags: &[FLAGS],
    arity: Arity::AtLeast(1),
    complete: &[Complete::Containers],
    ..command(&["container start", "start"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    for flag in ["checkpoint", "checkpoint-dir"] {
        if matches.given(flag) {
            return Err(Error::new(format!(
                "\"--{flag}\" is only supported on a Docker daemon with experimental features enabled"
            )));
        }
    }
    let client = cli.client()?;
    let interactive = matches.on("interactive");
    if matches.on("attach") || interactive {
        let [name] = matches.args.as_slice() else {
            return Err(Error::new(
                "you cannot start and attach multiple containers at once",
            ));
        };
        let keys = cli.detach_keys(matches.text("detach-keys"));
        return cli.block_on(attach(&client, name, interactive, keys))?;
    }
    let mut failed = Vec::new();
    for name in &matches.args {
        match cli.block_on(client.container_start(name))? {
            Ok(()) => {
                cli.line(name)?;
                cli.flush()?;
            }
            Err(error) => {
                cli.complain(&error.to_string())?;
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Error::new(format!(
        "Error: failed to start containers: {}",
        failed.join(", ")
    )))
}

async fn attach(client: &Client, name: &str, interactive: bool, detach_keys: String) -> Result<u8> {
    let container = client.container_inspect(name, false).await?;
    let id = container["Id"].as_str().unwrap_or(name).to_owned();
    let tty = container["Config"]["Tty"].as_bool().unwrap_or(false);
    let removes = container["HostConfig"]["AutoRemove"]
        .as_bool()
        .unwrap_or(false);
    let opens = container["Config"]["OpenStdin"].as_bool().unwrap_or(false);
    let _signals = if tty {
        None
    } else {
        Some(signals::forward(client, &id)?)
    };
    let stdin = interactive && opens;
    let options = Attach {
        stdin,
        stdout: true,
        stderr: true,
        detach_keys: detach_keys.clone(),
    };
    let connection = client.container_attach(&id, &options).await?;
    let condition = if removes {
        WaitCondition::Removed
    } else {
        WaitCondition::NextExit
    };
    let waiting = client.container_wait(&id, condition).await?;
    let session = session::run(
        connection,
        Streams {
            stdin,
            output: true,
            tty,
            detach_keys,
            caught: !tty,
        },
    );
    tokio::pin!(session);
    let mut ended = None;
    {
        let start = client.container_start(&id);
        tokio::pin!(start);
        loop {
            tokio::select! {
                started = &mut start => { started?; break }
                end = &mut session, if ended.is_none() => ended = Some(end),
            }
        }
    }
    let resizing = if tty {
        Some(signals::resize(
            client,
            signals::Tty::Container(id.clone()),
        )?)
    } else {
        None
    };
    let end = match ended {
        Some(end) => end?,
        None => session.await?,
    };
    drop(resizing);
    if end == End::Detached {
        return Ok(0);
    }
    super::run::exit_code(&waiting.json().await?)
}

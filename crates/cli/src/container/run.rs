//! `run`: create, attach, wait, start, in this order, so that no output and no exit is missed.

use onggi_api::container::{WaitCondition, WaitResponse};
use onggi_client::Client;
use onggi_client::container::Attach;

use super::{create, flags};
use crate::Cli;
use crate::args::flag::Complete;
use crate::args::{Matches, Positionals};
use crate::command::{Arity, Command, command};
use crate::error::{Error, Result};
use crate::stream::session::{self, End, Streams};
use crate::stream::signals;

pub(crate) const COMMAND: Command = Command {
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Make a container from an image and start it",
    flags: &[flags::CREATE, flags::RUN],
    positionals: Positionals::Last,
    arity: Arity::AtLeast(1),
    complete: &[Complete::Images, Complete::Nothing],
    common: Some(0),
    ..command(&["container run", "run"], run)
};

fn run(cli: &mut Cli, matches: &Matches) -> Result<u8> {
    let program = cli.program.clone();
    let help = |error: Error| failed(&program, error);
    // What the flags themselves get wrong is always our failure, whatever the text says.
    let ours = |error: Error| help(error).with_code(125);
    create::check_pull(matches).map_err(ours)?;
    let client = cli.client()?;
    let version = match cli.block_on(client.version())? {
        Ok(version) => version,
        Err(error) => return Err(help(error.into())),
    };
    let mut wanted = create::prepare(cli, matches, version).map_err(ours)?;
    let detach = matches.on("detach");
    let config = &mut wanted.request.config;
    if detach {
        if matches.given("attach") {
            return Err(Error::new(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        config.attach_stdin = false;
        config.attach_stdout = false;
        config.attach_stderr = false;
        config.stdin_once = false;
    } else if config.attach_stdin && config.tty && !crate::cli::is_terminal(std::io::stdin()) {
        return Err(Error::new("the input device is not a TTY"));
    }
    let attach = Attach {
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        detach_keys: cli.detach_keys(matches.text("detach-keys")),
    };
    let options = Options {
        tty: config.tty,
        remove: matches.on("rm"),
        detach,
        sig_proxy: matches.on_or("sig-proxy", true),
        attach,
    };
    let made = create::create(cli, &client, matches, wanted).map_err(help)?;
    if !options.attach.stdout && !options.attach.stderr {
        cli.line(&made.id)?;
        // The ID is of use before the container ends.
        if !detach {
            cli.flush()?;
        }
    }
    let outcome = cli.block_on(follow(&client, &made.id, &options))?;
    if outcome.is_err() && detach {
        cli.flush()?;
    }
    outcome.map_err(|error| {
        if error.code == START {
            help(error)
        } else {
            error
        }
    })
}

/// Marks an error of the start itself, which is told with a hint and a code of its own.
pub(crate) const START: u8 = 255;

/// How a container that was made is run.
pub(crate) struct Options {
    pub(crate) tty: bool,
    /// It is removed when it ends.
    pub(crate) remove: bool,
    pub(crate) detach: bool,
    pub(crate) sig_proxy: bool,
    pub(crate) attach: Attach,
}

/// Starts a container that was made, our streams on it; the exit code is its own.
pub(crate) async fn follow(client: &Client, id: &str, options: &Options) -> Result<u8> {
    let start_error = |error: Error| error.with_code(START);
    let signals = if options.sig_proxy && !options.detach {
        Some(signals::forward(client, id)?)
    } else {
        None
    };
    let attached = options.attach.stdin || options.attach.stdout || options.attach.stderr;
    if !attached {
        client
            .container_start(id)
            .await
            .map_err(|error| start_error(error.into()))?;
        drop(signals);
        return if options.detach {
            Ok(0)
        } else {
            exit_code(&client.container_wait_exit(id).await?)
        };
    }
    let connection = client.container_attach(id, &options.attach).await?;
    let condition = if options.remove {
        WaitCondition::Removed
    } else {
        WaitCondition::NextExit
    };
    let waiting = client.container_wait(id, condition).await?;
    let streams = Streams {
        stdin: options.attach.stdin,
        output: options.attach.stdout || options.attach.stderr,
        tty: options.tty,
        detach_keys: options.attach.detach_keys.clone(),
        caught: options.sig_proxy,
    };
    let wait = async { Ok::<WaitResponse, Error>(waiting.json().await?) };
    let session = session::run(connection, streams);
    let start = async {
        client
            .container_start(id)
            .await
            .map_err(|error| start_error(error.into()))?;
        if options.tty {
            let tty = signals::Tty::Container(id.to_owned());
            return Ok::<_, Error>(Some(signals::resize(client, tty)?));
        }
        Ok(None)
    };
    tokio::pin!(session, wait, start);
    // Streams flow while the start is under way: the container may need its input to come up.
    let mut ended = None;
    let resizing = loop {
        tokio::select! {
            started = &mut start => match started {
                Ok(resizing) => break resizing,
                Err(error) => {
                    if options.remove {
                        // Whoever looks afterwards expects it to be gone.
                        let _ = (&mut wait).await;
                    }
                    return Err(error);
                }
            },
            end = &mut session, if ended.is_none() => ended = Some(end),
        }
    };
    let status = if options.attach.stdout || options.attach.stderr {
        let end = match ended {
            Some(end) => end?,
            None => (&mut session).await?,
        };
        drop(resizing);
        if end == End::Detached {
            return Ok(0);
        }
        wait.await?
    } else {
        // Nothing is shown, but what is typed goes on to the container until it ends.
        loop {
            tokio::select! {
                status = &mut wait => break status?,
                end = &mut session, if ended.is_none() => {
                    if matches!(end, Ok(End::Detached)) {
                        return Ok(0);
                    }
                    ended = Some(end);
                }
            }
        }
    };
    drop(signals);
    exit_code(&status)
}

/// The exit code of the container, or the daemon's reason why there is none.
pub(crate) fn exit_code(status: &WaitResponse) -> Result<u8> {
    if let Some(error) = &status.error
        && !error.message.is_empty()
    {
        return Err(
            Error::new(format!("Error waiting for container: {}", error.message)).with_code(125),
        );
    }
    Ok((status.status_code & 0xff) as u8)
}

/// The error of `run`: with the program before it and a hint behind; the code tells who failed.
pub(crate) fn failed(program: &str, error: Error) -> Error {
    let text = &error.message;
    let code = if text.contains("executable file not found")
        || text.contains("no such file or directory")
        || text.contains("system cannot find the file specified")
    {
        127
    } else if text.contains("permission denied") || text.contains("is a directory") {
        126
    } else {
        125
    };
    Error {
        message: format!("{program}: {text}\n\nRun '{program} run --help' for more information"),
        code,
    }
}

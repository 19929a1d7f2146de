//! `system dial-stdio`: a connection to the daemon on standard input and output; the far end of `ssh://`.

use crate::Cli;
use crate::args::Matches;
use crate::command::{Command, command};
use crate::error::{Error, Result};
use crate::stream::session::{self, Streams};

pub(crate) const COMMAND: Command = Command {
    about: "Connect standard input and output with the daemon, for ssh",
    hidden: true,
    ..command(&["system dial-stdio"], run)
};

fn run(cli: &mut Cli, _: &Matches) -> Result<u8> {
    let client = cli.client()?;
    cli.block_on(async {
        let connection = client.dial().await.map_err(|error| {
            Error::new(format!("failed to open the raw stream connection: {error}"))
        })?;
        let streams = Streams {
            stdin: true,
            output: true,
            ..Streams::default()
        };
        session::run(connection, streams).await.map(|_| 0)
    })?
}

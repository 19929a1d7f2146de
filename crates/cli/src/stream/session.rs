//! An attached container or exec: our streams to its, until it ends or the user detaches.

use onggi_client::Hijacked;

use super::escape::{Keys, Watch};
use super::output::{Demux, Output};
use super::stdin;
use super::terminal::Raw;
use crate::error::{Error, Result};

/// What flows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    /// Stdout or stderr or both.
    pub(crate) output: bool,
    /// The other side is a terminal: no frames, raw mode here, keys that detach.
    pub(crate) tty: bool,
    pub(crate) detach_keys: String,
    /// Signals are caught and passed on. For Docker, that one about broken pipes too: then it says what it could not
    /// write, and does not end by the signal.
    pub(crate) caught: bool,
}

/// How a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side closed.
    Closed,
    /// The user pressed the keys.
    Detached,
}

/// Carries bytes both ways until the other side closes or the user detaches.
pub(crate) async fn run(connection: Hijacked, streams: Streams) -> Result<End> {
    // Keys that cannot be read are the default ones, as for Docker.
    let keys = Keys::parse(&streams.detach_keys)
        .or_else(|_| Keys::parse(""))
        .map_err(Error::new)?;
    let raw = if streams.tty && streams.stdin {
        Raw::enter()
    } else {
        None
    };
    let framed = connection.multiplexed().unwrap_or(!streams.tty);
    let (mut from, mut to) = connection.split();
    let output = Output::open()?;
    let receive = async {
        let mut demux = Demux::new(!framed);
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            if from.read(&mut buffer).await? == 0 {
                return Ok::<End, Error>(End::Closed);
            }
            for (stream, bytes) in demux.feed(&buffer)? {
                if output.write(stream, bytes).await.is_err() {
                    return Ok(End::Closed);
                }
            }
        }
    };
    let send = async {
        if streams.stdin {
            let mut input = stdin::read();
            let mut watch = streams.tty.then(|| Watch::new(keys));
            while let Some(bytes) = input.recv().await {
                let (bytes, detached) = match &mut watch {
                    Some(watch) => watch.feed(&bytes),
                    None => (bytes.to_vec(), false),
                };
                // A container that does not read any more still writes: go on with its output.
                if !bytes.is_empty() && to.write(&bytes).await.is_err() {
                    break;
                }
                if detached {
                    return End::Detached;
                }
            }
        }
        // What cannot be closed is closed already.
        let _ = to.close().await;
        End::Closed
    };
    let end = {
        tokio::pin!(receive, send);
        tokio::select! {
            end = &mut receive => end,
            end = &mut send => match end {
                End::Closed if streams.output => receive.await,
                end => Ok(end),
            },
        }
    };
    let written = output.finish(streams.caught).await;
    // Not before all is written: a terminal in its usual mode would put a carriage return before every line's end.
    drop(raw);
    let end = end?;
    written?;
    Ok(end)
}

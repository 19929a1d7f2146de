//! Stdout and stderr, written in the order of arrival by a thread of its own: a slow reader of our output must not keep
//! our input from flowing.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use bytes::Bytes;
use onggi_api::stream::{Frames, Stream};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

/// A way to stdout and stderr.
pub(crate) struct Output {
    sender: mpsc::Sender<(Stream, Bytes)>,
    done: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    /// Opens both.
    pub(crate) fn open() -> Result<Self> {
        let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut err = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let (sender, mut receiver) = mpsc::channel::<(Stream, Bytes)>(16);
        let (finish, done) = oneshot::channel();
        std::thread::spawn(move || {
            let mut result = Ok(());
            while let Some((stream, bytes)) = receiver.blocking_recv() {
                let target = if stream == Stream::Stderr {
                    &mut err
                } else {
                    &mut out
                };
                result = target.write_all(&bytes);
                if result.is_err() {
                    break;
                }
            }
            // Nobody may wait for the result any more.
            let _ = finish.send(result);
        });
        Ok(Output { sender, done })
    }

    /// Writes bytes to a stream. Fails when an earlier write failed; [`Output::finish`] tells why.
    pub(crate) async fn write(
        &self,
        stream: Stream,
        bytes: Bytes,
    ) -> std::result::Result<(), Gone> {
        self.sender.send((stream, bytes)).await.map_err(|_| Gone)
    }

    /// Waits until all is written.
    pub(crate) async fn finish(self) -> Result<()> {
        drop(self.sender);
        match self.done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(crate::cli::pipe(&error)),
            Err(_) => Err(Error::new("the writer of stdout died")),
        }
    }
}

/// The reader of our output went away.
#[derive(Debug)]
pub(crate) struct Gone;

/// Takes what the daemon sends apart: frames, or one raw stream.
pub(crate) enum Demux {
    Raw,
    Framed(Frames),
}

impl Demux {
    pub(crate) fn new(tty: bool) -> Self {
        if tty {
            Demux::Raw
        } else {
            Demux::Framed(Frames::new())
        }
    }

    /// Takes bytes as they came; gives the pieces for stdout and stderr. A frame of the daemon's own is an error.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<(Stream, Bytes)>> {
        match self {
            Demux::Raw => Ok(vec![(Stream::Stdout, Bytes::copy_from_slice(bytes))]),
            Demux::Framed(frames) => {
                frames.push(bytes);
                let mut pieces = Vec::new();
                while let Some((stream, piece)) = frames
                    .next()
                    .map_err(|error| Error::new(error.to_string()))?
                {
                    match stream {
                        Stream::System => {
                            return Err(Error::new(format!(
                                "error from daemon in stream: {}",
                                String::from_utf8_lossy(&piece)
                            )));
                        }
                        Stream::Stderr => pieces.push((Stream::Stderr, piece)),
                        Stream::Stdin | Stream::Stdout => pieces.push((Stream::Stdout, piece)),
                    }
                }
                Ok(pieces)
            }
        }
    }
}

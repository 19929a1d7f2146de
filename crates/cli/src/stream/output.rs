//! Stdout and stderr, written in the order of arrival by a thread of its own: a slow reader of our output must not keep
//! our input from flowing.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use bytes::{Bytes, BytesMut};
use onggi_api::stream::{Frames, Stream};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, path_error};

type Result<T, E = Error> = std::result::Result<T, E>;

/// A way to stdout and stderr.
pub(crate) struct Output {
    sender: mpsc::Sender<(Stream, Bytes)>,
    done: oneshot::Receiver<Result<(), (Stream, io::Error)>>,
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
                result = target.write_all(&bytes).map_err(|error| (stream, error));
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
    pub(crate) async fn write(&self, stream: Stream, bytes: Bytes) -> Result<(), Gone> {
        self.sender.send((stream, bytes)).await.map_err(|_| Gone)
    }

    /// Waits until all is written. A reader that went away is told only where the signal about it was `caught`.
    pub(crate) async fn finish(self, caught: bool) -> Result<()> {
        drop(self.sender);
        match self.done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((stream, error))) if caught && error.kind() == io::ErrorKind::BrokenPipe => {
                let path = match stream {
                    Stream::Stderr => "/dev/stderr",
                    _ => "/dev/stdout",
                };
                Err(path_error("write", path, &error))
            }
            Ok(Err((_, error))) => Err(crate::cli::pipe(&error)),
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

    /// Takes bytes as they came; gives the pieces for stdout and stderr, one for all that follows each other on the same
    /// stream: each is a write. A frame of the daemon's own is an error.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<(Stream, Bytes)>> {
        match self {
            Demux::Raw => Ok(vec![(Stream::Stdout, Bytes::copy_from_slice(bytes))]),
            Demux::Framed(frames) => {
                frames.push(bytes);
                let mut pieces: Vec<(Stream, BytesMut)> = Vec::new();
                while let Some((stream, piece)) = frames
                    .next()
                    .map_err(|error| Error::new(error.to_string()))?
                {
                    let stream = match stream {
                        Stream::System => {
                            return Err(Error::new(format!(
                                "error from daemon in stream: {}",
                                String::from_utf8_lossy(&piece)
                            )));
                        }
                        Stream::Stderr => Stream::Stderr,
                        Stream::Stdin | Stream::Stdout => Stream::Stdout,
                    };
                    match pieces.last_mut() {
                        Some((last, before)) if *last == stream => before.extend_from_slice(&piece),
                        _ => pieces.push((stream, BytesMut::from(&piece[..]))),
                    }
                }
                let whole = |(stream, piece): (Stream, BytesMut)| (stream, piece.freeze());
                Ok(pieces.into_iter().map(whole).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onggi_api::stream::header;

    #[test]
    fn what_follows_on_the_same_stream_is_one_piece() {
        let mut sent = Vec::new();
        for (stream, text) in [
            (Stream::Stdout, "one\n"),
            (Stream::Stdout, "two\n"),
            (Stream::Stderr, "three\n"),
            (Stream::Stdout, "four\n"),
        ] {
            sent.extend_from_slice(&header(stream, text.len()));
            sent.extend_from_slice(text.as_bytes());
        }
        // The last frame is cut: what there is of it is not held back.
        let (first, rest) = sent.split_at(sent.len() - 2);
        let mut demux = Demux::new(false);
        let pieces = demux.feed(first).expect("frames");
        let wanted = [
            (Stream::Stdout, "one\ntwo\n"),
            (Stream::Stderr, "three\n"),
            (Stream::Stdout, "fou"),
        ];
        assert_eq!(
            pieces,
            wanted.map(|(stream, text)| (stream, Bytes::from(text)))
        );
        let pieces = demux.feed(rest).expect("the rest");
        assert_eq!(pieces, [(Stream::Stdout, Bytes::from("r\n"))]);
    }
}

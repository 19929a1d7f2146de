//! The body of a build's request where the daemon is not our own: the tar of the context, made by a thread while it is
//! sent. Our own is told in a session ([`super::session`]).

use std::io::{self, BufRead, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use onggi_archive::{TarReader, TarWriter};
use tokio::sync::mpsc;

use super::context::{Directory, Input, Source};
use super::tree::{self, Tree, sent};
use crate::error::{Error, Result};

/// Pieces on their way.
const QUEUE: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 128 << 10;

/// What is sent.
pub(super) struct Body {
    pub(super) pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// Bytes sent so far.
    pub(super) sent: Count,
    packing: JoinHandle<Result<()>>,
}

/// A number that one thread counts and another shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What goes into it.
pub(super) struct Content {
    pub(super) source: Source,
    /// What is on standard input, for [`Source::Archive`].
    pub(super) input: Option<Input>,
    pub(super) compress: bool,
}

impl Content {
    /// Begins to pack. Nothing where there is nothing to send.
    pub(super) fn start(self) -> Option<Body> {
        if matches!(self.source, Source::Remote { .. }) {
            return None;
        }
        let (sender, pieces) = mpsc::channel(QUEUE);
        let sent = Count::default();
        let count = sent.clone();
        let packing = std::thread::spawn(move || {
            let sink = Sink {
                pieces: sender.clone(),
                count,
            };
            let packed = self.pack(sink);
            if packed.is_err() {
                // The request must not end as if all was there. A daemon that is gone needs not to hear it.
                let _ =
                    sender.blocking_send(Err(io::Error::other("the context could not be read")));
            }
            packed
        });
        Some(Body {
            pieces,
            sent,
            packing,
        })
    }

    fn pack(self, mut sink: Sink) -> Result<()> {
        match (self.source, self.input) {
            (Source::Archive { .. }, Some(mut input)) => {
                let mut buffered = BufWriter::with_capacity(PIECE, sink);
                let copied = io::copy(&mut input, &mut buffered).and_then(|_| buffered.flush());
                copied.map_err(Error::from)
            }
            (Source::Directory(directory), _) if self.compress => {
                let (reader, writer) = io::pipe()?;
                std::thread::scope(|scope| {
                    let packing = scope.spawn(move || {
                        let mut tar = writer_of(writer);
                        directory.into_tree().write(&mut tar)?;
                        end(tar)
                    });
                    let squeezed = onggi_archive::gzip(reader, &mut sink);
                    let packed = packing.join().map_err(|_| panicked())?;
                    // Where the daemon takes no more, packing fails for that reason alone.
                    squeezed.map_err(sent)?;
                    packed
                })
            }
            (source, _) => {
                let mut tar = writer_of(sink);
                match source {
                    Source::Directory(directory) => drop(directory.into_tree().write(&mut tar)?),
                    Source::Dockerfile(text) => tree::file(&mut tar, "Dockerfile", 0o600, &text)?,
                    Source::Remote { .. } | Source::Archive { .. } => {}
                }
                end(tar)
            }
        }
    }
}

impl Body {
    /// What went wrong with packing; called when the request is over.
    pub(super) fn finish(packing: JoinHandle<Result<()>>) -> Result<()> {
        packing.join().map_err(|_| panicked())?
    }

    /// What is sent, and what makes it.
    pub(super) fn split(self) -> (mpsc::Receiver<io::Result<Bytes>>, JoinHandle<Result<()>>) {
        (self.pieces, self.packing)
    }
}

impl Directory {
    /// As it is sent: with the Dockerfile from elsewhere in it, and told to the daemon as one to leave out.
    pub(super) fn into_tree(self) -> Tree {
        let mut tree = Tree {
            keep: vec![".dockerignore".to_owned()],
            ignore: self.ignore,
            ..Tree::default()
        };
        match self.dockerfile.text {
            None => tree.keep.push(self.dockerfile.name),
            Some(text) => {
                let name = self.dockerfile.name;
                let there = std::fs::read(self.root.join(".dockerignore"));
                let mut rules = there.unwrap_or_else(|_| b".dockerignore".to_vec());
                rules.extend_from_slice(format!("\n{name}\n").as_bytes());
                tree.instead = vec![(name, text), (".dockerignore".to_owned(), rules)];
            }
        }
        tree.root = self.root;
        tree
    }
}

fn panicked() -> Error {
    Error::new("the thread that packs the context panicked")
}

fn writer_of<W: Write>(sink: W) -> TarWriter<BufWriter<W>> {
    TarWriter::new(BufWriter::with_capacity(PIECE, sink))
}

fn end<W: Write>(tar: TarWriter<BufWriter<W>>) -> Result<()> {
    let mut sink = tar.finish().map_err(sent)?;
    sink.flush().map_err(Error::from)
}

/// The data of the current entry.
pub(super) struct Data<'a, R>(pub(super) &'a mut TarReader<R>);

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.data().map_err(io::Error::other)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

/// Writes into the body of the request.
struct Sink {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    count: Count,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.pieces.blocking_send(Ok(Bytes::copy_from_slice(bytes))) {
            Ok(()) => {
                self.count.add(bytes.len() as u64);
                Ok(bytes.len())
            }
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;

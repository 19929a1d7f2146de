//! The body of a build's request: the tar of the context, made by a thread while it is sent.
//!
//! A build with secrets or further local contexts sends one tar of [`OURS`] with everything in it: `secrets/ID`,
//! `contexts/NAME/...` and `context/...`.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use onggi_archive::{Kind, TarReader, TarWriter, decompress};
use tokio::sync::mpsc;

use super::context::{Directory, Input, Source, rules};
use super::named::{Named, Place};
use super::secret;
use super::tree::{self, Tree, sent};
use crate::error::{Error, Result};

/// A context as every daemon takes it.
const PLAIN: &str = "application/x-tar";
/// One with more beside it.
const OURS: &str = "application/vnd.onggi.build.v1+tar";
/// Pieces on their way.
const QUEUE: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 128 << 10;

/// What is sent.
pub(super) struct Body {
    pub(super) pieces: mpsc::Receiver<io::Result<Bytes>>,
    pub(super) media_type: &'static str,
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
}

/// What goes into it.
pub(super) struct Content {
    pub(super) source: Source,
    /// What is on standard input, for [`Source::Archive`].
    pub(super) input: Option<Input>,
    pub(super) secrets: Vec<secret::Named>,
    pub(super) contexts: Vec<Named>,
    pub(super) compress: bool,
}

impl Content {
    /// Whether it needs more than Docker's API has.
    fn is_ours(&self) -> bool {
        let is_local = |context: &Named| matches!(context.place, Place::Local(_));
        !self.secrets.is_empty() || self.contexts.iter().any(is_local)
    }

    /// Begins to pack. Nothing where there is nothing to send.
    pub(super) fn start(self) -> Option<Body> {
        let ours = self.is_ours();
        if !ours && matches!(self.source, Source::Remote { .. }) {
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
            let packed = self.pack(sink, ours);
            if packed.is_err() {
                // The request must not end as if all was there. A daemon that is gone needs not to hear it.
                let _ =
                    sender.blocking_send(Err(io::Error::other("the context could not be read")));
            }
            packed
        });
        Some(Body {
            pieces,
            media_type: if ours { OURS } else { PLAIN },
            sent,
            packing,
        })
    }

    fn pack(self, mut sink: Sink, ours: bool) -> Result<()> {
        match (self.source, self.input) {
            (Source::Archive { .. }, Some(mut input)) if !ours => {
                let mut buffered = BufWriter::with_capacity(PIECE, sink);
                let copied = io::copy(&mut input, &mut buffered).and_then(|_| buffered.flush());
                copied.map_err(Error::from)
            }
            (Source::Directory(directory), _) if self.compress && !ours => {
                let (reader, writer) = io::pipe()?;
                std::thread::scope(|scope| {
                    let packing = scope.spawn(move || {
                        let mut tar = writer_of(writer);
                        directory.into_tree("").write(&mut tar)?;
                        end(tar)
                    });
                    let squeezed = onggi_archive::gzip(reader, &mut sink);
                    let packed = packing.join().map_err(|_| panicked())?;
                    // Where the daemon takes no more, packing fails for that reason alone.
                    squeezed.map_err(sent)?;
                    packed
                })
            }
            (source, input) => {
                let mut tar = writer_of(sink);
                for secret in &self.secrets {
                    let name = format!("secrets/{}", secret.id);
                    tree::file(&mut tar, &name, 0o600, secret.value.expose())?;
                }
                for context in self.contexts {
                    if let Place::Local(root) = context.place {
                        let ignore = rules(&root.join(".dockerignore"))?.unwrap_or_default();
                        let tree = Tree {
                            root,
                            ignore,
                            prefix: format!("contexts/{}/", context.name),
                            ..Tree::default()
                        };
                        tree.write(&mut tar)?;
                    }
                }
                let prefix = if ours { "context/" } else { "" };
                match (source, input) {
                    (Source::Directory(directory), _) => {
                        directory.into_tree(prefix).write(&mut tar)?;
                    }
                    (Source::Dockerfile(text), _) => {
                        tree::file(&mut tar, &format!("{prefix}Dockerfile"), 0o600, &text)?;
                    }
                    (Source::Archive { .. }, Some(input)) => {
                        let (_, input) = decompress(input).map_err(sent)?;
                        copy(TarReader::new(BufReader::new(input)), &mut tar, prefix)?;
                    }
                    (Source::Remote { .. } | Source::Archive { .. }, _) => {}
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
    fn into_tree(self, prefix: &str) -> Tree {
        let mut tree = Tree {
            prefix: prefix.to_owned(),
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

/// Copies an archive with a prefix before its names.
fn copy<R: BufRead, W: Write>(
    mut reader: TarReader<R>,
    tar: &mut TarWriter<W>,
    prefix: &str,
) -> Result<()> {
    let named = |name: &[u8]| {
        let mut name = name;
        while let Some(rest) = name.strip_prefix(b"./").or_else(|| name.strip_prefix(b"/")) {
            name = rest;
        }
        [prefix.as_bytes(), name].concat()
    };
    while let Some(mut entry) = reader.next().map_err(sent)? {
        entry.path = named(&entry.path);
        if entry.path == prefix.as_bytes() || entry.path == format!("{prefix}.").as_bytes() {
            continue;
        }
        if entry.kind == Kind::HardLink {
            entry.link = named(&entry.link);
        }
        match entry.size {
            0 => tar.header(&entry).map_err(sent)?,
            _ => drop(tar.file(&entry, Data(&mut reader)).map_err(sent)?),
        }
    }
    Ok(())
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
                self.count
                    .0
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
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

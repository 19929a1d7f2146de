//! `logs`: what a container wrote, read from its log while it may still be written.

use bytes::{Bytes, BytesMut};
use onggi_api::container::LogsOptions;
use onggi_api::stream::{self, Stream};
use onggi_logs::{Options, Reader, Wait, Waker};
use onggi_model::{ErrorKind, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::Engine;
use crate::error::{Error, Result};

/// Records are gathered up to this many bytes before they are sent on.
const CHUNK: usize = 32 * 1024;

/// A log on its way to a client.
pub struct LogStream {
    /// Whether the bytes are a terminal's, without frames.
    pub tty: bool,
    /// The bytes, framed unless `tty`; closed at the end of the log.
    pub chunks: mpsc::Receiver<Bytes>,
}

impl Engine {
    /// Opens the log of a container.
    ///
    /// # Errors
    /// `NotFound`; `InvalidParameter` where neither stream is chosen; `NotImplemented` where its driver keeps nothing.
    pub async fn container_logs(&self, id: &str, options: LogsOptions) -> Result<LogStream> {
        if !options.stdout && !options.stderr {
            return Err(Error::invalid(
                "Bad parameters: you must choose at least one stream",
            ));
        }
        let container = self.inner.containers.find(id)?;
        let record = container.record();
        let log = self.log(&record)?;
        if !log.readable {
            return Err(Error::new(
                ErrorKind::NotImplemented,
                "configured logging driver does not support reading",
            ));
        }
        let tty = record.config.tty;
        let (send, chunks) = mpsc::channel(4);
        let (reading, read_to_end) = oneshot::channel();
        let follow = (options.follow && record.state.is_active()).then(|| {
            let records = container.subscribe();
            let wait = Wait::new(move || records.borrow().state.is_active());
            wake(
                wait.waker(),
                container.subscribe(),
                send.clone(),
                read_to_end,
            );
            wait
        });
        let read = Options {
            from: None,
            tail: options
                .tail
                .map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            since: options.since.map(Timestamp::inner),
            until: options.until.map(Timestamp::inner),
            follow,
        };
        // Opened before the answer: a client that follows misses nothing that is written from now on.
        let reader =
            onggi_rt::blocking("open a log", move || Reader::open(&log.record, read)).await??;
        tokio::task::spawn_blocking(move || {
            pump(reader, &options, tty, &send);
            drop(reading);
        });
        Ok(LogStream { tty, chunks })
    }
}

/// Wakes the reader when the container's state changes, ends it when the client is gone, and goes when it has `read` to the
/// end: the stream of the client ends when nobody holds `send` any more.
fn wake(
    waker: Waker,
    mut records: tokio::sync::watch::Receiver<std::sync::Arc<super::Record>>,
    send: mpsc::Sender<Bytes>,
    mut read: oneshot::Receiver<()>,
) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                changed = records.changed() => {
                    waker.wake();
                    if changed.is_err() { return }
                }
                () = send.closed() => return waker.cancel(),
                _ = &mut read => return,
            }
        }
    });
}

/// Reads to the end; what is there at once goes out at once.
fn pump(mut reader: Reader, options: &LogsOptions, tty: bool, send: &mpsc::Sender<Bytes>) {
    let mut chunk = BytesMut::new();
    loop {
        let record = match reader.try_next() {
            Some(record) => Some(record),
            None => {
                if !chunk.is_empty() && send.blocking_send(chunk.split().freeze()).is_err() {
                    return;
                }
                reader.next()
            }
        };
        let Some(record) = record else { break };
        let stream = match record.stream {
            onggi_logs::Stream::Stdout if options.stdout => Stream::Stdout,
            onggi_logs::Stream::Stderr if options.stderr => Stream::Stderr,
            _ => continue,
        };
        let prefix = prefix(&record, options);
        if !tty {
            let length = prefix.len() + record.bytes.len();
            chunk.extend_from_slice(&stream::header(stream, length));
        }
        chunk.extend_from_slice(prefix.as_bytes());
        chunk.extend_from_slice(&record.bytes);
        if chunk.len() >= CHUNK && send.blocking_send(chunk.split().freeze()).is_err() {
            return;
        }
    }
    if let Some(fault) = reader.error() {
        tracing::warn!("{}", onggi_model::chain(&fault));
    }
}

/// What `--timestamps` and `--details` put before a line.
fn prefix(record: &onggi_logs::Record, options: &LogsOptions) -> String {
    let mut prefix = String::new();
    if options.timestamps {
        prefix.push_str(&Timestamp::from(record.time).fixed());
        prefix.push(' ');
    }
    if options.details {
        let attributes = record.attributes.iter();
        let words: Vec<_> = attributes
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        prefix.push_str(&words.join(","));
        prefix.push(' ');
    }
    prefix
}

//! Bodies in both directions, each piece within a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use onggi_http::{Body, body};
use onggi_oci::distribution::code;
use tokio::sync::{mpsc, watch};

use crate::refusal::Refusal;
use crate::storage::Appending;

/// How much is read from or written to the disk at a time.
const PIECE: usize = 512 * 1024;

/// How far a file has come that is still being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes may be read.
    Until(u64),
    /// It will not get further.
    Failed(String),
}

/// The bytes `from..to` of a file, as far as it has come and as it comes.
pub(crate) fn file(
    file: Arc<File>,
    from: u64,
    to: u64,
    mut progress: watch::Receiver<Progress>,
    patience: Duration,
) -> Body {
    let (send, receive) = mpsc::channel(2);
    onggi_rt::spawn("send blob", async move {
        let mut at = from;
        while at < to {
            let piece = next(&file, at, to, &mut progress).await;
            let failed = piece.is_err();
            at += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
            // A client that takes nothing for so long has gone, or wants us to believe it has not.
            let sent = tokio::time::timeout(patience, send.send(piece)).await;
            if failed || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    });
    body::fallible(receive)
}

async fn next(
    file: &Arc<File>,
    at: u64,
    to: u64,
    progress: &mut watch::Receiver<Progress>,
) -> io::Result<Bytes> {
    let far = |progress: &Progress| !matches!(progress, Progress::Until(until) if *until <= at);
    let until = match progress
        .wait_for(far)
        .await
        .map(|progress| progress.clone())
    {
        Ok(Progress::Until(until)) => until.min(to),
        Ok(Progress::Failed(why)) => return Err(io::Error::other(why)),
        Err(_) => return Err(io::Error::other("nobody writes the file any more")),
    };
    let size = usize::try_from(until - at).unwrap_or(PIECE).min(PIECE);
    let file = file.clone();
    let read = move || {
        let mut buffer = vec![0; size];
        file.read_exact_at(&mut buffer, at)?;
        Ok(Bytes::from(buffer))
    };
    match onggi_rt::blocking("read blob", read).await {
        Ok(piece) => piece,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A file that is whole.
pub(crate) fn whole(size: u64) -> watch::Receiver<Progress> {
    watch::channel(Progress::Until(size)).1
}

/// The whole of a small body. One that is too large is read on for a while all the same: who is still sending does not
/// hear an answer.
///
/// # Errors
/// 413 for more than `limit` bytes, 408 for a body that stands still, 400 with this code for one that breaks off.
pub(crate) async fn small(
    mut body: Incoming,
    limit: usize,
    patience: Duration,
    code: &str,
) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    let mut came = 0;
    while came <= limit * 4 {
        let frame = match tokio::time::timeout(patience, body.frame()).await {
            Ok(frame) => frame,
            Err(_) if came > limit => break,
            Err(_) => {
                let message = "the request's body stands still";
                let status = http::StatusCode::REQUEST_TIMEOUT;
                return Err(Refusal::new(status, code, message));
            }
        };
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|_| Refusal::bad(code, "the request's body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        came += data.len();
        if came <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    if came > limit {
        let message = format!("the request's body is larger than the limit of {limit} bytes");
        return Err(Refusal::new(
            http::StatusCode::PAYLOAD_TOO_LARGE,
            code,
            message,
        ));
    }
    Ok(bytes.freeze())
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most bytes.
    pub(crate) most: u64,
    /// Exactly so many, where they were announced.
    pub(crate) exactly: Option<u64>,
    /// How long the next piece may take.
    pub(crate) patience: Duration,
}

/// Adds a body to an upload. What came before a failure stays added.
///
/// # Errors
/// 400 for a body that breaks off or lies about its length, 408 for one that stands still, 413 for too much.
pub(crate) async fn receive(
    mut body: Incoming,
    mut appending: Appending,
    bounds: Bounds,
) -> Result<Appending, Refusal> {
    let most = bounds.exactly.unwrap_or(u64::MAX).min(bounds.most);
    let mut came: u64 = 0;
    let mut pieces = Vec::new();
    let mut held = 0;
    let end = loop {
        let frame = match tokio::time::timeout(bounds.patience, body.frame()).await {
            Err(_) => {
                let message = "the request's body stands still";
                break Err(Refusal::new(
                    http::StatusCode::REQUEST_TIMEOUT,
                    code::BLOB_UPLOAD_INVALID,
                    message,
                ));
            }
            Ok(None) if bounds.exactly.is_some_and(|size| size != came) => {
                let message = "the request's body is shorter than it was said to be";
                break Err(Refusal::bad(code::SIZE_INVALID, message));
            }
            Ok(None) => break Ok(()),
            Ok(Some(Err(_))) => {
                break Err(Refusal::bad(
                    code::BLOB_UPLOAD_INVALID,
                    "the request's body broke off",
                ));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        came += data.len() as u64;
        if came > most {
            let message = match bounds.exactly {
                Some(_) if came <= bounds.most => {
                    "the request's body is longer than it was said to be".to_owned()
                }
                _ => format!(
                    "more than the {} bytes that a blob may have here",
                    bounds.most
                ),
            };
            break Err(Refusal::new(
                http::StatusCode::PAYLOAD_TOO_LARGE,
                code::SIZE_INVALID,
                message,
            ));
        }
        held += data.len();
        pieces.push(data);
        if held >= PIECE {
            appending = add(appending, std::mem::take(&mut pieces)).await?;
            held = 0;
        }
    };
    if !pieces.is_empty() {
        appending = add(appending, pieces).await?;
    }
    end.map(|()| appending)
}

async fn add(mut appending: Appending, pieces: Vec<Bytes>) -> Result<Appending, Refusal> {
    let added = onggi_rt::blocking("write upload", move || {
        let added = appending.add(&pieces);
        added.map(|()| appending)
    });
    Ok(added.await??)
}

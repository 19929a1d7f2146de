//! One blob as a stream: it goes on where it broke off, waits when the registry asks for it, changes to
//! the next endpoint when one gives up, and ends only when size (and digest) are right.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest as hash;
use bytes::Bytes;
use onggi_oci::image::Descriptor;
use reqwest::header;
use reqwest::{Response, StatusCode};

use crate::ask::{Ask, At, Verb};
use crate::client::{Source, hasher, is, pause};
use crate::dial::{Failure, failure};
use crate::error::Error;
use crate::transport::{Rejected, shown};

/// A transfer that moved this far since it last broke off counts as going well.
const PROGRESS: u64 = 64 << 10;

/// Who checks the digest. The size is always checked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// The stream itself.
    Here,
    /// The caller, who hashes the bytes anyway while writing them.
    ByCaller,
}

/// A piece of a blob, or the news that there is a pause.
#[derive(Debug)]
pub enum Chunk {
    /// The next bytes.
    Data(Bytes),
    /// The transfer broke off; it goes on after this pause, which the next call of [`Blob::next`] keeps.
    Retrying {
        /// How long.
        after: Duration,
        /// Why.
        error: Error,
    },
}

/// A blob on its way.
pub struct Blob {
    source: Source,
    descriptor: Descriptor,
    body: Option<Response>,
    /// Bytes handed out.
    position: u64,
    /// Bytes of the present body that were handed out before.
    skip: u64,
    /// Which endpoint is asked.
    endpoint: usize,
    /// Failures in a row without progress.
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
    /// The registry does not do ranges.
    whole_only: bool,
    waiting: Option<Duration>,
    hash: Option<hash::Context>,
    /// Set at the end: whether the digest was right.
    right: Option<bool>,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("digest", &self.descriptor.digest)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Blob {
    pub(crate) fn new(source: Source, descriptor: &Descriptor, verify: Verify) -> Blob {
        let hash = (verify == Verify::Here).then(|| hasher(descriptor.digest.algorithm()));
        Blob {
            source,
            descriptor: descriptor.clone(),
            body: None,
            position: 0,
            skip: 0,
            endpoint: 0,
            failures: 0,
            failed_at: 0,
            whole_only: false,
            waiting: None,
            hash,
            right: None,
        }
    }

    /// Begins there: what is before is with the caller already, who checks the digest of all of it. Before the first
    /// [`Blob::next`].
    pub fn skip_to(&mut self, position: u64) {
        debug_assert!(
            self.hash.is_none() || position == 0,
            "bytes that are not hashed"
        );
        (self.position, self.failed_at) = (position, position);
    }

    /// How many bytes came so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next piece; `None` once all bytes came and are right.
    ///
    /// # Errors
    /// Internal when bytes or size are wrong or the registry broke off too often; NotFound when no endpoint
    /// has the blob.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if self.right.is_some() {
            return self.finish();
        }
        if let Some(pause) = self.waiting {
            tokio::time::sleep(pause).await;
            self.waiting = None;
        }
        loop {
            let Some(body) = &mut self.body else {
                if self.position == self.descriptor.size {
                    return self.finish();
                }
                match self.open().await {
                    Ok(body) => self.body = Some(body),
                    Err(rejected) => return self.trouble(rejected).map(Some),
                }
                continue;
            };
            match body.chunk().await {
                Ok(Some(bytes)) => {
                    if let Some(bytes) = self.take(bytes)? {
                        return Ok(Some(Chunk::Data(bytes)));
                    }
                }
                Ok(None) if self.position == self.descriptor.size => self.body = None,
                Ok(None) => {
                    let source = Failure::broken("unexpected EOF");
                    return self.broken(source).map(Some);
                }
                Err(error) => {
                    let source = failure(&error, body.url()).await;
                    return self.broken(source).map(Some);
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Option<Chunk>, Error> {
        let hash = self.hash.take();
        let digest = &self.descriptor.digest;
        let right = self
            .right
            .get_or_insert_with(|| hash.is_none_or(|h| is(digest, &h.finish())));
        if *right {
            Ok(None)
        } else {
            Err(Error::BlobDigest(digest.clone()))
        }
    }

    /// Counts and hashes bytes; `None` for those that came before.
    fn take(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Error> {
        let known = self.skip.min(bytes.len() as u64);
        self.skip -= known;
        let bytes = bytes.split_off(usize::try_from(known).unwrap_or(bytes.len()));
        if bytes.is_empty() {
            return Ok(None);
        }
        self.position += bytes.len() as u64;
        if self.position > self.descriptor.size {
            return Err(self.wrong_size(self.position));
        }
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes);
        }
        Ok(Some(bytes))
    }

    async fn open(&mut self) -> Result<Response, Rejected> {
        let from = if self.whole_only { 0 } else { self.position };
        let endpoint = &self.source.endpoints[self.endpoint];
        let path = format!(
            "{}/blobs/{}",
            self.source.path(endpoint),
            self.descriptor.digest
        );
        let ask = Ask {
            from,
            ..Ask::new(Verb::Get, At::Path(path))
        };
        let response = self
            .source
            .transport
            .send(endpoint, &self.source.scope(endpoint), &ask)
            .await?;
        let partial = from > 0 && response.status() == StatusCode::PARTIAL_CONTENT;
        if partial && !starts_at(&response, from) {
            // A range we did not ask for: from now on the whole blob, of which we skip what we have.
            self.whole_only = true;
            let source = Failure::broken("the registry sent another range");
            return Err(Error::Request {
                method: "Get",
                url: shown(response.url()),
                source,
            }
            .into());
        }
        self.skip = if partial { 0 } else { self.position };
        let expected = self.descriptor.size - if partial { from } else { 0 };
        match response.content_length() {
            Some(size) if size != expected => {
                let before = if partial { from } else { 0 };
                Err(self.wrong_size(size.saturating_add(before)).into())
            }
            _ => Ok(response),
        }
    }

    fn broken(&mut self, source: Failure) -> Result<Chunk, Error> {
        let url = self
            .body
            .take()
            .map(|body| shown(body.url()))
            .unwrap_or_default();
        self.trouble(
            Error::Request {
                method: "Get",
                url,
                source,
            }
            .into(),
        )
    }

    /// Decides what follows a failure: a pause, another endpoint, the end.
    fn trouble(&mut self, rejected: Rejected) -> Result<Chunk, Error> {
        let Rejected { error, retry_after } = rejected;
        self.body = None;
        if self.position - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        self.failed_at = self.position;
        self.failures += 1;
        let config = &self.source.transport.config;
        // The registry was there a moment ago: it may be restarting.
        let again = error.is_transient()
            || matches!(&error, Error::Request { source, .. } if source.is_unreachable());
        if matches!(&error, Error::Refused(answer) if answer.status == 416)
            || matches!(&error, Error::Unreadable { status: 416, .. })
        {
            if self.whole_only {
                return Err(error);
            }
            self.whole_only = true;
        } else if !again || self.failures >= config.attempts {
            if self.endpoint + 1 >= self.source.endpoints.len() {
                return Err(self.source.name(error));
            }
            self.endpoint += 1;
            self.failures = 0;
            self.whole_only = false;
            return Ok(Chunk::Retrying {
                after: Duration::ZERO,
                error,
            });
        }
        let after = pause(config.backoff, self.failures.max(1), retry_after);
        tracing::debug!(digest = %self.descriptor.digest, ?after, error = %error, "blob broke off");
        self.waiting = Some(after);
        Ok(Chunk::Retrying { after, error })
    }

    fn wrong_size(&self, actual: u64) -> Error {
        Error::BlobSize {
            digest: self.descriptor.digest.clone(),
            expected: self.descriptor.size,
            actual,
        }
    }
}

/// Whether a partial answer begins where we asked (`Content-Range: bytes 100-199/200`).
fn starts_at(response: &Response, from: u64) -> bool {
    response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().strip_prefix("bytes"))
        .and_then(|text| text.trim().split('-').next()?.parse().ok())
        == Some(from)
}

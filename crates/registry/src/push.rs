//! Giving a registry what it lacks: blobs mounted from other repositories or uploaded, then manifests.
//!
//! An upload that breaks off goes on where the registry says it is. Nothing is sent twice but what it lost.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use onggi_model::{Digest, ImageRef};
use onggi_oci::image::Descriptor;
use reqwest::{Response, StatusCode, header};
use url::Url;

use crate::ask::{Ask, At, Content, Verb};
use crate::client::{Source, digest_of, pause, said_digest};
use crate::dial::Failure;
use crate::endpoint::{Endpoint, steering};
use crate::error::Error;
use crate::transport::{Rejected, Transport, shown};

/// Bytes read and sent at a time.
const BLOCK: usize = 128 << 10;

/// A blob up to this size is small: it is sent together with its name, and what it costs is the registry's syncs.
pub const SMALL: u64 = 1 << 20;

/// How long an upload that broke off waits with its bytes the next time, doubled with each time: a registry that does not
/// want them says so when it has seen the headers, and its answer is lost when it hangs up on somebody who is sending.
const HESITATION: Duration = Duration::from_secs(1);

/// An upload that moved this far since it last broke off counts as going well.
const PROGRESS: u64 = 64 << 10;

/// A repository to push to. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    transport: Arc<Transport>,
    endpoint: Arc<Endpoint>,
    reference: ImageRef,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// A blob to be uploaded.
#[derive(Clone)]
pub struct Upload {
    /// What it is.
    pub descriptor: Descriptor,
    /// Opens it, at its beginning. Called from a thread that may block, for each attempt anew.
    pub open: Arc<dyn Fn() -> io::Result<File> + Send + Sync>,
    /// Is told how many of its bytes the registry has got.
    pub progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

/// An upload on its way.
struct Sending<'a> {
    upload: &'a Upload,
    moved: &'a Arc<AtomicU64>,
    /// How long the bytes come after the headers.
    hesitation: Duration,
}

/// Where a registry wants a blob.
#[derive(Debug)]
pub struct Place(Url);

/// What became of a [`Target::claim`].
#[derive(Debug)]
pub enum Claim {
    /// The repository has the blob.
    There,
    /// It wants it.
    Send(Place),
}

/// Where an upload is.
enum Session {
    None,
    /// Just begun: nothing was sent.
    Fresh(Url),
    /// It broke off: the registry knows where.
    Broken(Url),
}

impl Target {
    pub(crate) fn new(
        transport: Arc<Transport>,
        endpoint: Endpoint,
        reference: ImageRef,
    ) -> Target {
        Target {
            transport,
            endpoint: Arc::new(endpoint),
            reference,
        }
    }

    /// Whether the repository has the blob. A registry that does not tell has it not: only the upload's answer can say
    /// why, because that of a HEAD has no body.
    ///
    /// # Errors
    /// Internal when the registry cannot be reached.
    pub async fn has(&self, digest: &Digest) -> Result<bool, Error> {
        self.knows(format!("{}/blobs/{digest}", self.reference.path()))
            .await
    }

    async fn knows(&self, path: String) -> Result<bool, Error> {
        let mut attempt = 1;
        loop {
            let ask = Ask::new(Verb::Head, At::Path(path.clone()));
            match self.send(&ask, None).await {
                Ok(_) => return Ok(true),
                Err(Rejected { error, .. }) if error.is_absence() => return Ok(false),
                Err(rejected) => match self.again(rejected, &mut attempt).await {
                    Err(Error::Refused(_) | Error::Unreadable { .. }) => return Ok(false),
                    waited => waited?,
                },
            }
        }
    }

    /// Whether the repository has the manifest or index with this digest, and with it all it names. A registry that does
    /// not tell has it not.
    ///
    /// # Errors
    /// Internal when the registry cannot be reached.
    pub async fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        self.knows(format!("{}/manifests/{digest}", self.reference.path()))
            .await
    }

    /// Asks for a small blob and for a place to send it to in one request: the repository is asked to mount the blob
    /// from itself, which only works when it has it. Nothing where the registry has no answer to that: ask
    /// [`Target::has`].
    pub async fn claim(&self, blob: &Descriptor) -> Option<Claim> {
        if blob.size > SMALL {
            return None;
        }
        match self.mount(&blob.digest, self.reference.path()).await {
            Ok(None) => Some(Claim::There),
            Ok(Some(url)) => Some(Claim::Send(Place(url))),
            Err(_) => None,
        }
    }

    /// Uploads a blob; but mounts it, without sending it, when `from`, another repository of the same registry, has
    /// it and gives it away. Says whether it was mounted.
    ///
    /// # Errors
    /// As the registry says; Internal when it cannot be reached, breaks off too often or got other bytes.
    pub async fn upload(&self, upload: &Upload, from: Option<&str>) -> Result<bool, Error> {
        if let Some(from) = from {
            match self.mount(&upload.descriptor.digest, from).await {
                Ok(None) => return Ok(true),
                Ok(Some(url)) => {
                    self.send_to(Place(url), upload).await?;
                    return Ok(false);
                }
                // Not every registry mounts, and not everything may be seen by everyone.
                Err(Rejected { error, .. }) => {
                    tracing::debug!(from, error = onggi_model::chain(&error), "not mounted");
                }
            }
        }
        self.send_all(Session::None, upload).await?;
        Ok(false)
    }

    /// Uploads a blob to the place that [`Target::claim`] was told.
    ///
    /// # Errors
    /// As [`Target::upload`].
    pub async fn send_to(&self, place: Place, upload: &Upload) -> Result<(), Error> {
        self.send_all(Session::Fresh(place.0), upload).await
    }

    async fn send_all(&self, mut session: Session, upload: &Upload) -> Result<(), Error> {
        let (mut failures, mut failed_at) = (0, 0);
        loop {
            let moved = Arc::new(AtomicU64::new(failed_at));
            let Rejected { error, retry_after } =
                match self.attempt(&mut session, upload, &moved, failures).await {
                    Ok(()) => return Ok(()),
                    Err(rejected) => rejected,
                };
            let position = moved.load(Ordering::Relaxed);
            if position.saturating_sub(failed_at) >= PROGRESS {
                failures = 0;
            }
            failed_at = position;
            failures += 1;
            let config = &self.transport.config;
            if !is_passing(&error) || failures >= config.attempts {
                return Err(error);
            }
            let pause = pause(config.backoff, failures, retry_after);
            tracing::info!(digest = %upload.descriptor.digest, ?pause, %error, "an upload broke off");
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for a blob of the repository of a source: inside, nothing when it is ours now, else where it is to be sent;
    /// nothing at all where the registry does not mount, or the source is of another one.
    pub(crate) async fn mount_or_place(
        &self,
        digest: &Digest,
        source: &Source,
    ) -> Option<Option<Place>> {
        let from = source.reference();
        if from.domain() != self.reference.domain() {
            return None;
        }
        match self.mount(digest, from.path()).await {
            Ok(url) => Some(url.map(Place)),
            Err(Rejected { error, .. }) => {
                tracing::debug!(
                    from = from.path(),
                    error = onggi_model::chain(&error),
                    "not mounted"
                );
                None
            }
        }
    }

    /// Gives a manifest or index its name: a tag, or its digest. The bytes stay as they are.
    ///
    /// # Errors
    /// As the registry says, for instance of blobs it lacks; Internal when it cannot be reached or says that it
    /// got something else.
    pub async fn put_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, Error> {
        let digest = digest_of(onggi_model::Algorithm::Sha256, &bytes);
        let ask = Ask {
            content: Some(Content {
                media_type: media_type.to_owned(),
                length: bytes.len() as u64,
                range: None,
                body: Arc::new(move || bytes.clone().into()),
            }),
            ..Ask::new(
                Verb::Put,
                At::Path(format!("{}/manifests/{name}", self.reference.path())),
            )
        };
        let mut attempt = 1;
        loop {
            match self.quiet(&ask).await {
                Ok(response) => {
                    let said = said_digest(response.headers());
                    return match said {
                        Some(said) if said.algorithm() == digest.algorithm() && said != digest => {
                            Err(Error::ManifestDigest(digest))
                        }
                        _ => Ok(digest),
                    };
                }
                Err(rejected) => self.again(rejected, &mut attempt).await?,
            }
        }
    }

    /// Waits for another attempt, or gives the error.
    async fn again(&self, rejected: Rejected, attempt: &mut u32) -> Result<(), Error> {
        let config = &self.transport.config;
        if *attempt >= config.attempts || !rejected.error.is_transient() {
            return Err(rejected.error);
        }
        tokio::time::sleep(pause(config.backoff, *attempt, rejected.retry_after)).await;
        *attempt += 1;
        Ok(())
    }

    /// Asks for a blob of another repository: nothing when it is ours now, else where to upload it.
    async fn mount(&self, digest: &Digest, from: &str) -> Result<Option<Url>, Rejected> {
        let path = format!(
            "{}/blobs/uploads/?mount={digest}&from={from}",
            self.reference.path()
        );
        let ask = Ask::new(Verb::Post, At::Path(path));
        let response = self.send(&ask, Some(from)).await?;
        match response.status() {
            StatusCode::CREATED => Ok(None),
            _ => self.place(&response).map(Some),
        }
    }

    /// Goes on with an upload until all is there.
    async fn attempt(
        &self,
        session: &mut Session,
        upload: &Upload,
        moved: &Arc<AtomicU64>,
        failures: u32,
    ) -> Result<(), Rejected> {
        let (url, offset) = match std::mem::replace(session, Session::None) {
            Session::Fresh(url) => (url, 0),
            Session::Broken(url) => match self.position(&url).await {
                Ok(found) => found,
                Err(Rejected { error, .. }) if error.is_absence() => (self.begin().await?, 0),
                Err(rejected) => {
                    *session = Session::Broken(url);
                    return Err(rejected);
                }
            },
            Session::None => (self.begin().await?, 0),
        };
        *session = Session::Broken(url.clone());
        let sending = Sending {
            upload,
            moved,
            hesitation: match failures {
                0 => Duration::ZERO,
                failures => HESITATION * (1 << (failures - 1).min(3)),
            },
        };
        let done = self.send_from(url, offset, &sending, session).await;
        if let Err(Rejected { error, .. }) = &done
            && (is_lost(error) || matches!(error, Error::BlobDigest(_)))
        {
            *session = Session::None;
        }
        done
    }

    async fn send_from(
        &self,
        mut url: Url,
        offset: u64,
        sending: &Sending<'_>,
        session: &mut Session,
    ) -> Result<(), Rejected> {
        let Sending { upload, moved, .. } = sending;
        let Descriptor { digest, size, .. } = &upload.descriptor;
        if offset > *size {
            *session = Session::None;
            return Err(Error::BlobSize {
                digest: digest.clone(),
                expected: *size,
                actual: offset,
            }
            .into());
        }
        moved.store(offset, Ordering::Relaxed);
        (upload.progress)(offset);
        let whole = offset == 0 && *size <= SMALL;
        if !whole && offset < *size {
            let content = content(sending, offset, true);
            let ask = Ask {
                content: Some(content),
                ..Ask::new(Verb::Patch, At::Url(url.clone()))
            };
            let response = self.watched(&ask, moved).await?;
            url = self.place(&response).unwrap_or(url);
            *session = Session::Broken(url.clone());
        }
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let ask = Ask {
            content: whole.then(|| content(sending, 0, false)),
            ..Ask::new(Verb::Put, At::Url(url))
        };
        let response = self.watched(&ask, moved).await?;
        match said_digest(response.headers()) {
            Some(said) if said.algorithm() == digest.algorithm() && said != *digest => {
                Err(Error::BlobDigest(digest.clone()).into())
            }
            _ => Ok(()),
        }
    }

    /// Opens an upload.
    async fn begin(&self) -> Result<Url, Rejected> {
        let path = format!("{}/blobs/uploads/", self.reference.path());
        let response = self.quiet(&Ask::new(Verb::Post, At::Path(path))).await?;
        self.place(&response)
    }

    /// How far an upload is, and where it goes on.
    async fn position(&self, url: &Url) -> Result<(Url, u64), Rejected> {
        let ask = Ask::new(Verb::Get, At::Url(url.clone()));
        let response = self.send(&ask, None).await?;
        let last = response
            .headers()
            .get(header::RANGE)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.rsplit('-').next()?.trim().parse::<u64>().ok());
        // `0-0` is one byte by the specification and none for docker-registry; one byte is never a loss.
        let offset = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        Ok((
            self.place(&response).unwrap_or_else(|_| url.clone()),
            offset,
        ))
    }

    /// Where the registry wants an upload to go on.
    fn place(&self, response: &Response) -> Result<Url, Rejected> {
        let url = response
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| response.url().join(text).ok())
            .ok_or_else(|| Error::Unreadable {
                status: response.status().as_u16(),
                why: "it names no place to upload to".to_owned(),
                body: String::new(),
            })?;
        let from = response.url();
        let refuse = |why| Error::Redirect {
            from: from.host_str().unwrap_or_default().to_owned(),
            to: shown(&url),
            why,
        };
        if let Some(why) = steering(&self.endpoint, &url) {
            return Err(refuse(why).into());
        }
        if from.scheme() == "https" && url.scheme() == "http" {
            // Behind a proxy that ends TLS registries name the scheme they see themselves.
            if from.host_str() != url.host_str() {
                if !self.endpoint.insecure {
                    return Err(refuse("it leaves TLS").into());
                }
            } else {
                let mut secure = url.clone();
                let port = from.port();
                if secure.set_scheme("https").is_ok() && secure.set_port(port).is_ok() {
                    return Ok(secure);
                }
            }
        }
        Ok(url)
    }

    async fn send(&self, ask: &Ask, from: Option<&str>) -> Result<Response, Rejected> {
        let mut scope = format!("repository:{}:pull,push", self.reference.path());
        if let Some(from) = from {
            scope.push_str(&format!(" repository:{from}:pull"));
        }
        let sent = self.transport.send(&self.endpoint, &scope, ask).await;
        sent.map_err(|rejected| Rejected {
            // Docker does not say what it was that we were nobody for.
            error: match rejected.error {
                Error::Authentication { source, .. } if matches!(*source, Error::NoCredentials) => {
                    *source
                }
                error => error,
            },
            ..rejected
        })
    }

    /// Sends what has no body that moves.
    async fn quiet(&self, ask: &Ask) -> Result<Response, Rejected> {
        self.watched(ask, &AtomicU64::new(0)).await
    }

    /// Sends, as long as something moves.
    async fn watched(&self, ask: &Ask, moved: &AtomicU64) -> Result<Response, Rejected> {
        let limit = self.transport.config.stall_timeout;
        let mut sending = std::pin::pin!(self.send(ask, None));
        let mut seen = moved.load(Ordering::Relaxed);
        loop {
            if let Ok(done) = tokio::time::timeout(limit, &mut sending).await {
                return done;
            }
            let now = moved.load(Ordering::Relaxed);
            if now == seen {
                let url = match &ask.at {
                    At::Path(path) => path.clone(),
                    At::Url(url) => shown(url),
                };
                return Err(Error::Request {
                    method: ask.method(),
                    url,
                    source: Failure::stalled(),
                }
                .into());
            }
            seen = now;
        }
    }
}

/// Whether an upload may well go on in a moment: the registry may be restarting, or have lost our session.
fn is_passing(error: &Error) -> bool {
    error.is_transient()
        || is_lost(error)
        || matches!(error, Error::Request { source, .. } if source.is_unreachable())
}

/// Whether the registry does not know of the upload any more, or is somewhere else in it.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Refused(answer) => answer.status == 416 || answer.code == "BLOB_UPLOAD_UNKNOWN",
        Error::Unreadable { status, .. } => *status == 416,
        _ => false,
    }
}

/// The bytes of a blob from `offset` on.
fn content(sending: &Sending<'_>, offset: u64, ranged: bool) -> Content {
    let Sending {
        upload,
        moved,
        hesitation,
    } = *sending;
    let size = upload.descriptor.size;
    let (open, progress, moved) = (upload.open.clone(), upload.progress.clone(), moved.clone());
    Content {
        media_type: "application/octet-stream".to_owned(),
        length: size - offset,
        range: ranged.then(|| format!("{offset}-{}", size.saturating_sub(1))),
        body: Arc::new(move || {
            let (progress, moved) = (progress.clone(), moved.clone());
            let start = Reader {
                open: open.clone(),
                file: None,
                position: offset,
                size,
            };
            let stream = futures_util::stream::try_unfold(start, move |reader| {
                let (progress, moved) = (progress.clone(), moved.clone());
                let begins = reader.file.is_none();
                async move {
                    if begins {
                        tokio::time::sleep(hesitation).await;
                    }
                    let next = onggi_rt::blocking("read a blob to push", move || reader.next())
                        .await
                        .map_err(io::Error::other)??;
                    if let Some((_, reader)) = &next {
                        moved.store(reader.position, Ordering::Relaxed);
                        progress(reader.position);
                    }
                    Ok::<_, io::Error>(next)
                }
            });
            reqwest::Body::wrap_stream(stream)
        }),
    }
}

struct Reader {
    open: Arc<dyn Fn() -> io::Result<File> + Send + Sync>,
    file: Option<File>,
    position: u64,
    size: u64,
}

impl Reader {
    fn next(mut self) -> io::Result<Option<(Bytes, Reader)>> {
        if self.position >= self.size {
            return Ok(None);
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = (self.open)()?;
                file.seek(SeekFrom::Start(self.position))?;
                file
            }
        };
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let mut block = vec![0; left.min(BLOCK)];
        file.read_exact(&mut block)?;
        self.position += block.len() as u64;
        self.file = Some(file);
        Ok(Some((block.into(), self)))
    }
}

//! The entry: resolve a reference to a digest, fetch its documents and blobs.
//!
//! A [`Source`] is what answered: it goes on with the next endpoint (mirror, then registry) when one fails
//! later on, so that a pull survives a mirror that has only half of an image.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest as hash;
use bytes::Bytes;
use onggi_model::{Algorithm, Digest, ImageRef, Secret};
use onggi_oci::image::{self, Descriptor, Parsed, media_type};
use reqwest::Response;
use reqwest::header::{self, HeaderMap};

use crate::ask::{Ask, At, Verb};
use crate::auth::Auth;
use crate::blob::{Blob, Chunk, Verify};
use crate::config::Config;
use crate::endpoint::{self, Endpoint, endpoints};
use crate::error::Error;
use crate::push::Target;
use crate::transport::{Rejected, Transport, whole};

/// The most a manifest, index or configuration may have.
pub const MANIFEST_LIMIT: u64 = image::MAX_DOCUMENT_SIZE;

/// How often a registry that falters is asked for a document.
pub(crate) const DOCUMENT_ATTEMPTS: u32 = 3;

/// A client for all registries. Cheap to clone; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client {
    /// Replaced as a whole when it is told anew; what is under way keeps the one it began with.
    transport: Arc<RwLock<Arc<Transport>>>,
}

/// A manifest or index as the registry sent it.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its bytes, never to be changed.
    pub bytes: Bytes,
    /// `Content-Type` without parameters, where the registry gave one.
    pub media_type: Option<String>,
    /// The digest of the bytes, checked.
    pub digest: Digest,
}

/// What a reference stands for just now.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// Where it is, for all further requests.
    pub source: Source,
    /// The document, when resolving brought it along.
    pub(crate) document: Option<Document>,
}

/// A repository on the endpoints that may have it.
#[derive(Clone)]
pub struct Source {
    pub(crate) transport: Arc<Transport>,
    pub(crate) endpoints: Arc<[Endpoint]>,
    pub(crate) reference: ImageRef,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that knows these mirrors and insecure registries.
    ///
    /// # Errors
    /// InvalidParameter when the configuration cannot be meant.
    pub fn new(config: Config) -> Result<Client, Error> {
        let transport = Arc::new(Transport::new(config)?);
        Ok(Client {
            transport: Arc::new(RwLock::new(transport)),
        })
    }

    /// Tells this client, and all its clones, other mirrors, insecure registries and limits. Transfers that run end
    /// as they began.
    ///
    /// # Errors
    /// As [`Client::new`]; nothing changes then.
    pub fn reconfigure(&self, config: Config) -> Result<(), Error> {
        let transport = Arc::new(Transport::new(config)?);
        *self
            .transport
            .write()
            .unwrap_or_else(PoisonError::into_inner) = transport;
        Ok(())
    }

    pub(crate) fn transport(&self) -> Arc<Transport> {
        self.transport
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The endpoints that may have a reference.
    pub(crate) async fn source(&self, reference: &ImageRef, auth: &Auth) -> Result<Source, Error> {
        let transport = self.transport();
        let endpoints = endpoints(&transport.checked, reference, auth)
            .await
            .map_err(|_| no_host(reference))?;
        Ok(Source {
            transport,
            endpoints: endpoints.into(),
            reference: reference.clone(),
        })
    }

    /// Asks what a reference stands for: mirrors in order, then the registry itself. A reference
    /// with a digest is what it says, nobody is asked.
    ///
    /// # Errors
    /// NotFound when the registry has no such thing or hides it; Internal when it cannot be reached.
    pub async fn resolve(&self, reference: &ImageRef, auth: &Auth) -> Result<Resolved, Error> {
        let transport = self.transport();
        let all = endpoints(&transport.checked, reference, auth)
            .await
            .map_err(|_| no_host(reference))?;
        let source = |from: usize| Source {
            transport: transport.clone(),
            endpoints: all[from..].into(),
            reference: reference.clone(),
        };
        if let Some(digest) = reference.digest() {
            return Ok(Resolved {
                digest: digest.clone(),
                source: source(0),
                document: None,
            });
        }
        let tag = reference.tag().unwrap_or("latest");
        let mut outcome = Outcome::default();
        for (at, endpoint) in all.iter().enumerate() {
            let source = source(at);
            match source.head(endpoint, tag).await {
                Ok((digest, document)) => {
                    return Ok(Resolved {
                        digest,
                        source,
                        document,
                    });
                }
                Err(error) => outcome.add(endpoint, error),
            }
        }
        Err(source(0).name(outcome.into_error()))
    }

    /// Tries credentials at a registry: `host[:port]`, also as an address; nothing stands for Docker's own. Gives the
    /// token that stands for the password from now on, empty where the registry makes none.
    ///
    /// # Errors
    /// Unauthorized when they are not taken; Internal when the registry cannot be reached.
    pub async fn login(&self, server: &str, auth: &Auth) -> Result<Secret<String>, Error> {
        let transport = self.transport();
        let endpoint = endpoint::login(&transport.checked, server, auth)
            .await
            .map_err(|_| Error::NoHost(server.to_owned()))?;
        transport.login(&endpoint).await
    }

    /// The repository of a reference at its registry, to give it images. Mirrors are not asked.
    ///
    /// # Errors
    /// InvalidParameter when the registry's name is no host.
    pub async fn target(&self, reference: &ImageRef, auth: &Auth) -> Result<Target, Error> {
        let transport = self.transport();
        let endpoint = endpoint::origin(&transport.checked, reference, auth)
            .await
            .map_err(|_| no_host(reference))?;
        Ok(Target::new(transport, endpoint, reference.clone()))
    }
}

/// A registry name that the reference grammar takes and the URL grammar does not.
pub(crate) fn no_host(reference: &ImageRef) -> Error {
    Error::Unreadable {
        status: 400,
        why: "the registry's name is no host".to_owned(),
        body: reference.domain().to_owned(),
    }
}

/// Which error to report when every endpoint failed: the last one's, as Docker does; but when the registry
/// cannot be reached at all and a mirror said clearly that it has no such thing, that.
#[derive(Default)]
pub(crate) struct Outcome {
    absence: Option<Error>,
    last: Option<Error>,
}

impl Outcome {
    pub(crate) fn add(&mut self, endpoint: &Endpoint, error: Error) {
        let registry = endpoint.authority();
        tracing::debug!(
            registry,
            error = onggi_model::chain(&error),
            "not from this endpoint"
        );
        let error = match self.last.replace(error) {
            Some(error) if error.is_absence() => error,
            _ => return,
        };
        self.absence.get_or_insert(error);
    }

    pub(crate) fn into_error(self) -> Error {
        match (self.last, self.absence) {
            (Some(Error::Request { source, .. }), Some(absence)) if source.is_unreachable() => {
                absence
            }
            (Some(last), _) => last,
            (None, _) => Error::Status("no endpoint to ask".to_owned()),
        }
    }
}

impl Resolved {
    /// The manifest or index itself.
    ///
    /// # Errors
    /// As [`Source::manifest`].
    pub async fn document(&self) -> Result<Document, Error> {
        match &self.document {
            Some(document) => Ok(document.clone()),
            None => self.source.manifest(&self.digest).await,
        }
    }
}

impl Document {
    /// Reads the document. What is neither a manifest nor an index, or both, is refused.
    ///
    /// # Errors
    /// InvalidParameter; [`Error::SchemaOne`] for images of 2013.
    pub fn parse(&self, reference: &ImageRef) -> Result<Parsed, Error> {
        let said = self.media_type.as_deref();
        if matches!(
            said,
            Some(media_type::DOCKER_MANIFEST_V1 | media_type::DOCKER_MANIFEST_V1_SIGNED)
        ) {
            return Err(Error::SchemaOne(reference.familiar()));
        }
        match Parsed::from_bytes(&self.bytes, said) {
            Err(image::Error::SchemaVersion(1)) => Err(Error::SchemaOne(reference.familiar())),
            other => Ok(other?),
        }
    }
}

impl Source {
    /// A manifest or index by its digest, checked against it.
    ///
    /// # Errors
    /// NotFound, TooLarge above [`MANIFEST_LIMIT`], Internal when the bytes are not what the digest names.
    pub async fn manifest(&self, digest: &Digest) -> Result<Document, Error> {
        let mut outcome = Outcome::default();
        for endpoint in self.endpoints.iter() {
            match self.get(endpoint, digest.as_str(), Some(digest)).await {
                Ok(document) => return Ok(document),
                Err(error) => outcome.add(endpoint, error),
            }
        }
        Err(self.name(outcome.into_error()))
    }

    /// A small blob as a whole, checked: an image's configuration.
    ///
    /// # Errors
    /// TooLarge above [`MANIFEST_LIMIT`]; NotFound; Internal when the bytes are not what the digest names.
    pub async fn bytes(&self, descriptor: &Descriptor, what: &'static str) -> Result<Bytes, Error> {
        if descriptor.size > MANIFEST_LIMIT {
            return Err(Error::TooLarge {
                what,
                size: descriptor.size,
                limit: MANIFEST_LIMIT,
            });
        }
        let mut blob = self.blob(descriptor, Verify::Here);
        let mut bytes = Vec::with_capacity(usize::try_from(descriptor.size).unwrap_or_default());
        while let Some(chunk) = blob.next().await? {
            if let Chunk::Data(data) = chunk {
                bytes.extend_from_slice(&data);
            }
        }
        Ok(bytes.into())
    }

    /// A blob as a stream that resumes where it broke off. Nothing is asked before the first
    /// [`Blob::next`].
    pub fn blob(&self, descriptor: &Descriptor, verify: Verify) -> Blob {
        Blob::new(self.clone(), descriptor, verify)
    }

    /// The reference this is the source of.
    pub fn reference(&self) -> &ImageRef {
        &self.reference
    }

    /// What the repository is called at an endpoint.
    pub(crate) fn path(&self, endpoint: &Endpoint) -> String {
        format!("{}{}", endpoint.prefix, self.reference.path())
    }

    pub(crate) fn scope(&self, endpoint: &Endpoint) -> String {
        format!("repository:{}:pull", self.path(endpoint))
    }

    /// Puts our reference into an error.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.about(&self.reference.familiar_name(), &self.reference.familiar())
    }

    /// Resolves a tag by its headers, which costs no pull of the registry's rate limit.
    async fn head(
        &self,
        endpoint: &Endpoint,
        tag: &str,
    ) -> Result<(Digest, Option<Document>), Error> {
        let ask = self.manifest_ask(endpoint, true, tag);
        if let Ok(response) = self.patiently(endpoint, &ask).await?
            && let Some(digest) = said_digest(response.headers())
        {
            return Ok((digest, None));
        }
        // Not every registry answers HEAD, or names the digest; and only GET explains an error.
        let document = self.get(endpoint, tag, None).await?;
        Ok((document.digest.clone(), Some(document)))
    }

    /// The answer to a HEAD, or nothing when a GET will tell more.
    async fn patiently(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
    ) -> Result<Result<Response, ()>, Error> {
        match self
            .transport
            .send(endpoint, &self.scope(endpoint), ask)
            .await
        {
            Ok(response) => Ok(Ok(response)),
            Err(Rejected {
                error: error @ (Error::Request { .. } | Error::Authentication { .. }),
                ..
            }) if !error.is_transient() => Err(error),
            Err(_) => Ok(Err(())),
        }
    }

    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        name: &str,
        expected: Option<&Digest>,
    ) -> Result<Document, Error> {
        let ask = self.manifest_ask(endpoint, false, name);
        let attempts = if endpoint.mirror {
            1
        } else {
            DOCUMENT_ATTEMPTS
        };
        let mut attempt = 1;
        loop {
            let rejected = match self.get_once(endpoint, &ask, expected).await {
                Ok(document) => return Ok(document),
                Err(rejected) => rejected,
            };
            if attempt >= attempts || !rejected.error.is_transient() {
                return Err(rejected.error);
            }
            let pause = pause(self.transport.config.backoff, attempt, rejected.retry_after);
            tracing::debug!(?pause, error = %rejected.error, "asking for the manifest again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn get_once(
        &self,
        endpoint: &Endpoint,
        ask: &Ask,
        expected: Option<&Digest>,
    ) -> Result<Document, Rejected> {
        let response = self
            .transport
            .send(endpoint, &self.scope(endpoint), ask)
            .await?;
        let media_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.split(';').next().unwrap_or_default().trim().to_owned())
            .filter(|text| !text.is_empty());
        let said = said_digest(response.headers());
        let bytes = whole(response, "Get", "manifest", MANIFEST_LIMIT).await?;
        for digest in expected.into_iter().chain(&said) {
            if digest_of(digest.algorithm(), &bytes) != *digest {
                return Err(Error::ManifestDigest(digest.clone()).into());
            }
        }
        let digest = expected
            .cloned()
            .or(said)
            .unwrap_or_else(|| digest_of(Algorithm::Sha256, &bytes));
        Ok(Document {
            bytes,
            media_type,
            digest,
        })
    }

    fn manifest_ask(&self, endpoint: &Endpoint, head: bool, name: &str) -> Ask {
        // Docker's own types first, as dockerd sends them; schema 1 only to be told what it is.
        let accept = [
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_INDEX,
            media_type::INDEX,
            media_type::MANIFEST,
            media_type::DOCKER_MANIFEST_V1_SIGNED,
            "application/json",
        ];
        let verb = if head { Verb::Head } else { Verb::Get };
        let path = format!("{}/manifests/{name}", self.path(endpoint));
        Ask {
            accept: Some(accept.join(", ")),
            ..Ask::new(verb, At::Path(path))
        }
    }
}

/// `Docker-Content-Digest`, when it can be read.
pub(crate) fn said_digest(headers: &HeaderMap) -> Option<Digest> {
    headers
        .get("docker-content-digest")?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// How long to wait before trying again: doubled each time, or what the registry asked for if longer.
pub(crate) fn pause(backoff: Duration, attempt: u32, asked: Option<Duration>) -> Duration {
    let own = backoff
        .saturating_mul(1 << (attempt - 1).min(6))
        .min(Duration::from_secs(20));
    own.max(asked.unwrap_or_default())
}

/// The hash function of an algorithm.
pub(crate) fn hasher(algorithm: Algorithm) -> hash::Context {
    hash::Context::new(match algorithm {
        Algorithm::Sha256 => &hash::SHA256,
        Algorithm::Sha512 => &hash::SHA512,
    })
}

/// Whether a finished hash is what a digest names.
pub(crate) fn is(digest: &Digest, finished: &hash::Digest) -> bool {
    Digest::from_bytes(digest.algorithm(), finished.as_ref()).is_ok_and(|actual| actual == *digest)
}

/// The sha256 digest of a document.
pub fn digest(bytes: &[u8]) -> Digest {
    digest_of(Algorithm::Sha256, bytes)
}

pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut context = hasher(algorithm);
    context.update(bytes);
    // The length is the algorithm's own, so this is always a digest.
    Digest::from_bytes(algorithm, context.finish().as_ref())
        .unwrap_or_else(|_| Digest::sha256([0; 32]))
}

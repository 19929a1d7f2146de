//! The client: which daemon, which version, which connections; and the making of requests.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request as HttpRequest};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use onggi_http::{Stream, Target};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::body::Response;
use crate::connection::{RequestBody, connect};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::hijack::Hijacked;
use crate::version::{NEWEST, OLDEST_SILENT, Version};

/// What may stand in a query unescaped.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What may stand in a segment of the path unescaped. Names of images have slashes, which stay.
const PATH: &AsciiSet = &QUERY
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'+')
    .remove(b'=')
    .remove(b',');

/// A client of one daemon. Clones share its connections and its version.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What requests call this program.
    pub user_agent: String,
    /// Pins the API version (`DOCKER_API_VERSION`).
    pub version: Option<Version>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// TLS for TCP endpoints.
    pub tls: Option<Tls>,
    /// Words before `ssh`, for a session of its own; may be empty.
    pub launcher: Vec<String>,
}

/// Files for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who signed the daemon's certificate. Without it every daemon is trusted.
    pub authority: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Our key.
    pub key: Option<PathBuf>,
}

struct Inner {
    endpoint: Endpoint,
    target: Target,
    user_agent: String,
    headers: Vec<(String, String)>,
    /// Idle connections.
    idle: Mutex<Vec<SendRequest<RequestBody>>>,
    spoken: Mutex<Option<Version>>,
    ping: Mutex<Option<Ping>>,
}

/// What a daemon tells about itself at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ping {
    /// Its newest API version, if it told.
    pub api_version: Option<Version>,
    /// Its operating system.
    pub os_type: String,
    /// Whether experimental features are on.
    pub experimental: bool,
    /// What it calls itself, like `Onggi/0.1.0 (linux)`.
    pub server: String,
}

impl Ping {
    /// Whether it knows what onggi has beyond Docker's API.
    pub fn is_onggi(&self) -> bool {
        self.server.starts_with("Onggi/")
    }
}

impl Client {
    /// A client of the daemon at `endpoint`; nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Tls`] when the files for TLS cannot be used.
    pub fn new(endpoint: Endpoint, options: Options) -> Result<Self> {
        Ok(Client(Arc::new(Inner {
            target: crate::connection::target(&endpoint, &options)?,
            endpoint,
            user_agent: options.user_agent,
            headers: options.headers,
            idle: Mutex::new(Vec::new()),
            spoken: Mutex::new(options.version),
            ping: Mutex::new(None),
        })))
    }

    /// A connection to the daemon without a word of HTTP, for programs that speak it themselves.
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn dial(&self) -> Result<Hijacked> {
        let (target, endpoint) = (&self.0.target, &self.0.endpoint);
        Ok(Hijacked {
            first: Bytes::new(),
            stream: crate::connection::dial(target, endpoint, "GET", "/").await?,
            multiplexed: Some(false),
        })
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The version spoken with the daemon: pinned, or the newest both know (asked once).
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn version(&self) -> Result<Version> {
        if let Some(version) = *lock(&self.0.spoken) {
            return Ok(version);
        }
        let ping = self.ping().await?;
        let version = ping.api_version.unwrap_or(OLDEST_SILENT).min(NEWEST);
        *lock(&self.0.spoken) = Some(version);
        Ok(version)
    }

    /// The version that would be spoken without asking: what is known so far, or the newest.
    pub fn version_so_far(&self) -> Version {
        lock(&self.0.spoken).unwrap_or(NEWEST)
    }

    /// What the daemon tells about itself (asked once).
    ///
    /// # Errors
    /// When the daemon cannot be reached.
    pub async fn ping(&self) -> Result<Ping> {
        if let Some(ping) = lock(&self.0.ping).clone() {
            return Ok(ping);
        }
        let response = match self.plain(Method::HEAD, "/_ping").await {
            Ok(response) => response,
            Err(error) if error.is_connection() => return Err(error),
            Err(_) => self.plain(Method::GET, "/_ping").await?,
        };
        let ping = Ping {
            api_version: response.header("api-version").and_then(Version::parse),
            os_type: response.header("ostype").unwrap_or_default().to_owned(),
            experimental: response.header("docker-experimental") == Some("true"),
            server: response.header("server").unwrap_or_default().to_owned(),
        };
        response.bytes().await?;
        *lock(&self.0.ping) = Some(ping.clone());
        Ok(ping)
    }

    /// A request of the versioned API. `path` begins with a slash; its segments are escaped here.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request {
            client: self.clone(),
            method,
            path: utf8_percent_encode(path, PATH).to_string(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    async fn plain(&self, method: Method, target: &str) -> Result<Response> {
        self.send(method, target.to_owned(), &[], None).await
    }

    pub(crate) fn keep(&self, sender: SendRequest<RequestBody>) {
        lock(&self.0.idle).push(sender);
    }

    /// A connection that can take a request now.
    async fn sender(&self, method: &str, target: &str) -> Result<SendRequest<RequestBody>> {
        loop {
            let idle = lock(&self.0.idle).pop();
            let Some(mut sender) = idle else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        connect(&self.0.target, &self.0.endpoint, method, target).await
    }

    async fn raw(
        &self,
        method: &Method,
        target: &str,
        headers: &[(&'static str, String)],
        body: Option<RequestBody>,
    ) -> Result<(
        SendRequest<RequestBody>,
        http::Response<hyper::body::Incoming>,
    )> {
        let broken = |reason: String| Error::Connection {
            method: method.to_string(),
            path: target.to_owned(),
            reason,
        };
        let mut builder = HttpRequest::builder()
            .method(method.clone())
            .uri(target)
            .header("Host", self.0.endpoint.authority())
            .header("User-Agent", &self.0.user_agent);
        for (name, value) in &self.0.headers {
            builder = builder.header(name, value);
        }
        for (name, value) in headers {
            builder = builder.header(*name, value);
        }
        let body = match body {
            Some(body) => body,
            None => Empty::new().map_err(|never| match never {}).boxed(),
        };
        let request = builder
            .body(body)
            .map_err(|error| broken(error.to_string()))?;
        let mut sender = self.sender(method.as_str(), target).await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(onggi_model::chain(&error)))?;
        Ok((sender, response))
    }

    async fn send(
        &self,
        method: Method,
        target: String,
        headers: &[(&'static str, String)],
        body: Option<RequestBody>,
    ) -> Result<Response> {
        let (sender, response) = self.raw(&method, &target, headers, body).await?;
        let (parts, body) = response.into_parts();
        let response = Response {
            client: self.clone(),
            sender: Some(sender),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            method: method.to_string(),
            path: target,
        };
        refuse(response).await
    }
}

/// Turns an answer with a bad status into an error with the daemon's words.
async fn refuse(response: Response) -> Result<Response> {
    let status = response.status;
    if status < 400 {
        return Ok(response);
    }
    let path = response.path.clone();
    let bytes = response.bytes().await?;
    let message = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|json| json.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
    let message = if message.trim().is_empty() {
        let reason = http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("unknown status");
        format!("request returned {status} {reason} for {path}, and no message")
    } else {
        message.trim().to_owned()
    };
    Err(Error::Daemon { status, message })
}

/// A request in the making.
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<RequestBody>,
}

impl Request {
    /// Adds a parameter.
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a parameter unless it is empty.
    pub fn query_some(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value.map(Into::into) {
            Some(value) if !value.is_empty() => self.query(name, value),
            _ => self,
        }
    }

    /// Adds `name=1` when `on`.
    pub fn query_on(self, name: &'static str, on: bool) -> Self {
        if on { self.query(name, "1") } else { self }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// [`Error::Answer`] when the document cannot be written as JSON.
    pub fn json(self, document: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(document).map_err(|error| Error::Answer {
            method: self.method.to_string(),
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        Ok(self.bytes("application/json", bytes))
    }

    /// Sends bytes of a type.
    pub fn bytes(mut self, media_type: &str, bytes: impl Into<Bytes>) -> Self {
        self.body = Some(
            Full::new(bytes.into())
                .map_err(|never| match never {})
                .boxed(),
        );
        self.header("Content-Type", media_type)
    }

    /// Sends what the channel gives, of a type, until it is closed.
    pub fn stream(
        mut self,
        media_type: &str,
        chunks: tokio::sync::mpsc::Receiver<io::Result<Bytes>>,
    ) -> Self {
        let chunks = Receiver(chunks);
        self.body = Some(StreamBody::new(chunks).boxed());
        self.header("Content-Type", media_type)
    }

    /// Asks, and waits for the head of the answer.
    ///
    /// # Errors
    /// [`Error::Daemon`] for a status of 400 and above, the others when there is no answer.
    pub async fn send(self) -> Result<Response> {
        let target = self.target().await?;
        self.client
            .send(self.method, target, &self.headers, self.body)
            .await
    }

    /// Asks, and forgets the body of the answer.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn done(self) -> Result<u16> {
        let response = self.send().await?;
        let status = response.status();
        response.bytes().await?;
        Ok(status)
    }

    /// Asks to take the connection over.
    ///
    /// # Errors
    /// As [`Request::send`]; [`Error::Answer`] when the daemon will not hand over.
    pub async fn hijack(self) -> Result<Hijacked> {
        self.upgrade("tcp").await
    }

    /// As [`Request::hijack`], for a protocol of its own.
    pub(crate) async fn upgrade(self, protocol: &'static str) -> Result<Hijacked> {
        let target = self.target().await?;
        let mut headers = self.headers.clone();
        headers.push(("Connection", "Upgrade".to_owned()));
        headers.push(("Upgrade", protocol.to_owned()));
        let body = Some(self.body.unwrap_or_else(|| {
            Full::new(Bytes::new())
                .map_err(|never| match never {})
                .boxed()
        }));
        let (sender, response) = self
            .client
            .raw(&self.method, &target, &headers, body)
            .await?;
        let unexpected = |reason: String| Error::Answer {
            method: self.method.to_string(),
            path: target.clone(),
            reason,
        };
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            let (parts, body) = response.into_parts();
            let refused = refuse(Response {
                client: self.client.clone(),
                sender: Some(sender),
                status: parts.status.as_u16(),
                headers: parts.headers,
                body,
                method: self.method.to_string(),
                path: target.clone(),
            })
            .await;
            return Err(match refused {
                Err(error) => error,
                Ok(response) => unexpected(format!(
                    "unable to upgrade to {protocol}, received {}",
                    response.status()
                )),
            });
        }
        let multiplexed = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .and_then(|media_type| match media_type {
                "application/vnd.docker.multiplexed-stream" => Some(true),
                // Daemons of API 1.41 and before say raw-stream for both.
                _ => None,
            });
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| unexpected(onggi_model::chain(&error)))?;
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| unexpected("the connection is of an unknown kind".to_owned()))?;
        Ok(Hijacked {
            first: parts.read_buf,
            stream: parts.io.into_inner(),
            multiplexed,
        })
    }

    async fn target(&self) -> Result<String> {
        let version = self.client.version().await?;
        let mut target = format!("/v{version}{}", self.path);
        for (index, (name, value)) in self.query.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            target.push_str(&utf8_percent_encode(value, QUERY).to_string());
        }
        Ok(target)
    }
}

/// A channel as the stream of frames that hyper wants.
struct Receiver(tokio::sync::mpsc::Receiver<io::Result<Bytes>>);

impl futures_util::Stream for Receiver {
    type Item = io::Result<Frame<Bytes>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

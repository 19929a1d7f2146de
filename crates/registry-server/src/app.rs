//! One request: who asks, which route it is, and the answer, whatever happens on the way.

use std::sync::Arc;
use std::time::Instant;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode, request, response};
use hyper::body::Incoming;
use onggi_http::{Body, Params, Peer, Query, Request, Response, Router, body, decode_path};
use onggi_oci::distribution::code;

use crate::access_log::{Line, logged};
use crate::auth::rules::Action;
use crate::auth::{Gate, Identity, Origin};
use crate::config::Config;
use crate::name::{Reference, ReferenceError, RepositoryName};
use crate::refusal::Refusal;
use crate::routes::ROUTES;
use crate::storage::{Repository, Storage};
use crate::upstream::Upstreams;

/// Every answer has it: old clients tell registries from other servers by it.
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// The registry.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) storage: Arc<Storage>,
    pub(crate) gate: Gate,
    pub(crate) upstreams: Upstreams,
    pub(crate) router: Router<Call, Answer>,
}

/// What a route gives.
pub(crate) type Answer = Result<Response, Refusal>;

/// What a route gets.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) head: request::Parts,
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) identity: Identity,
    pub(crate) origin: Origin,
    body: Option<Incoming>,
}

impl App {
    /// A registry with the tables of routes.
    pub(crate) fn new(
        config: Config,
        storage: Arc<Storage>,
        gate: Gate,
        upstreams: Upstreams,
    ) -> Self {
        Self {
            config,
            storage,
            gate,
            upstreams,
            router: Router::new([ROUTES]),
        }
    }

    /// Answers a request that came by this scheme.
    pub(crate) async fn handle(
        self: Arc<Self>,
        scheme: &'static str,
        request: Request,
    ) -> Response {
        let (head, incoming) = request.into_parts();
        let peer = head.extensions.get::<Peer>().copied();
        let mut line = self.config.access_log.then(|| Line::begin(&head, peer));
        let began = Instant::now();
        let response = match self.answer(scheme, head, incoming, peer, &mut line).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        };
        let (mut parts, body) = response.into_parts();
        let value = HeaderValue::from_static("registry/2.0");
        parts.headers.insert(VERSION, value);
        let value = HeaderValue::from_static("nosniff");
        parts
            .headers
            .insert(http::header::X_CONTENT_TYPE_OPTIONS, value);
        match line {
            Some(line) => logged(parts, body, line, began),
            None => Response::from_parts(parts, body),
        }
    }

    async fn answer(
        self: &Arc<Self>,
        scheme: &'static str,
        head: request::Parts,
        incoming: Incoming,
        peer: Option<Peer>,
        line: &mut Option<Line>,
    ) -> Answer {
        let path = decode_path(head.uri.path())
            .ok_or_else(|| Refusal::bad(code::NAME_INVALID, "the path is not UTF-8"))?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let Some(found) = self.router.find(&head.method, path, (0, 0)) else {
            return Err(self.no_route(path));
        };
        let origin = Origin {
            address: match peer {
                Some(Peer::Tcp(address)) => Some(address.ip().to_canonical()),
                _ => None,
            },
            base: base(scheme, &head.headers),
        };
        let is_token_service = found.pattern == "token";
        let identity = match is_token_service {
            true => Identity::Anonymous,
            false => self.gate.identify(&head.headers, &origin).await?,
        };
        if let Some(line) = line {
            line.user = identity.name().to_owned();
        }
        let call = Call {
            app: self.clone(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            params: found.params,
            identity,
            origin,
            body: Some(incoming),
            head,
        };
        if matches!(call.head.method, Method::GET | Method::HEAD) {
            return found.handler.call(call).await;
        }
        // A client that hangs up stops waiting, not the change.
        let change = onggi_rt::spawn("change", found.handler.call(call));
        match change.await {
            Ok(Some(answer)) => answer,
            _ => {
                let message = "the registry failed at this";
                Err(Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    crate::refusal::UNKNOWN,
                    message,
                ))
            }
        }
    }

    fn no_route(&self, path: &str) -> Refusal {
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        let allowed: Vec<&str> = methods
            .iter()
            .filter(|method| self.router.find(method, path, (0, 0)).is_some())
            .map(Method::as_str)
            .collect();
        if allowed.is_empty() {
            return Refusal::absent(crate::refusal::UNKNOWN, "page not found");
        }
        Refusal::unsupported("the method is not supported here")
            .header(http::header::ALLOW, allowed.join(", "))
    }
}

/// This registry in the client's words; another name than the one it asked for would be of no use to it.
fn base(scheme: &'static str, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let good = |host: &&str| {
        let host = host.as_bytes();
        let letter = |b: &u8| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        };
        !host.is_empty() && host.iter().all(letter)
    };
    // A proxy before us may be the one who speaks TLS.
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => scheme,
    };
    format!(
        "{scheme}://{}",
        text("host").filter(good).unwrap_or("localhost")
    )
}

impl Call {
    /// The repository's name, if the caller may do that with it.
    ///
    /// # Errors
    /// 400 for no name, 401 and 403 as [`Gate::admit`].
    pub(crate) fn admitted(&self, action: Action) -> Result<RepositoryName, Refusal> {
        let text = self.params.get("name");
        let name = RepositoryName::parse(text).ok_or_else(|| {
            let detail = serde_json::json!({ "name": text });
            Refusal::bad(code::NAME_INVALID, "invalid repository name").detail(detail)
        })?;
        self.app
            .gate
            .admit(&self.identity, name.as_str(), action, &self.origin)?;
        Ok(name)
    }

    /// The repository, which must be there.
    ///
    /// # Errors
    /// 404.
    pub(crate) async fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Arc<Repository>, Refusal> {
        let (storage, wanted) = (self.app.storage.clone(), name.clone());
        let found = onggi_rt::blocking("open repository", move || storage.find(&wanted)).await??;
        found.ok_or_else(|| {
            let detail = serde_json::json!({ "name": name.as_str() });
            Refusal::absent(code::NAME_UNKNOWN, "repository name not known to registry")
                .detail(detail)
        })
    }

    /// The tag or digest of the path.
    ///
    /// # Errors
    /// 400.
    pub(crate) fn reference(&self) -> Result<Reference, Refusal> {
        let text = self.params.get("reference");
        Reference::parse(text).map_err(|error| match error {
            ReferenceError::Tag => Refusal::bad(code::TAG_INVALID, "invalid tag"),
            ReferenceError::Digest(error) => Refusal::bad(code::DIGEST_INVALID, error.to_string()),
        })
    }

    /// The digest of the path.
    ///
    /// # Errors
    /// 400.
    pub(crate) fn digest(&self) -> Result<onggi_model::Digest, Refusal> {
        digest(self.params.get("digest"))
    }

    /// The body, once.
    pub(crate) fn body(&mut self) -> Option<Incoming> {
        self.body.take()
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Refuses changes of what is another registry's.
    ///
    /// # Errors
    /// 405.
    pub(crate) fn ours(&self, name: &RepositoryName) -> Result<(), Refusal> {
        match self.app.upstreams.find(name) {
            None => Ok(()),
            Some((upstream, _)) => {
                let message = format!("{name} is fetched from {}: push it there", upstream.shown());
                Err(Refusal::unsupported(message))
            }
        }
    }

    /// Refuses deletions where they are switched off.
    ///
    /// # Errors
    /// 405.
    pub(crate) fn deletable(&self) -> Result<(), Refusal> {
        match self.app.config.delete {
            true => Ok(()),
            false => Err(Refusal::unsupported("deleting is switched off")),
        }
    }
}

/// A digest from a request.
///
/// # Errors
/// 400.
pub(crate) fn digest(text: &str) -> Result<onggi_model::Digest, Refusal> {
    onggi_model::Digest::parse(text).map_err(|error| {
        let detail = serde_json::json!({ "digest": text });
        Refusal::bad(code::DIGEST_INVALID, error.to_string()).detail(detail)
    })
}

/// Begins an answer.
pub(crate) fn reply(status: StatusCode) -> response::Builder {
    http::Response::builder().status(status)
}

/// Ends an answer.
///
/// # Errors
/// 500 when a header cannot be one, which none of ours can.
pub(crate) fn finish(builder: response::Builder, body: Body) -> Answer {
    builder.body(body).map_err(|error| {
        tracing::error!(%error, "answer");
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            crate::refusal::UNKNOWN,
            "the registry failed at this",
        )
    })
}

/// An answer without a body.
///
/// # Errors
/// As [`finish`].
pub(crate) fn bare(builder: response::Builder) -> Answer {
    finish(
        builder.header(http::header::CONTENT_LENGTH, 0),
        body::empty(),
    )
}

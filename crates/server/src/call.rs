//! One request, its parts read: path parameters, query, body.

use std::future::Future;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::body::Incoming;
use onggi_api::ApiVersion;
use onggi_api::auth::AuthConfig;
use onggi_engine::Engine;
use onggi_http::{Params, Peer, Query, Response, body};
use onggi_model::{ErrorKind, Filters, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// The longest JSON body we read.
pub(crate) const MAX_JSON: usize = 64 << 20;
/// Longer ones, and those of unknown length, are read piece by piece.
const WHOLE: u64 = 256 << 10;
/// Documents with more ports are written piece by piece.
const MANY_PORTS: usize = 1000;
/// How many bytes such a piece has.
const PIECE: usize = 32 << 10;

/// A request on its way to a handler.
pub(crate) struct Call {
    pub(crate) engine: Engine,
    pub(crate) version: ApiVersion,
    /// `GET /containers/{id}/json`: what was asked for, without its parameters.
    pub(crate) endpoint: String,
    /// The client named the version in the path.
    pub(crate) versioned: bool,
    pub(crate) params: Params,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// Who sent it, where the connection tells.
    pub(crate) peer: Option<Peer>,
    pub(crate) body: Incoming,
}

/// What a handler answers.
pub(crate) type Reply = Result<Response, Failure>;

impl Call {
    /// `{id}` of the path.
    pub(crate) fn id(&self) -> &str {
        self.params.get("id")
    }

    /// `{name...}` of the path.
    pub(crate) fn name(&self) -> &str {
        self.params.get("name")
    }

    /// Whether the client speaks an API older than this.
    pub(crate) fn before(&self, major: u16, minor: u16) -> bool {
        self.version < ApiVersion::new(major, minor)
    }

    /// A yes-or-no parameter.
    pub(crate) fn flag(&self, key: &str) -> bool {
        onggi_api::query::boolean(self.query.text(key))
    }

    /// A parameter that is given and not empty.
    pub(crate) fn given(&self, key: &str) -> Option<String> {
        self.query
            .get(key)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    }

    /// Refuses parameters we know and do not honour: what is taken must work.
    pub(crate) fn refuse(&self, keys: &[&str]) -> Result<(), Failure> {
        match keys.iter().find(|key| self.flag(key)) {
            None => Ok(()),
            Some(key) => Err(Failure::not_implemented(format!(
                "{}: the parameter {key} is not there yet in onggi",
                self.endpoint
            ))),
        }
    }

    /// A number, if given.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Failure> {
        match self.query.get(key).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Failure::invalid(format!("invalid value {text:?} for {key}: invalid syntax"))
            }),
        }
    }

    /// A point in time in seconds, if given and not zero.
    pub(crate) fn time(&self, key: &str) -> Result<Option<Timestamp>, Failure> {
        match self.query.text(key) {
            "0" => Ok(None),
            _ => self.time_or_epoch(key),
        }
    }

    /// As [`Call::time`], where zero is the epoch.
    pub(crate) fn time_or_epoch(&self, key: &str) -> Result<Option<Timestamp>, Failure> {
        match self.query.text(key) {
            "" => Ok(None),
            text => Timestamp::parse_unix(text).map(Some).map_err(|_| {
                Failure::invalid(format!("invalid value {text:?} for {key}: invalid syntax"))
            }),
        }
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters, Failure> {
        Ok(Filters::from_json(self.query.text("filters"))?)
    }

    /// `X-Registry-Auth`. What cannot be read counts as not sent, as with dockerd: a pull needs none.
    pub(crate) fn auth(&self) -> Option<AuthConfig> {
        let header = self.headers.get("x-registry-auth")?.to_str().ok()?;
        parse_auth(header)
    }

    /// The JSON body. `None` when there is no body.
    pub(crate) async fn json_if_any<T: DeserializeOwned + Send + 'static>(
        self,
    ) -> Result<Option<T>, Failure> {
        if has_no_body(&self.headers) {
            return Ok(None);
        }
        check_json(&self.headers)?;
        if hyper::body::Body::size_hint(&self.body)
            .exact()
            .is_none_or(|length| length > WHOLE)
        {
            return long_json(self.body).await;
        }
        let bytes = body::read(self.body, MAX_JSON).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(onggi_api::decode(&bytes)?))
    }

    /// The JSON body.
    pub(crate) async fn json<T: DeserializeOwned + Send + 'static>(self) -> Result<T, Failure> {
        self.json_if_any()
            .await?
            .ok_or_else(|| Failure::invalid("invalid JSON: got EOF while reading request body"))
    }
}

/// A document that may be long: what is left of it in memory is what it says.
async fn long_json<T: DeserializeOwned + Send + 'static>(
    body: Incoming,
) -> Result<Option<T>, Failure> {
    let mut reader = body::blocking_reader(body, MAX_JSON)?;
    onggi_rt::blocking("read a request", move || {
        let mut first = [0];
        loop {
            match std::io::Read::read(&mut reader, &mut first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let text = format!("reading the request body: {error}");
                    return Err(Failure::invalid(text));
                }
            }
        }
        let whole = std::io::Read::chain(&first[..], reader);
        Ok(Some(onggi_api::decode_from(whole)?))
    })
    .await
    .map_err(|error| Failure::new(ErrorKind::Internal, error.to_string()))?
}

fn has_no_body(headers: &HeaderMap) -> bool {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    length == Some("0")
        || (length.is_none() && !headers.contains_key(http::header::TRANSFER_ENCODING))
}

/// dockerd refuses bodies that do not say they are JSON.
fn check_json(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if given.is_empty() {
        return Err(Failure::invalid(
            "malformed Content-Type header (): mime: no media type",
        ));
    }
    let kind = given.split(';').next().unwrap_or("").trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "unsupported Content-Type header ({given}): must be 'application/json'"
    )))
}

/// Credentials as clients encode them: base64url of JSON, with or without padding; plain base64 by some.
pub(crate) fn parse_auth(header: &str) -> Option<AuthConfig> {
    let auth: AuthConfig = base64_json(header)?;
    (auth != AuthConfig::default()).then_some(auth)
}

/// A header with a document, in either alphabet of base64.
pub(crate) fn base64_json<T: DeserializeOwned>(header: &str) -> Option<T> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let header = header.trim();
    if header.is_empty() {
        return None;
    }
    let decoded = GeneralPurpose::new(&alphabet::URL_SAFE, config)
        .decode(header)
        .or_else(|_| GeneralPurpose::new(&alphabet::STANDARD, config).decode(header))
        .ok()?;
    onggi_api::decode(&decoded).ok()
}

/// A document with status 200.
pub(crate) fn json(document: &impl Serialize) -> Reply {
    json_with(StatusCode::OK, document)
}

/// A document with a status.
pub(crate) fn json_with(status: StatusCode, document: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(document).map_err(|error| {
        Failure::new(ErrorKind::Internal, format!("encode the answer: {error}"))
    })?;
    text.push(b'\n');
    Ok(typed(status, "application/json", body::full(text)))
}

/// As [`json`], for a document with this many ports: of many the text is never in memory as a whole.
pub(crate) fn json_of_ports(ports: usize, document: impl Serialize + Send + 'static) -> Reply {
    if ports <= MANY_PORTS {
        return json(&document);
    }
    let (chunks, receiver) = tokio::sync::mpsc::channel(2);
    onggi_rt::spawn_blocking("write an answer", move || {
        let mut pieces = Pieces {
            chunks,
            piece: Vec::with_capacity(PIECE),
        };
        // A client that went away needs no more.
        let written = serde_json::to_writer(&mut pieces, &document);
        if written.is_ok() && std::io::Write::write_all(&mut pieces, b"\n").is_ok() {
            let _ = std::io::Write::flush(&mut pieces);
        }
    });
    Ok(typed(
        StatusCode::OK,
        "application/json",
        body::channel(receiver),
    ))
}

/// A writer whose text is sent whenever there is enough of it.
struct Pieces {
    chunks: tokio::sync::mpsc::Sender<Bytes>,
    piece: Vec<u8>,
}

impl std::io::Write for Pieces {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(text);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.chunks.blocking_send(piece.into());
        sent.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

/// A status without a body.
pub(crate) fn status(status: StatusCode) -> Reply {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    Ok(response)
}

/// An answer with a body of this type.
pub(crate) fn typed(status: StatusCode, kind: &'static str, body: onggi_http::Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The document as one piece of a body that comes later.
pub(crate) fn line(document: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(document).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

/// Runs a change as a task of the daemon's: a client that hangs up stops waiting, not the change.
pub(crate) async fn owned<T: Send + 'static, E>(
    what: &'static str,
    change: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, Failure>
where
    E: Into<Failure> + Send + 'static,
{
    match onggi_rt::spawn(what, change).await {
        Ok(Some(result)) => result.map_err(Into::into),
        Ok(None) | Err(_) => Err(Failure::new(
            ErrorKind::Internal,
            format!("{what}: the daemon failed at this; see its log"),
        )),
    }
}

/// Whether the client is Python's, whose SDK reads the head of an answer through a buffer and the stream past it: bytes
/// that come together with the head are lost to it. With dockerd they seldom do, because there a process takes longer to
/// start. Libraries on top of the SDK have names of their own, but all send what `requests` sends.
pub(crate) fn is_python(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let agent = text(http::header::USER_AGENT).unwrap_or_default();
    let by_name = [
        "docker-sdk-python/",
        "docker-py/",
        "tc-python/",
        "python-requests/",
    ]
    .iter()
    .any(|name| agent.starts_with(name));
    let encoding = text(http::header::ACCEPT_ENCODING).unwrap_or_default();
    by_name || (text(http::header::ACCEPT) == Some("*/*") && encoding.starts_with("gzip, deflate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_in_every_alphabet() {
        let json = br#"{"username":"u","password":"p?>~"}"#;
        for text in [
            base64::engine::general_purpose::URL_SAFE.encode(json),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json),
            base64::engine::general_purpose::STANDARD.encode(json),
        ] {
            assert_eq!(parse_auth(&text).unwrap().username, "u", "{text}");
        }
        for nothing in ["", "e30=", "e30", "!!!", "bnVsbA=="] {
            assert_eq!(parse_auth(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn python_is_known_whatever_it_calls_itself() {
        use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, USER_AGENT};
        let known = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            is_python(
                &pairs
                    .map(|(n, v)| (n, HeaderValue::from_static(v)))
                    .collect(),
            )
        };
        assert!(known(&[(USER_AGENT, "docker-sdk-python/7.2.0")]));
        let requests = [(ACCEPT, "*/*"), (ACCEPT_ENCODING, "gzip, deflate, zstd")];
        assert!(known(&requests));
        assert!(!known(&[(USER_AGENT, "curl/8"), (ACCEPT, "*/*")]));
        assert!(!known(&[
            (USER_AGENT, "Docker-Client/28"),
            (ACCEPT_ENCODING, "gzip")
        ]));
    }

    #[test]
    fn bodies_say_they_are_json() {
        let headers = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
            headers
        };
        assert!(check_json(&headers("application/json")).is_ok());
        assert!(check_json(&headers("application/json; charset=utf-8")).is_ok());
        assert_eq!(
            check_json(&headers("text/plain")).unwrap_err().message,
            "unsupported Content-Type header (text/plain): must be 'application/json'"
        );
        assert!(check_json(&HeaderMap::new()).is_err());
    }
}

//! The service: version, route, headers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, SERVER};
use http::{HeaderValue, Method};
use onggi_api::ApiVersion;
use onggi_engine::Engine;
use onggi_http::{Listener, Query, Request, Response, Route, Router, decode_path, serve};
use onggi_rt::Shutdown;
use tracing::Instrument;

use crate::call::{Call, Reply};
use crate::failure::Failure;
use crate::{build, container, exec, image, network, plugin, system, unsupported, volume};

/// All tables, in the order they are looked through.
pub(crate) const TABLES: &[&[Route<Call, Reply>]] = &[
    system::ROUTES,
    container::ROUTES,
    exec::ROUTES,
    image::ROUTES,
    build::ROUTES,
    network::ROUTES,
    volume::ROUTES,
    plugin::ROUTES,
    unsupported::ROUTES,
];

const SERVER_HEADER: &str = concat!("Onggi/", env!("CARGO_PKG_VERSION"), " (linux)");
const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");
const OS_TYPE: HeaderName = HeaderName::from_static("ostype");

/// The API over an engine. Clones share everything.
#[derive(Clone)]
pub struct Server {
    engine: Engine,
    router: Arc<Router<Call, Reply>>,
}

impl Server {
    /// Serves this engine.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            router: Arc::new(Router::new(TABLES.to_vec())),
        }
    }

    /// Answers on a listener until `shutdown`, then lets requests that run end for at most `patience`.
    pub async fn serve(&self, listener: Listener, shutdown: Shutdown, patience: Duration) {
        let server = self.clone();
        let handler = move |request| {
            let server = server.clone();
            async move { server.handle(request).await }
        };
        serve(listener, handler, shutdown, patience).await;
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request) -> Response {
        let span = tracing::debug_span!("request", method = %request.method(), path = request.uri().path());
        async {
            let (mut response, found) = self.dispatch(request).await;
            let headers = response.headers_mut();
            if found {
                headers.insert(API_VERSION, version_header());
                headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
                headers.insert(OS_TYPE, HeaderValue::from_static("linux"));
            }
            headers.insert(SERVER, HeaderValue::from_static(SERVER_HEADER));
            response
        }
        .instrument(span)
        .await
    }

    /// The answer, and whether there is such an endpoint.
    async fn dispatch(&self, request: Request) -> (Response, bool) {
        let (parts, body) = request.into_parts();
        let Some(path) = decode_path(parts.uri.path()) else {
            return (Failure::page_not_found().response(), false);
        };
        // As Docker cleans paths: `containers//name/json` is asked for by names as `inspect` prints them, `/name`.
        let path = clean(&path);
        let (version, path) = split_version(&path);
        let checked = check_version(version, path);
        // A version that is refused is refused only where there is something.
        let effective = checked
            .as_ref()
            .map_or(ApiVersion::NEWEST, |version| *version);
        let route = self
            .router
            .find(&parts.method, path, (effective.major, effective.minor));
        let Some(route) = route else {
            return (Failure::page_not_found().response(), false);
        };
        if let Err(failure) = checked {
            return (failure.response(), true);
        }
        tracing::trace!(pattern = route.pattern, "found");
        let call = Call {
            engine: self.engine.clone(),
            version: effective,
            endpoint: format!("{} /{}", parts.method, route.pattern),
            versioned: version.is_some(),
            params: route.params,
            query: Query::parse(parts.uri.query().unwrap_or("")),
            headers: parts.headers,
            peer: parts.extensions.get().copied(),
            body,
        };
        let response = match route.handler.call(call).await {
            Ok(response) => response,
            Err(failure) => failure.response(),
        };
        (without_body_for_head(&parts.method, response), true)
    }
}

fn version_header() -> HeaderValue {
    HeaderValue::from_str(&ApiVersion::NEWEST.to_string())
        .unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn without_body_for_head(method: &Method, mut response: Response) -> Response {
    if method == Method::HEAD {
        *response.body_mut() = onggi_http::body::empty();
    }
    response
}

/// `/v1.41/containers/json` into `1.41` and `containers/json`.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    if let Some((first, rest)) = path.split_once('/')
        && let Some(version) = first.strip_prefix('v')
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        return (Some(version), rest);
    }
    (None, path)
}

/// The version to speak, or Docker's words for one we do not.
fn check_version(version: Option<&str>, path: &str) -> Result<ApiVersion, Failure> {
    let Some(text) = version else {
        return Ok(ApiVersion::NEWEST);
    };
    let version = ApiVersion::parse(text)
        .ok_or_else(|| Failure::invalid(format!("invalid API version: {text}")))?;
    if version < ApiVersion::OLDEST && is_archive(path) {
        return Ok(ApiVersion::OLDEST);
    }
    if version < ApiVersion::OLDEST {
        return Err(Failure::invalid(format!(
            "client version {version} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
            ApiVersion::OLDEST
        )));
    }
    if version > ApiVersion::NEWEST {
        return Err(Failure::invalid(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::NEWEST
        )));
    }
    Ok(version)
}

/// Archives of images are the same in every version, and older skopeo and podman ask for them with 1.22.
fn is_archive(path: &str) -> bool {
    let rest = path.strip_prefix("images/");
    rest.is_some_and(|rest| matches!(rest, "get" | "load") || rest.ends_with("/get"))
}

/// A path without empty segments, but for those at its ends.
fn clean(path: &str) -> Cow<'_, str> {
    let mut path = Cow::Borrowed(path);
    while path.contains("//") {
        path = path.replace("//", "/").into();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_off_the_path() {
        assert_eq!(
            split_version("/v1.41/containers/json"),
            (Some("1.41"), "containers/json")
        );
        assert_eq!(split_version("/containers/json"), (None, "containers/json"));
        assert_eq!(split_version("/volumes/x"), (None, "volumes/x"));
        assert_eq!(split_version("/v1.41"), (None, "v1.41"));
        let check_version = |version| check_version(version, "info");
        assert_eq!(check_version(None), Ok(ApiVersion::NEWEST));
        assert_eq!(check_version(Some("1.24")), Ok(ApiVersion::OLDEST));
        assert_eq!(
            check_version(Some("1.12")).unwrap_err().message,
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(
            check_version(Some("1.99")).unwrap_err().message,
            "client version 1.99 is too new. Maximum supported API version is 1.55"
        );
        assert!(check_version(Some("1.2.3")).is_err());
        for path in ["images/get", "images/load", "images/a/b:c/get"] {
            let checked = super::check_version(Some("1.22"), path);
            assert_eq!(checked, Ok(ApiVersion::OLDEST), "{path}");
        }
        assert!(super::check_version(Some("1.22"), "images/json").is_err());
    }

    /// Every endpoint of Docker is somewhere in the tables, once.
    #[test]
    fn every_endpoint_of_docker_has_a_row() {
        let router = Router::new(TABLES.to_vec());
        let example = |pattern: &str| {
            let parts = pattern
                .split('/')
                .map(|part| if part.starts_with('{') { "x1" } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        for line in include_str!("endpoints.txt")
            .lines()
            .filter(|line| !line.is_empty())
        {
            let (method, path) = line.split_once(" /").unwrap();
            let method: Method = method.parse().unwrap();
            let found = router.find(&method, &example(path), (1, 55));
            assert!(found.is_some(), "{line}");
        }
        let mut rows: Vec<String> = router
            .routes()
            .map(|route| format!("{} {}", route.method(), route.pattern()))
            .collect();
        let all = rows.len();
        rows.sort();
        rows.dedup();
        assert_eq!(rows.len(), all, "a row is there twice");
    }
}

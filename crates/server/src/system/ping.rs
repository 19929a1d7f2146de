//! `_ping`: is the daemon there, and which API does it speak.

use http::header::{CACHE_CONTROL, HeaderName, PRAGMA};
use http::{HeaderValue, StatusCode};
use onggi_http::body;

use crate::call::{Call, Reply, typed};

const BUILDER: HeaderName = HeaderName::from_static("builder-version");
const SWARM: HeaderName = HeaderName::from_static("swarm");

pub(crate) async fn handle(_: Call) -> Reply {
    let mut response = typed(
        StatusCode::OK,
        "text/plain; charset=utf-8",
        body::full("OK"),
    );
    let headers = response.headers_mut();
    let stale = HeaderValue::from_static("no-cache, no-store, must-revalidate");
    headers.insert(CACHE_CONTROL, stale);
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(BUILDER, HeaderValue::from_static("1"));
    headers.insert(SWARM, HeaderValue::from_static("inactive"));
    Ok(response)
}

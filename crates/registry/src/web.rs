//! A file by its address on the web: what `import URL` fetches. No registry is asked, and nothing of ours goes out but
//! what the address itself says.

use std::io;

use bytes::Bytes;
use onggi_model::{ErrorKind, Fault};
use reqwest::{Response, redirect};
use url::Url;

use crate::client::Client;
use crate::dial::{self, Failure};
use crate::error::Error;

/// Redirects that are followed, as many as Go's client follows.
const REDIRECTS: usize = 10;
/// Bytes of a refusal that are passed on.
const REFUSAL: usize = 4 << 10;

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none.
    #[error("parse {0:?}: {1}")]
    Address(String, url::ParseError),
    /// Only the web is known.
    #[error("Get {0:?}: unsupported protocol scheme {1:?}")]
    Scheme(String, String),
    /// Nobody is there, or the connection broke.
    #[error("Get {url:?}")]
    Request {
        /// The address asked, without a password.
        url: String,
        /// What happened.
        source: Failure,
    },
    /// The server does not give it.
    #[error("failed to GET {url} with status {status}: {body}")]
    Status {
        /// The address asked, without a password.
        url: String,
        /// `404 Not Found`
        status: reqwest::StatusCode,
        /// The beginning of what it says.
        body: String,
    },
    /// Our own settings are in the way.
    #[error(transparent)]
    Client(Error),
}

impl Fault for FetchError {
    fn kind(&self) -> ErrorKind {
        match self {
            FetchError::Address(..) => ErrorKind::InvalidParameter,
            FetchError::Scheme(..) | FetchError::Request { .. } => ErrorKind::Internal,
            FetchError::Status { status, .. } => match status.as_u16() {
                400 => ErrorKind::InvalidParameter,
                401 => ErrorKind::Unauthorized,
                403 => ErrorKind::Forbidden,
                404 => ErrorKind::NotFound,
                _ => ErrorKind::Internal,
            },
            FetchError::Client(error) => error.kind(),
        }
    }
}

/// A file that comes.
#[derive(Debug)]
pub struct Download {
    url: Url,
    response: Response,
}

impl Client {
    /// Asks for the file at `address`; without a scheme it is `http://`. Redirects are followed, proxies are those of
    /// registries.
    ///
    /// # Errors
    /// `InvalidParameter` for what is no address; as the server says; `Internal` where it cannot be reached.
    pub async fn download(&self, address: &str) -> Result<Download, FetchError> {
        let url = parse(address)?;
        let client = self.web().map_err(FetchError::Client)?;
        let mut response = match client.get(url.clone()).send().await {
            Ok(response) => response,
            Err(error) => {
                let source = dial::failure(&error, &url).await;
                let url = without_password(&url);
                return Err(FetchError::Request { url, source });
            }
        };
        let status = response.status();
        // A redirect that is still one here led to what is not the web.
        if status.as_u16() < 300 {
            return Ok(Download { url, response });
        }
        let mut body = Vec::new();
        while body.len() < REFUSAL
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(REFUSAL);
        Err(FetchError::Status {
            url: without_password(&url),
            status,
            body: String::from_utf8_lossy(&body).trim().to_owned(),
        })
    }

    fn web(&self) -> Result<reqwest::Client, Error> {
        let transport = self.transport();
        let config = &transport.config;
        let mut builder = reqwest::Client::builder()
            .user_agent(&config.user_agent)
            .redirect(redirect::Policy::limited(REDIRECTS))
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.stall_timeout)
            .referer(false);
        if let Some(proxies) = &config.proxies {
            builder = builder.no_proxy();
            for proxy in proxies.all().map_err(crate::InvalidConfig::proxy)? {
                builder = builder.proxy(proxy);
            }
        }
        let failed =
            |error: reqwest::Error| Error::Certificates("the web".into(), error.to_string());
        builder.build().map_err(failed)
    }
}

impl Download {
    /// Where it is from, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        without_password(&self.url)
    }

    /// What the server says of the file in a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// How many bytes the server says it has.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks, stays silent too long, or ends before all is there.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.response.chunk().await {
            Ok(chunk) => Ok(chunk),
            Err(error) => Err(io::Error::other(dial::failure(&error, &self.url).await)),
        }
    }
}

fn parse(address: &str) -> Result<Url, FetchError> {
    let whole = match address.contains("://") {
        true => address.to_owned(),
        false => format!("http://{address}"),
    };
    let url = Url::parse(&whole).map_err(|why| FetchError::Address(whole, why))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(FetchError::Scheme(
            without_password(&url),
            scheme.to_owned(),
        )),
    }
}

fn without_password(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() && url.set_password(Some("xxxxx")).is_err() {
        return String::new();
    }
    url.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_web() {
        let text = |address| parse(address).map(|url| without_password(&url));
        assert_eq!(text("host:81/a.tar").unwrap(), "http://host:81/a.tar");
        assert_eq!(text("https://host/a?b").unwrap(), "https://host/a?b");
        assert_eq!(
            text("http://me:secret@host/").unwrap(),
            "http://me:xxxxx@host/"
        );
        for (address, expected, kind) in [
            (
                "ftp://host/file",
                "Get \"ftp://host/file\": unsupported protocol scheme \"ftp\"",
                ErrorKind::Internal,
            ),
            (
                "file:///etc/shadow",
                "Get \"file:///etc/shadow\": unsupported protocol scheme \"file\"",
                ErrorKind::Internal,
            ),
            (
                "http://[",
                "parse \"http://[\": invalid IPv6 address",
                ErrorKind::InvalidParameter,
            ),
        ] {
            let error = text(address).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.kind()), (expected, kind));
        }
    }
}

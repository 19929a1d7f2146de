//! Connection failures in the words Go's `net` and `tls` packages use: people search for them.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;

use url::Url;

/// Silence in the middle of an exchange.
const STALLED: &str = "net/http: timeout awaiting response from the registry";

/// Why a request got no answer, or only the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    text: String,
    sort: Sort,
}

/// What sort of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Nobody listens there, or the way is closed.
    Unreachable,
    /// The name has no address.
    Name,
    /// No answer in time while connecting.
    ConnectTimeout,
    /// Silence in the middle of an answer.
    Stalled,
    /// The peer's certificate is not good.
    Certificate,
    /// The peer does not speak TLS.
    NotTls,
    /// The connection broke.
    Broken,
    /// The request itself is at fault.
    Other,
}

impl Failure {
    /// Whether trying again may help. A refused connection is not tried again: the user waits for it.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.sort, Sort::Broken | Sort::Stalled)
    }

    /// Whether nobody was there at all, as opposed to somebody who did not behave.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(
            self.sort,
            Sort::Unreachable | Sort::Name | Sort::ConnectTimeout
        )
    }

    pub(crate) fn stalled() -> Failure {
        Failure {
            text: STALLED.to_owned(),
            sort: Sort::Stalled,
        }
    }

    pub(crate) fn broken(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            sort: Sort::Broken,
        }
    }
}

/// Reads a client error. Looks the host up once more when the text needs an address.
pub(crate) async fn failure(error: &reqwest::Error, url: &Url) -> Failure {
    let sort = sort(error);
    let text = match sort {
        Sort::Unreachable => {
            let reason = os_reason(error).unwrap_or_else(|| "connection refused".to_owned());
            format!("dial tcp {}: connect: {reason}", dialled(url).await)
        }
        Sort::Name => {
            format!(
                "dial tcp: lookup {}: no such host",
                url.host_str().unwrap_or_default()
            )
        }
        Sort::ConnectTimeout => format!("dial tcp {}: i/o timeout", dialled(url).await),
        Sort::Stalled => STALLED.to_owned(),
        Sort::Certificate => format!(
            "tls: failed to verify certificate: {}",
            certificate_reason(error).unwrap_or_else(|| "x509: unknown error".to_owned())
        ),
        Sort::NotTls => "http: server gave HTTP response to HTTPS client".to_owned(),
        Sort::Broken => match io_kind(error) {
            Some(io::ErrorKind::ConnectionReset) => "read: connection reset by peer".to_owned(),
            Some(io::ErrorKind::BrokenPipe) => "write: broken pipe".to_owned(),
            _ => "unexpected EOF".to_owned(),
        },
        Sort::Other => innermost(error),
    };
    Failure { text, sort }
}

fn sort(error: &reqwest::Error) -> Sort {
    if let Some(tls) = find::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Sort::Certificate,
            rustls::Error::InvalidMessage(_) => Sort::NotTls,
            _ => Sort::Broken,
        };
    }
    if error.is_timeout() {
        return if error.is_connect() {
            Sort::ConnectTimeout
        } else {
            Sort::Stalled
        };
    }
    if error.is_connect() {
        return match io_kind(error) {
            _ if chain_mentions(error, "dns error") => Sort::Name,
            Some(io::ErrorKind::TimedOut) => Sort::ConnectTimeout,
            // The peer hung up during the TLS handshake.
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => Sort::Broken,
            _ => Sort::Unreachable,
        };
    }
    if error.is_builder() {
        Sort::Other
    } else {
        Sort::Broken
    }
}

/// `address:port` as Go would print what it dialled last.
async fn dialled(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return format!("{host}:{port}");
    }
    match tokio::net::lookup_host((bare, port)).await {
        Ok(mut addresses) => addresses
            .next()
            .map_or(format!("{host}:{port}"), |a| a.to_string()),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Every error below `error`, through the boxes of `io::Error`.
fn walk<'a>(
    error: &'a (dyn StdError + 'static),
    visit: &mut dyn FnMut(&'a (dyn StdError + 'static)),
) {
    let mut next = Some(error);
    while let Some(current) = next {
        visit(current);
        if let Some(inner) = current
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            walk(inner, visit);
            return;
        }
        next = current.source();
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut found = None;
    walk(error, &mut |e| found = found.or(e.downcast_ref::<T>()));
    found
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    find::<io::Error>(error).map(io::Error::kind)
}

fn os_reason(error: &reqwest::Error) -> Option<String> {
    let code = find::<io::Error>(error)?.raw_os_error()?;
    let text = io::Error::from_raw_os_error(code).to_string();
    Some(
        text.split(" (os error")
            .next()
            .unwrap_or(&text)
            .to_lowercase(),
    )
}

fn certificate_reason(error: &reqwest::Error) -> Option<String> {
    use rustls::CertificateError as C;
    let rustls::Error::InvalidCertificate(reason) = find::<rustls::Error>(error)? else {
        return None;
    };
    Some(match reason {
        C::UnknownIssuer => "x509: certificate signed by unknown authority".to_owned(),
        C::Expired | C::ExpiredContext { .. } => {
            "x509: certificate has expired or is not yet valid".to_owned()
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "x509: certificate is not valid for this host".to_owned()
        }
        C::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        other => format!("x509: {other:?}"),
    })
}

fn chain_mentions(error: &(dyn StdError + 'static), word: &str) -> bool {
    let mut found = false;
    walk(error, &mut |e| found |= e.to_string().contains(word));
    found
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    walk(error, &mut |e| text = e.to_string());
    text
}

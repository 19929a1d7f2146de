//! One connection to the daemon: a stream, with HTTP/1.1 spoken over it.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use onggi_http::{ClientTls, Stream, Target};

use crate::client::Options;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};

/// The body of a request.
pub(crate) type RequestBody = BoxBody<Bytes, io::Error>;

/// How `endpoint` is reached.
pub(crate) fn target(endpoint: &Endpoint, options: &Options) -> Result<Target> {
    Ok(match (endpoint, &options.tls) {
        (Endpoint::Unix(path), _) => Target::Unix(path.clone()),
        (Endpoint::Tcp { host, port }, None) => Target::Tcp {
            host: host.clone(),
            port: *port,
        },
        (Endpoint::Tcp { host, port }, Some(tls)) => {
            let own = tls.certificate.as_deref().zip(tls.key.as_deref());
            let tls = ClientTls::new(tls.authority.as_deref(), own)
                .map_err(|error| Error::Tls(onggi_model::chain(&error)))?;
            Target::Tls {
                host: host.clone(),
                port: *port,
                tls,
            }
        }
        (Endpoint::Ssh(ssh), _) => {
            let words = ssh.arguments();
            let mut command = options.launcher.clone();
            command.push("ssh".to_owned());
            command.extend(words.iter().cloned());
            Target::Program {
                command,
                shown: format!("ssh {}", words.join(" ")),
            }
        }
    })
}

/// Connects, without a word of HTTP.
pub(crate) async fn dial(
    target: &Target,
    endpoint: &Endpoint,
    method: &str,
    path: &str,
) -> Result<Stream> {
    onggi_http::connect(target)
        .await
        .map_err(|error| explain(endpoint, method, path, &error))
}

/// Connects and starts HTTP. The connection is driven by a task of the current runtime.
pub(crate) async fn connect(
    target: &Target,
    endpoint: &Endpoint,
    method: &str,
    path: &str,
) -> Result<SendRequest<RequestBody>> {
    let stream = dial(target, endpoint, method, path).await?;
    let broken = |error: hyper::Error| Error::Connection {
        method: method.to_owned(),
        path: path.to_owned(),
        reason: onggi_model::chain(&error),
    };
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    tokio::spawn(async move {
        // An error here is the error of a request that waits on it, and told there.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

fn explain(endpoint: &Endpoint, method: &str, path: &str, error: &io::Error) -> Error {
    match (error.kind(), endpoint) {
        (io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused, _) => Error::Unreachable {
            endpoint: endpoint.to_string(),
        },
        (io::ErrorKind::PermissionDenied, Endpoint::Unix(socket)) => Error::Denied {
            endpoint: endpoint.to_string(),
            group: group_of(socket),
        },
        _ => Error::Connection {
            method: method.to_owned(),
            path: format!("http://{}{path}", endpoint.authority()),
            reason: error.to_string(),
        },
    }
}

/// The group that owns a socket, by name where /etc/group has one; `onggi` where nothing can be learned.
fn group_of(socket: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(socket) else {
        return "onggi".to_owned();
    };
    let wanted = metadata.gid().to_string();
    if wanted == "0" {
        return "onggi".to_owned();
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    groups
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == wanted).then(|| name.to_owned())
        })
        .unwrap_or(wanted)
}

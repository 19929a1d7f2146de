//! Where the daemon listens: `unix:///path` or `tcp://host:port`.

use std::fmt;
use std::path::PathBuf;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port without TLS.
    Tcp {
        /// Name or address; IPv6 addresses without brackets.
        host: String,
        /// The port; 2375 where none was given.
        port: u16,
    },
}

/// Why a text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no `scheme://` and no way to guess one.
    #[error("unable to parse docker host `{0}`")]
    Malformed(String),
    /// A scheme of Docker's that this client does not speak.
    #[error("the {scheme}:// endpoint of {host:?} is not supported: use unix:// or tcp://")]
    Unsupported {
        /// The part before `://`.
        scheme: String,
        /// The whole text.
        host: String,
    },
    /// The port is no number from 1 to 65535.
    #[error("invalid port {port:?} in {host:?}")]
    Port {
        /// What stands in the place of the port.
        port: String,
        /// The whole text.
        host: String,
    },
}

impl Endpoint {
    /// Reads `-H` or `DOCKER_HOST`. A bare `host:port` is TCP, as for Docker.
    ///
    /// # Errors
    /// [`EndpointError`], by what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None if text.is_empty() => return Err(EndpointError::Malformed(text.to_owned())),
            None => ("tcp", text),
        };
        match scheme {
            "unix" if !rest.is_empty() => Ok(Endpoint::Unix(PathBuf::from(rest))),
            "tcp" | "http" => {
                let authority = rest.split('/').next().unwrap_or_default();
                let (host, port) = match authority.rsplit_once(':') {
                    Some((host, port)) if !port.contains(']') => (host, port),
                    _ => (authority, ""),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let port = match port {
                    "" => 2375,
                    digits => digits
                        .parse()
                        .ok()
                        .filter(|port| *port != 0)
                        .ok_or_else(|| EndpointError::Port {
                            port: digits.to_owned(),
                            host: text.to_owned(),
                        })?,
                };
                let host = if host.is_empty() { "localhost" } else { host };
                Ok(Endpoint::Tcp {
                    host: host.to_owned(),
                    port,
                })
            }
            "fd" | "npipe" | "ssh" | "https" => Err(EndpointError::Unsupported {
                scheme: scheme.to_owned(),
                host: text.to_owned(),
            }),
            _ => Err(EndpointError::Malformed(text.to_owned())),
        }
    }

    /// What goes into the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self {
            Endpoint::Unix(_) => "localhost".to_owned(),
            Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp { .. } => write!(f, "tcp://{}", self.authority()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, shown) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("tcp://1.2.3.4:99", "tcp://1.2.3.4:99"),
            ("tcp://1.2.3.4", "tcp://1.2.3.4:2375"),
            ("tcp://:99", "tcp://localhost:99"),
            ("host:99", "tcp://host:99"),
            ("host", "tcp://host:2375"),
            ("tcp://[::1]:99", "tcp://[::1]:99"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for (text, error) in [
            ("", "unable to parse docker host ``"),
            ("foo://x", "unable to parse docker host `foo://x`"),
            (
                "ssh://x",
                r#"the ssh:// endpoint of "ssh://x" is not supported: use unix:// or tcp://"#,
            ),
            ("tcp://x:y", r#"invalid port "y" in "tcp://x:y""#),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }
}

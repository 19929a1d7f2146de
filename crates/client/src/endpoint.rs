//! Where the daemon listens: `unix:///path`, `tcp://host:port` or `ssh://user@host`.

use std::fmt;
use std::path::PathBuf;

/// The address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port, with TLS where [`crate::Options`] say so.
    Tcp {
        /// Name or address; IPv6 addresses without brackets.
        host: String,
        /// The port; 2375 where none was given.
        port: u16,
    },
    /// A machine reached by ssh.
    Ssh(Ssh),
}

/// A machine reached by ssh, whose docker or onggi carries our bytes to its daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The user there; ssh decides where none is given.
    pub user: Option<String>,
    /// The machine.
    pub host: String,
    /// The port of its sshd; ssh decides where none is given.
    pub port: Option<u16>,
    /// The socket of its daemon, if it is not the usual one.
    pub socket: Option<String>,
}

/// Why a text names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is no `scheme://` and no way to guess one.
    #[error("invalid bind address format: {0}")]
    Malformed(String),
    /// A scheme of Docker's that this client does not speak.
    #[error("the {scheme}:// endpoint of {host:?} is not supported: use unix://, tcp:// or ssh://")]
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
    /// Something an ssh address may not have, or lacks.
    #[error("ssh host connection is not valid: {0}")]
    Ssh(String),
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
                let (host, port) = authority_of(authority, text)?;
                let host = if host.is_empty() { "localhost" } else { host };
                Ok(Endpoint::Tcp {
                    host: host.to_owned(),
                    port: port.unwrap_or(2375),
                })
            }
            "ssh" => ssh(rest, text).map(Endpoint::Ssh),
            "fd" | "npipe" | "https" => Err(EndpointError::Unsupported {
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
            // Docker's name for what is behind a helper; it is resolved by nobody.
            Endpoint::Ssh(_) => "docker.example.com".to_owned(),
            Endpoint::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

/// `host:port`, both of which may be missing.
fn authority_of<'a>(
    authority: &'a str,
    whole: &str,
) -> Result<(&'a str, Option<u16>), EndpointError> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = match port {
        "" => None,
        digits => Some(
            digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| EndpointError::Port {
                    port: digits.to_owned(),
                    host: whole.to_owned(),
                })?,
        ),
    };
    Ok((host, port))
}

/// `[USER@]HOST[:PORT][/SOCKET]`.
fn ssh(rest: &str, whole: &str) -> Result<Ssh, EndpointError> {
    let wrong = |reason: String| Err(EndpointError::Ssh(reason));
    if let Some((_, query)) = rest.split_once('?') {
        return wrong(format!("query parameters are not allowed: {query:?}"));
    }
    if let Some((_, fragment)) = rest.split_once('#') {
        return wrong(format!("URL fragments are not allowed: {fragment:?}"));
    }
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return wrong("plaintext password is not supported".to_owned());
    }
    let (host, port) = authority_of(authority, whole)?;
    if host.is_empty() {
        return wrong("hostname is empty".to_owned());
    }
    // ssh would take them for options.
    if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
        return wrong("neither user nor host may begin with a dash".to_owned());
    }
    Ok(Ssh {
        user: user.filter(|user| !user.is_empty()).map(str::to_owned),
        host: host.to_owned(),
        port,
        socket: Some(path)
            .filter(|path| !matches!(*path, "" | "/"))
            .map(str::to_owned),
    })
}

impl Ssh {
    /// The arguments of ssh: quiet, without a terminal, and what to run there.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut words: Vec<String> = ["-o", "ConnectTimeout=30", "-T"].map(str::to_owned).into();
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["--".to_owned(), self.host.clone()]);
        let host = match &self.socket {
            Some(path) => format!("--host {} ", quoted(&format!("unix://{path}"))),
            None => String::new(),
        };
        // Whichever is there: the login shell may be any, so the choice is made by sh.
        let script = format!(
            "if command -v docker >/dev/null 2>&1; then exec docker {host}system dial-stdio; else exec onggi {host}system dial-stdio; fi"
        );
        words.extend(["sh".to_owned(), "-c".to_owned(), quoted(&script)]);
        words
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp { .. } => write!(f, "tcp://{}", self.authority()),
            Endpoint::Ssh(ssh) => {
                f.write_str("ssh://")?;
                if let Some(user) = &ssh.user {
                    write!(f, "{user}@")?;
                }
                match &ssh.host {
                    host if host.contains(':') => write!(f, "[{host}]")?,
                    host => f.write_str(host)?,
                }
                if let Some(port) = ssh.port {
                    write!(f, ":{port}")?;
                }
                f.write_str(ssh.socket.as_deref().unwrap_or_default())
            }
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
            ("ssh://host", "ssh://host"),
            ("ssh://me@host:2222", "ssh://me@host:2222"),
            ("ssh://me@[::1]/run/x.sock", "ssh://me@[::1]/run/x.sock"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for (text, error) in [
            ("", "invalid bind address format: "),
            ("foo://x", "invalid bind address format: foo://x"),
            (
                "npipe://x",
                r#"the npipe:// endpoint of "npipe://x" is not supported: use unix://, tcp:// or ssh://"#,
            ),
            ("tcp://x:y", r#"invalid port "y" in "tcp://x:y""#),
            (
                "ssh://",
                "ssh host connection is not valid: hostname is empty",
            ),
            (
                "ssh://me:secret@x",
                "ssh host connection is not valid: plaintext password is not supported",
            ),
            (
                "ssh://-oProxyCommand=x",
                "ssh host connection is not valid: neither user nor host may begin with a dash",
            ),
        ] {
            assert_eq!(
                Endpoint::parse(text).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }

    #[test]
    fn ssh_is_told_whom_to_call_and_what_to_run() {
        let Endpoint::Ssh(ssh) = Endpoint::parse("ssh://me@host:22/run/a'b.sock").unwrap() else {
            panic!("not ssh");
        };
        let words = ssh.arguments();
        assert_eq!(
            words[..11].join(" "),
            "-o ConnectTimeout=30 -T -l me -p 22 -- host sh -c"
        );
        assert!(words[11].contains(r"exec docker --host '\''unix:///run/a"));
    }
}

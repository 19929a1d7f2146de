//! Sockets that accept: unix with mode and group, TCP, TLS, and those a supervisor hands over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use onggi_model::{ErrorKind, Fault};
use rustix::fs::{Gid, Mode, Uid};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::serve::Peer;
use crate::{ServerTls, Stream};

/// How long a TLS client may take to introduce itself.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("{0} is in use by another process")]
    InUse(String),
    /// Something that is not a socket is in the way.
    #[error("{}: something that is not a socket is in the way", .0.display())]
    InTheWay(PathBuf),
    /// What the system said.
    #[error("listen on {what}")]
    System {
        /// Where.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Fault for ListenError {
    fn kind(&self) -> ErrorKind {
        match self {
            ListenError::InUse(_) | ListenError::InTheWay(_) => ErrorKind::Conflict,
            ListenError::System { .. } => ErrorKind::Unavailable,
        }
    }
}

fn system(what: &str, source: impl Into<io::Error>) -> ListenError {
    ListenError::System {
        what: what.to_owned(),
        source: source.into(),
    }
}

/// A socket that accepts connections. A unix socket's file goes when this goes, unless it is another's by then.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    file: Option<SocketFile>,
}

enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Socket::Unix(listener) => listener.fmt(f),
            Socket::Tcp(listener) => listener.fmt(f),
            Socket::Tls(listener, _) => write!(f, "Tls({listener:?})"),
        }
    }
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|m| (m.dev(), m.ino()) == (self.device, self.inode));
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Listens on a unix socket with these permissions. A socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn unix(path: &Path, mode: u32, group: Option<u32>) -> Result<Self, ListenError> {
        let what = path.display().to_string();
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(system(&what, error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(ListenError::InTheWay(path.to_owned()));
            }
            Ok(_) => {
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(ListenError::InUse(what));
                }
                std::fs::remove_file(path).map_err(|error| system(&what, error))?;
            }
        }
        // Until the mode is set only the owner may write to the socket, thus connect: the umask of a
        // daemon never lets others write.
        let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(what.clone()),
            _ => system(&what, error),
        })?;
        let found = std::fs::symlink_metadata(path).map_err(|error| system(&what, error))?;
        let file = SocketFile {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
        };
        if let Some(group) = group {
            let group = Some(Gid::from_raw(group));
            rustix::fs::chown(path, None::<Uid>, group).map_err(|error| system(&what, error))?;
        }
        rustix::fs::chmod(path, Mode::from_raw_mode(mode)).map_err(|error| system(&what, error))?;
        Ok(Self {
            socket: Socket::Unix(listener),
            file: Some(file),
        })
    }

    /// Listens on a TCP address, unprotected: who reaches the port owns the machine.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn tcp(address: &str) -> Result<Self, ListenError> {
        Ok(Self {
            socket: Socket::Tcp(bind(address).await?),
            file: None,
        })
    }

    /// Listens on a TCP address; clients need a certificate as `tls` says.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn tls(address: &str, tls: &ServerTls) -> Result<Self, ListenError> {
        let acceptor = TlsAcceptor::from(tls.config.clone());
        Ok(Self {
            socket: Socket::Tls(bind(address).await?, acceptor),
            file: None,
        })
    }

    /// A listening socket made by somebody else: systemd's, with or without TLS for TCP.
    ///
    /// # Errors
    /// [`ListenError::System`] when it is no listening stream socket.
    pub fn from_fd(fd: OwnedFd, tls: Option<&ServerTls>) -> Result<Self, ListenError> {
        const WHAT: &str = "the inherited socket";
        let fail = |error: io::Error| system(WHAT, error);
        let listening = rustix::net::sockopt::socket_acceptconn(&fd);
        if !listening.map_err(|error| system(WHAT, error))? {
            return Err(fail(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it does not listen",
            )));
        }
        let domain = rustix::net::sockopt::socket_domain(&fd).map_err(|e| system(WHAT, e))?;
        let socket = if domain == rustix::net::AddressFamily::UNIX {
            let listener = std::os::unix::net::UnixListener::from(fd);
            listener.set_nonblocking(true).map_err(fail)?;
            Socket::Unix(UnixListener::from_std(listener).map_err(fail)?)
        } else {
            let listener = std::net::TcpListener::from(fd);
            listener.set_nonblocking(true).map_err(fail)?;
            let listener = TcpListener::from_std(listener).map_err(fail)?;
            match tls {
                Some(tls) => Socket::Tls(listener, TlsAcceptor::from(tls.config.clone())),
                None => Socket::Tcp(listener),
            }
        };
        Ok(Self { socket, file: None })
    }

    /// The TCP address it listens on.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Unix(_) => None,
            Socket::Tcp(listener) | Socket::Tls(listener, _) => listener.local_addr().ok(),
        }
    }

    /// The file of a unix socket we made.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// The next connection, before any TLS handshake.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let peer = match stream.peer_cred() {
                    Ok(c) => Peer::Unix {
                        uid: c.uid(),
                        gid: c.gid(),
                        pid: c.pid(),
                    },
                    Err(error) => return Err(error),
                };
                Ok(Accepted {
                    stream: Stream::Unix(stream),
                    peer,
                    tls: None,
                })
            }
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Accepted {
                    stream: Stream::Tcp(stream),
                    peer: Peer::Tcp(address),
                    tls: None,
                })
            }
            Socket::Tls(listener, acceptor) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let tls = Some(acceptor.clone());
                Ok(Accepted {
                    stream: Stream::Tcp(stream),
                    peer: Peer::Tcp(address),
                    tls,
                })
            }
        }
    }
}

async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(format!("tcp://{address}")),
            _ => system(&format!("tcp://{address}"), error),
        })
}

/// A connection that was accepted and may still have to shake hands.
pub(crate) struct Accepted {
    stream: Stream,
    pub(crate) peer: Peer,
    tls: Option<TlsAcceptor>,
}

impl Accepted {
    pub(crate) async fn finish(self) -> io::Result<Stream> {
        match (self.stream, self.tls) {
            (Stream::Tcp(stream), Some(acceptor)) => {
                let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
                let stream = handshake
                    .await
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                Ok(Stream::TlsServer(Box::new(stream)))
            }
            (stream, _) => Ok(stream),
        }
    }
}

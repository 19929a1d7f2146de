//! The client's side of a connection.

use std::io;
use std::path::PathBuf;

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::program::Program;
use crate::tls::server_name;
use crate::{ClientTls, Stream};

/// Where a daemon listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, unprotected.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// TCP with TLS.
    Tls {
        /// Name or address; the server's certificate must be for it.
        host: String,
        /// Port.
        port: u16,
        /// Whom we trust and who we are.
        tls: ClientTls,
    },
    /// A program whose standard input and output are the connection, like ssh.
    Program {
        /// The program and its arguments.
        command: Vec<String>,
        /// What errors call it.
        shown: String,
    },
}

/// Connects.
///
/// # Errors
/// What the system says; for TLS also `InvalidData` with the reason.
pub async fn connect(target: &Target) -> io::Result<Stream> {
    match target {
        Target::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Target::Tcp { host, port } => tcp(host, *port).await.map(Stream::Tcp),
        Target::Tls { host, port, tls } => {
            let stream = tcp(host, *port).await?;
            let connector = TlsConnector::from(tls.config.clone());
            let stream = connector.connect(server_name(host)?, stream).await?;
            Ok(Stream::TlsClient(Box::new(stream)))
        }
        Target::Program { command, shown } => {
            Ok(Stream::Program(Box::new(Program::start(command, shown)?)))
        }
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

//! Sockets to peers: addresses, connections that come back, and what of a message a peer has taken.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one write may wait for a slow peer; then whoever sends looks whether it still should.
const WRITE: Duration = Duration::from_secs(1);

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `udp://host:port`.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
    /// `unix://path`: a stream, or else datagrams, whatever listens.
    Unix(PathBuf),
    /// `unixgram://path`.
    Unixgram(PathBuf),
}

impl Address {
    /// Reads `proto://where`; `port` where none is named.
    pub(super) fn parse(text: &str, port: Option<u16>) -> Option<Self> {
        let (proto, rest) = text.split_once("://")?;
        let path = || rest.starts_with('/').then(|| PathBuf::from(rest));
        let host = || {
            let rest = rest.trim_end_matches('/');
            let named = match rest.rsplit_once(':') {
                // Colons inside of brackets are an address'.
                Some((host, number)) if !number.contains(']') => {
                    return (!host.is_empty() && number.parse::<u16>().is_ok())
                        .then(|| rest.to_owned());
                }
                _ => rest,
            };
            (!named.is_empty()).then_some(format!("{named}:{}", port?))
        };
        match proto {
            "udp" => host().map(Self::Udp),
            "tcp" => host().map(Self::Tcp),
            "unix" => path().map(Self::Unix),
            "unixgram" => path().map(Self::Unixgram),
            _ => None,
        }
    }
}

enum Socket {
    Udp(UdpSocket),
    Datagrams(UnixDatagram),
    Tcp(TcpStream),
    Stream(UnixStream),
}

impl Socket {
    fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Udp(host) => {
                let peer = resolve(host)?;
                let any = if peer.is_ipv4() {
                    "0.0.0.0:0"
                } else {
                    "[::]:0"
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(peer)?;
                Ok(Self::Udp(socket))
            }
            Address::Tcp(host) => {
                let socket = TcpStream::connect_timeout(&resolve(host)?, CONNECT)?;
                socket.set_write_timeout(Some(WRITE))?;
                socket.set_nodelay(true)?;
                Ok(Self::Tcp(socket))
            }
            Address::Unix(path) => match UnixStream::connect(path) {
                Ok(socket) => {
                    socket.set_write_timeout(Some(WRITE))?;
                    Ok(Self::Stream(socket))
                }
                // EPROTOTYPE: datagrams are what is listened for.
                Err(error) if error.raw_os_error() == Some(91) => datagrams(path),
                Err(error) => Err(error),
            },
            Address::Unixgram(path) => datagrams(path),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Datagrams(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
            Self::Stream(socket) => socket.as_fd(),
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self, Self::Tcp(_) | Self::Stream(_))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Udp(socket) => {
                socket.send(bytes)?;
                // A peer on this machine that is not there has said so by now.
                match socket.take_error()? {
                    Some(error) => Err(error),
                    None => Ok(bytes.len()),
                }
            }
            Self::Datagrams(socket) => socket.send(bytes),
            Self::Tcp(socket) => socket.write(bytes),
            Self::Stream(socket) => socket.write(bytes),
        }
    }
}

fn datagrams(path: &std::path::Path) -> io::Result<Socket> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(WRITE))?;
    Ok(Socket::Datagrams(socket))
}

fn resolve(host: &str) -> io::Result<std::net::SocketAddr> {
    host.to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other(format!("{host} has no address")))
}

/// A connection that is made when it is needed, and again when it is lost.
pub(super) struct Link {
    addresses: Vec<Address>,
    socket: Option<Socket>,
    /// Bytes of the first message that a slow peer has taken already.
    begun: usize,
}

impl Link {
    /// To the first of the addresses that somebody listens on.
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        Self {
            addresses,
            socket: None,
            begun: 0,
        }
    }

    /// Sends messages, and tells how many of them are taken, each time one is.
    ///
    /// # Errors
    /// The peer is not there, or takes nothing at the moment: the same messages are to come again but those taken.
    pub(super) fn send(
        &mut self,
        messages: &[Vec<u8>],
        taken: &mut dyn FnMut(usize),
    ) -> io::Result<()> {
        if self.is_stream()? {
            return self.stream(messages, taken);
        }
        for (index, message) in messages.iter().enumerate() {
            self.write(message)?;
            taken(index + 1);
        }
        Ok(())
    }

    fn stream(&mut self, messages: &[Vec<u8>], taken: &mut dyn FnMut(usize)) -> io::Result<()> {
        let all = messages.concat();
        let mut at = self.begun;
        let mut whole = 0;
        let mut end = 0;
        while at < all.len() {
            match self.write(&all[at..]) {
                Ok(count) => at += count,
                Err(error) => {
                    self.begun = match self.socket {
                        Some(_) => at - end,
                        None => 0,
                    };
                    return Err(error);
                }
            }
            let before = whole;
            while let Some(message) = messages.get(whole)
                && end + message.len() <= at
            {
                end += message.len();
                whole += 1;
            }
            if whole > before {
                taken(whole);
            }
        }
        self.begun = 0;
        Ok(())
    }

    /// One write; a connection that broke is dropped, one that is slow is kept.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.connected()?;
        loop {
            match socket.write(bytes) {
                Ok(0) if !bytes.is_empty() => {
                    self.socket = None;
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "the peer takes nothing",
                    ));
                }
                Err(error) => {
                    self.socket = None;
                    return Err(error);
                }
            }
        }
    }

    /// Reads an answer of the peer.
    ///
    /// # Errors
    /// None in time, or the connection is gone; it is dropped.
    pub(super) fn read(&mut self, buffer: &mut [u8], limit: Duration) -> io::Result<usize> {
        let result = match self.connected()? {
            Socket::Tcp(socket) => socket
                .set_read_timeout(Some(limit))
                .and_then(|()| socket.read(buffer)),
            Socket::Stream(socket) => socket
                .set_read_timeout(Some(limit))
                .and_then(|()| socket.read(buffer)),
            Socket::Udp(_) | Socket::Datagrams(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        match result {
            Ok(count) if count > 0 => Ok(count),
            Ok(_) => {
                self.drop_connection();
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Err(error) => {
                self.drop_connection();
                Err(error)
            }
        }
    }

    /// Begins anew with the next message.
    pub(super) fn drop_connection(&mut self) {
        self.socket = None;
        self.begun = 0;
    }

    fn is_stream(&mut self) -> io::Result<bool> {
        // A peer that closed would take what we send next and throw it away.
        if self.socket.as_ref().is_some_and(Self::hung_up) {
            self.drop_connection();
        }
        self.connected().map(|socket| socket.is_stream())
    }

    fn hung_up(socket: &Socket) -> bool {
        let flags = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let descriptor = socket.descriptor();
        let mut list = [PollFd::new(&descriptor, flags)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        socket.is_stream() && matches!(poll(&mut list, Some(&now)), Ok(count) if count > 0)
    }

    fn connected(&mut self) -> io::Result<&mut Socket> {
        if self.socket.is_none() {
            self.begun = 0;
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in &self.addresses {
                match Socket::connect(address) {
                    Ok(socket) => {
                        self.socket = Some(socket);
                        break;
                    }
                    Err(error) => {
                        last = io::Error::new(error.kind(), format!("{address:?}: {error}"))
                    }
                }
            }
            if self.socket.is_none() {
                return Err(last);
            }
        }
        self.socket
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parse = |text| Address::parse(text, Some(514));
        for (text, wanted) in [
            ("udp://h", Address::Udp("h:514".into())),
            ("tcp://h:1", Address::Tcp("h:1".into())),
            ("tcp://[::1]", Address::Tcp("[::1]:514".into())),
            ("udp://[::1]:9/", Address::Udp("[::1]:9".into())),
            ("unix:///a/b", Address::Unix("/a/b".into())),
            ("unixgram:///a", Address::Unixgram("/a".into())),
        ] {
            assert_eq!(parse(text), Some(wanted), "{text}");
        }
        for bad in [
            "h:514",
            "tcp://",
            "tcp://:5",
            "tcp://h:x",
            "unix://a",
            "ftp://h",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(Address::parse("udp://h", None), None);
    }
}

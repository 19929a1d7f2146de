//! Sockets to ask upstreams from, each used once: the kernel gives each another port, which who wants to forge an answer
//! has to guess. Those of a container's namespace are made some at a time, by a thread that goes there.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use onggi_dns::{Namespace, Upstream};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// Sockets made at once.
const AT_ONCE: usize = 8;
const PORT: u16 = 53;

#[derive(Debug)]
pub(super) struct Stock {
    netns: OwnedFd,
    v4: Mutex<Vec<Socket>>,
    v6: Mutex<Vec<Socket>>,
}

impl Stock {
    pub(super) fn new(netns: OwnedFd) -> Self {
        Self {
            netns,
            v4: Mutex::default(),
            v6: Mutex::default(),
        }
    }

    /// A socket that sends to this upstream and hears from it alone.
    pub(super) async fn udp(&self, upstream: &Upstream) -> io::Result<UdpSocket> {
        let address = address(upstream)?;
        let domain = Domain::for_address(address);
        let socket = match upstream.from {
            Namespace::Host => make(domain, Type::DGRAM)?,
            Namespace::Container => self.take(domain).await?,
        };
        socket.connect(&address.into())?;
        UdpSocket::from_std(socket.into())
    }

    /// A connection to this upstream.
    pub(super) async fn tcp(&self, upstream: &Upstream) -> io::Result<TcpStream> {
        let address = address(upstream)?;
        let domain = Domain::for_address(address);
        let socket = match upstream.from {
            Namespace::Host => make(domain, Type::STREAM)?,
            Namespace::Container => {
                let mut made = self.make_inside(domain, Type::STREAM, 1).await?;
                made.pop().ok_or(io::ErrorKind::NotConnected)?
            }
        };
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect(address).await
    }

    async fn take(&self, domain: Domain) -> io::Result<Socket> {
        let shelf = match domain {
            Domain::IPV6 => &self.v6,
            _ => &self.v4,
        };
        let lock = || shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = lock().pop() {
            return Ok(socket);
        }
        let mut made = self.make_inside(domain, Type::DGRAM, AT_ONCE).await?;
        let socket = made.pop().ok_or(io::ErrorKind::NotConnected)?;
        let mut shelf = lock();
        if shelf.is_empty() {
            *shelf = made;
        }
        Ok(socket)
    }

    async fn make_inside(
        &self,
        domain: Domain,
        kind: Type,
        count: usize,
    ) -> io::Result<Vec<Socket>> {
        let work = move || (0..count).map(|_| make(domain, kind)).collect();
        let made = onggi_rt::ns_thread("sockets for upstreams", self.netns.try_clone()?, work);
        made.await.map_err(io::Error::other)?
    }
}

fn make(domain: Domain, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    if kind == Type::DGRAM {
        // Who cannot be reached is passed over at once.
        onggi_sys::socket::report_errors(socket.as_fd(), domain == Domain::IPV6)?;
    }
    Ok(socket)
}

fn address(upstream: &Upstream) -> io::Result<SocketAddr> {
    let (IpAddr::V6(address), Some(scope)) = (upstream.address, &upstream.scope) else {
        return Ok((upstream.address, PORT).into());
    };
    let index = match scope.parse() {
        Ok(index) => index,
        Err(_) => {
            let socket = make(Domain::IPV4, Type::DGRAM)?;
            rustix::net::netdevice::name_to_index(&socket, scope)?
        }
    };
    Ok(SocketAddrV6::new(address, PORT, 0, index).into())
}

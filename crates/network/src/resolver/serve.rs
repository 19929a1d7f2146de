//! Questions of one container and the replies, by UDP and TCP. Everything runs in one task: when that is gone, so are
//! its sockets.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use onggi_dns::{LARGEST, Query, Rcode, Refusal, Said, View};
use onggi_model::ContainerId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::forward::Forwarder;
use super::{Inner, Sockets};
use crate::error::{Error, Result};

/// Questions of a container that wait for upstreams. Further ones are refused.
const MOST_WAITING: usize = 256;
/// Connections of a container. Further ones wait.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may say nothing.
const IDLE: Duration = Duration::from_secs(10);
/// Questions that are taken before anything else gets a turn.
const BURST: usize = 64;
/// The largest question by UDP.
const LARGEST_QUESTION: usize = 4096;

/// Answers one container.
pub(super) struct Server {
    inner: Arc<Inner>,
    container: ContainerId,
    udp: UdpSocket,
    tcp: TcpListener,
    forwarder: Forwarder,
}

/// What follows from a message.
enum Step {
    Nothing,
    Reply(Vec<u8>),
    Ask(Query, Arc<View>),
}

type Work<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Server {
    pub(super) fn new(inner: Arc<Inner>, container: ContainerId, sockets: Sockets) -> Result<Self> {
        let failed = || Error::io("serve the container's resolver");
        let Sockets { udp, tcp, netns } = sockets;
        Ok(Self {
            inner,
            container,
            udp: UdpSocket::from_std(udp.into()).map_err(failed())?,
            tcp: TcpListener::from_std(tcp.into()).map_err(failed())?,
            forwarder: Forwarder::new(netns),
        })
    }

    pub(super) async fn run(self) {
        let mut waiting: FuturesUnordered<Work<'_>> = FuturesUnordered::new();
        let mut connections: FuturesUnordered<Work<'_>> = FuturesUnordered::new();
        loop {
            tokio::select! {
                ready = self.udp.readable() => {
                    if ready.is_err() {
                        return;
                    }
                    for _ in 0..BURST {
                        let Some((message, asker)) = self.take() else { break };
                        if let Some(work) = self.begin(message, asker, waiting.len()) {
                            waiting.push(work);
                        }
                    }
                    // Who asks without end shares the thread with others.
                    tokio::task::yield_now().await;
                }
                stream = accept(&self.tcp), if connections.len() < MOST_CONNECTIONS => {
                    connections.push(Box::pin(self.converse(stream)));
                }
                Some(()) = waiting.next(), if !waiting.is_empty() => {}
                Some(()) = connections.next(), if !connections.is_empty() => {}
            }
        }
    }

    /// The next datagram.
    fn take(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut bytes = [0; LARGEST_QUESTION];
        let (count, asker) = self.udp.try_recv_from(&mut bytes).ok()?;
        Some((bytes[..count].to_vec(), asker))
    }

    /// Replies at once where that can be done; else what is to be waited for.
    fn begin(&self, message: Vec<u8>, asker: SocketAddr, waiting: usize) -> Option<Work<'_>> {
        // A reply that the kernel does not take is lost, as it might be on a wire: the asker asks again.
        let send = move |reply: &[u8]| drop(self.udp.try_send_to(reply, asker));
        match self.step(&message, Query::limit) {
            Step::Nothing => None,
            Step::Reply(reply) => {
                send(&reply);
                None
            }
            Step::Ask(query, _) if waiting >= MOST_WAITING => {
                send(&query.bare(Rcode::Refused));
                None
            }
            Step::Ask(query, view) => Some(Box::pin(async move {
                let upstreams = view.upstreams(&self.inner.host.resolv_conf());
                let (reply, rest) = self.forwarder.ask(&query, &message, upstreams).await;
                match reply {
                    Some(reply) if reply.len() > query.limit() => send(&query.come_by_tcp()),
                    Some(reply) => send(&reply),
                    None => send(&query.bare(Rcode::ServFail)),
                }
                rest.watch().await;
            })),
        }
    }

    /// Questions on a connection, one after the other.
    async fn converse(&self, mut stream: TcpStream) {
        while let Ok(Ok(message)) = timeout(IDLE, read(&mut stream)).await {
            let reply = match self.step(&message, |_| LARGEST) {
                Step::Nothing => return,
                Step::Reply(reply) => reply,
                Step::Ask(query, view) => {
                    let upstreams = view.upstreams(&self.inner.host.resolv_conf());
                    let (reply, _) = self.forwarder.ask(&query, &message, upstreams).await;
                    reply.unwrap_or_else(|| query.bare(Rcode::ServFail))
                }
            };
            let Ok(Ok(())) = timeout(IDLE, write(&mut stream, &reply)).await else {
                return;
            };
        }
    }

    fn step(&self, message: &[u8], limit: impl Fn(&Query) -> usize) -> Step {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(Refusal::Silence) => return Step::Nothing,
            Err(Refusal::Reply(reply)) => return Step::Reply(reply),
        };
        let directory = self.inner.read();
        let Some(view) = directory.view(&self.container) else {
            return Step::Reply(query.bare(Rcode::ServFail));
        };
        match view.say(
            &query,
            &*directory,
            rand::random::<u16>().into(),
            limit(&query),
        ) {
            Said::Reply(reply) => Step::Reply(reply),
            Said::Ask => Step::Ask(query, view),
        }
    }
}

/// The next connection. Where there are no descriptors, a moment passes.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    // What does not come takes no room.
    let mut message = Vec::new();
    stream.take(length.into()).read_to_end(&mut message).await?;
    match message.len() == usize::from(length) {
        true => Ok(message),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn write(stream: &mut TcpStream, reply: &[u8]) -> io::Result<()> {
    let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes(), reply].concat())
        .await
}

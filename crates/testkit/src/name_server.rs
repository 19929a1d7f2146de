//! A DNS server that says what it is told to, and remembers what it was asked: an upstream for tests.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use onggi_dns::{Kind, LARGEST, Query, Rcode, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Namespace;

/// How soon it hears that it is to stop.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// What it says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameAnswer {
    /// Not a word.
    Silence,
    /// It has failed.
    Failure,
    /// There is no such name.
    Unknown,
    /// These, of the family that is asked for.
    Addresses(Vec<IpAddr>),
}

impl NameAnswer {
    /// One address.
    pub fn one(address: impl Into<IpAddr>) -> Self {
        Self::Addresses(vec![address.into()])
    }
}

/// Answers on port 53 of one address, by UDP and TCP, until it is dropped.
#[derive(Debug)]
pub struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// `answer` gets the name that is asked for, in small letters. A reply that is too long for UDP is cut, and whole by
    /// TCP.
    ///
    /// # Errors
    /// When the address is not to be had there.
    pub fn start(
        namespace: &Namespace,
        address: impl Into<IpAddr>,
        answer: impl Fn(&str) -> NameAnswer + Send + 'static,
    ) -> Result<Self> {
        let address = SocketAddr::new(address.into(), 53);
        let (udp, tcp) = namespace
            .run(|| -> std::io::Result<_> {
                let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                Ok((udp, tcp))
            })?
            .with_context(|| format!("listen on {address}"))?;
        let (asked, stop) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let thread = {
            let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
            let reply = move |message: &[u8], udp: bool| -> Option<Vec<u8>> {
                let query = Query::parse(message).ok()?;
                let name = query.name().unwrap_or("?").to_owned();
                asked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(name);
                let (rcode, addresses) = match answer(query.name().unwrap_or("?")) {
                    NameAnswer::Silence => return None,
                    NameAnswer::Failure => (Rcode::ServFail, Vec::new()),
                    NameAnswer::Unknown => (Rcode::NxDomain, Vec::new()),
                    NameAnswer::Addresses(addresses) => (Rcode::NoError, addresses),
                };
                let records =
                    addresses
                        .into_iter()
                        .filter_map(|address| match (query.kind(), address) {
                            (Kind::A, IpAddr::V4(address)) => Some(Record::A(address)),
                            (Kind::Aaaa, IpAddr::V6(address)) => Some(Record::Aaaa(address)),
                            _ => None,
                        });
                let records: Vec<Record> = records.collect();
                let limit = if udp { query.limit() } else { LARGEST };
                Some(query.reply(rcode, &records, limit))
            };
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut list = [
                        PollFd::from_borrowed_fd(udp.as_fd(), PollFlags::IN),
                        PollFd::from_borrowed_fd(tcp.as_fd(), PollFlags::IN),
                    ];
                    let _ = poll(&mut list, Some(&LOOK));
                    let mut bytes = [0; 4096];
                    while let Ok((count, asker)) = udp.recv_from(&mut bytes) {
                        if let Some(reply) = reply(&bytes[..count], true) {
                            let _ = udp.send_to(&reply, asker);
                        }
                    }
                    while let Ok((mut stream, _)) = tcp.accept() {
                        let _ = converse(&mut stream, &reply);
                    }
                }
            })
        };
        Ok(Self {
            asked,
            stop,
            thread: Some(thread),
        })
    }

    /// The names that it was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One question.
fn converse(
    stream: &mut TcpStream,
    reply: &impl Fn(&[u8], bool) -> Option<Vec<u8>>,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    if let Some(reply) = reply(&message, false) {
        let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), &reply[..]].concat())?;
    }
    Ok(())
}

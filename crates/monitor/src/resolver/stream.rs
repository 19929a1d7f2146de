//! A conversation by TCP: one question after the other, answered from the names or by an upstream.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use onggi_dns::{LARGEST, Query, Rcode, Upstream};
use rustix::event::PollFlags;
use rustix::net::SocketType;

use super::{Resolver, Step};

/// How long nothing may happen.
const IDLE: Duration = Duration::from_secs(5);
/// No question is longer.
const LONGEST_QUESTION: usize = 4096;

#[derive(Debug)]
pub(super) struct Stream {
    asker: TcpStream,
    input: Vec<u8>,
    /// What the asker is to be told.
    output: Vec<u8>,
    upstream: Option<Asked>,
    end: Instant,
    over: bool,
}

/// An upstream that has the question.
#[derive(Debug)]
struct Asked {
    query: Query,
    frame: Vec<u8>,
    left: std::vec::IntoIter<Upstream>,
    socket: TcpStream,
    /// What of the question is not sent yet.
    output: Vec<u8>,
    input: Vec<u8>,
}

/// How far a frame is.
enum Frame {
    Part,
    Whole(Vec<u8>),
    Bad,
}

impl Stream {
    pub(super) fn new(asker: TcpStream) -> Self {
        Self {
            asker,
            input: Vec::new(),
            output: Vec::new(),
            upstream: None,
            end: Instant::now() + IDLE,
            over: false,
        }
    }

    /// What it waits for: one thing at a time.
    pub(super) fn interest(&self) -> (BorrowedFd<'_>, PollFlags) {
        match &self.upstream {
            _ if !self.output.is_empty() => (self.asker.as_fd(), PollFlags::OUT),
            Some(asked) if !asked.output.is_empty() => (asked.socket.as_fd(), PollFlags::OUT),
            Some(asked) => (asked.socket.as_fd(), PollFlags::IN),
            None => (self.asker.as_fd(), PollFlags::IN),
        }
    }

    pub(super) fn wake(&self) -> Instant {
        self.end
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.over || now >= self.end
    }

    /// What it waited for is there.
    pub(super) fn go_on(&mut self, resolver: &Resolver) {
        self.end = Instant::now() + IDLE;
        if !self.output.is_empty() {
            self.over |= !write(&mut self.asker, &mut self.output);
            // The next question may have come with the last one.
            if self.output.is_empty() {
                let next = frame(&mut self.input, LONGEST_QUESTION);
                self.take(next, resolver);
            }
        } else if let Some(asked) = &mut self.upstream {
            match asked.go_on() {
                Frame::Part => {}
                Frame::Whole(reply) => {
                    self.output = framed(&reply);
                    self.upstream = None;
                }
                Frame::Bad => {
                    let Some(asked) = self.upstream.take() else {
                        return;
                    };
                    self.ask(asked.query, asked.frame, asked.left, resolver);
                }
            }
        } else {
            let next = read(&mut self.asker, &mut self.input, LONGEST_QUESTION);
            self.take(next, resolver);
        }
    }

    fn take(&mut self, question: Frame, resolver: &Resolver) {
        match question {
            Frame::Part => {}
            Frame::Whole(message) => match resolver.step(&message, |_| LARGEST) {
                Step::Nothing => self.over = true,
                Step::Reply(reply) => self.output = framed(&reply),
                Step::Ask(query) => {
                    let upstreams = resolver.upstreams().into_iter();
                    self.ask(query, framed(&message), upstreams, resolver);
                }
            },
            Frame::Bad => self.over = true,
        }
    }

    fn ask(
        &mut self,
        query: Query,
        frame: Vec<u8>,
        mut left: std::vec::IntoIter<Upstream>,
        resolver: &Resolver,
    ) {
        let mut connections = left
            .by_ref()
            .filter_map(|one| super::connect(&one, &resolver.netns, SocketType::STREAM).ok());
        let Some(socket) = connections.next() else {
            self.output = framed(&query.bare(Rcode::ServFail));
            return;
        };
        self.upstream = Some(Asked {
            query,
            left,
            socket: socket.into(),
            output: frame.clone(),
            frame,
            input: Vec::new(),
        });
    }
}

impl Asked {
    fn go_on(&mut self) -> Frame {
        if !self.output.is_empty() {
            return match write(&mut self.socket, &mut self.output) {
                true => Frame::Part,
                false => Frame::Bad,
            };
        }
        read(&mut self.socket, &mut self.input, LARGEST)
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(0);
    [&length.to_be_bytes(), message].concat()
}

/// Reads once.
fn read(socket: &mut TcpStream, input: &mut Vec<u8>, longest: usize) -> Frame {
    let mut bytes = [0; 4096];
    match socket.read(&mut bytes) {
        Ok(0) => return Frame::Bad,
        Ok(count) => input.extend_from_slice(&bytes[..count]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
        Err(_) => return Frame::Bad,
    }
    frame(input, longest)
}

/// What is there of a frame; a whole one is taken out of `input`.
fn frame(input: &mut Vec<u8>, longest: usize) -> Frame {
    let Some((length, rest)) = input.split_first_chunk::<2>() else {
        return Frame::Part;
    };
    let length = usize::from(u16::from_be_bytes(*length));
    match rest.get(..length) {
        _ if length > longest => Frame::Bad,
        None => Frame::Part,
        Some(message) => {
            let message = message.to_vec();
            input.drain(..2 + length);
            Frame::Whole(message)
        }
    }
}

/// Writes what the socket takes; `false`: it takes nothing any more.
fn write(socket: &mut TcpStream, output: &mut Vec<u8>) -> bool {
    match socket.write(output) {
        Ok(count) => {
            output.drain(..count);
            true
        }
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

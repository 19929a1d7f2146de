//! The process' stdin: what clients send, in order, no faster than the process takes it.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// What ends an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EndsWith {
    /// The process only.
    #[default]
    Process,
    /// A client that says that nothing more comes.
    Client,
    /// That, and a client that is gone.
    Connection,
}

/// Stdin of a process.
#[derive(Debug, Default)]
pub(crate) struct Input {
    state: State,
    ends_with: EndsWith,
    waiting: Vec<u8>,
    written: usize,
    ending: bool,
}

#[derive(Debug, Default)]
enum State {
    /// The process is still to come.
    #[default]
    Expected,
    Pipe(OwnedFd),
    /// Has no end of input.
    Terminal(OwnedFd),
    /// Takes everything and forgets it.
    Closed,
}

impl Input {
    /// Our end of the pipe that is the process' stdin.
    pub(crate) fn open_pipe(
        &mut self,
        descriptor: OwnedFd,
        ends_with: EndsWith,
    ) -> rustix::io::Result<()> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        self.state = State::Pipe(descriptor);
        self.ends_with = ends_with;
        self.flush();
        Ok(())
    }

    /// The master of the process' terminal.
    pub(crate) fn open_terminal(&mut self, descriptor: OwnedFd) {
        self.state = State::Terminal(descriptor);
        self.flush();
    }

    /// Whether clients' input is to be read.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.is_empty() && !matches!(self.state, State::Expected)
    }

    /// The descriptor, while something waits to be written to it.
    pub(crate) fn wants_to_write(&self) -> Option<BorrowedFd<'_>> {
        if self.waiting.is_empty() {
            None
        } else {
            self.descriptor()
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.ending && !matches!(self.state, State::Closed) {
            self.waiting.extend_from_slice(bytes);
            self.flush();
        }
    }

    /// A client has said that nothing more comes.
    pub(crate) fn client_ended(&mut self) {
        if self.ends_with != EndsWith::Process {
            self.end();
        }
    }

    /// A client is gone without saying so.
    pub(crate) fn client_gone(&mut self) {
        if self.ends_with == EndsWith::Connection {
            self.end();
        }
    }

    /// Nothing more comes from anyone.
    pub(crate) fn end(&mut self) {
        if !matches!(self.state, State::Terminal(_)) {
            self.ending = true;
            self.flush();
        }
    }

    pub(crate) fn close(&mut self) {
        *self = Self {
            state: State::Closed,
            ..Self::default()
        };
    }

    pub(crate) fn flush(&mut self) {
        while self.written < self.waiting.len() {
            let Some(descriptor) = self.descriptor() else {
                return;
            };
            match rustix::io::write(descriptor, &self.waiting[self.written..]) {
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The process has closed its stdin.
                Err(_) => return self.close(),
            }
        }
        self.waiting = Vec::new();
        self.written = 0;
        if self.ending && self.descriptor().is_some() {
            self.close();
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Pipe(descriptor) | State::Terminal(descriptor) => {
                Some(super::borrow(descriptor))
            }
            State::Expected | State::Closed => None,
        }
    }
}

//! What the loop waits for: a list made anew each round from the state, so that nothing is ever registered and forgotten.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whose streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Container,
    /// The exec at this index.
    Exec(usize),
}

/// What a descriptor is. Indices hold for one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Listener,
    /// A connection that has not said its role.
    Pending(usize),
    Control,
    /// The container's process has ended.
    Process,
    /// Memory ran out in the container's control group.
    Memory,
    /// The exec's process has ended.
    ExecProcess(usize),
    Output(Owner, usize),
    Input(Owner),
    Client(Owner, usize),
    Resolver(Resolving),
    /// Published ports on `[::1]`.
    Loopback,
}

/// A part of the container's resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolving {
    Udp,
    Tcp,
    Relay(usize),
    Stream(usize),
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Interests<'fd> {
    tokens: Vec<Token>,
    descriptors: Vec<PollFd<'fd>>,
    wake: Option<Instant>,
}

impl<'fd> Interests<'fd> {
    /// Waits for `flags`, and for the end of the other side, which the kernel always tells.
    pub(crate) fn add(&mut self, token: Token, fd: BorrowedFd<'fd>, flags: PollFlags) {
        self.tokens.push(token);
        self.descriptors.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Comes back at this time at the latest.
    pub(crate) fn until(&mut self, time: Instant) {
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }

    /// Waits; appends what has happened.
    pub(crate) fn wait(mut self, events: &mut Vec<(Token, PollFlags)>) {
        let timeout = self.wake.map(|wake| {
            // Rounded up, else the last millisecond would be spent polling.
            let left = wake.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        // Interrupted or out of memory: the next round will do.
        let _ = poll(&mut self.descriptors, timeout.as_ref());
        events.extend(
            self.tokens
                .iter()
                .zip(&self.descriptors)
                .map(|(token, descriptor)| (*token, descriptor.revents()))
                .filter(|(_, flags)| !flags.is_empty()),
        );
    }
}

//! The process beside each container: one thread, one poll loop.
//!
//! It makes the container through the runtime library, owns its streams, keeps its log, runs further processes in it and
//! records how it ended, all without a daemon if need be: a daemon may come and go at any moment. What it must not do is die
//! before its container or hold much memory: there is one per running container.

mod connection; // framed connections: roles, control
mod container; // the container: from nothing to its recorded end
mod entry; // set-up of the process
mod events; // what the loop waits for
mod exec; // further processes in the container
mod exit; // the exit file
mod foreign; // another OCI runtime in the place of ours
mod held; // sockets that keep published ports
mod log; // the log, and what to do when it cannot be written
mod loopback; // published ports on [::1] of the host
mod monitor; // the loop: what to wait for, who is told
mod oom; // who fell to the memory killer
pub mod protocol; // what daemon and monitor say to each other
mod resolver; // names for the container while no daemon answers
mod runtime; // the words of the runtime library and ours
mod streams; // one process' stdin, stdout, stderr and who is attached to them

pub use entry::main;

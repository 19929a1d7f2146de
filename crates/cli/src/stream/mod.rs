//! Terminals, streams, signals and progress: what happens while a command runs.

pub(crate) mod archive; // archives to a file or standard output
pub(crate) mod escape; // the keys that detach
pub(crate) mod output; // stdout and stderr, written in order by a thread of their own
pub(crate) mod progress; // messages of pull, load and import
pub(crate) mod session; // an attached container or exec
pub(crate) mod signals; // signals to the container, sizes to its terminal
pub(crate) mod stdin; // standard input, read by a thread of its own
pub(crate) mod terminal; // raw mode, sizes

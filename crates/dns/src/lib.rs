//! DNS as containers see it: messages, who has which name, who is asked for the rest. No sockets and no files: those
//! are in `network` (while there is a daemon) and in `monitor` (while there is none), which answer with the same words.

mod answer; // what an upstream answered
mod query; // what a container asked, and our replies
mod resolv_conf; // resolv.conf(5)
mod row; // the names of a network, as lines of a file
mod view; // what one container sees, and what it is told
mod wire; // the few shapes that messages are made of

pub use answer::Answer;
pub use query::{Kind, LARGEST, Query, Rcode, Record, Refusal};
pub use resolv_conf::{BEHIND_STUB, HOST_FILE, ResolvConf, Server};
pub use row::Row;
pub use view::{Link, Names, Namespace, Network, Said, Upstream, View};

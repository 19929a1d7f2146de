//! Log drivers: what `--log-driver` and `--log-opt` mean, and the drivers that send a container's output elsewhere.
//!
//! The monitor writes every container's output to a record on disk. `json-file`, `local` and `none` are that record
//! (or its absence). The other drivers are *shipped*: a thread of the daemon reads the record behind a cursor that is
//! kept on disk and sends it on. So `logs` works with every driver, a peer that is slow or dead holds up no container,
//! and a daemon that is killed goes on where it was.

mod cursor; // how far a record has been sent
pub(crate) mod driver; // the drivers that send
pub(crate) mod options; // --log-driver and --log-opt
pub(crate) mod ship; // the thread that sends
mod subject; // what a record's lines are labelled with
mod wire; // sockets to peers

pub(crate) use ship::Shipping;
pub(crate) use subject::Subject;

//! Containers, one file a verb.

mod archive;
mod attach;
mod changes;
mod commit;
mod create;
mod export;
mod inspect;
mod kill;
mod list;
mod logs;
mod move_ports;
mod pause;
mod prune;
mod remove;
mod rename;
mod resize;
mod restart;
mod start;
mod stats;
mod stop;
mod top;
mod update;
mod wait;

pub use attach::Attach;
pub use commit::Commit;
pub use create::Create;
pub use list::List;
pub use logs::Logs;
pub use remove::Remove;

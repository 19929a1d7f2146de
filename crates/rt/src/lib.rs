//! The way we use tokio: blocking work by name, threads in other namespaces, tasks that are watched, and one word
//! for shutting down.

mod blocking; // sync work from async code
mod namespace; // a thread that lives in another network namespace
mod reader; // sync reading of what comes asynchronously
mod shutdown; // telling everybody to stop
mod task; // tasks whose panics are seen

pub use blocking::{Error, blocking, blocking_here, spawn_blocking};
pub use namespace::ns_thread;
pub use reader::Reader;
pub use shutdown::Shutdown;
pub use task::spawn;

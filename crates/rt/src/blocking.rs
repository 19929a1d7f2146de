//! Sync work from async code. Every call has a name, which its span and its failure carry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Workers that do blocking work themselves right now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// Blocking work that gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It panicked; the panic's own message is in the log.
    #[error("{what}: the daemon failed at this (panic: {message})")]
    Panicked {
        /// The work's name.
        what: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The runtime is shutting down.
    #[error("{what}: the daemon is shutting down")]
    Cancelled {
        /// The work's name.
        what: &'static str,
    },
    /// No thread could be made.
    #[error("{what}: no thread: {message}")]
    Thread {
        /// The work's name.
        what: &'static str,
        /// What the system said.
        message: String,
    },
}

/// Runs `work` on a thread for blocking work and gives its result. Work that has begun is not cancelled when the
/// caller goes away.
///
/// # Errors
/// [`Error`] when it panics or the runtime ends.
pub async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let span = tracing::debug_span!("blocking", what);
    let work = move || span.in_scope(|| caught(what, work));
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Cancelled { what }),
    }
}

/// Runs short `work` on this very thread. As long as another worker of the runtime is free, that is all: no thread is
/// woken. The last one first hands its other tasks to a thread for blocking work, so that a disk which stands still never
/// stops them all.
///
/// # Errors
/// [`Error::Panicked`] when it panics.
pub fn blocking_here<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Error> {
    let span = tracing::debug_span!("blocking", what);
    span.in_scope(|| {
        caught(what, || match Spare::take() {
            _ if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread => work(),
            Some(_spare) => work(),
            None => tokio::task::block_in_place(work),
        })
    })
}

/// The right to keep a worker of the runtime busy: all of them have one but the last.
struct Spare;

impl Spare {
    fn take() -> Option<Spare> {
        let workers = Handle::current().metrics().num_workers();
        let more = |busy: usize| (busy + 1 < workers).then_some(busy + 1);
        let taken = BUSY.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.ok().map(|_| Spare)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        BUSY.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `work` on a thread for blocking work; nobody waits for it. A panic is logged.
pub fn spawn_blocking(what: &'static str, work: impl FnOnce() + Send + 'static) {
    let span = tracing::debug_span!("blocking", what);
    tokio::task::spawn_blocking(move || span.in_scope(|| drop(caught(what, work))));
}

/// Runs `work`; a panic is logged and becomes an error.
pub(crate) fn caught<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let message = message_of(panic.as_ref());
        tracing::error!(what, message, "panic");
        Error::Panicked { what, message }
    })
}

pub(crate) fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_results_and_names_panics() {
        assert_eq!(blocking("add", || 1 + 1).await, Ok(2));
        let error = blocking("fail", || -> u8 { panic!("oh {}", "no") })
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Error::Panicked {
                what: "fail",
                message: "oh no".to_owned()
            }
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_that_stands_still_leaves_a_worker() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let wait = std::sync::Arc::new(wait);
        let still: Vec<_> = (0..4)
            .map(|_| {
                let wait = std::sync::Arc::clone(&wait);
                tokio::spawn(async move {
                    blocking_here("wait", || wait.lock().unwrap().recv().is_ok())
                })
            })
            .collect();
        // All four wait by now, or will; whoever speaks must still be heard.
        for _ in 0..still.len() {
            let go = go.clone();
            tokio::spawn(async move { go.send(()) })
                .await
                .unwrap()
                .unwrap();
        }
        for one in still {
            assert_eq!(one.await.unwrap(), Ok(true));
        }
    }

    #[tokio::test]
    async fn detached_work_runs() {
        let (send, receive) = tokio::sync::oneshot::channel();
        spawn_blocking("send", move || send.send(7).unwrap());
        assert_eq!(receive.await, Ok(7));
    }
}

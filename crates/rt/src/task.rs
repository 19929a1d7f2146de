//! Tasks whose panics are seen.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument;

/// Starts a task. If it panics, the log says which one and why; the others go on.
pub fn spawn<T: Send + 'static>(
    what: &'static str,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<Option<T>> {
    let span = tracing::debug_span!("task", what);
    tokio::spawn(async move {
        match tokio::spawn(future.instrument(span)).await {
            Ok(value) => Some(value),
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    let message = crate::blocking::message_of(panic.as_ref());
                    tracing::error!(what, message, "panic");
                }
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn panics_end_the_task_alone() {
        assert_eq!(super::spawn("fine", async { 3 }).await.unwrap(), Some(3));
        assert_eq!(
            super::spawn("bad", async { panic!("no") }).await.unwrap(),
            None::<()>
        );
    }
}

//! Telling everybody to stop, once.

use tokio::sync::watch;

/// A switch that goes one way. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    send: std::sync::Arc<watch::Sender<bool>>,
    receive: watch::Receiver<bool>,
}

impl Shutdown {
    /// A switch that is not thrown.
    pub fn new() -> Self {
        let (send, receive) = watch::channel(false);
        Self {
            send: std::sync::Arc::new(send),
            receive,
        }
    }

    /// Throws it. Again does nothing.
    pub fn trigger(&self) {
        self.send.send_replace(true);
    }

    /// Whether it was thrown.
    pub fn is_triggered(&self) -> bool {
        *self.receive.borrow()
    }

    /// Returns when it is thrown, at once if it was.
    pub async fn wait(&self) {
        let mut receive = self.receive.clone();
        // The sender lives as long as this value does: no error.
        let _ = receive.wait_for(|thrown| *thrown).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_it() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        let waiting = tokio::spawn(async move { other.wait().await });
        assert!(!shutdown.is_triggered());
        shutdown.trigger();
        waiting.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.is_triggered());
    }
}

//! How much went over: shown while it does where there is a terminal, and told at the end.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onggi_model::units;

use crate::cli::is_terminal;

/// Between two looks at the count.
const PACE: Duration = Duration::from_millis(75);

/// Counts bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// As people read it.
    pub(super) fn size(&self) -> String {
        units::human_size_with_precision(self.0.load(Ordering::Relaxed) as f64, 3)
    }

    /// Runs `work` and shows the count beside it, after `header`, unless quiet or where nobody watches.
    pub(super) async fn shown<T>(
        &self,
        quiet: bool,
        header: &str,
        work: impl Future<Output = T>,
    ) -> T {
        if quiet || !is_terminal(std::io::stderr()) {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        let mut pace = tokio::time::interval(PACE);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                // A terminal that went away stops nothing.
                _ = pace.tick() => {
                    let _ = write!(std::io::stderr(), "\r\x1b[2K{header}{}", self.size());
                }
            }
        };
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
        done
    }
}

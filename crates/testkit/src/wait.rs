//! Conditions with a limit: tests never sleep for a time and hope.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Long enough for a slow machine that does other things too.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Asks until the answer is there; looks often at first and less often later.
///
/// # Errors
/// When `limit` has passed; the text says what was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {limit:?} for {what}");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

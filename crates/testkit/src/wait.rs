//! Conditions with a limit: tests never sleep for a time and hope.

use anyhow::{Result, bail};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Long enough for a slow machine that does other things too. [`wait_until`] stretches it by [`patience`].
pub const LIMIT: Duration = Duration::from_secs(60);

/// By how much limits are longer than on a usual machine: `ONGGI_PATIENCE`, 1 when it says nothing. A guest whose
/// processor is software sets it.
pub fn patience() -> u32 {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    *FACTOR.get_or_init(|| {
        let given = std::env::var("ONGGI_PATIENCE").ok();
        given
            .and_then(|text| text.parse().ok())
            .filter(|&factor| factor > 0)
            .unwrap_or(1)
    })
}

/// Asks until the answer is there; looks often at first and less often later.
///
/// # Errors
/// When `limit` times [`patience`] has passed; the text says what was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let limit = limit * patience();
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

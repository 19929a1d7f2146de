//! The terminal: raw mode while a container has it, and its size.

use std::sync::Mutex;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The terminal as it was before raw mode, for who ends without dropping anything.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Gives the terminal the mode back that it had before raw mode, if it is in that.
pub(crate) fn restore() {
    if let Some(saved) = BEFORE.lock().ok().and_then(|mut before| before.take()) {
        // The terminal may be gone; then nobody misses its mode.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &saved);
    }
}

/// Standard input in raw mode, until dropped.
pub(crate) struct Raw;

impl Raw {
    /// Puts the terminal of standard input into raw mode; nothing when it is none.
    pub(crate) fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let saved = tcgetattr(&stdin).ok()?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        *BEFORE.lock().ok()? = Some(saved);
        Some(Raw)
    }
}

/// Standard input without echo, until dropped.
pub(crate) struct Hidden(Termios);

impl Hidden {
    /// Stops the terminal of standard input from showing what is typed; nothing when it is none.
    pub(crate) fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let saved = tcgetattr(&stdin).ok()?;
        let mut hidden = saved.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden).ok()?;
        Some(Hidden(saved))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // As of raw mode.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Rows and columns of the terminal of standard output; nothing when it is none or does not know.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_row != 0 || size.ws_col != 0).then_some((size.ws_row, size.ws_col))
}

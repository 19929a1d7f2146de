//! The daemon's own log: lines on standard error, which systemd or the shell keeps.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Begins to log at `level` (a word of tracing). `ONGGI_LOG` overrules it with tracing's full filter language.
pub(crate) fn begin(level: &str) {
    let filter = EnvFilter::try_from_env("ONGGI_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr);
    // A second daemon in one process exists only in tests; the first log serves both.
    let _ = log.try_init();
}

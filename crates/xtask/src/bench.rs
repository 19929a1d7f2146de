//! Benchmarks of the crates (`benches/` folders). A benchmark is never a test: nothing fails for being slow.

use crate::programs::{call, cargo};
use anyhow::Result;
use std::ffi::OsString;

/// Runs them.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    call(
        cargo()
            .args(["bench", "--workspace", "--benches"])
            .args(arguments),
    )
}

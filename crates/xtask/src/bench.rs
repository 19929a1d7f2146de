//! Benchmarks. A benchmark is never a test: nothing fails for being slow.

mod net; // networks, beside Docker and what this machine can do

use crate::programs::{call, cargo};
use anyhow::Result;
use clap::Subcommand;
use std::ffi::OsString;

/// Benchmarks that are more than those of one crate.
#[derive(Subcommand)]
pub(crate) enum Beside {
    /// Networks beside dockerd and the limit of this machine, in turn: throughput, connections, names
    Net {
        /// Seconds for each measurement
        #[arg(long, default_value_t = 2)]
        seconds: u32,
        /// Measurements of each kind
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
}

/// Runs those of the crates (`benches/` folders), or one beside Docker.
pub(crate) fn run(beside: Option<Beside>, arguments: &[OsString]) -> Result<()> {
    match beside {
        Some(Beside::Net { seconds, rounds }) => net::run(seconds, rounds),
        None => call(
            cargo()
                .args(["bench", "--workspace", "--benches"])
                .args(arguments),
        ),
    }
}

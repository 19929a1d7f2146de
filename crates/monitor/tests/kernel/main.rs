//! The monitor on the real kernel: this program is its own monitor (`ONGGI_TEST_MONITOR`), its containers run busybox.
//! Needs root; leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod exec; // further processes
mod fixture; // a monitor and those who speak to it
mod life; // from create to the exit file
mod log; // the log on disk
mod measure; // numbers for people
mod resolver; // names while no daemon answers
mod stdio; // streams and clients

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

type Test = (&'static str, fn());

const TESTS: &[&[Test]] = &[
    life::TESTS,
    stdio::TESTS,
    exec::TESTS,
    log::TESTS,
    resolver::TESTS,
];

fn main() -> ExitCode {
    if std::env::var_os("ONGGI_TEST_MONITOR").is_some() {
        return onggi_monitor::main();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|argument| argument == "--list");
    let ignored = arguments.iter().any(|argument| argument == "--ignored");
    let exact = arguments.iter().any(|argument| argument == "--exact");
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let mut out = std::io::stdout();
    let mut failed = 0;
    let tests = if ignored {
        &[measure::TESTS][..]
    } else {
        TESTS
    };
    for (name, test) in tests.iter().copied().flatten() {
        let matches = |filter: &&String| {
            if exact {
                *filter == name
            } else {
                name.contains(*filter)
            }
        };
        if !(wanted.is_empty() || wanted.iter().any(matches)) {
            continue;
        }
        if list {
            let _ = writeln!(out, "{name}: test");
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(test));
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        let _ = writeln!(out, "test {name} ... {word}");
        failed += usize::from(result.is_err());
    }
    fixture::remove_rootfs();
    ExitCode::from(u8::from(failed > 0))
}

//! Containers on the real kernel. Every test makes its own bundle with a busybox root below the temporary directory and its own
//! control group, drives the `onggi-runtime` command line or the library, and leaves nothing behind.
//!
//! The harness is ours: the library must be called from a process with one thread, so this program calls itself in other roles.

mod attacks;
mod bad;
mod bundle;
mod execs;
mod library;
mod life;
mod process;
mod view;

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// Environment variable that names the role this program is called in.
const ROLE: &str = "ONGGI_TEST_ROLE";

/// A test by its name.
type Test = (&'static str, fn());

fn tests() -> Vec<Test> {
    [
        life::TESTS,
        view::TESTS,
        process::TESTS,
        execs::TESTS,
        bad::TESTS,
        attacks::TESTS,
        library::TESTS,
    ]
    .concat()
}

fn main() -> ExitCode {
    match std::env::var(ROLE).as_deref() {
        Ok("runtime") => return onggi_runtime::cli::main(std::env::args_os().skip(1)),
        Ok("init") => return onggi_runtime::init::main(),
        Ok("library") => return library::main(),
        _ => {}
    }
    let mut out = std::io::stdout();
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(out, "kernel: SKIPPED, needs root");
        return ExitCode::SUCCESS;
    }
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let chosen: Vec<Test> = tests()
        .into_iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())))
        .collect();
    if std::env::args().any(|arg| arg == "--list") {
        for (name, _) in &chosen {
            let _ = writeln!(out, "{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(out, "\nrunning {} tests", chosen.len());
    let mut failed = Vec::new();
    for (name, test) in &chosen {
        let passed = std::panic::catch_unwind(AssertUnwindSafe(test)).is_ok();
        let _ = writeln!(
            out,
            "test {name} ... {}",
            if passed { "ok" } else { "FAILED" }
        );
        if !passed {
            failed.push(*name);
        }
    }
    let left = bundle::leftovers();
    if !left.is_empty() {
        let _ = writeln!(out, "left behind: {left:?}");
        failed.push("nothing is left behind");
    }
    let _ = writeln!(
        out,
        "\ntest result: {}. {} passed; {} failed\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len().saturating_sub(failed.len()),
        failed.len()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

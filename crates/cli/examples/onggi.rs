//! The command line alone, for the tests of this crate; the program is in `crates/onggi`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    onggi_cli::main(std::env::args_os().map(text), environment)
}

//! onggi-runtime: runc's command line over the runtime library.

use std::process::ExitCode;

fn main() -> ExitCode {
    onggi_runtime::cli::main(std::env::args_os().skip(1))
}

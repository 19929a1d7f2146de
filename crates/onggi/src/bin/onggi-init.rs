//! onggi-init: the small pid 1 of containers that want one.

use std::process::ExitCode;

fn main() -> ExitCode {
    onggi_runtime::init::main()
}

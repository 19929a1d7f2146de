//! onggi-monitor: the process beside each container. Started by onggid, with a listening socket as descriptor 0.

use std::process::ExitCode;

fn main() -> ExitCode {
    onggi_monitor::main()
}

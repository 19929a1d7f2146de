//! onggi-init: a small pid 1 that runs one program, passes signals on to it and reaps what others leave behind.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use rustix::process::WaitOptions;
use rustix::termios::tcsetpgrp;

use crate::lookup;

// The numbers of Linux on every architecture this runs on (signal(7)).
const SIGCHLD: i32 = 17;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;

/// `onggi-init [--] PROGRAM [ARGUMENTS]`: exits as the program does, 128 + n when signal n ended it; 127 and 126 when the
/// program is not found or cannot be run.
pub fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "--") {
        args.remove(0);
    }
    if args.is_empty() {
        return complain(2, "usage: onggi-init [--] PROGRAM [ARGUMENTS]");
    }
    let args: Result<Vec<CString>, _> = args
        .into_iter()
        .map(|arg| CString::new(arg.into_vec()))
        .collect();
    let Ok(args) = args else {
        return complain(2, "an argument holds a zero byte");
    };
    // Executed by descriptor, whose number would be the name.
    let _ = rustix::thread::set_name(c"onggi-init");
    // Before there is a child: no signal can be lost.
    onggi_sys::signal::block_all();
    let child = onggi_sys::clone::spawn(onggi_sys::clone::Options::default(), || program(&args));
    let Ok(pid) = child.and_then(|child| i32::try_from(child.pid).map_err(std::io::Error::other))
    else {
        return complain(125, "cannot make a process");
    };
    supervise(pid)
}

fn complain(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "onggi-init: {text}");
    ExitCode::from(code)
}

/// In the child: a process group of its own, in the foreground of the terminal if there is one, then the program.
fn program(args: &[CString]) -> i32 {
    let own = rustix::process::getpid();
    let _ = rustix::process::setpgid(None, None);
    if rustix::termios::isatty(rustix::stdio::stdin()) {
        // SIGTTOU is blocked, so this works from the background.
        let _ = tcsetpgrp(rustix::stdio::stdin(), own);
    }
    onggi_sys::signal::reset();
    let command = args[0].to_string_lossy().into_owned();
    let environment: Vec<String> = std::env::var("PATH")
        .map(|path| format!("PATH={path}"))
        .into_iter()
        .collect();
    let error = match lookup::find(&command, &environment) {
        Err(error) => error,
        Ok(path) => {
            let variables: Vec<CString> = std::env::vars_os()
                .filter_map(|(key, value)| {
                    let entry = [key.as_bytes(), b"=", value.as_bytes()].concat();
                    CString::new(entry).ok()
                })
                .collect();
            let Ok(target) = CString::new(path.as_str()) else {
                return 127;
            };
            let error = onggi_sys::exec::execve(&target, args, &variables);
            lookup::refused(&path, &command, &error)
        }
    };
    complain(0, &error.to_string());
    i32::from(error.exit_code().unwrap_or(125))
}

fn supervise(main: i32) -> ExitCode {
    loop {
        match onggi_sys::signal::wait(None) {
            Ok(Some(SIGCHLD)) => {
                if let Some(code) = reap(main) {
                    return ExitCode::from(code);
                }
            }
            // They are about this process being in the background, which it is.
            Ok(Some(SIGTTIN | SIGTTOU) | None) => {}
            Ok(Some(signal)) => {
                // It may just have ended: then SIGCHLD is next.
                let _ = onggi_sys::signal::kill(main, signal);
            }
            Err(_) => return complain(125, "cannot wait for signals"),
        }
    }
}

/// Reaps everything that has ended; the code once the program is among it. The end of pid 1 ends the rest of the namespace.
fn reap(main: i32) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == main {
            code = status
                .exit_status()
                .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
                .map(|code| code as u8);
        }
    }
    code
}

//! The daemon: flags and `daemon.json` into a configuration, the parts wired together, signals.
//!
//! Not here: what the engine does (`engine`), how requests look (`server`).

mod config; // what it runs with
mod docker_socket; // /run/docker.sock, when it is nobody else's
mod flags; // the command line
mod logging; // where the log goes
mod pidfile; // one daemon a pidfile
mod programs; // monitor and init in sealed memory
mod run; // wiring, serving, signals

use std::process::ExitCode;

use clap::Parser;

/// Runs `onggid` with the arguments of this process.
pub fn main() -> ExitCode {
    // A huge page for each stack and heap segment would make up most of our memory. The flag is inherited: the
    // monitor takes it back. Where the kernel does not know it we are larger, no more.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let flags = flags::Flags::parse();
    let validate = flags.validate;
    let result = config::Config::load(flags).map_err(|fault| onggi_model::chain(&fault));
    let config = match result {
        Ok(config) => config,
        Err(text) => return fail(&text),
    };
    if let Err(text) = run::networks(&config) {
        return fail(&text);
    }
    if validate {
        say(&mut std::io::stdout(), "configuration OK");
        return ExitCode::SUCCESS;
    }
    match run::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => fail(&text),
    }
}

fn fail(text: &str) -> ExitCode {
    say(&mut std::io::stderr(), &format!("onggid: {text}"));
    ExitCode::FAILURE
}

/// A line for the person at the terminal; if that is gone, nobody misses it.
fn say(to: &mut impl std::io::Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

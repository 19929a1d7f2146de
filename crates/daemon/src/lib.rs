//! The daemon: flags and `daemon.json` into a configuration, the parts wired together, signals.
//!
//! Not here: what the engine does (`engine`), how requests look (`server`).

mod config; // what it runs with
mod docker_socket; // /run/docker.sock, when it is nobody else's
mod flags; // the command line
mod logging; // where the log goes
mod merge; // flags and file into one document
mod metrics; // numbers for Prometheus
mod options; // the table of all keys and flags
mod pidfile; // one daemon a pidfile
mod programs; // monitor and init in sealed memory
mod reload; // SIGHUP
mod run; // wiring, serving, signals
mod settle; // what the values mean
mod systemd; // readiness, sockets, the machine's end

use std::process::ExitCode;

/// Runs `onggid` with the arguments of this process.
pub fn main() -> ExitCode {
    // A huge page for each stack and heap segment would make up most of our memory. The flag is inherited: the
    // monitor takes it back. Where the kernel does not know it we are larger, no more.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let matches = flags::command().get_matches();
    let loaded = flags::Flags::read(&matches).and_then(|flags| {
        let config = config::Config::load(&flags)?;
        Ok((flags, config))
    });
    let (flags, config) = match loaded {
        Ok(loaded) => loaded,
        Err(fault) => return fail(&onggi_model::chain(&fault)),
    };
    if let Some(Err(text)) = config.group.as_deref().map(run::check_group) {
        return fail(&text);
    }
    if flags.validate {
        for warning in &config.warnings {
            say(
                &mut std::io::stderr(),
                &format!("onggid: warning: {warning}"),
            );
        }
        say(&mut std::io::stdout(), "configuration OK");
        return ExitCode::SUCCESS;
    }
    match run::run(flags, config) {
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

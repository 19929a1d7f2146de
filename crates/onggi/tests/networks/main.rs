//! Networks, as those who run containers see them: how they are made, joined, left and removed, and who reaches whom.
//! Most of it passes on dockerd too (`ONGGI_SUBJECT=dockerd`), with either command line (`ONGGI_CLIENT`).

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod core; // containers in networks: addresses, names, routes, what survives
mod dual; // IPv6 on the default bridge
mod exposure; // who can reach which port, said and tried
mod face; // commands, flags and answers
mod firewall; // who reaches whom: networks apart, published ports, rules that others flush
mod hostile; // firewalls of others
mod kills; // the daemon is killed while networks change
mod lingering; // links that outlive their container
mod loopback; // published ports at [::1]
mod many; // a thousand networks, five hundred containers in one
mod matrix; // kinds of networks, families of addresses, ways
mod moved; // ports move while the daemon is killed
mod names; // containers call each other by name
mod ports; // published ports while containers run
mod remade; // networks made again under the same name
mod scene; // a host, the world outside, two networks: for tests of firewalls
mod ufw; // Debian's ufw beside us
mod wishes; // what is asked of networks, seen from inside

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Subject};

/// A daemon that has busybox.
fn daemon() -> Result<Daemon> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    Ok(daemon)
}

/// What a command line prints; it has to succeed. Words are parted by spaces.
fn ok(daemon: &Daemon, line: &str) -> Result<String> {
    let output = daemon.cli(&line.split_whitespace().collect::<Vec<_>>())?;
    output
        .ok()
        .map(str::to_owned)
        .with_context(|| line.to_owned())
}

/// A command line prints this.
fn says(daemon: &Daemon, line: &str, text: &str) -> Result<()> {
    let said = ok(daemon, line)?;
    ensure!(said == text, "{line}: {said:?} instead of {text:?}");
    Ok(())
}

/// A command line fails and says this.
fn refuses(daemon: &Daemon, line: &str, text: &str) -> Result<()> {
    let output = daemon.cli(&line.split_whitespace().collect::<Vec<_>>())?;
    ensure!(
        output.code != 0 && output.stderr.contains(text),
        "{line} does not say {text:?}: {output:?}"
    );
    Ok(())
}

/// What a template shows of a network or a container, without its line ends.
fn shows(daemon: &Daemon, kind: &str, name: &str, template: &str) -> Result<String> {
    let output = daemon.cli(&[kind, "inspect", "--format", template, name])?;
    let said = output
        .ok()
        .with_context(|| format!("{kind} {name} {template}"))?;
    Ok(said.trim().to_owned())
}

/// Whether a template shows this of a network or a container.
fn is(daemon: &Daemon, kind: &str, name: &str, template: &str, text: &str) -> Result<()> {
    let said = shows(daemon, kind, name, template)?;
    ensure!(
        said == text,
        "{kind} {name} {template}: {said:?} instead of {text:?}"
    );
    Ok(())
}

/// Removes the networks of users and ends; nothing may be left.
fn finish(daemon: &Daemon) -> Result<()> {
    ok(daemon, "network prune -f")?;
    daemon.clean()
}

/// Whether containers in a network of users ask a resolver that knows the names there.
fn names_resolve(daemon: &Daemon, network: &str) -> Result<bool> {
    let line = format!("run --rm --network {network} busybox cat /etc/resolv.conf");
    let is = ok(daemon, &line)?.contains("nameserver 127.0.0.11");
    if !is {
        eprintln!("not asked: names, for want of a resolver at 127.0.0.11");
    }
    Ok(is)
}

/// Whether the test is about what only onggi does, or does as newer engines than the oracle.
fn is_dockerd(daemon: &Daemon, why: &str) -> bool {
    let is = daemon.subject() == Subject::Dockerd;
    if is {
        eprintln!("skipped on dockerd: {why}");
    }
    is
}

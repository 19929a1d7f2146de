//! Debian's own ufw on the daemon's machine, which lets nothing in and nothing through: published ports do what
//! `docs/FIREWALL.md` says, networks stay apart, and what ufw made stays as it made it.

use crate::scene::{HOST, Scene, is_not_asked, report, run};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, patience, wait_until};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where ufw is, and what it writes to: each test has its own.
const UFW: &str = "/usr/sbin/ufw";
const FILES: [&str; 2] = ["/etc/ufw", "/etc/default/ufw"];

/// Whether this can be asked here.
fn is_missing() -> Result<bool> {
    if is_not_asked(false)? {
        return Ok(true);
    }
    if !Path::new(UFW).exists() {
        eprintln!(
            "skipped: Debian's package ufw is not installed (`cargo xtask test` installs it)"
        );
        return Ok(true);
    }
    Ok(false)
}

/// Copies of ufw's files, as the package has them, for the daemon's machine alone.
fn furnish(daemon: &Daemon) -> Result<()> {
    for file in FILES {
        let copy = daemon.path(file.rsplit('/').next().context("a name")?);
        let copy = match file {
            "/etc/ufw" => copy,
            _ => copy.with_extension("default"),
        };
        let copied = Command::new("cp").args(["-a", file]).arg(&copy).status()?;
        ensure!(copied.success(), "cp of {file}");
    }
    // The machine's own may be switched on, and have rules.
    let own = daemon.path("ufw");
    for rules in ["user.rules", "user6.rules"] {
        std::fs::copy(
            Path::new("/usr/share/ufw/iptables").join(rules),
            own.join(rules),
        )?;
    }
    let conf = "ENABLED=no\nLOGLEVEL=low\n";
    Ok(std::fs::write(own.join("ufw.conf"), conf)?)
}

/// Runs ufw in the daemon's network namespace, with files of its own.
fn ufw(daemon: &Daemon, arguments: &str) -> Result<String> {
    let (own, default) = (daemon.path("ufw"), daemon.path("ufw.default"));
    let script = "mount --bind \"$1\" /etc/ufw && mount --bind \"$2\" /etc/default/ufw && mount -t tmpfs none /run \
                  && shift 2 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(own).arg(default).arg(UFW);
    command.args(arguments.split_whitespace());
    let output = daemon.namespace().run(|| command.output())??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ufw {arguments}: {said}{error}");
    Ok(said)
}

/// ufw as most people have it: on, with one port of the host open.
fn switched_on(daemon: &Daemon) -> Result<()> {
    furnish(daemon)?;
    ufw(daemon, "allow 22/tcp")?;
    ufw(daemon, "--force enable")?;
    let status = ufw(daemon, "status verbose")?;
    for said in ["Status: active", "deny (incoming)", "deny (routed)"] {
        // Without forwarding ufw says that it is off.
        let fits = status.contains(said) || said == "deny (routed)" && status.contains("(routed)");
        ensure!(fits, "ufw does not say {said:?}: {status}");
    }
    Ok(())
}

/// What ufw and others have in the tables of iptables, without numbers that packets change, and without what
/// `docs/FIREWALL.md` tells of.
fn of_ufw(daemon: &Daemon) -> Result<String> {
    let mut kept = String::new();
    for program in ["iptables-save", "ip6tables-save"] {
        for line in run(daemon.namespace(), program, "")?.lines() {
            if line.starts_with('#') || line.to_lowercase().contains("onggi") {
                continue;
            }
            let line =
                line.split_once(" [")
                    .map_or(line, |(before, _)| match line.starts_with(':') {
                        true => before,
                        false => line,
                    });
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

/// Our one jump, first in `FORWARD`.
fn jumps_first(daemon: &Daemon) -> Result<bool> {
    let rules = run(daemon.namespace(), "iptables", "-S FORWARD")?;
    let jumps = rules.matches("-j ONGGI-FORWARD").count();
    let first = rules.lines().find(|line| line.starts_with("-A"));
    Ok(jumps == 1 && first.is_some_and(|line| line.contains("ONGGI-FORWARD")))
}

#[test]
fn published_ports_answer_while_it_reloads() -> Result<()> {
    if is_missing()? {
        return Ok(());
    }
    let mut before = String::new();
    let scene = Scene::open_with(&[], |daemon| {
        switched_on(daemon)?;
        before = of_ufw(daemon)?;
        Ok(())
    })?;
    ensure!(
        before.contains(":FORWARD DROP"),
        "not ufw's rules: {before}"
    );
    scene.answers(8080)?;
    ensure!(jumps_first(&scene.daemon)?, "no jump");
    let reloads = if std::env::var_os("ONGGI_FULL").is_some() {
        20
    } else {
        2
    };
    let mut times = Vec::new();
    let over = AtomicBool::new(false);
    let connections = std::thread::scope(|scope| {
        // Somebody connects all the time; the kernel sends again what was lost after a second.
        let client = scope.spawn(|| {
            let to = SocketAddr::new(HOST.parse()?, 8080);
            let mut count = 0_u32;
            while !over.load(Ordering::Relaxed) {
                let limit = LIMIT * patience();
                let connect = || TcpStream::connect_timeout(&to, limit);
                let stream = scene.world.run(connect)?;
                stream.with_context(|| format!("connection {count}"))?;
                count += 1;
            }
            anyhow::Ok(count)
        });
        let done = scene.under_fire(|| {
            for _ in 0..reloads {
                ufw(&scene.daemon, "reload")?;
                times.push(scene.answers(8080)?);
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        let client = client
            .join()
            .map_err(|_| anyhow::anyhow!("the client panicked"))?;
        done.and(client)
    })?;
    report("published ports answered after a reload of ufw", times);
    eprintln!("{connections} connections during {reloads} reloads");
    wait_until("the jump to be in its place", LIMIT, || {
        jumps_first(&scene.daemon)
            .is_ok_and(|first| first)
            .then_some(())
    })?;
    let after = of_ufw(&scene.daemon)?;
    ensure!(
        after == before,
        "ufw's rules have changed:\n{before}\n{after}"
    );
    // Switched off and on again.
    ufw(&scene.daemon, "disable")?;
    scene.answers(8080)?;
    ufw(&scene.daemon, "--force enable")?;
    scene.answers(8080)?;
    ensure!(of_ufw(&scene.daemon)? == before, "ufw's rules have changed");
    scene.close()
}

#[test]
fn published_ports_obey_it_where_asked() -> Result<()> {
    if is_missing()? {
        return Ok(());
    }
    let scene = Scene::open_with(&["--publish-policy=host"], |daemon| {
        switched_on(daemon)?;
        ufw(daemon, "allow 8081/tcp").map(drop)
    })?;
    scene.answers(8081)?;
    ensure!(scene.is_closed(8080)?, "8080 is not allowed");
    // The host itself comes by no wire.
    let own: SocketAddr = "127.0.0.1:8080".parse()?;
    wait_until("the host itself to get through", LIMIT, || {
        let limit = Duration::from_secs(1);
        let connect = || TcpStream::connect_timeout(&own, limit);
        scene.daemon.namespace().run(connect).ok()?.ok()
    })?;
    scene.under_fire(|| {
        ufw(
            &scene.daemon,
            "allow from 192.0.2.0/24 to any port 8080 proto tcp",
        )?;
        scene.answers(8080)?;
        ufw(&scene.daemon, "reload")?;
        scene.answers(8080)?;
        scene.answers(8081)?;
        ufw(
            &scene.daemon,
            "delete allow from 192.0.2.0/24 to any port 8080 proto tcp",
        )?;
        ufw(&scene.daemon, "reject 8081/tcp")?;
        Ok(())
    })?;
    for port in [8080, 8081] {
        ensure!(scene.is_closed(port)?, "{port} is not allowed any more");
    }
    scene.close()
}

//! Published ports at `[::1]` of the host: the monitor listens there, with and without a daemon.

use crate::ok;
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, Subject, wait_until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than this nobody is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// What a server at this port of `[::1]` says.
fn page(daemon: &Daemon, port: u16) -> Result<String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("::1", port))?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    Ok(daemon.namespace().run(ask)??)
}

/// Until the container answers there.
fn answers(daemon: &Daemon, port: u16, name: &str) -> Result<()> {
    let said = || page(daemon, port).ok()?.ends_with(name).then_some(());
    wait_until(&format!("{name} at [::1]:{port}"), LIMIT, said)
}

fn is_silence(error: &anyhow::Error) -> bool {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    matches!(
        kind,
        Some(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    )
}

fn serve(daemon: &Daemon, name: &str, flags: &str) -> Result<()> {
    let script = format!("echo -n {name} > /tmp/index.html; exec httpd -f -p 80 -h /tmp");
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags.split(' '));
    words.extend(["busybox", "sh", "-c", &script]);
    daemon.cli(&words)?.ok().map(drop).context(flags.to_owned())
}

#[test]
fn ports_answer_at_the_loopback_of_ipv6() -> Result<()> {
    if Subject::from_env()? != Subject::Onggi {
        eprintln!("skipped: dockerd has proxies for this");
        return Ok(());
    }
    let mut daemon = crate::daemon()?;
    let net = "network create --ipv6 --subnet 10.71.0.0/24 --subnet fd00:71::/64 six";
    ok(&daemon, net)?;
    serve(&daemon, "both", "--network six -p 8080:80 -p [::1]:8081:80")?;
    // Without an address of IPv6 it is reached all the same, where no address of the host was named.
    serve(&daemon, "old", "-p 8082:80 -p 0.0.0.0:8083:80")?;
    let all = |daemon: &Daemon| {
        answers(daemon, 8080, "both")?;
        answers(daemon, 8081, "both")?;
        answers(daemon, 8082, "old")
    };
    all(&daemon)?;
    ensure!(page(&daemon, 8083).is_err(), "0.0.0.0 is not [::1]");
    daemon.kill()?;
    all(&daemon)?;
    daemon.run()?;
    all(&daemon)?;
    // In and out of networks while it runs.
    ok(&daemon, "network disconnect six both")?;
    ensure!(page(&daemon, 8080).is_err(), "it is in no network any more");
    ok(&daemon, "network connect six both")?;
    // The host knew its address under another hardware address, and is told.
    answers(&daemon, 8080, "both")?;
    ok(&daemon, "restart -t 0 both")?;
    wait_until("both to answer again", LIMIT, || {
        match page(&daemon, 8080) {
            Ok(text) => text.ends_with("both").then_some(Ok(())),
            Err(error) if is_silence(&error) => Some(Err(error)),
            // It is not up yet.
            Err(_) => None,
        }
    })??;
    // What is left of the connections is in nobody's way.
    for _ in 0..3 {
        ok(&daemon, "rm -f old")?;
        ensure!(page(&daemon, 8082).is_err(), "it answers after its end");
        serve(&daemon, "old", "-p 8082:80")?;
        answers(&daemon, 8082, "old")?;
    }
    ok(&daemon, "rm -f old both")?;
    crate::finish(&daemon)
}

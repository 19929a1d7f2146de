//! A container that goes while somebody has not read the last of what it sent.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use onggi_testkit::{LIMIT, wait_until};

use crate::daemon;
use crate::many::on_host;

/// More than both sides keep in memory.
const SERVE: &str = "dd if=/dev/zero of=/big bs=1M count=64 2>/dev/null; httpd -f -h /";

#[test]
fn the_link_of_a_container_goes_with_it() -> Result<()> {
    let daemon = daemon()?;
    daemon
        .cli(&[
            "run", "-d", "--name", "server", "busybox", "sh", "-c", SERVE,
        ])?
        .ok()?;
    let shown = daemon.get("/containers/server/json")?.ok()?.json()?;
    let address = shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str();
    let address = address.context("an address")?.to_owned();
    let connect = || -> Result<TcpStream> {
        let mut stream = TcpStream::connect((address.as_str(), 80))?;
        stream.write_all(b"GET /big HTTP/1.0\r\n\r\n")?;
        // It has begun to send.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        ensure!(stream.peek(&mut [0])? == 1, "nothing was sent");
        Ok(stream)
    };
    let stream = wait_until("the server", LIMIT, || {
        daemon.namespace().run(connect).ok()?.ok()
    })?;
    daemon.cli(&["rm", "-f", "server"])?.ok()?;
    // The client is still there, and reads nothing.
    wait_until("the link to go", LIMIT, || {
        on_host(&daemon, "ip -o link show type veth")
            .ok()?
            .is_empty()
            .then_some(())
    })?;
    drop(stream);
    daemon.clean()
}

//! A network namespace with a way to the world: a link to the machine, which masquerades for it. For tests that fetch
//! real packages, as users' images do.

use crate::namespace::Namespace;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

/// The switch without which a machine passes nothing on.
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The namespace, the link and a table `ip onggi-outside`. Dropping it removes what it made.
#[derive(Debug)]
pub struct Outside {
    namespace: Namespace,
    forward: String,
    /// Held as long as it is there.
    _turn: File,
}

impl Outside {
    /// Makes it. There is one at a time on a machine: others wait.
    ///
    /// # Errors
    /// Without the right to.
    pub fn new() -> Result<Self> {
        let turn = File::create(std::env::temp_dir().join("onggi-outside.lock"))?;
        turn.lock()?;
        let namespace = Namespace::new()?;
        let forward = std::fs::read_to_string(FORWARD).context("read ip_forward")?;
        let outside = Self {
            namespace,
            forward,
            _turn: turn,
        };
        ip("link add onggi-out type veth peer name onggi-in")?;
        let id = std::os::fd::AsRawFd::as_raw_fd(&outside.namespace.fd());
        let path = format!("/proc/{}/fd/{id}", std::process::id());
        ip(&format!("link set onggi-in netns {path}"))?;
        ip("address add 198.18.7.1/30 dev onggi-out")?;
        ip("link set onggi-out up")?;
        outside.namespace.run(|| -> Result<()> {
            ip("address add 198.18.7.2/30 dev onggi-in")?;
            ip("link set onggi-in up")?;
            ip("route add default via 198.18.7.1")
        })??;
        nft("add table ip onggi-outside
             add chain ip onggi-outside out { type nat hook postrouting priority 100; }
             add rule ip onggi-outside out ip saddr 198.18.7.0/30 masquerade")?;
        std::fs::write(FORWARD, "1").context("write ip_forward")?;
        Ok(outside)
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Each of them may be missing: new() may have failed between any two.
        let _ = nft("delete table ip onggi-outside");
        let _ = ip("link delete onggi-out");
        let _ = std::fs::write(FORWARD, &self.forward);
    }
}

fn ip(arguments: &str) -> Result<()> {
    finish(Command::new("ip").args(arguments.split(' ')), "")
}

fn nft(rules: &str) -> Result<()> {
    finish(Command::new("nft").args(["-f", "-"]), rules)
}

fn finish(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

//! Agents of the client, in commands.

use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, LIMIT, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// An agent with one key.
struct Agent {
    process: Child,
    socket: PathBuf,
    /// As `ssh-add -l` shows it.
    fingerprint: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Agent {
    fn start(place: &Path) -> Result<Self> {
        let (socket, key) = (place.join("agent"), place.join("key"));
        let mut agent = Command::new("ssh-agent");
        let process = agent.arg("-D").arg("-a").arg(&socket).spawn();
        let mut agent = Self {
            process: process.context("ssh-agent")?,
            socket,
            fingerprint: String::new(),
        };
        wait_until("the agent to listen", LIMIT, || {
            agent.socket.exists().then_some(())
        })?;
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key);
        ensure!(keygen.status()?.success());
        let add = |more: &[&str]| {
            let mut add = Command::new("ssh-add");
            add.args(more).env("SSH_AUTH_SOCK", &agent.socket).output()
        };
        let key = key.to_str().context("a path")?;
        ensure!(add(&["-q", key])?.status.success());
        let listed = String::from_utf8(add(&["-l"])?.stdout)?;
        let fingerprint = listed.split(' ').nth(1).context("no key")?;
        agent.fingerprint = fingerprint.to_owned();
        Ok(agent)
    }
}

/// `ssh-add` with the libraries it needs, below `place`.
fn tools(place: &Path) -> Result<()> {
    let program = "/usr/bin/ssh-add";
    let needs = String::from_utf8(Command::new("ldd").arg(program).output()?.stdout)?;
    let libraries = needs
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in libraries.chain([program]) {
        let to = place.join(file.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a parent")?)?;
        fs::copy(file, to)?;
    }
    Ok(())
}

#[test]
fn a_command_has_the_agent_of_the_client() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let place = daemon.path("context");
    tools(&place.join("tools"))?;
    let agent = Agent::start(&daemon.path("."))?;
    let ssh = format!("work={}", agent.socket.display());
    let build = |dockerfile: &str, more: &[&str]| {
        fs::write(place.join("Dockerfile"), dockerfile)?;
        let path = place.to_str().context("a path")?;
        daemon.cli(&[&["build", "-t", "built"][..], more, &[path]].concat())
    };
    let text = "FROM busybox\nCOPY tools /\n\
                RUN --mount=type=ssh,id=work,target=/agent,mode=0666 echo $SSH_AUTH_SOCK > /where && ssh-add -l > /keys\n\
                RUN --mount=type=ssh,id=other test ! -e \"$SSH_AUTH_SOCK\"\n";
    let built = build(text, &["--ssh", &ssh])?;
    ensure!(built.code == 0, "{}", built.stderr);
    let read = |path: &str| super::scene::text(&daemon, "built", path);
    ensure!(
        read("keys")?.contains(&agent.fingerprint),
        "{}",
        read("keys")?
    );
    ensure!(read("where")?.trim() == "/agent");
    // Nothing of it stays, and a command that needs it does not run without.
    ensure!(!super::scene::tree(&daemon, "built")?.contains_key("agent"));
    let needs = "FROM busybox\nRUN --mount=type=ssh,required true\n";
    let refused = build(needs, &["--ssh", &ssh])?;
    ensure!(
        refused.code != 0 && refused.stderr.contains("--ssh"),
        "{}",
        refused.stderr
    );
    Ok(())
}

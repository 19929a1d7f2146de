//! Repositories, by the program `git` of this machine: with no settings, hooks or helpers of anybody, without a shell,
//! over the network alone. A repository says what is in it, never what is done here (CVE-2022-39253, CVE-2019-13139).

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use super::git_source::Repository;
use super::{Error, open};
use crate::files::Tree;
use crate::plan::AddOptions;

/// What it may speak.
const PROTOCOLS: &str = "http:https:git:ssh";
/// What it is told whatever a repository says.
const SETTINGS: [&str; 8] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "credential.helper=",
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "init.defaultBranch=main",
];
/// What it keeps of our environment: where programs and proxies are.
const KEPT: [&str; 9] = [
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];
/// Of what it says, the end is passed on.
const SAID: usize = 2 << 10;

/// Fetches what is meant of a repository into a directory.
pub(super) async fn fetch(
    repository: &Repository,
    options: &AddOptions,
    into: &Path,
) -> Result<Tree, Error> {
    fetch_over(repository, options, into, PROTOCOLS).await
}

async fn fetch_over(
    repository: &Repository,
    options: &AddOptions,
    into: &Path,
    protocols: &str,
) -> Result<Tree, Error> {
    let git = Git {
        repository,
        into,
        protocols,
    };
    let wanted = repository.reference.as_deref().unwrap_or("HEAD");
    git.run("init", &["init", "--quiet", "--template=", "."])
        .await?;
    git.run(
        "remote",
        &["remote", "add", "origin", "--", &repository.remote],
    )
    .await?;
    let shallow = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "origin",
        "--",
        wanted,
    ];
    let is_commit = wanted.len() >= 7 && wanted.chars().all(|c| c.is_ascii_hexdigit());
    let at = match git.run("fetch", &shallow).await {
        Ok(_) => "FETCH_HEAD".to_owned(),
        // Many servers give no commit by its name, and none by the beginning of it: then everything has to come.
        Err(Error::Git { .. }) if is_commit => {
            let all = [
                "fetch",
                "--quiet",
                "--tags",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
            ];
            git.run("fetch", &all).await?;
            wanted.to_owned()
        }
        Err(error) => return Err(error),
    };
    let commit = format!("{at}^{{commit}}");
    let verify = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ];
    let found = git.run("rev-parse", &verify).await?.trim().to_owned();
    let pins = [&options.checksum, &repository.commit];
    for pin in pins.into_iter().flatten() {
        let is_pin = pin.len() >= 7 && pin.chars().all(|c| c.is_ascii_hexdigit());
        if !is_pin || !found.starts_with(pin.as_str()) {
            return Err(Error::Wrong(format!(
                "expected checksum to match {pin}, got {found}"
            )));
        }
    }
    git.run(
        "checkout",
        &["checkout", "--quiet", "--force", "--detach", &found],
    )
    .await?;
    let submodules = [
        "submodule",
        "--quiet",
        "update",
        "--init",
        "--recursive",
        "--depth=1",
    ];
    git.run("submodule", &submodules).await?;
    let root = open(into)?;
    let (root, is_all) = match repository.directory.trim_matches('/') {
        "" | "." => (root, true),
        directory => (below(&root, directory)?, false),
    };
    let keeps = options.keep_git_dir && is_all;
    if !keeps {
        let place = into.to_owned();
        let removed = onggi_rt::blocking("remove what git keeps", move || without_git(&place));
        let failed = |error: onggi_rt::Error| Error::Wrong(error.to_string());
        let removed = removed.await.map_err(failed)?;
        removed.map_err(Error::io("remove", ".git"))?;
    }
    let tree = Tree::new(root, repository.shown());
    Ok(match keeps {
        // What git keeps for itself is never the same twice.
        true => tree.known_by(format!("{found} {}", repository.remote)),
        false => tree,
    })
}

/// Removes what git keeps for itself from a working tree, also from those in it. No commit has files of this name.
fn without_git(place: &Path) -> io::Result<()> {
    let mut waiting = vec![place.to_owned()];
    let has_others = place.join(".gitmodules").exists();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let is_directory = entry.file_type()?.is_dir();
            match (entry.file_name() == ".git", is_directory) {
                (true, true) => std::fs::remove_dir_all(entry.path())?,
                (true, false) => std::fs::remove_file(entry.path())?,
                (false, true) if has_others => waiting.push(entry.path()),
                (false, _) => {}
            }
        }
    }
    Ok(())
}

/// A directory of the repository, also by its links, which do not leave it.
fn below(root: &std::os::fd::OwnedFd, directory: &str) -> Result<std::os::fd::OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mode = rustix::fs::Mode::empty();
    match rustix::fs::openat2(root.as_fd(), directory, flags, mode, resolve) {
        Ok(directory) => Ok(directory),
        Err(Errno::NOENT) => Err(Error::Wrong(format!("subdir not found: {directory:?}"))),
        Err(Errno::NOTDIR) => Err(Error::Wrong(format!(
            "subdir not a directory: {directory:?}"
        ))),
        Err(errno) => Err(Error::io("open", directory)(errno.into())),
    }
}

struct Git<'a> {
    repository: &'a Repository,
    into: &'a Path,
    protocols: &'a str,
}

impl Git<'_> {
    /// Runs one of its commands: what it printed.
    async fn run(&self, what: &'static str, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new("git");
        command.env_clear();
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_ALLOW_PROTOCOL", self.protocols)
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes")
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let process = command
            .arg("-C")
            .arg(self.into)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Wrong(format!(
                    "ADD {} needs the program git, which this machine does not have: install it, or clone in a RUN",
                    self.repository.shown()
                )));
            }
            Err(error) => return Err(Error::io("run", "git")(error)),
        };
        // Whoever waits no longer ends its helpers, too.
        let helpers = Helpers(process.id());
        let done = process
            .wait_with_output()
            .await
            .map_err(Error::io("run", "git"))?;
        std::mem::forget(helpers);
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(Error::Git {
            remote: self.repository.shown(),
            what,
            said: self.said(&done.stderr, done.status),
        })
    }

    /// The end of what it said, without control characters and passwords.
    fn said(&self, bytes: &[u8], status: std::process::ExitStatus) -> String {
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SAID)..]);
        let text = text.replace(&self.repository.remote, &self.repository.shown());
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        match lines.join("; ").replace(char::is_control, " ") {
            nothing if nothing.is_empty() => status.to_string(),
            said => said,
        }
    }
}

/// The processes of a command that nobody waits for any more end with this.
struct Helpers(Option<u32>);

impl Drop for Helpers {
    fn drop(&mut self) {
        let pid = self
            .0
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // Gone already is as well.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;

//! A network namespace of one's own, with loopback up and nothing else.

use anyhow::{Context, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};

/// Lives as long as the value, or as processes are in it.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl From<OwnedFd> for Namespace {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl Namespace {
    /// A new one.
    ///
    /// # Errors
    /// Without the right to make one (root).
    pub fn new() -> Result<Self> {
        let namespace = Self {
            fd: onggi_sys::netns::fresh().context("make a network namespace")?,
        };
        namespace
            .run(onggi_sys::loopback::up)?
            .context("loopback up")?;
        Ok(namespace)
    }

    /// The one the caller is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> Result<Self> {
        Ok(Self {
            fd: onggi_sys::netns::current().context("open the network namespace")?,
        })
    }

    /// The same one once more.
    ///
    /// # Errors
    /// When no descriptor can be had.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
        })
    }

    /// Runs a function inside, on a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot enter.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        onggi_sys::netns::in_namespace(self.fd.as_fd(), work).context("enter a network namespace")
    }

    /// Starts a program inside.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let program = command.get_program().to_owned();
        // A child inherits the namespaces of the thread that forks it.
        self.run(|| command.spawn())?
            .with_context(|| format!("start {}", program.display()))
    }

    /// The descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Processes whose network namespace this is.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let own = rustix::fs::fstat(&self.fd).context("stat the network namespace")?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").context("read /proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            // A process that ended meanwhile, or a zombie, is not in it.
            if let Ok(data) = std::fs::metadata(format!("/proc/{pid}/ns/net"))
                && data.ino() == own.st_ino
                && data.dev() == own.st_dev
            {
                found.push(pid);
            }
        }
        Ok(found)
    }
}

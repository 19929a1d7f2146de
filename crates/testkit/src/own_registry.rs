//! `onggi-registry` on loopback of a namespace, with its storage in a private folder; killed and started again.

use crate::binaries::Binaries;
use crate::http::{Request, Response};
use crate::namespace::Namespace;
use crate::wait::{LIMIT, wait_until};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Our registry. Dropping it ends it.
#[derive(Debug)]
pub struct OnggiRegistry<'a> {
    namespace: &'a Namespace,
    child: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
}

impl<'a> OnggiRegistry<'a> {
    /// Starts one on a port of the namespace's loopback, with these keys of its configuration.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn start(namespace: &'a Namespace, port: u16, keys: &Value) -> Result<Self> {
        let mut registry = Self {
            namespace,
            child: None,
            port,
            folder: tempfile::tempdir()?,
        };
        registry.configure(keys)?;
        registry.run()?;
        Ok(registry)
    }

    /// Writes the configuration: for the next start.
    ///
    /// # Errors
    /// When the disk says so.
    pub fn configure(&self, keys: &Value) -> Result<()> {
        let mut config = json!({
            "listen": [format!("tcp://{}", self.address())],
            "storage": self.path("data"),
        });
        let object = keys.as_object().context("keys are an object")?;
        for (key, value) in object {
            config[key] = value.clone();
        }
        Ok(std::fs::write(
            self.path("config.json"),
            config.to_string(),
        )?)
    }

    /// Starts it, when it does not run.
    ///
    /// # Errors
    /// When it ends or does not listen.
    pub fn run(&mut self) -> Result<()> {
        let log = |name: &str| {
            let mut options = File::options();
            options.create(true).append(true).open(self.path(name))
        };
        let mut command = Command::new(Binaries::built("onggi-registry")?);
        command
            .args(["serve", "--config"])
            .arg(self.path("config.json"))
            .stdin(Stdio::null())
            .stdout(log("access.log")?)
            .stderr(log("log")?);
        let mut child = self.namespace.spawn(&mut command)?;
        let listening = wait_until("the registry to listen", LIMIT, || match child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => self.connect().is_ok().then_some(Ok(())),
        });
        match listening {
            Ok(Ok(())) => {}
            Ok(Err(status)) => bail!("onggi-registry ended with {status}\n{}", self.log()),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{error}\n{}", self.log());
            }
        }
        self.child = Some(child);
        Ok(())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file of its folder; the storage is `data`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it said on standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self) -> Result<TcpStream> {
        let stream = self.namespace.run(|| TcpStream::connect(self.address()))?;
        let stream = stream.context("connect to the registry")?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(stream)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub fn send(&self, request: &Request<'_>) -> Result<Response> {
        request.send(self.connect()?)
    }

    /// Ends it with -9.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it with SIGTERM; its exit code.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<i32> {
        let Some(mut child) = self.child.take() else {
            bail!("the registry does not run");
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("pid")?, Signal::TERM)?;
        let ended = wait_until("the registry to end", LIMIT, || {
            child.try_wait().ok().flatten()
        });
        if ended.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        ended?.code().context("ended by a signal")
    }
}

impl Drop for OnggiRegistry<'_> {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.kill();
    }
}

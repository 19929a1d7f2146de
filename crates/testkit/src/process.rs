//! A command that runs beside the test: written to, watched, waited for.

use crate::daemon::{Output, code};
use crate::namespace::Namespace;
use crate::wait::{LIMIT, wait_until};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A running command. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
}

/// What a thread has read so far.
#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts it in the namespace, with pipes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(namespace: &Namespace, command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = namespace.spawn(command)?;
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: Collected::from(child.stdout.take().context("stdout")?),
            stderr: Collected::from(child.stderr.take().context("stderr")?),
            child,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    ///
    /// # Errors
    /// When it does not read any more.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("stdin is closed")?;
        stdin.write_all(text.as_bytes()).context("write to stdin")?;
        stdin.flush().context("write to stdin")
    }

    /// Writes to its standard input on a thread of its own, and ends it. A command that does not read is free to.
    ///
    /// # Errors
    /// When standard input is closed.
    pub fn feed(&mut self, input: Vec<u8>) -> Result<()> {
        let mut stdin = self.stdin.take().context("stdin is closed")?;
        std::thread::spawn(move || stdin.write_all(&input));
        Ok(())
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until it has printed `text`.
    ///
    /// # Errors
    /// When the limit has passed or the command has ended without; with what it printed.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        let seen = wait_until("output", LIMIT, || {
            // In this order: what was printed last counts.
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended {
                self.stdout.finish();
                self.stderr.finish();
            }
            let found = self.stdout.text().contains(text);
            (found || ended).then_some(found)
        });
        if !seen.unwrap_or(false) {
            bail!(
                "no {text:?} in {:?} {:?}",
                self.stdout.text(),
                self.stderr.text()
            );
        }
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("signal a process")
    }

    /// Waits for its end; standard input stays as it is.
    ///
    /// # Errors
    /// When the limit has passed; with what it printed.
    pub fn wait(mut self) -> Result<Output> {
        let status = wait_until("a command to end", LIMIT, || {
            self.child.try_wait().transpose()
        })
        .with_context(|| format!("{:?} {:?}", self.stdout.text(), self.stderr.text()))??;
        self.stdout.finish();
        self.stderr.finish();
        Ok(Output {
            code: code(status),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Collected {
    fn from(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(size @ 1..) = stream.read(&mut buffer) {
                if let Ok(mut bytes) = shared.lock() {
                    bytes.extend_from_slice(&buffer[..size]);
                }
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        let bytes = self
            .bytes
            .lock()
            .map(|bytes| bytes.clone())
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads to the end.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

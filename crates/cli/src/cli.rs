//! What a command works with: where it writes, whom it talks to, what it was told.

use std::future::Future;
use std::io::{self, Write};

use onggi_client::{Client, Options};
use rustix::fd::AsFd;

use crate::args::Matches;
use crate::error::{Error, Result};
use crate::settings::{Environment, Settings};

/// The surroundings of one command.
pub(crate) struct Cli {
    /// `onggi`, or `docker` when called so.
    pub(crate) program: String,
    pub(crate) environment: Environment,
    pub(crate) settings: Settings,
    /// What stood between a management command and its command: the options that all commands of `compose` know.
    pub(crate) group: Matches,
    /// The daemon where nothing says which, if it is not ours: that of the program whose plugin we are.
    pub(crate) default_daemon: Option<&'static str>,
    out: Vec<u8>,
    client: Option<Client>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cli {
    pub(crate) fn new(program: String, environment: Environment) -> Self {
        Cli {
            program,
            environment,
            settings: Settings::default(),
            group: Matches::default(),
            default_daemon: None,
            out: Vec::new(),
            client: None,
            runtime: None,
        }
    }

    /// Writes to stdout, by way of a buffer that [`Cli::flush`] empties.
    pub(crate) fn print(&mut self, text: &str) -> Result<()> {
        self.out.extend_from_slice(text.as_bytes());
        if self.out.len() > 64 * 1024 {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a line to stdout.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.print(text)?;
        self.print("\n")
    }

    /// Empties the buffer of stdout. A reader that went away ends the command as SIGPIPE would.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = std::mem::take(&mut self.out);
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(&out)
            .and_then(|()| stdout.flush())
            .map_err(|error| pipe(&error))
    }

    /// Writes a line to stderr at once, after what stdout has buffered.
    pub(crate) fn complain(&mut self, text: &str) -> Result<()> {
        self.flush()?;
        let mut stderr = io::stderr().lock();
        stderr
            .write_all(format!("{text}\n").as_bytes())
            .map_err(|error| pipe(&error))
    }

    /// The login for the registry of a reference, as the header `X-Registry-Auth` wants it; empty for none. Where it is
    /// kept out of reach that is said, and what is public can be had all the same.
    pub(crate) fn registry_auth(&mut self, domain: &str) -> Result<String> {
        match self.settings.file.registry_auth(domain) {
            Ok(auth) => Ok(auth),
            Err(error) => {
                self.complain(&format!(
                    "WARNING: {}: going on without a login",
                    error.message
                ))?;
                Ok(String::new())
            }
        }
    }

    /// Runs async code; the runtime is made when the first needs it.
    pub(crate) fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output> {
        if self.runtime.is_none() {
            self.runtime = Some(
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?,
            );
        }
        match &self.runtime {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => Err(Error::new("no runtime")),
        }
    }

    /// The client of the daemon; starts the daemon when it is ours, the default one, and nobody listens.
    pub(crate) fn client(&mut self) -> Result<Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let endpoint = self.settings.endpoint.clone()?;
        if self.settings.on_demand {
            crate::daemon::ensure(&endpoint, &self.environment)?;
        }
        let options = Options {
            user_agent: format!("Onggi-Client/{} (linux)", crate::VERSION),
            version: self.settings.api_version,
            headers: self.settings.headers.clone(),
            tls: self.settings.tls.clone(),
            // ssh in a session of its own: signals of this terminal are for the container.
            launcher: ["/proc/self/exe", crate::daemon::DETACH]
                .map(str::to_owned)
                .into(),
        };
        let client = Client::new(endpoint, options)?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// The detach keys of the command line, else those of the configuration.
    pub(crate) fn detach_keys(&self, given: &str) -> String {
        if given.is_empty() {
            self.settings.file.detach_keys.clone()
        } else {
            given.to_owned()
        }
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A thread may hang in a read of stdin, which nobody waits for.
            runtime.shutdown_background();
        }
    }
}

/// A write that failed: a reader that went away is no news.
pub(crate) fn pipe(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::silent(141);
    }
    Error::from(io::Error::new(error.kind(), error.to_string()))
}

/// Whether a descriptor is a terminal.
pub(crate) fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

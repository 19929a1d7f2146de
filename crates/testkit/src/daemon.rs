//! A daemon of one's own: private data root, exec root, socket and network namespace.

use crate::api::Api;
use crate::binaries::{Binaries, Client, Subject};
use crate::census::{Census, Leftovers};
use crate::http::{Request, Response};
use crate::image::Image;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::{LIMIT, wait_until};
use anyhow::{Context, Result, bail};
use onggi_cgroup::Cgroups;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct DaemonOptions {
    /// Flags beside the paths.
    pub arguments: Vec<String>,
    /// Programs; those of the test's build when `None`.
    pub binaries: Option<Binaries>,
    /// Which daemon; `ONGGI_SUBJECT` when `None`.
    pub subject: Option<Subject>,
    /// Which command line; `ONGGI_CLIENT` when `None`.
    pub client: Option<Client>,
    /// Where it runs; a namespace of its own when `None`.
    pub namespace: Option<Namespace>,
}

/// A running daemon. Dropping it kills it with its containers and removes all it made.
#[derive(Debug)]
pub struct Daemon {
    subject: Subject,
    client: Client,
    binaries: Option<Binaries>,
    arguments: Vec<String>,
    root: tempfile::TempDir,
    namespace: Namespace,
    before: Census,
    child: Option<Child>,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + n for signal n.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output without the last line end, if the command succeeded.
    ///
    /// # Errors
    /// With code and standard error otherwise.
    pub fn ok(&self) -> Result<&str> {
        if self.code != 0 {
            bail!("exit code {}: {}{}", self.code, self.stderr, self.stdout);
        }
        Ok(self.stdout.trim_end_matches('\n'))
    }
}

impl Daemon {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time; its log is in the text.
    pub fn start() -> Result<Self> {
        Self::start_with(DaemonOptions::default())
    }

    /// As [`Daemon::start`], with flags.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_with(options: DaemonOptions) -> Result<Self> {
        let subject = options.subject.map_or_else(Subject::from_env, Ok)?;
        let client = options.client.unwrap_or_else(Client::from_env);
        let needed = subject == Subject::Onggi || client == Client::Onggi;
        let binaries = match options.binaries {
            None if needed => Some(Binaries::find()?),
            given => given,
        };
        // Short: a socket's path may have 107 bytes.
        let root = tempfile::Builder::new()
            .prefix("onggi-t")
            .tempdir_in("/tmp")?;
        let namespace = options.namespace.map_or_else(Namespace::new, Ok)?;
        let before = Census::take(&namespace, root.path())?;
        let mut daemon = Self {
            subject,
            client,
            binaries,
            arguments: options.arguments,
            root,
            namespace,
            before,
            child: None,
        };
        daemon.run()?;
        Ok(daemon)
    }

    /// Starts it again after [`Daemon::kill`] or [`Daemon::stop`], on the same data.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn run(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = self.command()?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(self.namespace.spawn(&mut command)?);
        let answers = wait_until("the daemon to answer", LIMIT, || {
            if self.has_ended() {
                return Some(false);
            }
            self.get("/_ping")
                .is_ok_and(|r| r.status == 200)
                .then_some(true)
        });
        match answers {
            Ok(true) => Ok(()),
            Ok(false) => bail!("the daemon ended at once:\n{}", self.log()),
            Err(error) => Err(error.context(format!("log:\n{}", self.log()))),
        }
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`, and waits until it is gone. Containers live on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL).map(drop)
    }

    /// SIGTERM, and waits until it is gone; returns the exit code.
    ///
    /// # Errors
    /// When it does not run or does not end in time.
    pub fn stop(&mut self) -> Result<i32> {
        self.end(Signal::TERM)
    }

    fn end(&mut self, signal: Signal) -> Result<i32> {
        let mut child = self.child.take().context("the daemon does not run")?;
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).context("signal the daemon")?;
        let status = wait_until("the daemon to end", LIMIT, || child.try_wait().transpose());
        match status {
            Ok(status) => Ok(code(status?)),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.context(format!("log:\n{}", self.log())))
            }
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Everything the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The socket of the API.
    pub fn socket(&self) -> PathBuf {
        self.path("d.sock")
    }

    /// The value for `DOCKER_HOST` and `-H`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A path in the private folder; `data` and `exec` are the daemon's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The data root.
    pub fn data_root(&self) -> PathBuf {
        self.path("data")
    }

    /// The network namespace the daemon runs in, where published ports are.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Which daemon it is.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The API alone, for threads that speak with it while the daemon is killed.
    pub fn api(&self) -> Api {
        Api::new(self.socket())
    }

    /// Sends a request to the API.
    ///
    /// # Errors
    /// When the daemon does not answer; a status of failure is not an error.
    pub fn send(&self, request: &Request<'_>) -> Result<Response> {
        self.api().send(request)
    }

    /// GET.
    ///
    /// # Errors
    /// As [`Daemon::send`].
    pub fn get(&self, path: &str) -> Result<Response> {
        self.api().get(path)
    }

    /// POST of a JSON document.
    ///
    /// # Errors
    /// As [`Daemon::send`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Response> {
        self.api().post(path, body)
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Daemon::send`].
    pub fn delete(&self, path: &str) -> Result<Response> {
        self.api().delete(path)
    }

    /// Loads an image under these names.
    ///
    /// # Errors
    /// When the daemon refuses it.
    pub fn load(&self, image: &Image, tags: &[&str]) -> Result<()> {
        let request = Request::new("POST", "/images/load?quiet=1");
        let answer = self
            .send(&request.body("application/x-tar", image.save(tags)?))?
            .ok()?;
        if answer.text().contains("\"errorDetail\"") {
            bail!("load: {}", answer.text());
        }
        Ok(())
    }

    /// Loads the busybox image as `busybox:latest`.
    ///
    /// # Errors
    /// As [`Daemon::load`].
    pub fn load_busybox(&self) -> Result<()> {
        self.load(&Image::busybox()?, &["busybox:latest"])
    }

    /// Creates and starts a container; returns its id.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub fn run_container(&self, body: &Value) -> Result<String> {
        let created = self.post("/containers/create", body)?.ok()?.json()?;
        let id = created["Id"].as_str().context("no Id")?.to_owned();
        self.post(&format!("/containers/{id}/start"), &Value::Null)?
            .ok()?;
        Ok(id)
    }

    /// The command line on this daemon; more can be set before it is run.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn cli_command(&self, arguments: &[&str]) -> Result<Command> {
        let program = match &self.client {
            Client::Onggi => self.binaries.as_ref().context("no binaries")?.path("onggi"),
            Client::Docker(path) => path.clone(),
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.path("config"))
            .env_remove("DOCKER_CONTEXT");
        Ok(command)
    }

    /// From now on another command line is typed.
    pub fn type_with(&mut self, client: Client) {
        self.client = client;
    }

    /// Runs the command line.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time; failing is not an error, see [`Output::ok`].
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.cli_with_input(arguments, b"")
    }

    /// Runs the command line with this on its standard input.
    ///
    /// # Errors
    /// As [`Daemon::cli`].
    pub fn cli_with_input(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut process = self.cli_process(arguments)?;
        process.feed(input.to_vec())?;
        process.wait().with_context(|| arguments.join(" "))
    }

    /// Starts the command line and lets it run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn cli_process(&self, arguments: &[&str]) -> Result<Process> {
        Process::start(&self.namespace, &mut self.cli_command(arguments)?)
    }

    /// What is on the machine now that was not there before the daemon, its own process aside.
    ///
    /// # Errors
    /// When the machine cannot be looked at.
    pub fn leftovers(&self) -> Result<Leftovers> {
        let now = Census::take(&self.namespace, self.root.path())?;
        Ok(now.since(&self.before, self.pid()))
    }

    /// Removes all containers, and waits until nothing of them is left.
    ///
    /// # Errors
    /// When the daemon refuses, or with what is still there after the limit.
    pub fn clean(&self) -> Result<()> {
        let list = self.get("/containers/json?all=1")?.ok()?.json()?;
        for container in list.as_array().context("a list")? {
            let id = container["Id"].as_str().context("Id")?;
            let answer = self.delete(&format!("/containers/{id}?force=1&v=1"))?;
            if answer.status != 404 {
                answer.ok()?;
            }
        }
        self.nothing_left()
    }

    /// Waits until nothing of the containers is left: the kernel takes a network namespace and its links down behind
    /// those who gave it up.
    ///
    /// # Errors
    /// With what is still there after the limit.
    pub fn nothing_left(&self) -> Result<()> {
        let mut last = None;
        wait_until("nothing to be left of the containers", LIMIT, || {
            last = Some(self.leftovers().ok()?.of_containers());
            last.as_ref().is_some_and(Leftovers::is_empty).then_some(())
        })
        .with_context(|| format!("{last:#?}"))
    }

    fn log_path(&self) -> PathBuf {
        self.path("daemon.log")
    }

    fn command(&self) -> Result<Command> {
        let program = match self.subject {
            Subject::Onggi => self
                .binaries
                .as_ref()
                .context("no binaries")?
                .path("onggid"),
            Subject::Dockerd => PathBuf::from("/usr/sbin/dockerd"),
        };
        let config = self.path("daemon.json");
        if !config.exists() {
            std::fs::write(&config, json!({}).to_string())?;
        }
        let mut command = Command::new(program);
        command.args(["-H", &self.host()]);
        for (flag, name) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "d.pid"),
            ("--config-file", "daemon.json"),
        ] {
            command.arg(flag).arg(self.path(name));
        }
        if self.subject == Subject::Onggi {
            command.arg("--no-docker-socket");
        }
        command.args(&self.arguments);
        Ok(command)
    }

    /// Ids of the containers that the data root knows, whoever wrote it.
    fn container_ids(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.data_root().join("containers"));
        let names = folder
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    }

    fn tear_down(&mut self) -> Result<()> {
        if !self.has_ended() {
            // Politely first: the daemon knows best what there is to remove.
            let _ = self.clean();
            let _ = self.stop();
        }
        if let Ok(cgroups) = Cgroups::probe() {
            let parent = if self.subject == Subject::Dockerd {
                "docker"
            } else {
                "onggi"
            };
            for id in self.container_ids() {
                if let Ok(group) = cgroups.open(&format!("/{parent}/{id}")) {
                    group.kill()?;
                    group.remove()?;
                }
            }
        }
        // Monitors end with their containers; whoever is still in the namespace was started by us or by them.
        for pid in self.namespace.processes()? {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        wait_until("the namespace to be empty", Duration::from_secs(20), || {
            self.namespace.processes().ok()?.is_empty().then_some(())
        })?;
        unmount_below(self.root.path())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let failed = self.tear_down();
        if std::thread::panicking() {
            // The test tells what failed; this tells what the daemon thought about it.
            let _ = writeln!(std::io::stderr(), "log of the daemon:\n{}", self.log());
        } else if let Err(error) = failed {
            let _ = writeln!(
                std::io::stderr(),
                "the daemon could not be cleaned up: {error:#}"
            );
        }
    }
}

/// dockerd mounts on the host; what it leaves after a kill would keep the folder from being removed.
fn unmount_below(root: &Path) -> Result<()> {
    let mut mounts = crate::census::mounts_below(root)?;
    mounts.sort_unstable();
    for mount in mounts.iter().rev() {
        rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH)
            .with_context(|| format!("unmount {mount}"))?;
    }
    Ok(())
}

pub(crate) fn code(status: std::process::ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

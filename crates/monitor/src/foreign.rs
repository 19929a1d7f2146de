//! Another OCI runtime in the place of ours: the container is made, started, entered and removed by its program, with runc's
//! command line. All else (streams, log, exit status) is as with our own.
//!
//! Its processes become children of this one: the runtime's program ends, and this process takes its orphans up.

use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use onggi_oci::runtime::{Mount, Process, Spec};
use onggi_runtime::{Rootfs, UserSpec, bundle};

use crate::protocol::FailureKind;
use crate::runtime::Failure;

/// Where `--init` is in a container that is not made by our own runtime, as with Docker.
const INIT: &str = "/sbin/docker-init";

/// A container of another runtime. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Foreign {
    program: PathBuf,
    /// Before the command.
    args: Vec<String>,
    id: String,
    bundle: PathBuf,
    /// The bundle, for socket paths that are never too long.
    directory: fs::File,
}

/// What a process is given.
pub(crate) enum Streams {
    Pipes([OwnedFd; 3]),
    /// Its size: rows, columns.
    Terminal(Option<(u16, u16)>),
}

/// A process that the runtime has made.
pub(crate) struct Made {
    pub(crate) pid: u32,
    /// The master of its terminal.
    pub(crate) master: Option<OwnedFd>,
}

impl Foreign {
    /// Makes the bundle: nothing of the container exists yet.
    pub(crate) fn new(
        program: PathBuf,
        args: Vec<String>,
        id: &str,
        bundle: PathBuf,
    ) -> Result<Self, Failure> {
        bundle::remove(&bundle); // what a crash may have left
        fs::create_dir_all(&bundle)
            .and_then(|()| fs::set_permissions(&bundle, fs::Permissions::from_mode(0o700)))
            .map_err(Failure::while_doing("the bundle"))?;
        // Orphans of the runtime's program are ours to reap.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(Failure::while_doing("taking up processes"))?;
        Ok(Self {
            program,
            args,
            id: id.to_owned(),
            directory: fs::File::open(&bundle).map_err(Failure::while_doing("the bundle"))?,
            bundle,
        })
    }

    /// `create`: up to the moment before the container's program.
    pub(crate) fn create(
        &self,
        mut spec: Spec,
        user: Option<&UserSpec>,
        rootfs: &Rootfs,
        init: Option<OwnedFd>,
        streams: Streams,
    ) -> Result<Made, Failure> {
        if let Some(program) = init {
            self.put_init(&mut spec, program)?;
        }
        if let (Some(process), Streams::Terminal(size)) = (&mut spec.process, &streams) {
            process.console_size = console(*size);
        }
        bundle::prepare(&self.bundle, spec, user, rootfs)?;
        let bundle = self.bundle.display().to_string();
        self.make(&["create", "--bundle", &bundle], streams)
    }

    /// `start`.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        self.run(self.command(&["start", &self.id]))
    }

    /// `exec`: a further process.
    pub(crate) fn exec(
        &self,
        mut process: Process,
        user: Option<&UserSpec>,
        streams: Streams,
    ) -> Result<Made, Failure> {
        bundle::settle(&self.bundle, &mut process, user)?;
        if let Streams::Terminal(size) = &streams {
            process.console_size = console(*size);
        }
        let file = self.bundle.join("process.json");
        serde_json::to_vec(&process)
            .map_err(std::io::Error::from)
            .and_then(|text| fs::write(&file, text))
            .map_err(Failure::while_doing("process.json"))?;
        let file = file.display().to_string();
        self.make(&["exec", "--detach", "--process", &file], streams)
    }

    /// Runs a command that makes a process and leaves it behind.
    fn make(&self, words: &[&str], streams: Streams) -> Result<Made, Failure> {
        let pid_file = self.bundle.join("pid");
        let _ = fs::remove_file(&pid_file);
        let mut command = self.command(words);
        command.arg("--pid-file").arg(&pid_file);
        let mut console = None;
        match streams {
            Streams::Pipes([stdin, stdout, stderr]) => {
                command.stdin(stdin).stdout(stdout).stderr(stderr);
            }
            Streams::Terminal(_) => {
                let socket = self.socket_path("console");
                let _ = fs::remove_file(&socket);
                console = Some(
                    UnixListener::bind(&socket)
                        .map_err(Failure::while_doing("the console's socket"))?,
                );
                command.arg("--console-socket").arg(&socket);
            }
        }
        command.arg(&self.id);
        self.run(command)?;
        let master = console.map(|listener| receive(&listener)).transpose()?;
        let text = fs::read_to_string(&pid_file).map_err(Failure::while_doing("the pid file"))?;
        let pid = text
            .trim()
            .parse()
            .map_err(Failure::while_doing("the pid file"))?;
        Ok(Made { pid, master })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .arg("--root")
            .arg(self.bundle.join("state"))
            .arg("--log")
            .arg(self.bundle.join("log.json"))
            .args(["--log-format", "json"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn run(&self, mut command: Command) -> Result<(), Failure> {
        let log = self.bundle.join("log.json");
        let _ = fs::remove_file(&log);
        let status = command.status().map_err(|error| {
            Failure::other(format!(
                "runtime {}: {}",
                self.program.display(),
                onggi_model::chain(&error)
            ))
        })?;
        if status.success() {
            return Ok(());
        }
        Err(failure(
            &self.program,
            &fs::read_to_string(log).unwrap_or_default(),
        ))
    }

    /// A path of at most 107 bytes, whatever the bundle's: by our descriptor of it.
    fn socket_path(&self, name: &str) -> PathBuf {
        let own = std::process::id();
        Path::new(&format!("/proc/{own}/fd/{}", self.directory.as_raw_fd())).join(name)
    }

    /// onggi-init beside the document, and in the container as its first program.
    fn put_init(&self, spec: &mut Spec, program: OwnedFd) -> Result<(), Failure> {
        let path = self.bundle.join("init");
        let copy = || {
            let mut file = fs::File::create(&path)?;
            let program = fs::File::from(program);
            let mut buffer = vec![0; 64 * 1024];
            let mut at = 0;
            // The position of the descriptor is shared with everyone who was handed it.
            loop {
                match program.read_at(&mut buffer, at)? {
                    0 => break,
                    count => {
                        file.write_all(&buffer[..count])?;
                        at += count as u64;
                    }
                }
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        };
        copy().map_err(Failure::while_doing("the program for --init"))?;
        spec.mounts.push(Mount {
            destination: INIT.to_owned(),
            kind: Some("bind".to_owned()),
            source: Some(path.display().to_string()),
            options: ["bind", "ro"].map(str::to_owned).to_vec(),
            ..Mount::default()
        });
        if let Some(process) = &mut spec.process {
            process.args.splice(0..0, [INIT, "--"].map(str::to_owned));
        }
        Ok(())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.run(self.command(&["delete", "--force", &self.id]));
        bundle::remove(&self.bundle);
    }
}

fn console(size: Option<(u16, u16)>) -> Option<onggi_oci::runtime::ConsoleSize> {
    size.map(|(rows, cols)| onggi_oci::runtime::ConsoleSize {
        height: rows.into(),
        width: cols.into(),
    })
}

/// The terminal's master, which the runtime has sent before it ended.
fn receive(listener: &UnixListener) -> Result<OwnedFd, Failure> {
    let receive = || {
        // It is there already, or never will be.
        listener.set_nonblocking(true)?;
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let mut fds = Vec::new();
        onggi_sys::scm::recv_with_fds(&socket, &mut [0; 4096], &mut fds)?;
        fds.pop()
            .ok_or_else(|| std::io::Error::other("no descriptor came"))
    };
    receive().map_err(Failure::while_doing("the terminal of the runtime"))
}

/// The runtime's last words, and what they mean.
fn failure(program: &Path, log: &str) -> Failure {
    let said = log.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_error = line["level"] == "error" || line["level"] == "fatal";
        is_error.then(|| line["msg"].as_str().map(str::to_owned))?
    });
    let message = said.unwrap_or_else(|| "it failed without a reason".to_owned());
    let missing = message.contains("executable file not found")
        || (message.contains("exec: ") && message.contains("no such file or directory"));
    let kind = if missing {
        FailureKind::CommandNotFound
    } else if message.contains("exec: ") && message.contains("permission denied") {
        FailureKind::NotExecutable
    } else {
        FailureKind::Other
    };
    Failure {
        kind,
        message: format!("{}: {message}", program.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_the_reason() {
        let log = "{\"level\":\"warning\",\"msg\":\"w\"}\n{\"level\":\"error\",\"msg\":\"runc create failed: unable to \
                   start container process: exec: \\\"x\\\": executable file not found in $PATH\"}\n";
        let failure = failure(Path::new("runc"), log);
        assert_eq!(failure.kind, FailureKind::CommandNotFound);
        assert!(
            failure
                .message
                .ends_with("executable file not found in $PATH")
        );
        let other = super::failure(Path::new("/bin/false"), "");
        assert_eq!(other.message, "/bin/false: it failed without a reason");
    }
}

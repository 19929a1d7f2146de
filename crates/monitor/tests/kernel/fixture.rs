//! A monitor and those who speak to it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onggi_cgroup::Cgroups;
use onggi_logs::{Driver, LogSpec, Options, Reader};
use onggi_monitor::protocol::{
    Decoder, Exit, FromMonitor, Launch, Outgoing, RootfsSpec, StdinMode, ToMonitor, VERSION,
    receive,
};
use onggi_oci::runtime::{Process, Spec};

/// No test waits longer for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One monitor process with a folder of its own.
pub(crate) struct Monitor {
    pub(crate) folder: tempfile::TempDir,
    process: Child,
    cgroup: String,
}

impl Monitor {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("monitor.sock")).unwrap();
        let stderr = std::fs::File::create(folder.path().join("stderr")).unwrap();
        let process = Command::new(monitor_program())
            .env("ONGGI_TEST_MONITOR", "1")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let cgroup = format!("/onggi-test-{}/{}", std::process::id(), process.id());
        Self {
            folder,
            process,
            cgroup,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> LogSpec {
        LogSpec {
            driver: Driver::JsonFile,
            path: self.folder.path().join("container.log"),
            ..LogSpec::default()
        }
    }

    pub(crate) fn exit_file(&self) -> PathBuf {
        self.folder.path().join("exit.json")
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    pub(crate) fn connect(&self) -> Peer {
        let socket = UnixStream::connect(self.folder.path().join("monitor.sock")).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Peer {
            socket,
            decoder: Decoder::default(),
        }
    }

    /// A control connection, and the state that was told.
    pub(crate) fn control(&self) -> (Peer, FromMonitor) {
        let mut peer = self.connect();
        peer.say(&ToMonitor::Control { version: VERSION });
        let state = peer.hear();
        assert!(
            matches!(
                state,
                FromMonitor::State {
                    version: VERSION,
                    ..
                }
            ),
            "{state:?}"
        );
        (peer, state)
    }

    pub(crate) fn attach(&self, stdin: bool) -> Attached {
        let mut peer = self.connect();
        peer.say(&ToMonitor::Attach {
            stdin,
            stdout: true,
            stderr: true,
        });
        assert!(matches!(peer.hear(), FromMonitor::Attached));
        peer.into_attached()
    }

    pub(crate) fn launch(&self, command: &[&str]) -> Launch {
        Launch {
            id: format!("test-{}", self.process.id()),
            spec: spec(command, &self.cgroup),
            rootfs: RootfsSpec::Directory(rootfs().to_owned()),
            user: None,
            tty: false,
            console_size: None,
            stdin: StdinMode::Closed,
            init: false,
            log: self.log(),
            exit_file: self.exit_file(),
            runtime: None,
            runtime_args: Vec::new(),
            monitor_cgroup: None,
        }
    }

    /// Create, on a new control connection.
    pub(crate) fn create(&self, launch: Launch) -> Peer {
        let (mut control, _) = self.control();
        control.say(&ToMonitor::Create(Box::new(launch)));
        match control.hear() {
            FromMonitor::Created { .. } => {}
            other => panic!("{other:?}"),
        }
        control
    }

    /// Create and start, on a new control connection.
    pub(crate) fn run(&self, launch: Launch) -> Peer {
        let mut control = self.create(launch);
        control.start();
        control
    }

    pub(crate) fn has_cgroup(&self) -> bool {
        Cgroups::probe().unwrap().open(&self.cgroup).is_ok()
    }

    pub(crate) fn recorded_exit(&self) -> Option<Exit> {
        let bytes = std::fs::read(self.exit_file()).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// All output in the log.
    pub(crate) fn logged(&self) -> Vec<u8> {
        Reader::open(&self.log(), Options::default())
            .unwrap()
            .flat_map(|record| record.bytes)
            .collect()
    }

    /// The monitor is gone by itself, and nothing of its container is left.
    pub(crate) fn gone(mut self) {
        wait_for("the monitor ends", || {
            self.process.try_wait().unwrap().is_some()
        });
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status:?}\n{}", self.stderr());
        assert!(!self.has_cgroup());
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Private and shared dirty memory, in KiB.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Ok(cgroups) = Cgroups::probe() {
            if let Ok(group) = cgroups.open(&self.cgroup) {
                let _ = group.kill();
                let _ = group.remove();
            }
            if let Ok(parent) = cgroups.open(&format!("/onggi-test-{}", std::process::id())) {
                let _ = parent.remove();
            }
        }
    }
}

/// A framed connection.
pub(crate) struct Peer {
    pub(crate) socket: UnixStream,
    decoder: Decoder,
}

impl Peer {
    pub(crate) fn say(&mut self, message: &ToMonitor) {
        Outgoing::new(message, Vec::new())
            .unwrap()
            .send_all(&self.socket)
            .unwrap();
    }

    pub(crate) fn hear(&mut self) -> FromMonitor {
        self.try_hear().expect("the monitor has hung up")
    }

    /// With what came with it.
    pub(crate) fn hear_all(&mut self) -> (FromMonitor, Vec<OwnedFd>) {
        self.try_hear_all().expect("the monitor has hung up")
    }

    /// `None`: the monitor has hung up.
    pub(crate) fn try_hear(&mut self) -> Option<FromMonitor> {
        self.try_hear_all().map(|(message, _)| message)
    }

    fn try_hear_all(&mut self) -> Option<(FromMonitor, Vec<OwnedFd>)> {
        loop {
            if let Some(found) = self.decoder.next().unwrap() {
                return Some(found);
            }
            match receive(&self.socket, &mut self.decoder) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn start(&mut self) {
        self.say(&ToMonitor::Start);
        match self.hear() {
            FromMonitor::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    /// The container's end; what is told before is skipped.
    pub(crate) fn exited(&mut self) -> Exit {
        loop {
            if let FromMonitor::Exited(exit) = self.hear() {
                return exit;
            }
        }
    }

    /// Its end, acknowledged.
    pub(crate) fn finish(mut self) -> Exit {
        let exit = self.exited();
        self.say(&ToMonitor::Acknowledge);
        exit
    }

    pub(crate) fn into_attached(self) -> Attached {
        let rest = self.decoder.into_rest();
        Attached {
            socket: self.socket,
            rest,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }
}

/// A raw connection with stream frames.
pub(crate) struct Attached {
    pub(crate) socket: UnixStream,
    rest: Vec<u8>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Attached {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    pub(crate) fn end_input(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads once; `false`: the end.
    pub(crate) fn read(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        let count = self.socket.read(&mut buffer).unwrap();
        self.rest.extend_from_slice(&buffer[..count]);
        let mut at = 0;
        while let Some(header) = self.rest.get(at..at + 8) {
            let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
            let Some(payload) = self.rest.get(at + 8..at + 8 + length) else {
                break;
            };
            assert_eq!(header[1..4], [0, 0, 0]);
            match header[0] {
                1 => self.stdout.extend_from_slice(payload),
                2 => self.stderr.extend_from_slice(payload),
                other => panic!("stream {other}"),
            }
            at += 8 + length;
        }
        self.rest.drain(..at);
        count > 0
    }

    pub(crate) fn read_to_end(&mut self) {
        while self.read() {}
        assert!(self.rest.is_empty(), "cut in a frame");
    }

    /// Reads until stdout has this.
    pub(crate) fn expect(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.stdout).contains(text) {
            assert!(
                self.read(),
                "ended before {text:?}: {:?}",
                String::from_utf8_lossy(&self.stdout)
            );
        }
    }

    /// The same on a terminal, which has no frames.
    pub(crate) fn expect_raw(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&self.rest).contains(text) {
            let count = self.socket.read(&mut buffer).unwrap();
            assert!(
                count > 0,
                "ended before {text:?}: {:?}",
                String::from_utf8_lossy(&self.rest)
            );
            self.rest.extend_from_slice(&buffer[..count]);
        }
        self.rest.clear();
    }

    pub(crate) fn raw_to_end(&mut self) -> String {
        self.socket.read_to_end(&mut self.rest).unwrap();
        String::from_utf8(std::mem::take(&mut self.rest)).unwrap()
    }
}

fn monitor_program() -> PathBuf {
    match std::env::var_os("ONGGI_TEST_MONITOR_PROGRAM") {
        Some(program) => program.into(),
        None => std::env::current_exe().unwrap(),
    }
}

static ROOT: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();

/// A root file system with busybox, one for all tests.
pub(crate) fn rootfs() -> &'static Path {
    let root = ROOT.get_or_init(|| {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let busybox = root.path().join("bin/busybox");
        std::fs::copy("/bin/busybox", &busybox).unwrap();
        let applets = "sh cat seq sleep stty yes head tail dd true echo kill trap wc test mkfifo";
        for applet in applets.split(' ') {
            symlink("busybox", root.path().join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0:root:/:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(root.path().join("etc/plain"), "no program\n").unwrap();
        root
    });
    root.path()
}

/// Called last: statics are not dropped.
pub(crate) fn remove_rootfs() {
    if let Some(root) = ROOT.get() {
        let _ = std::fs::remove_dir_all(root.path());
    }
}

pub(crate) fn process(command: &[&str]) -> Process {
    let arguments = serde_json::to_string(command).unwrap();
    serde_json::from_str(&format!(
        r#"{{"cwd": "/", "args": {arguments}, "env": ["PATH=/bin"], "user": {{"uid": 0, "gid": 0}}}}"#
    ))
    .unwrap()
}

fn spec(command: &[&str], cgroup: &str) -> Spec {
    let process = serde_json::to_string(&process(command)).unwrap();
    serde_json::from_str(&format!(
        r#"{{
            "ociVersion": "1.2.0",
            "process": {process},
            "root": {{"path": "/"}},
            "hostname": "test",
            "mounts": [
                {{"destination": "/proc", "type": "proc", "source": "proc"}},
                {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]}},
                {{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}}
            ],
            "linux": {{
                "cgroupsPath": "{cgroup}",
                "namespaces": [
                    {{"type": "pid"}}, {{"type": "mount"}}, {{"type": "ipc"}}, {{"type": "uts"}}, {{"type": "network"}}
                ]
            }}
        }}"#
    ))
    .unwrap()
}

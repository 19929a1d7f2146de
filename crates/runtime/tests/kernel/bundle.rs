//! A bundle with a busybox root, and the command line on it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ROLE;

const APPLETS: &[&str] = &[
    "sh",
    "ls",
    "cat",
    "echo",
    "id",
    "sleep",
    "mount",
    "grep",
    "pwd",
    "stty",
    "tty",
    "hostname",
    "touch",
    "mkdir",
    "true",
    "false",
    "kill",
    "ps",
    "env",
    "readlink",
    "stat",
    "test",
    "head",
    "wc",
    "rm",
    "umount",
    "cut",
    "tail",
    "ln",
    "chmod",
    "trap",
    "dd",
    "mknod",
    "ip",
    "ulimit",
    "dnsdomainname",
    "mkfifo",
    "sed",
    "tr",
    "od",
];

/// A test's bundle; removed with its container when dropped.
pub(crate) struct Bundle {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    pub(crate) config: Value,
}

fn base() -> PathBuf {
    std::env::temp_dir().join(format!("onggi-runtime-test-{}", std::process::id()))
}

/// Merges `patch` into `target`; null removes.
pub(crate) fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    target.remove(&key);
                } else {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (target, patch) => *target = patch,
    }
}

/// What a container engine writes for a plain container.
pub(crate) fn config(id: &str) -> Value {
    let capabilities = [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ];
    json!({
        "ociVersion": "1.2.0",
        "hostname": "pot",
        "process": {
            "cwd": "/",
            "args": ["true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "oomScoreAdj": 0,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]},
        ],
        "linux": {
            "cgroupsPath": format!("/onggi-test-{id}"),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware", "/proc/nowhere"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "resources": {},
        },
    })
}

/// A busybox root at `path`.
pub(crate) fn fill_root(path: &Path) {
    for directory in ["bin", "etc", "tmp", "root", "home/ann"] {
        std::fs::create_dir_all(path.join(directory)).expect("can make directories");
    }
    std::fs::copy("/bin/busybox", path.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", path.join("bin").join(applet)).expect("can link");
    }
    std::fs::write(
        path.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
    )
    .expect("can write");
    std::fs::write(
        path.join("etc/group"),
        "root:x:0:\nann:x:1000:\nwheel:x:10:root,ann\n",
    )
    .expect("can write");
}

impl Bundle {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", std::process::id());
        let path = base().join(number.to_string());
        std::fs::create_dir_all(path.join("rootfs")).expect("can make directories");
        fill_root(&path.join("rootfs"));
        let config = config(&id);
        Self { id, path, config }
    }

    /// A bundle that runs `script` in a shell.
    pub(crate) fn script(script: &str) -> Self {
        let mut bundle = Self::new();
        bundle.with(json!({"process": {"args": ["sh", "-c", script]}}));
        bundle
    }

    pub(crate) fn with(&mut self, patch: Value) -> &mut Self {
        merge(&mut self.config, patch);
        self
    }

    pub(crate) fn mount(&mut self, mount: Value) -> &mut Self {
        if let Some(mounts) = self.config["mounts"].as_array_mut() {
            mounts.push(mount);
        }
        self
    }

    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.path.join("rootfs").join(path.trim_start_matches('/'))
    }

    pub(crate) fn write(&self) {
        std::fs::write(self.path.join("config.json"), self.config.to_string()).expect("can write");
    }

    /// The command line: global options are set, the rest is `args`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("has a path"));
        command
            .env(ROLE, "runtime")
            .arg("--root")
            .arg(self.path.join("state"))
            .args(args)
            .current_dir(&self.path);
        command
    }

    /// `create`: the container keeps the streams, so they are a file.
    pub(crate) fn create(&self, globals: &[&str]) -> bool {
        self.write();
        let log = std::fs::File::create(self.path.join("output")).expect("can make a file");
        let args = [globals, &["create", "--pid-file", "pid", &self.id]].concat();
        self.command(&args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("can clone"))
            .stderr(log)
            .status()
            .expect("can run")
            .success()
    }

    pub(crate) fn call(&self, args: &[&str]) -> Output {
        self.command(args)
            .stdin(Stdio::null())
            .output()
            .expect("can run")
    }

    /// `run` in the foreground.
    pub(crate) fn run(&self) -> Output {
        self.write();
        self.call(&["run", "--bundle", &self.path.to_string_lossy(), &self.id])
    }

    /// What it printed; it must have succeeded.
    pub(crate) fn output(&self) -> String {
        let output = self.run();
        assert!(
            output.status.success(),
            "{:?}: {}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Why it failed; it must have.
    pub(crate) fn failure(&self) -> String {
        let output = self.run();
        assert!(
            !output.status.success(),
            "it succeeded: {}",
            text(&output.stdout)
        );
        text(&output.stderr)
    }

    /// `run --detach`, and its pid.
    pub(crate) fn detach(&self) -> i32 {
        self.write();
        let log = std::fs::File::create(self.path.join("output")).expect("can make a file");
        let status = self
            .command(&["run", "--detach", "--pid-file", "pid", &self.id])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("can clone"))
            .stderr(log)
            .status()
            .expect("can run");
        assert!(status.success(), "{}", self.log());
        self.pid()
    }

    pub(crate) fn pid(&self) -> i32 {
        std::fs::read_to_string(self.path.join("pid"))
            .expect("pid file")
            .parse()
            .expect("a pid")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path.join("output")).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> String {
        let output = self.call(&["state", &self.id]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        state["status"].as_str().unwrap_or("none").to_owned()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.call(&["delete", "--force", &self.id]);
        let _ = std::fs::remove_dir_all(&self.path);
        let _ = std::fs::remove_dir(base());
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `done`, at most ten seconds.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// Mounts, control groups and directories of ours that are still there.
pub(crate) fn leftovers() -> Vec<String> {
    let mark = format!("onggi-test-{}-", std::process::id());
    let mut left = Vec::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("is there");
    let own = base().to_string_lossy().into_owned();
    left.extend(
        mounts
            .lines()
            .filter(|l| l.contains(&own))
            .map(str::to_owned),
    );
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        let below = std::fs::read_dir(hierarchy.path())
            .into_iter()
            .flatten()
            .flatten();
        left.extend(
            below
                .filter(|e| e.file_name().to_string_lossy().contains(&mark))
                .map(|e| e.path().display().to_string()),
        );
    }
    if base().exists() {
        left.push(own);
    }
    left
}

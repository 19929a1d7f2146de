//! A dockerd of its own: folders in a temporary directory, a network namespace, an image made from this machine's busybox.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running dockerd; stopped and cleaned up when dropped.
pub(crate) struct Daemon {
    directory: tempfile::TempDir,
    namespace: String,
    child: Child,
}

impl Daemon {
    /// Starts dockerd and loads `busybox:latest`. The error is the reason to skip.
    pub(crate) fn start() -> Result<Self, String> {
        if output("id", &["-u"]).trim() != "0" {
            return Err("starting dockerd needs root".to_owned());
        }
        if !output("docker", &["--version"]).contains("version 28.") {
            return Err("no docker CLI 28 on this machine".to_owned());
        }
        if !output("dockerd", &["--version"]).contains("version 20.10") {
            return Err("no dockerd 20.10 on this machine".to_owned());
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|p| Path::new(p).is_file());
        let busybox = busybox.ok_or("no busybox on this machine")?;
        let directory = tempfile::Builder::new()
            .prefix("onggi-oracle-")
            .tempdir_in("/tmp")
            .map_err(|error| format!("no temporary directory: {error}"))?;
        let namespace = format!("onggi-oracle-{}", std::process::id());
        let made = Command::new("ip")
            .args(["netns", "add", &namespace])
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            return Err("no network namespace can be made".to_owned());
        }
        let path = |name: &str| directory.path().join(name).display().to_string();
        let log = std::fs::File::create(path("log")).map_err(|error| error.to_string())?;
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{namespace}"))
            .args(["sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "sh"])
            .args(["-H", &format!("unix://{}", path("d.sock"))])
            .args([
                "--data-root",
                &path("data"),
                "--exec-root",
                &path("exec"),
                "-p",
                &path("pid"),
            ])
            .args(["--iptables=true", "--storage-driver", "overlay2"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("dockerd does not start: {error}"))?;
        let daemon = Daemon {
            directory,
            namespace,
            child,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !output("docker", &["-H", &daemon.socket(), "version"]).contains("20.10") {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(daemon.path("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default().to_owned();
                return Err(format!("dockerd does not come up: {last}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon.import(busybox)?;
        Ok(daemon)
    }

    fn import(&self, busybox: &str) -> Result<(), String> {
        let root = self.path("rootfs");
        let fail = |error: std::io::Error| error.to_string();
        for directory in ["bin", "etc", "tmp", "root"] {
            std::fs::create_dir_all(root.join(directory)).map_err(fail)?;
        }
        std::fs::copy(busybox, root.join("bin/busybox")).map_err(fail)?;
        for name in output(busybox, &["--list"])
            .lines()
            .filter(|name| *name != "busybox")
        {
            symlink("busybox", root.join("bin").join(name)).map_err(fail)?;
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").map_err(fail)?;
        let tar = self.path("rootfs.tar").display().to_string();
        let root = root.display().to_string();
        for (program, args) in [
            ("tar", vec!["-C", &root, "-cf", &tar, "."]),
            (
                "docker",
                vec![
                    "-H",
                    &self.socket(),
                    "import",
                    "-c",
                    "CMD [\"sh\"]",
                    &tar,
                    "busybox",
                ],
            ),
        ] {
            let done = Command::new(program)
                .args(&args)
                .stdout(Stdio::null())
                .status();
            if !done.is_ok_and(|status| status.success()) {
                return Err(format!("{program} cannot make the image"));
            }
        }
        Ok(())
    }

    /// The endpoint.
    pub(crate) fn socket(&self) -> String {
        format!("unix://{}", self.path("d.sock").display())
    }

    /// A home without configuration.
    pub(crate) fn home(&self) -> String {
        self.path("home").display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let ids = output("docker", &["-H", &self.socket(), "ps", "-aq"]);
        for id in ids.lines() {
            output("docker", &["-H", &self.socket(), "rm", "-f", id]);
        }
        output("kill", &["-TERM", &self.child.id().to_string()]);
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // It is ours, and it had its time.
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // dockerd leaves mounts behind: its network namespaces, and its data root made private.
        let prefix = self.directory.path().display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let mut points: Vec<&str> = points.filter(|point| point.starts_with(&prefix)).collect();
        points.sort_by_key(|point| std::cmp::Reverse(point.len()));
        for point in points {
            output("umount", &[point]);
        }
        output("ip", &["netns", "del", &self.namespace]);
    }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

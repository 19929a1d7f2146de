//! The library as the monitor uses it. Each case runs in a fresh process of one thread: this program in another role.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio as Piped};
use std::time::{Duration, Instant};

use onggi_cgroup::Cgroups;
use onggi_oci::runtime::{NamespaceKind, Spec};
use onggi_runtime::{Error, ExecLaunch, Launch, Rootfs, Running, Stdio, UserSpec};
use onggi_sys::process::Ended;
use serde_json::{Value, json};

use crate::bundle::{Bundle, config, merge, text, until};
use crate::{ROLE, Test};

pub(crate) const TESTS: &[Test] = &[
    ("library::an_overlay_root", || case("overlay")),
    ("library::an_overlay_of_many_long_layers", || case("many")),
    ("library::overlay_errors", || case("overlay_errors")),
    ("library::users_by_name", || case("users")),
    ("library::a_terminal_and_exec_with_one", || case("terminal")),
    ("library::errors_are_values", || case("errors")),
    ("library::dropped_is_destroyed", || case("dropped")),
    ("library::the_network_namespace_is_there_early", || {
        case("early")
    }),
    ("library::init_reaps_and_passes_signals", || case("init")),
    ("library::init_reports_commands", || case("init_errors")),
    ("library::exec_into_what_has_ended", || case("ended")),
    ("library::descriptors_of_the_caller_stay_out", || {
        case("descriptors")
    }),
    ("library::threads_are_refused", || case("threads")),
    (
        "library::the_container_dies_with_its_creator",
        dies_with_creator,
    ),
    ("library::also_as_another_user", dies_as_user),
];

/// Runs a case in a process of its own.
fn case(name: &str) {
    let bundle = Bundle::new();
    let log = File::create(bundle.path.join("case")).expect("can make a file");
    let mut child = Command::new(std::env::current_exe().expect("has a path"))
        .env(ROLE, "library")
        .args([name, &bundle.id])
        .arg(&bundle.path)
        .stdin(Piped::null())
        .stdout(log.try_clone().expect("can clone"))
        .stderr(log)
        .spawn()
        .expect("runs");
    let end = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match child.try_wait().expect("can be waited for") {
            Some(status) => break Some(status),
            None if Instant::now() > end => {
                // What it made dies with it; its group is looked for at the end of all tests.
                child.kill().expect("can be killed");
                child.wait().expect("ends");
                break None;
            }
            None => std::thread::yield_now(),
        }
    };
    let output = std::fs::read_to_string(bundle.path.join("case")).unwrap_or_default();
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}: {output}"
    );
}

/// The other role.
pub(crate) fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let scene = Scene {
        id: args[1].clone(),
        path: PathBuf::from(&args[2]),
        cgroups: Cgroups::probe().expect("has control groups"),
        config: config(&args[1]),
    };
    match args[0].as_str() {
        "overlay" => overlay(&scene),
        "many" => many(&scene),
        "overlay_errors" => overlay_errors(&scene),
        "users" => users(&scene),
        "terminal" => terminal(&scene),
        "errors" => errors(&scene),
        "dropped" => dropped(&scene),
        "early" => early(&scene),
        "init" => init(&scene),
        "init_errors" => init_errors(&scene),
        "ended" => ended(&scene),
        "descriptors" => descriptors(&scene),
        "threads" => threads(&scene),
        "hold" => hold(&scene, 0),
        "hold_user" => hold(&scene, 1000),
        other => panic!("no case {other}"),
    }
    ExitCode::SUCCESS
}

struct Scene {
    id: String,
    path: PathBuf,
    cgroups: Cgroups,
    config: Value,
}

/// A process that has ended, and what it printed.
struct Done {
    ended: Ended,
    output: String,
}

impl Scene {
    fn spec(&self, patch: Value) -> Spec {
        let mut config = self.config.clone();
        merge(&mut config, patch);
        serde_json::from_value(config).expect("is a specification")
    }

    fn script(&self, script: &str) -> Spec {
        self.spec(json!({"process": {"args": ["sh", "-c", script]}}))
    }

    fn directory(&self) -> Rootfs {
        Rootfs::Directory(self.path.join("rootfs"))
    }

    fn launch<'a>(&'a self, spec: &'a Spec, rootfs: Rootfs, stdio: Stdio) -> Launch<'a> {
        Launch::new(&self.id, spec, rootfs, stdio, &self.cgroups)
    }

    /// Creates, starts, waits, removes.
    fn run(&self, launch: Launch<'_>, output: File) -> Result<Done, Error> {
        let running = onggi_runtime::create(launch)?.start()?;
        finish(running, output)
    }
}

fn finish(running: Running, mut output: File) -> Result<Done, Error> {
    let mut text = String::new();
    output.read_to_string(&mut text).expect("reads");
    let ended = running.wait()?;
    running.group.remove().expect("can be removed");
    Ok(Done {
        ended,
        output: text,
    })
}

/// Streams whose output can be read from the file returned.
fn piped() -> (Stdio, File) {
    let (read, write) = std::io::pipe().expect("makes a pipe");
    let stdio = Stdio::Fds {
        stdin: File::open("/dev/null").expect("opens").into(),
        stdout: write.try_clone().expect("clones").into(),
        stderr: write.into(),
    };
    (stdio, File::from(OwnedFd::from(read)))
}

fn directory(path: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&path).expect("makes");
    path
}

fn overlay(scene: &Scene) {
    let top = directory(scene.path.join("layers/2"));
    std::fs::write(top.join("etc-top"), "top\n").expect("writes");
    let upper = directory(scene.path.join("c/upper"));
    let work = directory(scene.path.join("c/work"));
    let rootfs = |volatile| Rootfs::Overlay {
        lower: vec![top.clone(), scene.path.join("rootfs")],
        upper: upper.clone(),
        work: work.clone(),
        volatile,
    };
    let before = std::fs::read_to_string("/proc/self/mountinfo").expect("reads");
    let spec = scene.script("cat /etc-top; echo new > /made; rm /etc/group; grep -o ' - overlay .*' /proc/self/mountinfo | head -1");
    let (stdio, output) = piped();
    let created =
        onggi_runtime::create(scene.launch(&spec, rootfs(false), stdio)).expect("creates");
    assert_eq!(
        std::fs::read_to_string("/proc/self/mountinfo").expect("reads"),
        before
    );
    let done = finish(created.start().expect("starts"), output).expect("ends");
    assert_eq!(done.ended, Ended::Exited(0), "{}", done.output);
    assert!(done.output.starts_with("top\n"), "{}", done.output);
    assert!(upper.join("made").exists() && scene.path.join("rootfs/etc/group").exists());
    assert!(!scene.path.join("rootfs/made").exists());
    // Again on the same upper, now volatile.
    let spec = scene.script("cat /made; test -e /etc/group || echo gone; cat /proc/self/mountinfo");
    let (stdio, output) = piped();
    let done = scene
        .run(scene.launch(&spec, rootfs(true), stdio), output)
        .expect("runs");
    assert!(done.output.starts_with("new\ngone\n"), "{}", done.output);
    assert!(done.output.contains("volatile"), "{}", done.output);
}

fn many(scene: &Scene) {
    let mut lower = Vec::new();
    let long = "long".repeat(60);
    for number in 0..120 {
        let layer = directory(scene.path.join(format!("layers/{long}{number}")));
        std::fs::write(layer.join("which"), format!("{number}\n")).expect("writes");
        std::fs::write(layer.join(format!("file{number}")), "").expect("writes");
        lower.push(layer);
    }
    assert!(lower[0].as_os_str().len() > 255);
    lower.push(scene.path.join("rootfs"));
    let rootfs = Rootfs::Overlay {
        lower,
        upper: directory(scene.path.join(format!("{long}/upper"))),
        work: directory(scene.path.join(format!("{long}/work"))),
        volatile: false,
    };
    let spec = scene.script("cat /which; ls / | grep -c file");
    let (stdio, output) = piped();
    let done = scene
        .run(scene.launch(&spec, rootfs, stdio), output)
        .expect("runs");
    assert_eq!(done.output, "0\n120\n");
}

fn overlay_errors(scene: &Scene) {
    let spec = scene.script("true");
    let upper = directory(scene.path.join("c/upper"));
    let work = directory(scene.path.join("c/work"));
    for (lower, upper, wanted) in [
        (vec![scene.path.join("nowhere")], upper.clone(), "nowhere"),
        (
            vec![scene.path.join("rootfs")],
            scene.path.join("no-upper"),
            "no-upper",
        ),
        (vec![], upper.clone(), "lower layer"),
    ] {
        let rootfs = Rootfs::Overlay {
            lower,
            upper,
            work: work.clone(),
            volatile: false,
        };
        let error =
            onggi_runtime::create(scene.launch(&spec, rootfs, piped().0)).expect_err("must fail");
        assert!(
            matches!(&error, Error::Rootfs(text) if text.contains(wanted)),
            "{error:?}"
        );
    }
}

fn users(scene: &Scene) {
    for (user, groups, wanted) in [
        (
            "",
            &[][..],
            "uid=0(root) gid=0(root) groups=0(root),10(wheel)\n/root\n",
        ),
        (
            "ann",
            &[],
            "uid=1000(ann) gid=1000(ann) groups=10(wheel),1000(ann)\n/home/ann\n",
        ),
        (
            "1000",
            &["4"],
            "uid=1000(ann) gid=1000(ann) groups=4,10(wheel),1000(ann)\n/home/ann\n",
        ),
        ("7:8", &[], "uid=7 gid=8 groups=8\n/\n"),
    ] {
        let spec = scene.script("id; echo $HOME");
        let user = UserSpec {
            user: user.to_owned(),
            groups: groups.iter().map(|g: &&str| (*g).to_owned()).collect(),
        };
        let (stdio, output) = piped();
        let mut launch = scene.launch(&spec, scene.directory(), stdio);
        launch.user = Some(&user);
        let done = scene.run(launch, output).expect("runs");
        assert_eq!(done.output, wanted, "{user:?}");
    }
    let spec = scene.script("true");
    let user = UserSpec {
        user: "nobody-here".to_owned(),
        groups: Vec::new(),
    };
    let mut launch = scene.launch(&spec, scene.directory(), piped().0);
    launch.user = Some(&user);
    assert_eq!(
        onggi_runtime::create(launch).map(|_| ()),
        Err(Error::User(
            "unable to find user nobody-here: no matching entries in passwd file".to_owned()
        ))
    );
}

fn read_all(master: OwnedFd) -> String {
    let mut seen = String::new();
    let mut file = File::from(master);
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

fn exec<'a>(
    scene: &'a Scene,
    process: &'a onggi_oci::runtime::Process,
    stdio: Stdio,
) -> ExecLaunch<'a> {
    ExecLaunch {
        id: &scene.id,
        process,
        user: None,
        stdio,
        seccomp: None,
        die_with_parent: true,
        preserved: Vec::new(),
    }
}

fn terminal(scene: &Scene) {
    let spec = scene.script("stty size; tty; read line; echo got $line");
    let size = Some((40, 90));
    let mut created =
        onggi_runtime::create(scene.launch(&spec, scene.directory(), Stdio::Console { size }))
            .expect("creates");
    let master = created.master.take().expect("has a terminal");
    let running = created.start().expect("starts");
    let mut process = scene
        .script("stty size; tty; exit 3")
        .process
        .expect("has one");
    process.terminal = true;
    let mut execed = onggi_runtime::exec(
        &running,
        exec(
            scene,
            &process,
            Stdio::Console {
                size: Some((12, 34)),
            },
        ),
    )
    .expect("execs");
    let seen = read_all(execed.master.take().expect("has a terminal"));
    assert_eq!(seen, "12 34\r\n/dev/pts/1\r\n");
    assert_eq!(
        onggi_sys::process::wait(execed.pidfd.as_fd()).expect("ends"),
        Ended::Exited(3)
    );
    File::from(master.try_clone().expect("clones"))
        .write_all(b"it\n")
        .expect("writes");
    let seen = read_all(master);
    // What was typed is echoed somewhere in between.
    for wanted in ["40 90\r\n", "/dev/pts/0\r\n", "got it\r\n"] {
        assert!(seen.contains(wanted), "{seen:?}");
    }
    running.wait().expect("ends");
    running.group.remove().expect("can be removed");
}

fn errors(scene: &Scene) {
    let create = |args: Value| {
        let spec = scene.spec(json!({"process": {"args": args}}));
        onggi_runtime::create(scene.launch(&spec, scene.directory(), piped().0))
            .and_then(|c| c.start())
    };
    assert_eq!(
        create(json!(["nope"])).map(|_| ()),
        Err(Error::CommandNotFound {
            command: "nope".to_owned(),
            text: "exec: \"nope\": executable file not found in $PATH".to_owned()
        })
    );
    assert!(matches!(
        create(json!(["/etc"])),
        Err(Error::CommandNotExecutable { .. })
    ));
    // Found, and refused by execve: after the start.
    let bad = scene.path.join("rootfs/bad");
    std::fs::write(&bad, "text").expect("writes");
    std::fs::set_permissions(&bad, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("changes");
    let error = create(json!(["/bad"])).expect_err("must fail");
    assert_eq!(error.to_string(), "exec /bad: exec format error");
    assert_eq!(error.exit_code(), Some(126));
    assert!(!group_exists(scene));
}

fn group_exists(scene: &Scene) -> bool {
    let name = format!("onggi-test-{}", scene.id);
    std::fs::read_dir("/sys/fs/cgroup")
        .expect("is there")
        .flatten()
        .any(|hierarchy| hierarchy.path().join(&name).exists())
        || Path::new("/sys/fs/cgroup").join(&name).exists()
}

fn dropped(scene: &Scene) {
    let spec = scene.script("sleep 1000");
    let created =
        onggi_runtime::create(scene.launch(&spec, scene.directory(), piped().0)).expect("creates");
    let pid = created.pid();
    assert!(group_exists(scene));
    drop(created);
    assert!(onggi_sys::process::state(pid).is_err());
    assert!(!group_exists(scene));
}

fn early(scene: &Scene) {
    let spec = scene.script("ip link | grep -c '^[0-9]'");
    let (stdio, output) = piped();
    let starting =
        onggi_runtime::begin(scene.launch(&spec, scene.directory(), stdio)).expect("begins");
    let namespace = starting
        .namespace(NamespaceKind::Network)
        .expect("is there");
    let own = onggi_sys::netns::current().expect("is there");
    let number = |fd: &OwnedFd| rustix::fs::fstat(fd).expect("stats").st_ino;
    assert_ne!(number(&namespace), number(&own));
    let created = starting.finish().expect("is made");
    assert_eq!(
        number(&created.namespace(NamespaceKind::Network).expect("is there")),
        number(&namespace)
    );
    finish(created.start().expect("starts"), output).expect("ends");
}

/// A sealed copy of this program, which is linked dynamically: its libraries go into the root.
fn init_memfd(scene: &Scene) -> OwnedFd {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("reads");
    let mut libraries: Vec<&str> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.contains(".so"))
        .collect();
    libraries.push("/lib64/ld-linux-x86-64.so.2");
    for library in libraries {
        let place = scene
            .path
            .join("rootfs")
            .join(library.trim_start_matches('/'));
        directory(place.parent().expect("has one").to_owned());
        std::fs::copy(library, place).expect("copies");
    }
    onggi_sys::memfd::sealed_copy(Path::new("/proc/self/exe")).expect("copies")
}

fn init(scene: &Scene) {
    // An orphan ends and must be gone, not a zombie; then the program ends itself through pid 1.
    let script = "readlink /proc/1/exe; echo $$ $PPID; (sh -c 'echo $$ > /tmp/orphan; exec sleep 0.05' &); \
                  until [ -s /tmp/orphan ]; do sleep 0.01; done; n=0; \
                  while [ -d /proc/$(cat /tmp/orphan) ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n+1)); done; \
                  [ -d /proc/$(cat /tmp/orphan) ] && echo zombie; trap 'echo term; exit 4' TERM; kill -TERM 1; \
                  n=0; while [ $n -lt 500 ]; do sleep 0.02; n=$((n+1)); done";
    let mut spec = scene.script(script);
    if let Some(process) = &mut spec.process {
        // This program is our onggi-init, in that role.
        process.env.push(format!("{ROLE}=init"));
    }
    let (stdio, output) = piped();
    let mut launch = scene.launch(&spec, scene.directory(), stdio);
    launch.init = Some(init_memfd(scene));
    let done = scene.run(launch, output).expect("runs");
    assert_eq!(done.ended, Ended::Exited(4), "{}", done.output);
    assert!(done.output.starts_with("/memfd:"), "{}", done.output);
    assert!(
        done.output.contains("(deleted)\n2 1\nterm\n"),
        "{}",
        done.output
    );
}

fn init_errors(scene: &Scene) {
    for (command, wanted) in [("nope", 127), ("/etc", 126)] {
        let mut spec = scene.spec(json!({"process": {"args": [command]}}));
        if let Some(process) = &mut spec.process {
            process.env.push(format!("{ROLE}=init"));
        }
        let mut launch = scene.launch(&spec, scene.directory(), piped().0);
        launch.init = Some(init_memfd(scene));
        let error = onggi_runtime::create(launch).expect_err("must fail");
        assert_eq!(error.exit_code(), Some(wanted));
    }
}

fn ended(scene: &Scene) {
    let spec = scene.script("true");
    let (stdio, mut output) = piped();
    let running = onggi_runtime::create(scene.launch(&spec, scene.directory(), stdio))
        .and_then(|created| created.start())
        .expect("starts");
    output.read_to_string(&mut String::new()).expect("reads");
    let process = spec.process.clone().expect("has one");
    let launch = || onggi_runtime::exec(&running, exec(scene, &process, piped().0)).map(|_| ());
    // Ended, first not reaped, then reaped.
    until("it has ended", || {
        onggi_sys::process::state(running.pid).is_ok_and(|state| state == 'Z')
    });
    assert!(matches!(launch(), Err(Error::Gone(_))), "{:?}", launch());
    running.wait().expect("ends");
    assert!(matches!(launch(), Err(Error::Gone(_))), "{:?}", launch());
    running.group.remove().expect("can be removed");
    // And this process is where it was.
    let own = std::fs::read_link("/proc/self/ns/pid").expect("reads");
    assert_eq!(
        std::fs::read_link("/proc/self/ns/pid_for_children").expect("reads"),
        own
    );
}

fn descriptors(scene: &Scene) {
    // Descriptors of the caller that are not close-on-exec, as a careless library opens them.
    let secret = File::open("/etc/passwd").expect("opens");
    let leaks: Vec<OwnedFd> = (0..20)
        .map(|_| rustix::io::dup(&secret).expect("duplicates"))
        .collect();
    let spec = scene.script("ls /proc/1/fd; exec sleep 1000");
    let (stdio, mut output) = piped();
    let running = onggi_runtime::create(scene.launch(&spec, scene.directory(), stdio))
        .and_then(|created| created.start())
        .expect("starts");
    let mut buffer = [0; 64];
    let count = output.read(&mut buffer).expect("reads");
    assert_eq!(text(&buffer[..count]), "0\n1\n2\n");
    let process = scene.script("ls /proc/self/fd").process.expect("has one");
    let (stdio, mut output) = piped();
    let execed = onggi_runtime::exec(&running, exec(scene, &process, stdio)).expect("execs");
    let mut seen = String::new();
    output.read_to_string(&mut seen).expect("reads");
    assert_eq!(seen, "0\n1\n2\n3\n");
    onggi_sys::process::wait(execed.pidfd.as_fd()).expect("ends");
    drop(leaks);
    running.group.kill().expect("kills");
    assert_eq!(running.wait(), Ok(Ended::Signalled(9)));
    running.group.remove().expect("can be removed");
}

fn threads(scene: &Scene) {
    let spec = scene.script("true");
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let error = onggi_runtime::create(scene.launch(&spec, scene.directory(), piped().0))
        .expect_err("must fail");
    assert!(matches!(error, Error::Namespace(_)), "{error:?}");
    drop(sender);
    thread.join().expect("ends").expect_err("was dropped");
    assert!(!group_exists(scene));
}

/// Creates a container that runs for long, says its pid, and stays until it is killed.
fn hold(scene: &Scene, uid: u32) {
    let mut spec = scene.script("sleep 1000");
    if let Some(process) = &mut spec.process {
        process.user.uid = uid;
    }
    let null = || -> OwnedFd {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .expect("opens")
            .into()
    };
    let stdio = Stdio::Fds {
        stdin: null(),
        stdout: null(),
        stderr: null(),
    };
    let running = onggi_runtime::create(scene.launch(&spec, scene.directory(), stdio))
        .and_then(|created| created.start())
        .expect("starts");
    writeln!(std::io::stdout(), "{}", running.pid).expect("writes");
    running.wait().expect("ends");
}

fn dies_with_creator() {
    dies("hold");
}

fn dies_as_user() {
    dies("hold_user");
}

fn dies(role: &str) {
    let bundle = Bundle::new();
    let mut creator = Command::new(std::env::current_exe().expect("has a path"))
        .env(ROLE, "library")
        .args([role, &bundle.id])
        .arg(&bundle.path)
        .stdin(Piped::null())
        .stdout(Piped::piped())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    let stdout = creator.stdout.take().expect("is a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("reads");
    let pid: u32 = line.trim().parse().expect("a pid");
    let pidfd = onggi_sys::process::pidfd(pid).expect("lives");
    creator.kill().expect("kills");
    creator.wait().expect("ends");
    until("it has ended", || {
        onggi_sys::signal::send(pidfd.as_fd(), 0).is_err()
            || onggi_sys::process::state(pid).is_ok_and(|state| state == 'Z')
    });
    let cgroups = Cgroups::probe().expect("has control groups");
    let group = cgroups
        .open(&format!("/onggi-test-{}", bundle.id))
        .expect("is there");
    until("it can be removed", || group.remove().is_ok());
}

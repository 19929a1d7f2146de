//! exec into a running container.

use serde_json::json;

use crate::Test;
use crate::bundle::{Bundle, text, until};

pub(crate) const TESTS: &[Test] = &[
    ("execs::it_is_inside", inside),
    ("execs::code_and_streams", code),
    ("execs::user_directory_and_environment", user),
    ("execs::errors_by_kind", errors),
    ("execs::a_terminal", terminal),
    ("execs::descriptors_are_three", census),
    ("execs::confined_like_the_container", confined),
    ("execs::not_into_what_has_stopped", stopped),
    ("execs::detached", detached),
];

fn running() -> Bundle {
    let bundle = Bundle::script("sleep 1000");
    bundle.detach();
    bundle
}

fn exec(bundle: &Bundle, args: &[&str]) -> std::process::Output {
    let mut words = vec!["exec"];
    words.extend(args.iter().take_while(|a| **a != "--"));
    words.push(&bundle.id);
    words.extend(args.iter().skip_while(|a| **a != "--").skip(1));
    bundle.call(&words)
}

fn inside() {
    let bundle = running();
    let pid = bundle.pid();
    let output = exec(
        &bundle,
        &[
            "--",
            "sh",
            "-c",
            "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; hostname; cat /proc/self/cgroup",
        ],
    );
    let stdout = text(&output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    for (at, kind) in ["mnt", "pid", "net", "ipc", "uts", "cgroup"]
        .iter()
        .enumerate()
    {
        let wanted = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("is there");
        assert_eq!(
            lines[at],
            wanted.display().to_string(),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(lines[6], "pot");
    assert!(
        lines[7..].iter().all(|line| line.ends_with(":/")),
        "{stdout}"
    );
}

fn code() {
    let bundle = running();
    let output = exec(
        &bundle,
        &["--", "sh", "-c", "echo out; echo err >&2; exit 9"],
    );
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(output.status.code(), Some(9));
    let output = exec(&bundle, &["--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(137));
}

fn user() {
    let bundle = running();
    let output = exec(
        &bundle,
        &[
            "--user",
            "1000:1000",
            "-g",
            "77",
            "--cwd",
            "/home/ann",
            "-e",
            "A=b",
            "--",
            "sh",
            "-c",
            "id; pwd; echo $A $HOME",
        ],
    );
    assert_eq!(
        text(&output.stdout),
        "uid=1000(ann) gid=1000(ann) groups=77,1000(ann)\n/home/ann\nb /home/ann\n",
        "{}",
        text(&output.stderr)
    );
}

fn errors() {
    let bundle = running();
    for (command, wanted) in [
        ("nope", "exec: \"nope\": executable file not found in $PATH"),
        (
            "/nope",
            "exec: \"/nope\": stat /nope: no such file or directory",
        ),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ("/etc", "exec: \"/etc\": is a directory"),
    ] {
        let output = exec(&bundle, &["--", command]);
        assert_eq!(output.status.code(), Some(255), "{command}");
        assert!(
            text(&output.stderr).contains(wanted),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(bundle.status(), "running");
}

fn terminal() {
    let bundle = running();
    let output = exec(
        &bundle,
        &["--tty", "--", "sh", "-c", "tty; test -t 1 && echo terminal"],
    );
    assert_eq!(
        text(&output.stdout),
        "/dev/pts/0\r\nterminal\r\n",
        "{}",
        text(&output.stderr)
    );
}

fn census() {
    let bundle = running();
    let output = exec(&bundle, &["--", "ls", "/proc/self/fd"]);
    assert_eq!(text(&output.stdout), "0\n1\n2\n3\n");
}

fn confined() {
    let mut bundle = Bundle::script("sleep 1000");
    bundle.with(json!({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}}}));
    bundle.detach();
    let output = exec(
        &bundle,
        &["--", "sh", "-c", "cat /proc/self/status; mkdir /tmp/x"],
    );
    let stdout = text(&output.stdout);
    for line in [
        "Seccomp:\t2",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapInh:\t0000000000000000",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    assert!(text(&output.stderr).contains("not supported"));
    let output = exec(
        &bundle,
        &[
            "--cap",
            "CAP_SYS_ADMIN",
            "--no-new-privs",
            "--",
            "cat",
            "/proc/self/status",
        ],
    );
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("CapEff:\t00000000a82425fb") && stdout.contains("NoNewPrivs:\t1"),
        "{stdout}"
    );
}

fn stopped() {
    let bundle = Bundle::script("true");
    bundle.detach();
    until("it has stopped", || bundle.status() == "stopped");
    let output = exec(&bundle, &["--", "true"]);
    assert!(text(&output.stderr).contains("cannot exec in a stopped container"));
    assert_eq!(output.status.code(), Some(255));
}

fn detached() {
    let bundle = running();
    // A detached process would keep a pipe of ours open: its streams are the null device.
    let status = bundle
        .command(&[
            "exec",
            "--detach",
            "--pid-file",
            "exec.pid",
            &bundle.id,
            "sleep",
            "1000",
        ])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .expect("runs");
    assert!(status.success());
    let pid: u32 = std::fs::read_to_string(bundle.path.join("exec.pid"))
        .expect("was written")
        .parse()
        .expect("a pid");
    let pids: Vec<u32> =
        serde_json::from_slice(&bundle.call(&["ps", &bundle.id]).stdout).expect("is JSON");
    assert!(pids.contains(&pid) && pids.len() == 2, "{pids:?}");
}

//! What a process may do and what it is given: capabilities, ids, limits, filters, descriptors, terminal.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::Test;
use crate::bundle::{Bundle, text, until};

pub(crate) const TESTS: &[Test] = &[
    ("process::capabilities_by_status", capabilities),
    (
        "process::capabilities_of_another_user",
        capabilities_of_user,
    ),
    ("process::ambient_capabilities", ambient),
    ("process::no_new_privs_and_filter", no_new_privs),
    ("process::a_filter_without_no_new_privs", filter),
    ("process::ids_groups_and_home", ids),
    ("process::descriptors_are_three", census),
    ("process::limits_rise_or_warn", limits),
    ("process::umask_and_oom_score", umask),
    ("process::the_working_directory_is_made", cwd_made),
    ("process::the_working_directory_of_a_user", cwd_user),
    ("process::streams_belong_to_the_user", streams),
    ("process::signals_are_at_their_defaults", signals),
    ("process::a_terminal_by_console_socket", terminal),
    ("process::a_terminal_in_the_foreground", foreground_terminal),
];

fn status(bundle: &Bundle, field: &str) -> String {
    let output = bundle.output();
    output
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_else(|| panic!("no {field} in {output}"))
        .trim_start_matches(':')
        .trim()
        .to_owned()
}

fn capabilities() {
    let bundle = Bundle::script("cat /proc/self/status");
    for (field, wanted) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "00000000a80425fb"),
        ("CapEff", "00000000a80425fb"),
        ("CapBnd", "00000000a80425fb"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "0"),
        ("Seccomp", "0"),
    ] {
        assert_eq!(status(&bundle, field), wanted, "{field}");
    }
    let mut bundle = Bundle::script("cat /proc/self/status");
    bundle.with(json!({"process": {"capabilities": null}}));
    for field in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(&bundle, field), "0000000000000000", "{field}");
    }
}

fn capabilities_of_user() {
    let mut bundle = Bundle::script("cat /proc/self/status");
    bundle.with(json!({"process": {"user": {"uid": 1000, "gid": 1000}}}));
    for (field, wanted) in [
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "00000000a80425fb"),
        ("Uid", "1000\t1000\t1000\t1000"),
        ("Gid", "1000\t1000\t1000\t1000"),
        ("Groups", "1000"),
    ] {
        assert_eq!(status(&bundle, field), wanted, "{field}");
    }
}

fn ambient() {
    let mut bundle = Bundle::script("cat /proc/self/status");
    let one = json!(["CAP_NET_BIND_SERVICE"]);
    bundle.with(json!({"process": {"user": {"uid": 1000, "gid": 1000},
        "capabilities": {"ambient": one, "inheritable": one, "permitted": one, "effective": one, "bounding": one}}}));
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(&bundle, field), "0000000000000400", "{field}");
    }
}

fn deny(call: &str) -> serde_json::Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]})
}

fn no_new_privs() {
    let mut bundle = Bundle::script("cat /proc/self/status; mkdir /tmp/x");
    bundle.with(json!({"process": {"noNewPrivileges": true}, "linux": {"seccomp": deny("mkdir")}}));
    let output = bundle.run();
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("NoNewPrivs:\t1"),
        "{stdout}{}",
        text(&output.stderr)
    );
    assert!(stdout.contains("Seccomp:\t2"), "{stdout}");
    assert!(
        text(&output.stderr).contains("not supported"),
        "{}",
        text(&output.stderr)
    );
}

fn filter() {
    let mut bundle = Bundle::script("cat /proc/self/status; mkdir /tmp/x");
    bundle.with(json!({"process": {"user": {"uid": 1000, "gid": 1000}}, "linux": {"seccomp": deny("mkdir")}}));
    let output = bundle.run();
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("NoNewPrivs:\t0"),
        "{stdout}{}",
        text(&output.stderr)
    );
    assert!(stdout.contains("Seccomp:\t2"), "{stdout}");
    assert!(text(&output.stderr).contains("not supported"));
    // The whole default profile, as an engine gives it.
    let bounding: Vec<String> = bundle.config["process"]["capabilities"]["bounding"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    let profile = onggi_runtime::seccomp::default_profile(&bounding);
    let mut bundle = Bundle::script("id -u; mount -t tmpfs x /tmp; echo $?");
    bundle.with(json!({"linux": {"seccomp": serde_json::to_value(profile).expect("is JSON")}}));
    let output = bundle.run();
    assert_eq!(text(&output.stdout), "0\n1\n", "{}", text(&output.stderr));
}

fn ids() {
    let mut bundle = Bundle::script("id; echo $HOME");
    bundle
        .with(json!({"process": {"user": {"uid": 1000, "gid": 1000, "additionalGids": [10, 77]}}}));
    assert_eq!(
        bundle.output(),
        "uid=1000(ann) gid=1000(ann) groups=10(wheel),77,1000(ann)\n/home/ann\n"
    );
    let mut bundle = Bundle::script("echo $HOME");
    bundle.with(json!({"process": {"env": ["PATH=/bin", "HOME=/mine"]}}));
    assert_eq!(bundle.output(), "/mine\n");
    let mut bundle = Bundle::script("echo $HOME");
    bundle.with(json!({"process": {"user": {"uid": 4242}}}));
    assert_eq!(bundle.output(), "/\n");
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"user": {"uid": 4294967295_u32}}}));
    assert!(bundle.failure().contains("must be in range"));
}

fn census() {
    // The fourth is the listing's own.
    let bundle = Bundle::script("ls /proc/self/fd");
    assert_eq!(bundle.output(), "0\n1\n2\n3\n");
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"args": ["sh", "-c", "for l in exe cwd root; do readlink /proc/1/$l; done"]}}));
    assert_eq!(bundle.output(), "/bin/busybox\n/\n/\n");
    let mut bundle = Bundle::script("ls /proc/1/fd | wc -l; readlink /proc/1/exe");
    bundle.with(json!({"process": {"noNewPrivileges": true}}));
    assert_eq!(bundle.output(), "3\n/bin/busybox\n");
}

fn limits() {
    let mut bundle = Bundle::script("ulimit -n; ulimit -Hn; ulimit -c");
    bundle.with(json!({"process": {"rlimits": [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]}}));
    assert_eq!(bundle.output(), "100\n200\n0\n");
    let mut bundle = Bundle::script("ulimit -n; ulimit -Hn");
    bundle.with(json!({"process": {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1048576, "hard": 1048576}]}}));
    let (_, hard) = onggi_sys::process::rlimit(7).expect("reads");
    let output = bundle.run();
    let may = onggi_sys::capability::current().expect("reads").effective & (1 << 24) != 0;
    if may {
        assert_eq!(text(&output.stdout), "1048576\n1048576\n");
    } else {
        assert_eq!(text(&output.stdout), format!("{hard}\n{hard}\n"));
        assert!(
            text(&output.stderr).contains("RLIMIT_NOFILE"),
            "{}",
            text(&output.stderr)
        );
    }
}

fn umask() {
    let mut bundle = Bundle::script("umask; cat /proc/self/oom_score_adj");
    bundle.with(json!({"process": {"user": {"umask": 0o77}, "oomScoreAdj": 500}}));
    assert_eq!(bundle.output(), "0077\n500\n");
    assert_eq!(Bundle::script("umask").output(), "0022\n");
}

fn cwd_made() {
    let mut bundle = Bundle::script("pwd; stat -c '%a %u' .");
    bundle.with(json!({"process": {"cwd": "/not/there", "user": {"uid": 1000, "gid": 1000}}}));
    assert_eq!(bundle.output(), "/not/there\n755 0\n");
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"cwd": "/etc/passwd"}}));
    let text = bundle.failure();
    assert!(
        text.contains("chdir to cwd (\"/etc/passwd\")") && text.contains("not a directory"),
        "{text}"
    );
}

fn cwd_user() {
    // Root without its capabilities may not enter it, its owner may.
    let mut bundle = Bundle::script("pwd");
    let private = bundle.root("home/ann");
    std::os::unix::fs::chown(&private, Some(1000), Some(1000)).expect("changes");
    std::fs::set_permissions(
        &private,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .expect("changes");
    bundle.with(json!({"process": {"cwd": "/home/ann", "user": {"uid": 1000, "gid": 1000}}}));
    assert_eq!(bundle.output(), "/home/ann\n");
}

fn streams() {
    let mut bundle = Bundle::script("echo once > /dev/stdout; echo twice > /proc/self/fd/1");
    bundle.with(json!({"process": {"user": {"uid": 1000, "gid": 1000}}}));
    assert_eq!(bundle.output(), "once\ntwice\n");
}

fn signals() {
    let mut bundle = Bundle::new();
    bundle.with(
        json!({"process": {"args": ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]}}),
    );
    let output = bundle.output();
    for field in ["SigBlk", "SigIgn"] {
        assert!(
            output.contains(&format!("{field}:\t0000000000000000")),
            "{output}"
        );
    }
}

/// Accepts one terminal.
fn receive(listener: &UnixListener) -> std::fs::File {
    let (socket, _) = listener.accept().expect("accepts");
    let mut buffer = [0; 64];
    let mut fds: Vec<OwnedFd> = Vec::new();
    onggi_sys::scm::recv_with_fds(&socket, &mut buffer, &mut fds).expect("receives");
    std::fs::File::from(fds.pop().expect("a descriptor"))
}

fn terminal() {
    let mut bundle = Bundle::script(
        "tty; stty size; test -c /dev/console && echo console; ls -l /proc/self/fd/0; read line; echo got $line > /dev/console; echo x > /dev/tty",
    );
    bundle
        .with(json!({"process": {"terminal": true, "consoleSize": {"height": 33, "width": 101}}}));
    bundle.write();
    let path = bundle.path.join("console.sock");
    let listener = UnixListener::bind(&path).expect("binds");
    let made = bundle.call(&["create", "--console-socket", "console.sock", &bundle.id]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let mut master = receive(&listener);
    assert!(bundle.call(&["start", &bundle.id]).status.success());
    master.write_all(b"word\n").expect("writes");
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    for wanted in [
        "/dev/pts/0",
        "33 101",
        "console",
        "-> /dev/pts/0",
        "got word",
        "x\r\n",
    ] {
        assert!(seen.contains(wanted), "{wanted:?} is not in {seen:?}");
    }
    until("it has stopped", || bundle.status() == "stopped");
    // A terminal that nobody looks after is refused.
    assert!(bundle.call(&["delete", &bundle.id]).status.success());
    let made = bundle.call(&["create", &bundle.id]);
    assert!(
        text(&made.stderr).contains("console-socket"),
        "{}",
        text(&made.stderr)
    );
}

fn foreground_terminal() {
    let mut bundle = Bundle::script("test -t 0 && echo terminal; exit 5");
    bundle.with(json!({"process": {"terminal": true}}));
    let output = bundle.run();
    assert_eq!(
        text(&output.stdout),
        "terminal\r\n",
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(5));
}

//! create, start, state, kill, delete, run.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::Test;
use crate::bundle::{Bundle, text, until};

pub(crate) const TESTS: &[Test] = &[
    ("life::a_container_runs_and_its_code_comes_back", runs),
    ("life::create_then_start", create_then_start),
    ("life::kill_and_delete", kill_and_delete),
    ("life::an_id_is_taken_once", taken_once),
    ("life::pause_and_resume", pause),
    ("life::a_paused_container_can_be_killed", kill_paused),
    ("life::delete_of_a_created_container", delete_created),
    ("life::errors_reach_the_log_as_json", log_json),
    ("life::version_features_help", documents),
    ("life::descriptors_are_preserved_when_asked", preserve),
    (
        "life::signals_of_the_foreground_are_passed_on",
        foreground_signals,
    ),
];

fn runs() {
    let bundle = Bundle::script("echo hello; exit 42");
    let output = bundle.run();
    assert_eq!(text(&output.stdout), "hello\n", "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(42));
    let bundle = Bundle::script("kill -9 $$");
    // The first process of a namespace cannot kill itself.
    assert_eq!(bundle.run().status.code(), Some(0));
}

fn create_then_start() {
    let bundle = Bundle::script("echo ran > /tmp/mark; sleep 100");
    assert!(bundle.create(&[]), "{}", bundle.log());
    assert_eq!(bundle.status(), "created");
    assert!(!bundle.root("tmp/mark").exists());
    let state: Value =
        serde_json::from_slice(&bundle.call(&["state", &bundle.id]).stdout).expect("is JSON");
    assert_eq!(state["id"], Value::from(bundle.id.clone()));
    assert_eq!(state["pid"], Value::from(bundle.pid()));
    assert_eq!(state["bundle"], Value::from(bundle.path.to_string_lossy()));
    let started = bundle.call(&["start", &bundle.id]);
    assert!(started.status.success(), "{}", text(&started.stderr));
    until("it has run", || bundle.root("tmp/mark").exists());
    assert_eq!(bundle.status(), "running");
    let again = bundle.call(&["start", &bundle.id]);
    assert!(text(&again.stderr).contains("already running"));
}

fn kill_and_delete() {
    let bundle = Bundle::script("trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done");
    bundle.detach();
    until("it is up", || bundle.log().contains("up"));
    let early = bundle.call(&["delete", &bundle.id]);
    assert!(!early.status.success());
    assert!(text(&early.stderr).contains("that is not stopped: running"));
    assert!(bundle.call(&["kill", &bundle.id, "TERM"]).status.success());
    until("it has stopped", || bundle.status() == "stopped");
    let late = bundle.call(&["kill", &bundle.id, "KILL"]);
    assert!(text(&late.stderr).contains("container not running"));
    assert!(bundle.call(&["delete", &bundle.id]).status.success());
    assert_eq!(bundle.status(), "none");
}

fn taken_once() {
    let bundle = Bundle::script("sleep 100");
    bundle.detach();
    let again = bundle.call(&["run", &bundle.id]);
    assert!(!again.status.success());
    assert!(text(&again.stderr).contains("exists already"));
    assert_eq!(bundle.status(), "running");
    for bad in ["..", "a/b", "", "x y"] {
        let output = bundle.call(&["create", bad]);
        assert!(
            text(&output.stderr).contains("invalid container ID"),
            "{bad}"
        );
    }
}

fn pause() {
    let bundle = Bundle::script("sleep 100");
    bundle.detach();
    let output = bundle.call(&["pause", &bundle.id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(bundle.status(), "paused");
    assert!(bundle.call(&["resume", &bundle.id]).status.success());
    assert_eq!(bundle.status(), "running");
}

fn kill_paused() {
    let bundle = Bundle::script("sleep 100");
    bundle.detach();
    assert!(bundle.call(&["pause", &bundle.id]).status.success());
    assert!(bundle.call(&["kill", &bundle.id, "9"]).status.success());
    until("it has stopped", || bundle.status() == "stopped");
}

fn delete_created() {
    let bundle = Bundle::script("sleep 100");
    assert!(bundle.create(&[]), "{}", bundle.log());
    let pid = bundle.pid();
    let output = bundle.call(&["delete", &bundle.id]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(onggi_sys::process::state(pid as u32).is_err_or_zombie());
}

trait Ended {
    fn is_err_or_zombie(&self) -> bool;
}

impl Ended for std::io::Result<char> {
    fn is_err_or_zombie(&self) -> bool {
        self.as_ref()
            .map_or(true, |state| matches!(state, 'Z' | 'X'))
    }
}

fn log_json() {
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"args": ["nope"]}}));
    assert!(!bundle.create(&["--log", "log.json", "--log-format", "json"]));
    let log = std::fs::read_to_string(bundle.path.join("log.json")).expect("was written");
    let line: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("is JSON");
    assert_eq!(line["level"], "error");
    assert_eq!(
        line["msg"],
        "exec: \"nope\": executable file not found in $PATH"
    );
}

fn documents() {
    let bundle = Bundle::new();
    let version = text(&bundle.call(&["--version"]).stdout);
    assert!(version.starts_with("onggi-runtime version ") && version.contains("spec: 1.2.0"));
    let features: Value =
        serde_json::from_slice(&bundle.call(&["features"]).stdout).expect("is JSON");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert!(text(&bundle.call(&["create", "--help"]).stdout).contains("--pid-file"));
    assert!(text(&bundle.call(&["--systemd-cgroup", "list"]).stderr).contains("not supported"));
    assert!(!bundle.call(&["nope"]).status.success());
    assert!(!bundle.call(&["create", "--nope", "x"]).status.success());
}

fn preserve() {
    let bundle = Bundle::script("ls /proc/self/fd | tr '\\n' ' '; cat <&3; cat <&4");
    bundle.write();
    std::fs::write(bundle.path.join("three"), "three ").expect("writes");
    std::fs::write(bundle.path.join("four"), "four").expect("writes");
    let mut outer = std::process::Command::new("/bin/sh");
    let inner = bundle.command(&["run", "--preserve-fds", "2", &bundle.id]);
    let mut line = String::new();
    for word in std::iter::once(inner.get_program()).chain(inner.get_args()) {
        line.push_str(&format!("'{}' ", word.to_string_lossy()));
    }
    let output = outer
        .args(["-c", &format!("{line} 3<three 4<four")])
        .env(crate::ROLE, "runtime")
        .current_dir(&bundle.path)
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert_eq!(
        text(&output.stdout),
        "0 1 2 3 4 5 three four",
        "{}",
        text(&output.stderr)
    );
}

fn foreground_signals() {
    let bundle = Bundle::script("trap 'exit 7' USR1; echo up; while :; do sleep 0.02; done");
    bundle.write();
    let mut child = bundle
        .command(&["run", &bundle.id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("is a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("reads");
    assert_eq!(line, "up\n");
    onggi_sys::signal::kill(child.id() as i32, 10).expect("sends");
    assert_eq!(child.wait().expect("ends").code(), Some(7));
}

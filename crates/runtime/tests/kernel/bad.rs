//! What cannot be made is said in words that users know, and nothing of it stays.

use serde_json::json;

use crate::Test;
use crate::bundle::{Bundle, text};

pub(crate) const TESTS: &[Test] = &[
    ("bad::commands", commands),
    ("bad::a_program_that_cannot_run", cannot_run),
    ("bad::mount_sources_and_targets", mounts),
    ("bad::file_systems_and_options", file_systems),
    ("bad::configurations", configurations),
    ("bad::a_memory_limit_that_kills_the_start", memory),
    ("bad::devices_that_are_not_allowed", devices),
];

fn fails(patch: serde_json::Value, wanted: &str) {
    let mut bundle = Bundle::new();
    bundle.with(patch);
    let text = bundle.failure();
    assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
    assert_eq!(bundle.status(), "none");
}

fn commands() {
    for (command, wanted) in [
        ("nope", "exec: \"nope\": executable file not found in $PATH"),
        (
            "/nope",
            "exec: \"/nope\": stat /nope: no such file or directory",
        ),
        ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
        ("/etc", "exec: \"/etc\": is a directory"),
    ] {
        fails(json!({"process": {"args": [command]}}), wanted);
    }
    fails(
        json!({"process": {"args": ["sh"], "env": ["PATH=/nowhere"]}}),
        "executable file not found in $PATH",
    );
}

fn cannot_run() {
    let mut bundle = Bundle::new();
    bundle.with(json!({"process": {"args": ["/bad"]}}));
    std::fs::write(bundle.root("bad"), "no program\n").expect("writes");
    std::fs::set_permissions(
        bundle.root("bad"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("changes");
    let output = bundle.run();
    assert_eq!(output.status.code(), Some(126));
    assert!(
        text(&output.stderr).contains("exec /bad: exec format error"),
        "{}",
        text(&output.stderr)
    );
    std::fs::write(bundle.root("bad"), "#!/nowhere/sh\n").expect("writes");
    let output = bundle.run();
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("exec /bad: no such file or directory"));
}

fn mounts() {
    let with = |mount: serde_json::Value, wanted: &str| {
        let mut bundle = Bundle::new();
        bundle.mount(mount);
        let text = bundle.failure();
        assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
    };
    with(
        json!({"destination": "/x", "source": "/nowhere/at/all", "options": ["bind"]}),
        "error mounting \"/nowhere/at/all\" to rootfs at \"/x\": stat /nowhere/at/all: no such file or directory",
    );
    with(
        json!({"destination": "/etc/passwd", "source": "/etc", "options": ["bind"]}),
        "are you trying to mount a directory onto a file",
    );
    with(
        json!({"destination": "/etc", "source": "/etc/passwd", "options": ["bind"]}),
        "are you trying to mount a directory onto a file",
    );
    with(
        json!({"destination": "/proc/self/attr", "source": "/etc", "options": ["bind"]}),
        "inside /proc",
    );
    with(
        json!({"destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs"}),
        "inside /proc",
    );
}

fn file_systems() {
    let with = |mount: serde_json::Value, wanted: &str| {
        let mut bundle = Bundle::new();
        bundle.mount(mount);
        let text = bundle.failure();
        assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
    };
    with(
        json!({"destination": "/x", "type": "nofs"}),
        "file system type \"nofs\" is not known",
    );
    with(
        json!({"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["colour=red"]}),
        "Unknown parameter 'colour'",
    );
    with(
        json!({"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["size=many"]}),
        "error mounting \"tmpfs\" to rootfs at \"/x\"",
    );
}

fn configurations() {
    fails(json!({"root": {"path": "nowhere"}}), "is not a directory");
    fails(json!({"process": null}), "no process");
    fails(
        json!({"linux": {"uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}}),
        "linux.uidMappings is not supported",
    );
    fails(
        json!({"linux": {"namespaces": [{"type": "mount"}, {"type": "network", "path": "/nowhere"}]}, "hostname": null}),
        "/nowhere: no such file or directory",
    );
    fails(
        json!({"linux": {"sysctl": {"net.ipv4.nope": "1"}}}),
        "sysctl \"net.ipv4.nope\"",
    );
    let bundle = Bundle::new();
    std::fs::write(bundle.path.join("config.json"), "{\"ociVersion\": ").expect("writes");
    assert!(
        text(&bundle.call(&["run", &bundle.id]).stderr).contains("config.json: EOF while parsing")
    );
    std::fs::remove_file(bundle.path.join("config.json")).expect("removes");
    assert!(text(&bundle.call(&["run", &bundle.id]).stderr).contains("config.json: no such file"));
}

fn memory() {
    let mut bundle = Bundle::new();
    bundle.with(json!({"linux": {"resources": {"memory": {"limit": 4096}}}}));
    let output = bundle.run();
    assert!(!output.status.success());
    assert_eq!(bundle.status(), "none");
}

fn devices() {
    let mut bundle =
        Bundle::script("mknod /tmp/d b 7 0 && cat /tmp/d; echo x > /dev/null && echo null");
    bundle.with(json!({"linux": {"resources": {"devices": [
        {"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"}]}}}));
    let output = bundle.run();
    assert_eq!(text(&output.stdout), "null\n");
    assert!(
        text(&output.stderr).contains("not permitted"),
        "{}",
        text(&output.stderr)
    );
}

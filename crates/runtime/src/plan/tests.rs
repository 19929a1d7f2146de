//! What a specification is refused for, and what comes out of a good one.

use onggi_oci::runtime::{Namespace, Spec};

use super::*;

fn spec(patch: serde_json::Value) -> Spec {
    let mut document = serde_json::json!({
        "ociVersion": "1.2.0",
        "process": {"cwd": "/", "args": ["sh"], "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]},
    });
    merge(&mut document, patch);
    serde_json::from_value(document).expect("is a specification")
}

fn merge(target: &mut serde_json::Value, patch: serde_json::Value) {
    match (target, patch) {
        (serde_json::Value::Object(target), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (target, patch) => *target = patch,
    }
}

fn refused(patch: serde_json::Value) -> String {
    Plan::new("c", &spec(patch), None)
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    for (patch, word) in [
        (
            serde_json::json!({"linux": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}}),
            "linux.uidMappings",
        ),
        (
            serde_json::json!({"hooks": {"prestart": [{"path": "/bin/true"}]}}),
            "hooks",
        ),
        (
            serde_json::json!({"linux": {"namespaces": [{"type": "mount"}, {"type": "user"}]}}),
            "user namespaces",
        ),
        (
            serde_json::json!({"process": {"args": []}}),
            "args must not be empty",
        ),
        (serde_json::json!({"process": {"cwd": "tmp"}}), "absolute"),
        (
            serde_json::json!({"process": {"rlimits": [{"type": "RLIMIT_NOPE", "hard": 1, "soft": 1}]}}),
            "RLIMIT_NOPE",
        ),
        (
            serde_json::json!({"process": {"args": ["a\u{0}b"]}}),
            "zero byte",
        ),
        (
            serde_json::json!({"mounts": [{"destination": "/a/..", "type": "tmpfs"}]}),
            "root itself",
        ),
        (
            serde_json::json!({"mounts": [{"destination": "/a", "type": "bind"}]}),
            "no source",
        ),
        (
            serde_json::json!({"linux": {"cgroupsPath": "system.slice:a:b"}}),
            "systemd",
        ),
        (
            serde_json::json!({"linux": {"namespaces": [{"type": "pid"}]}}),
            "mount namespace",
        ),
    ] {
        let text = refused(patch);
        assert!(text.contains(word), "{text:?} does not name {word:?}");
    }
}

#[test]
fn sysctls_stay_in_their_namespaces() {
    let sysctl = |key: &str, value: &str| serde_json::json!({"linux": {"sysctl": {key: value}}});
    for (key, value) in [
        ("kernel.core_pattern", "|/bin/x"),
        ("net/../kernel/core_pattern", "x"),
        ("net.ipv4.ip_forward", "1\n2"),
        ("kernel.shm_rmid_forced+kernel.core_pattern", "1"),
        ("vm.overcommit_memory", "1"),
        ("kernel.hostname", "x"),
    ] {
        refused(sysctl(key, value));
    }
    let plan = Plan::new(
        "c",
        &spec(sysctl("net/ipv4/conf/eth0.1/rp_filter", "1")),
        None,
    )
    .expect("is fine");
    assert_eq!(plan.sysctls[0].path, "net/ipv4/conf/eth0.1/rp_filter");
    let plan = Plan::new("c", &spec(sysctl("net.ipv4.ip_forward", "1")), None).expect("is fine");
    assert_eq!(plan.sysctls[0].path, "net/ipv4/ip_forward");
    let mut host = spec(sysctl("net.ipv4.ip_forward", "1"));
    if let Some(linux) = &mut host.linux {
        linux
            .namespaces
            .retain(|n| n.kind != NamespaceKind::Network);
    }
    assert!(Plan::new("c", &host, None).is_err());
}

#[test]
fn namespaces_become_flags() {
    let mut with = spec(serde_json::json!({}));
    if let Some(linux) = &mut with.linux {
        linux.namespaces.push(Namespace {
            kind: NamespaceKind::Cgroup,
            path: None,
        });
        for namespace in &mut linux.namespaces {
            if namespace.kind == NamespaceKind::Network {
                namespace.path = Some("/proc/1/ns/net".to_owned());
            }
        }
    }
    let plan = Plan::new("c", &with, None).expect("is fine");
    assert_eq!(plan.clone, flag::MOUNT | flag::PID | flag::IPC | flag::UTS);
    assert!(plan.new_cgroup && !plan.new_network);
    assert_eq!(plan.joins, [(flag::NET, "/proc/1/ns/net".to_owned())]);
    assert_eq!(plan.cgroup, "/onggi/c");
}

#[test]
fn capabilities_become_masks() {
    let sets = serde_json::json!({"process": {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NOPE"]}}});
    let plan = Plan::new("c", &spec(sets), None).expect("is fine");
    assert_eq!(plan.process.capabilities.bounding, 0b10_0001);
    assert_eq!(plan.process.capabilities.effective, 0);
    assert_eq!(plan.process.warnings.len(), 1);
}

//! Documents as other runtimes write them go in and come out unchanged.

use super::*;

fn round(text: &str) -> Spec {
    let spec: Spec = serde_json::from_str(text).expect("parses");
    let again = serde_json::to_value(&spec).expect("writes");
    let wanted: serde_json::Value = serde_json::from_str(text).expect("is JSON");
    assert_eq!(again, wanted);
    spec
}

#[test]
fn every_field_survives() {
    let spec = round(include_str!("../../testdata/config.json"));
    let linux = spec.linux.expect("has linux");
    assert_eq!(
        linux.namespaces[0],
        Namespace {
            kind: NamespaceKind::Pid,
            path: None
        }
    );
    let resources = linux.resources.expect("has resources");
    assert_eq!(
        resources.devices[0],
        DeviceRule {
            access: Some("rwm".into()),
            ..DeviceRule::default()
        }
    );
    assert_eq!(
        resources.memory.expect("memory").kernel_tcp,
        Some(1_073_741_824)
    );
    assert_eq!(
        linux.seccomp.expect("seccomp").syscalls[0].args[0].op,
        Operator::MaskedEqual
    );
}

#[test]
fn null_lists_are_empty_lists() {
    let text = r#"{"ociVersion":"1.0.2","mounts":null,"process":{"cwd":"/","user":{"uid":0,"gid":0,"additionalGids":null},"args":null},
        "linux":{"namespaces":null,"resources":{"devices":null}},"annotations":null}"#;
    let spec: Spec = serde_json::from_str(text).expect("parses");
    assert!(spec.mounts.is_empty() && spec.annotations.is_empty());
    assert!(spec.process.expect("process").args.is_empty());
}

#[test]
fn every_kind_of_device_is_none() {
    for text in [
        r#"{"allow":false,"type":"a"}"#,
        r#"{"allow":false,"type":""}"#,
        r#"{"allow":false}"#,
    ] {
        let rule: DeviceRule = serde_json::from_str(text).expect("parses");
        assert_eq!(rule.kind, None);
    }
    assert!(serde_json::from_str::<DeviceRule>(r#"{"allow":false,"type":"x"}"#).is_err());
}

#[test]
fn the_state_is_in_runcs_words() {
    let state = State {
        version: VERSION.into(),
        id: "c1".into(),
        status: Status::Running,
        pid: Some(42),
        bundle: "/b".into(),
        annotations: BTreeMap::new(),
    };
    let text = serde_json::to_string(&state).expect("writes");
    assert_eq!(
        text,
        r#"{"ociVersion":"1.2.0","id":"c1","status":"running","pid":42,"bundle":"/b"}"#
    );
}

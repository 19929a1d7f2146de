//! The policy by the kernel's rules.

use super::*;

fn rule(
    allow: bool,
    kind: Option<DeviceKind>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> DeviceRule {
    DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: Some(access.into()),
    }
}

#[test]
fn deny_all_then_exceptions() {
    use DeviceKind::{Block, Character};
    let policy = Policy::from_rules(&[
        rule(false, None, None, None, "rwm"),
        rule(true, Some(Character), Some(1), Some(3), "rw"),
        rule(true, Some(Character), None, None, "m"),
        rule(true, Some(Block), Some(8), None, "r"),
        rule(true, Some(Block), Some(8), None, "m"),
        rule(false, Some(Block), Some(8), None, "m"),
    ])
    .expect("is fine");
    assert!(policy.allows(Character, 1, 3, Access::READ | Access::WRITE));
    assert!(
        !policy.allows(Character, 1, 3, Access::ALL),
        "two exceptions do not add up"
    );
    assert!(policy.allows(Character, 99, 7, Access::MAKE));
    assert!(policy.allows(Block, 8, 5, Access::READ));
    assert!(!policy.allows(Block, 8, 5, Access::MAKE), "taken back");
    assert!(!policy.allows(Block, 9, 5, Access::READ));
}

#[test]
fn allow_all_then_exceptions() {
    use DeviceKind::{Block, Character};
    let policy = Policy::from_rules(&[
        rule(true, Some(Block), None, None, "rwm"),
        rule(false, None, Some(8), Some(0), "w"),
    ])
    .expect("is fine");
    assert!(!policy.allows(Block, 8, 0, Access::READ | Access::WRITE));
    assert!(!policy.allows(Character, 8, 0, Access::WRITE));
    assert!(policy.allows(Block, 8, 0, Access::READ) && policy.allows(Block, 8, 1, Access::ALL));
    assert!(
        Policy::from_rules(&[])
            .expect("is fine")
            .allows_everything()
    );
}

#[test]
fn bad_rules_are_refused() {
    for bad in [
        rule(true, None, None, None, "rx"),
        rule(true, Some(DeviceKind::Character), Some(1 << 40), None, "r"),
        rule(true, Some(DeviceKind::Fifo), None, None, "r"),
    ] {
        assert!(
            Policy::from_rules(std::slice::from_ref(&bad)).is_err(),
            "{bad:?}"
        );
    }
}

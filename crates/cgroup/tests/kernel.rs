//! Groups of the running kernel, whatever its layout. Needs root. Each test has a group of its own and removes it.

use onggi_cgroup::{Cgroups, Error, Group, Layout, Which};
use onggi_oci::runtime::{Cpu, DeviceKind, DeviceRule, Memory, Pids, Resources};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A path of its own for each test, removed with what is in it.
struct Scratch {
    cgroups: Cgroups,
    path: String,
}

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("/onggi-test-{}-{number}", std::process::id());
        Self {
            cgroups: Cgroups::probe().expect("control groups"),
            path,
        }
    }

    fn group(&self, resources: &Resources) -> Group {
        self.cgroups
            .create(&format!("{}/c", self.path), resources)
            .expect("a group")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(group) = self.cgroups.open(&self.path) {
            group.kill().expect("kills");
            group.remove().expect("removes");
        }
    }
}

/// A shell that joins the group before it runs the script.
fn run_in(group: &Group, script: &str) -> Child {
    let mut child = Command::new("sh")
        .args(["-c", &format!("read line; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("spawns");
    group.add(child.id()).expect("joins");
    use std::io::Write;
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"go\n")
        .expect("writes");
    child
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn limits_are_in_the_statistics() {
    let scratch = Scratch::new();
    let resources = Resources {
        memory: Some(Memory {
            limit: Some(64 << 20),
            swap: Some(96 << 20),
            ..Memory::default()
        }),
        pids: Some(Pids { limit: 33 }),
        cpu: Some(Cpu {
            shares: Some(512),
            quota: Some(50_000),
            period: Some(100_000),
            ..Cpu::default()
        }),
        ..Resources::default()
    };
    let group = scratch.group(&resources);
    let stats = group.stats().expect("statistics");
    assert_eq!(stats.memory.limit, Some(64 << 20));
    assert_eq!(stats.pids.limit, Some(33));

    let more = |limit, swap| Resources {
        memory: Some(Memory {
            limit: Some(limit),
            swap: Some(swap),
            ..Memory::default()
        }),
        pids: Some(Pids { limit: -1 }),
        ..Resources::default()
    };
    // Up, down, and without a limit: on v1 the order of the two writes differs each time.
    for (limit, swap) in [
        (256 << 20, 512 << 20),
        (16 << 20, 32 << 20),
        (-1, -1),
        (64 << 20, 64 << 20),
    ] {
        group.update(&more(limit, swap)).expect("updates");
        assert_eq!(
            group.stats().expect("statistics").memory.limit,
            u64::try_from(limit).ok()
        );
    }
    assert_eq!(group.stats().expect("statistics").pids.limit, None);
    let wrong = group
        .update(&more(64 << 20, 32 << 20))
        .expect_err("less for both than for one");
    assert!(matches!(wrong, Error::InvalidLimit(_)), "{wrong}");
}

#[test]
fn processes_are_counted_and_killed() {
    let scratch = Scratch::new();
    let group = scratch.group(&Resources::default());
    let mut child = run_in(&group, "sleep 1000 & sleep 1000 & wait");
    until("three processes", || group.pids().expect("pids").len() == 3);
    assert!(group.stats().expect("statistics").cpu.total > 0);
    assert_eq!(group.stats().expect("statistics").pids.current, 3);
    assert!(matches!(
        scratch
            .cgroups
            .create(&format!("{}/c", scratch.path), &Resources::default()),
        Err(Error::Populated(_))
    ));
    assert!(!group.remove_if_empty().expect("is in use"));

    group.kill().expect("kills");
    let status = child.wait().expect("waits");
    assert_eq!(status.signal(), Some(9));
    group.remove().expect("removes");
    assert!(matches!(
        scratch.cgroups.open(&format!("{}/c", scratch.path)),
        Err(Error::NotFound(_))
    ));
    assert!(group.pids().expect("a removed group has none").is_empty());
    assert!(matches!(group.stats(), Err(Error::NotFound(_))));
    group.remove().expect("twice is fine");
}

#[test]
fn groups_inside_are_killed_and_removed_too() {
    let scratch = Scratch::new();
    let group = scratch.group(&Resources::default());
    let inner = scratch
        .cgroups
        .create(&format!("{}/c/inner", scratch.path), &Resources::default());
    let inner = inner.expect("a group");
    let mut child = run_in(&inner, "exec sleep 1000");
    assert_eq!(group.pids().expect("pids"), [child.id()]);
    group.kill().expect("kills");
    child.wait().expect("waits");
    group.remove().expect("removes");
    assert!(
        scratch
            .cgroups
            .open(&format!("{}/c/inner", scratch.path))
            .is_err()
    );
}

#[test]
fn a_frozen_group_stands_still_and_dies_all_the_same() {
    let scratch = Scratch::new();
    let group = scratch.group(&Resources::default());
    let mut child = run_in(&group, "while :; do :; done");
    until("some work", || {
        group.stats().expect("statistics").cpu.total > 20_000_000
    });
    group.freeze().expect("freezes");
    assert!(group.is_frozen().expect("tells"));
    let used = || group.stats().expect("statistics").cpu.total;
    let before = used();
    until("time to pass", {
        let start = Instant::now();
        move || start.elapsed() > Duration::from_millis(100)
    });
    assert_eq!(used(), before);
    group.thaw().expect("thaws");
    until("more work", || used() > before);
    group.freeze().expect("freezes");
    group.kill().expect("kills");
    group.thaw().expect("thaws");
    assert_eq!(child.wait().expect("waits").signal(), Some(9));
}

#[test]
fn the_memory_limit_kills_and_is_counted() {
    let scratch = Scratch::new();
    let limit = Some(16 << 20);
    let resources = Resources {
        memory: Some(Memory {
            limit,
            swap: limit,
            ..Memory::default()
        }),
        ..Resources::default()
    };
    let group = scratch.group(&resources);
    assert_eq!(group.oom_kills().expect("counts"), 0);
    let mut child = run_in(&group, "exec dd if=/dev/zero of=/dev/null bs=64M count=4");
    assert_eq!(child.wait().expect("waits").signal(), Some(9));
    assert!(group.oom_kills().expect("counts") >= 1);
}

#[test]
fn the_process_limit_holds() {
    let scratch = Scratch::new();
    let group = scratch.group(&Resources {
        pids: Some(Pids { limit: 4 }),
        ..Resources::default()
    });
    let mut child = run_in(&group, "for i in 1 2 3 4 5 6; do sleep 1000 & done; wait");
    // The shell gives up at the fork that is refused: three children are left.
    assert_eq!(child.wait().expect("waits").code(), Some(2));
    assert_eq!(group.stats().expect("statistics").pids.current, 3);
}

#[test]
fn devices_are_what_the_rules_say() {
    let scratch = Scratch::new();
    let allow = |major, minor, access: &str| DeviceRule {
        allow: true,
        kind: Some(DeviceKind::Character),
        major: Some(major),
        minor: Some(minor),
        access: Some(access.into()),
    };
    let rules = vec![DeviceRule::default(), allow(1, 3, "rwm"), allow(1, 5, "r")];
    let group = scratch.group(&Resources {
        devices: rules,
        ..Resources::default()
    });
    let script = "\
        : </dev/null || exit 1; : >/dev/null || exit 2; : </dev/zero || exit 3
        (: >/dev/zero) && exit 4; (: </dev/urandom) && exit 5; exit 42";
    assert_eq!(
        run_in(&group, script).wait().expect("waits").code(),
        Some(42)
    );
}

/// The v2 program works on the `unified` hierarchy of a hybrid machine as well: try it where there is one.
#[test]
fn the_device_program_is_obeyed() {
    let scratch = Scratch::new();
    if scratch.cgroups.layout() == Layout::V1 {
        return;
    }
    let only = scratch
        .cgroups
        .ensure(&scratch.path, Which::Only(&["unified"]))
        .expect("a group");
    let null = DeviceRule {
        allow: true,
        kind: Some(DeviceKind::Character),
        major: Some(1),
        minor: Some(3),
        access: Some("rw".into()),
    };
    let group = only;
    for (rules, wanted) in [
        (vec![DeviceRule::default(), null], 1),
        (vec![DeviceRule::default()], 2),
        (
            vec![DeviceRule {
                allow: true,
                ..DeviceRule::default()
            }],
            0,
        ),
    ] {
        group
            .update(&Resources {
                devices: rules,
                ..Resources::default()
            })
            .expect("attaches");
        let mut child = run_in(
            &group,
            "(: </dev/null) || exit 2; (: </dev/zero) || exit 1; exit 0",
        );
        assert_eq!(child.wait().expect("waits").code(), Some(wanted));
    }
}

#[test]
fn a_failure_leaves_nothing() {
    let scratch = Scratch::new();
    let path = format!("{}/c", scratch.path);
    let wrong = Resources {
        memory: Some(Memory {
            limit: Some(64 << 20),
            swap: Some(1 << 20),
            ..Memory::default()
        }),
        ..Resources::default()
    };
    assert!(matches!(
        scratch.cgroups.create(&path, &wrong),
        Err(Error::InvalidLimit(_))
    ));
    assert!(matches!(
        scratch.cgroups.open(&path),
        Err(Error::NotFound(_))
    ));
}

#[test]
fn join_paths_name_directories_that_exist() {
    let scratch = Scratch::new();
    let group = scratch.group(&Resources::default());
    let paths = group.join_paths();
    assert!(!paths.is_empty());
    for join in paths {
        assert!(
            join.path.is_dir()
                && join
                    .path
                    .ends_with(scratch.path.trim_start_matches('/').to_owned() + "/c")
        );
        assert_eq!(join.kind == "cgroup2", join.data.is_empty());
    }
}

//! From create to the exit file.

use std::io::{Read, Write};

use onggi_monitor::protocol::{FailureKind, FromMonitor, Phase, ToMonitor};

use crate::Test;
use crate::fixture::{Monitor, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("exit_codes", exit_codes),
    ("signals", signals),
    ("out_of_memory", out_of_memory),
    ("failures", failures),
    (
        "hang_up_before_start_destroys",
        hang_up_before_start_destroys,
    ),
    ("daemon_comes_and_goes", daemon_comes_and_goes),
    ("exit_without_daemon", exit_without_daemon),
    ("newer_control_replaces_older", newer_control_replaces_older),
    ("garbage_is_closed", garbage_is_closed),
    ("survivors_are_killed", survivors_are_killed),
    ("container_dies_with_monitor", container_dies_with_monitor),
    (
        "exit_file_that_cannot_be_written",
        exit_file_that_cannot_be_written,
    ),
    ("many_held_sockets", many_held_sockets),
    ("who_is_joined_must_live", who_is_joined_must_live),
    (
        "monitors_have_a_group_of_their_own",
        monitors_have_a_group_of_their_own,
    ),
];

fn exit_codes() {
    for code in [0, 42, 255] {
        let monitor = Monitor::start();
        let control = monitor.run(monitor.launch(&["sh", "-c", &format!("exit {code}")]));
        let exit = control.finish();
        assert_eq!(
            (exit.code, exit.signal, exit.oom_killed),
            (code, None, false)
        );
        assert_eq!(monitor.recorded_exit(), Some(exit));
        monitor.gone();
    }
}

fn signals() {
    let monitor = Monitor::start();
    let command = [
        "sh",
        "-c",
        "trap 'echo got; exit 7' TERM; echo ready; while true; do sleep 0.01; done",
    ];
    let mut control = monitor.run(monitor.launch(&command));
    wait_for("the trap is set", || monitor.logged() == b"ready\n");
    control.say(&ToMonitor::Signal { signal: 15 });
    assert_eq!(control.finish().code, 7);
    assert_eq!(monitor.logged(), b"ready\ngot\n");
    monitor.gone();

    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    control.say(&ToMonitor::Signal { signal: 9 });
    let exit = control.finish();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    monitor.gone();

    // The monitor itself is not to be had.
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    for signal in [1, 2, 3, 15] {
        onggi_sys::signal::kill(monitor.pid().cast_signed(), signal).unwrap();
    }
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(control.finish().code, 137);
    monitor.gone();
}

fn out_of_memory() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["tail", "/dev/zero"]);
    let linux = launch.spec.linux.as_mut().unwrap();
    linux.resources =
        serde_json::from_str(r#"{"memory": {"limit": 16777216, "swap": 16777216}}"#).unwrap();
    let exit = monitor.run(launch).finish();
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    monitor.gone();
}

fn failures() {
    let cases: [(&[&str], FailureKind, &str); 3] = [
        (
            &["nothing"],
            FailureKind::CommandNotFound,
            "exec: \"nothing\": executable file not found in $PATH",
        ),
        (
            &["/nothing"],
            FailureKind::CommandNotFound,
            "exec: \"/nothing\": stat /nothing: no such file or directory",
        ),
        (
            &["/etc/plain"],
            FailureKind::NotExecutable,
            "exec: \"/etc/plain\": permission denied",
        ),
    ];
    for (command, wanted, text) in cases {
        let monitor = Monitor::start();
        let (mut control, _) = monitor.control();
        control.say(&ToMonitor::Create(Box::new(monitor.launch(command))));
        let mut answer = control.hear();
        if let FromMonitor::Created { .. } = answer {
            control.say(&ToMonitor::Start);
            answer = control.hear();
        }
        let FromMonitor::Failed { kind, message } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(kind, wanted, "{message}");
        assert!(message.contains(text), "{message}");
        assert!(!monitor.has_cgroup());
        // Another daemon hears the same.
        let (mut control, state) = monitor.control();
        assert!(matches!(
            state,
            FromMonitor::State {
                phase: Phase::Failed,
                failure: Some(_),
                ..
            }
        ));
        control.say(&ToMonitor::Acknowledge);
        monitor.gone();
    }
}

fn hang_up_before_start_destroys() {
    let monitor = Monitor::start();
    drop(monitor.control());
    monitor.gone();

    let monitor = Monitor::start();
    let control = monitor.create(monitor.launch(&["sleep", "1000"]));
    assert!(monitor.has_cgroup());
    drop(control);
    monitor.gone();
}

fn daemon_comes_and_goes() {
    let monitor = Monitor::start();
    let control = monitor.run(monitor.launch(&[
        "sh",
        "-c",
        "trap 'exit 3' TERM; while true; do echo x; sleep 0.01; done",
    ]));
    for _ in 0..5 {
        drop(monitor.control());
    }
    drop(control);
    let before = monitor.logged().len();
    wait_for("output goes on", || monitor.logged().len() > before);
    let (mut control, state) = monitor.control();
    let FromMonitor::State {
        phase,
        pid: Some(_),
        started_at: Some(_),
        exit: None,
        ..
    } = state
    else {
        panic!("{state:?}")
    };
    assert_eq!(phase, Phase::Running);
    control.say(&ToMonitor::Signal { signal: 15 });
    assert_eq!(control.finish().code, 3);
    monitor.gone();
}

fn exit_without_daemon() {
    let monitor = Monitor::start();
    let control = monitor.run(monitor.launch(&["sh", "-c", "sleep 0.2; echo end; exit 42"]));
    drop(control);
    wait_for("the exit file", || monitor.recorded_exit().is_some());
    assert_eq!(monitor.recorded_exit().unwrap().code, 42);
    assert_eq!(monitor.logged(), b"end\n");
    monitor.gone();
}

fn newer_control_replaces_older() {
    let monitor = Monitor::start();
    let mut old = monitor.create(monitor.launch(&["true"]));
    let (mut new, state) = monitor.control();
    assert!(matches!(
        state,
        FromMonitor::State {
            phase: Phase::Created,
            pid: Some(_),
            ..
        }
    ));
    assert!(old.try_hear().is_none());
    drop(old);
    new.start();
    assert_eq!(new.finish().code, 0);
    monitor.gone();
}

fn garbage_is_closed() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let too_large = [0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0];
    let wrong_kind = [1, 0, 0, 0, 9, 0, 0, 0, 0];
    let no_descriptors = [1, 0, 0, 0, 1, 0, 5, 0, b'1'];
    let no_message = [3, 0, 0, 0, 1, 0, 0, 0, b'{', b'"', b'}'];
    let not_first = [
        7, 0, 0, 0, 1, 0, 0, 0, b'"', b'S', b't', b'a', b'r', b't', b'"',
    ];
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &too_large,
        &wrong_kind,
        &no_descriptors,
        &no_message,
        &not_first,
    ];
    for bytes in garbage {
        let mut peer = monitor.connect();
        peer.socket.write_all(bytes).unwrap();
        // Closed with or without having read all.
        let ended = peer.socket.read(&mut [0; 16]);
        assert!(matches!(&ended, Ok(0) | Err(_)), "{bytes:?}");
        if let Err(error) = ended {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
    // Many that say nothing do not keep one out that does.
    let silent: Vec<_> = (0..200).map(|_| monitor.connect()).collect();
    let (mut new, _) = monitor.control();
    drop(silent);
    assert!(control.try_hear().is_none());
    new.say(&ToMonitor::Signal { signal: 9 });
    new.finish();
    monitor.gone();
}

/// Without a pid namespace of its own a container leaves processes behind, which hold its streams open.
fn survivors_are_killed() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["sh", "-c", "sleep 1000 & echo started"]);
    let linux = launch.spec.linux.as_mut().unwrap();
    linux
        .namespaces
        .retain(|space| space.kind != onggi_oci::runtime::NamespaceKind::Pid);
    let began = std::time::Instant::now();
    let exit = monitor.run(launch).finish();
    assert_eq!(exit.code, 0);
    assert!(began.elapsed().as_secs() < 2);
    assert_eq!(monitor.logged(), b"started\n");
    monitor.gone();
}

fn container_dies_with_monitor() {
    let monitor = Monitor::start();
    let (mut control, _) = monitor.control();
    control.say(&ToMonitor::Create(Box::new(
        monitor.launch(&["sleep", "1000"]),
    )));
    let FromMonitor::Created { pid } = control.hear() else {
        panic!()
    };
    control.start();
    let pidfd = onggi_sys::process::pidfd(pid).unwrap();
    onggi_sys::signal::kill(monitor.pid().cast_signed(), 9).unwrap();
    let mut list = [rustix::event::PollFd::new(
        &pidfd,
        rustix::event::PollFlags::IN,
    )];
    let limit = rustix::event::Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    assert_eq!(rustix::event::poll(&mut list, Some(&limit)), Ok(1));
}

fn exit_file_that_cannot_be_written() {
    let mut monitor = Monitor::start();
    let mut launch = monitor.launch(&["sh", "-c", "exit 9"]);
    launch.exit_file = "/nowhere/exit.json".into();
    let mut control = monitor.create(launch);
    control.say(&ToMonitor::Start);
    drop(control);
    wait_for("it is reported", || {
        monitor.stderr().contains("exit status cannot be recorded")
    });
    assert!(monitor.runs());
    let (mut control, state) = monitor.control();
    let FromMonitor::State {
        phase: Phase::Exited,
        exit: Some(exit),
        ..
    } = state
    else {
        panic!("{state:?}")
    };
    assert_eq!(exit.code, 9);
    control.say(&ToMonitor::Acknowledge);
    monitor.gone();
}

/// More descriptors than go with one message; they are closed when the container has exited.
fn many_held_sockets() {
    let monitor = Monitor::start();
    let mut control = monitor.create(monitor.launch(&["cat"]));
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let held = (0..600).map(|_| writer.try_clone().unwrap()).collect();
    drop(writer);
    let frame = onggi_monitor::protocol::Outgoing::new(&ToMonitor::Start, held).unwrap();
    frame.send_all(&control.socket).unwrap();
    assert!(matches!(control.hear(), FromMonitor::Started { .. }));
    control.exited();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0));
    control.say(&ToMonitor::Acknowledge);
    monitor.gone();
}

fn monitors_have_a_group_of_their_own() {
    let cgroups = onggi_cgroup::Cgroups::probe().unwrap();
    let path = format!("/onggi-test-{}/monitors", std::process::id());
    let group = cgroups.ensure(&path, onggi_cgroup::Which::All).unwrap();
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["sleep", "1000"]);
    launch.monitor_cgroup = Some(path);
    let mut control = monitor.run(launch);
    assert_eq!(group.pids().unwrap(), [monitor.pid()]);
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(control.finish().code, 137);
    wait_for("the monitor ends", || group.pids().unwrap().is_empty());
    group.remove().unwrap();
    monitor.gone();
}

/// The process whose namespaces are named by its number has ended: the number may mean another by now.
fn who_is_joined_must_live() {
    use std::os::fd::OwnedFd;
    for lives in [true, false] {
        let mut donor = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let pidfd: OwnedFd = onggi_sys::process::pidfd(donor.id()).unwrap();
        let monitor = Monitor::start();
        let (mut control, _) = monitor.control();
        let launch = monitor.launch(&["true"]);
        onggi_monitor::protocol::Outgoing::new(&ToMonitor::Create(Box::new(launch)), vec![pidfd])
            .unwrap()
            .send_all(&control.socket)
            .unwrap();
        assert!(matches!(control.hear(), FromMonitor::Created { .. }));
        if !lives {
            donor.kill().unwrap();
            donor.wait().unwrap();
        }
        control.say(&ToMonitor::Start);
        match control.hear() {
            FromMonitor::Started { .. } if lives => {}
            FromMonitor::Failed { message, .. } if !lives => {
                assert!(message.contains("has ended meanwhile"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        if lives {
            control.finish();
        } else {
            control.say(&ToMonitor::Acknowledge);
        }
        // Once more for one that is gone does no harm.
        let _ = donor.kill();
        donor.wait().unwrap();
        monitor.gone();
    }
}

//! Further processes.

use std::io::Read;
use std::time::Instant;

use onggi_monitor::protocol::{FailureKind, FromMonitor, ToMonitor};

use crate::Test;
use crate::fixture::{Attached, Monitor, Peer, process, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("exec_code_before_end", exec_code_before_end),
    ("exec_stdin", exec_stdin),
    ("exec_terminal", exec_terminal),
    ("exec_failures", exec_failures),
    ("exec_detached", exec_detached),
    ("exec_that_leaves_children", exec_that_leaves_children),
    ("exec_while_no_daemon", exec_while_no_daemon),
    ("exec_dies_with_container", exec_dies_with_container),
    ("many_execs", many_execs),
];

fn request(id: &str, command: &[&str]) -> ToMonitor {
    ToMonitor::Exec {
        id: id.to_owned(),
        process: Box::new(process(command)),
        user: None,
        stdin: true,
        stdout: true,
        stderr: true,
        console_size: None,
        detach: false,
    }
}

fn exec(monitor: &Monitor, request: &ToMonitor) -> Attached {
    let mut peer = monitor.connect();
    peer.say(request);
    match peer.hear() {
        FromMonitor::ExecStarted { .. } => peer.into_attached(),
        other => panic!("{other:?}"),
    }
}

fn code_of(control: &mut Peer, wanted: &str) -> i32 {
    match control.hear() {
        FromMonitor::ExecExited { id, code } if id == wanted => code,
        other => panic!("{other:?}"),
    }
}

fn kill(mut control: Peer, monitor: Monitor) {
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(control.finish().code, 137);
    monitor.gone();
}

fn exec_code_before_end() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    for n in 0..20 {
        let command = format!("echo out; echo err >&2; exit {n}");
        let mut client = exec(&monitor, &request(&n.to_string(), &["sh", "-c", &command]));
        client.read_to_end();
        // The stream has ended: the code must be there already.
        control.socket.set_nonblocking(true).unwrap();
        assert_eq!(code_of(&mut control, &n.to_string()), n);
        control.socket.set_nonblocking(false).unwrap();
        assert_eq!(
            (&*client.stdout, &*client.stderr),
            (&b"out\n"[..], &b"err\n"[..])
        );
    }
    kill(control, monitor);
}

fn exec_stdin() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let mut client = exec(&monitor, &request("a", &["sh", "-c", "cat; echo end"]));
    client.write(b"text\n");
    client.expect("text\n");
    client.end_input();
    client.read_to_end();
    assert_eq!(client.stdout, b"text\nend\n");
    assert_eq!(code_of(&mut control, "a"), 0);
    // The peer is gone: so is stdin.
    drop(exec(&monitor, &request("b", &["sh", "-c", "cat; exit 4"])));
    assert_eq!(code_of(&mut control, "b"), 4);
    kill(control, monitor);
}

fn exec_terminal() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let mut request = request("t", &["sh"]);
    if let ToMonitor::Exec {
        process,
        console_size,
        ..
    } = &mut request
    {
        process.terminal = true;
        *console_size = Some((11, 22));
    }
    let mut client = exec(&monitor, &request);
    client.write(b"stty size\n");
    client.expect_raw("11 22\r\n");
    control.say(&ToMonitor::ExecResize {
        id: "t".to_owned(),
        rows: 33,
        cols: 44,
    });
    wait_for("the terminal has its size", || {
        client.write(b"stty size\n");
        let mut text = String::new();
        while !text.contains(" 22\r\n") && !text.contains(" 44\r\n") {
            let mut buffer = [0; 4096];
            let count = client.socket.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text.contains("33 44\r\n")
    });
    control.say(&ToMonitor::ExecSignal {
        id: "t".to_owned(),
        signal: 9,
    });
    client.raw_to_end();
    assert_eq!(code_of(&mut control, "t"), 137);
    kill(control, monitor);
}

fn exec_failures() {
    let monitor = Monitor::start();
    let control = monitor.run(monitor.launch(&["sleep", "1000"]));
    for (command, wanted) in [
        ("nothing", FailureKind::CommandNotFound),
        ("/etc/plain", FailureKind::NotExecutable),
    ] {
        let mut peer = monitor.connect();
        peer.say(&request("x", &[command]));
        let answer = peer.hear();
        assert!(
            matches!(&answer, FromMonitor::Failed { kind, .. } if *kind == wanted),
            "{answer:?}"
        );
        assert!(peer.try_hear().is_none());
    }
    kill(control, monitor);

    let monitor = Monitor::start();
    let mut control = monitor.create(monitor.launch(&["sleep", "1000"]));
    let mut peer = monitor.connect();
    peer.say(&request("x", &["true"]));
    assert!(matches!(
        peer.hear(),
        FromMonitor::Failed {
            kind: FailureKind::Other,
            ..
        }
    ));
    control.start();
    kill(control, monitor);
}

fn exec_detached() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let mut request = request("d", &["sh", "-c", "sleep 0.1; echo nobody; exit 8"]);
    if let ToMonitor::Exec { detach, .. } = &mut request {
        *detach = true;
    }
    let mut peer = monitor.connect();
    peer.say(&request);
    assert!(matches!(peer.hear(), FromMonitor::ExecStarted { .. }));
    assert!(peer.try_hear().is_none());
    assert_eq!(code_of(&mut control, "d"), 8);
    kill(control, monitor);
}

/// The streams end a moment after the process, though its child holds them open.
fn exec_that_leaves_children() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let began = Instant::now();
    let mut client = exec(
        &monitor,
        &request(
            "c",
            &["sh", "-c", "(sleep 0.3; echo late; sleep 1000) & exit 3"],
        ),
    );
    assert_eq!(code_of(&mut control, "c"), 3);
    client.read_to_end();
    assert_eq!(client.stdout, b"late\n");
    assert!(began.elapsed().as_secs() < 10);
    kill(control, monitor);
}

fn exec_while_no_daemon() {
    let monitor = Monitor::start();
    let control = monitor.run(monitor.launch(&["sleep", "1000"]));
    drop(exec(
        &monitor,
        &request("away", &["sh", "-c", "sleep 0.2; exit 21"]),
    ));
    drop(exec(&monitor, &request("long", &["sleep", "1000"])));
    drop(control);
    let mut seen = Vec::new();
    wait_for("the exec has ended", || {
        let (control, state) = monitor.control();
        drop(control);
        let FromMonitor::State { execs, .. } = state else {
            panic!()
        };
        assert!(
            execs
                .iter()
                .any(|exec| exec.id == "long" && exec.code.is_none())
        );
        seen = execs;
        seen.iter().any(|exec| exec.code == Some(21)) || seen.len() == 1
    });
    // Told to whichever daemon was there: as a state, or as it happened.
    let (control, state) = monitor.control();
    let FromMonitor::State { execs, .. } = state else {
        panic!()
    };
    assert_eq!(execs.len(), 1);
    kill(control, monitor);
}

fn exec_dies_with_container() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let mut client = exec(&monitor, &request("e", &["sleep", "1000"]));
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(code_of(&mut control, "e"), 137);
    client.read_to_end();
    assert_eq!(control.finish().code, 137);
    monitor.gone();
}

fn many_execs() {
    let monitor = Monitor::start();
    let mut control = monitor.run(monitor.launch(&["sleep", "1000"]));
    let mut clients: Vec<Attached> = (0..30)
        .map(|n| exec(&monitor, &request(&n.to_string(), &["cat"])))
        .collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.write(format!("{n}\n").as_bytes());
        client.end_input();
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.read_to_end();
        assert_eq!(client.stdout, format!("{n}\n").into_bytes());
    }
    for _ in 0..30 {
        assert!(matches!(
            control.hear(),
            FromMonitor::ExecExited { code: 0, .. }
        ));
    }
    kill(control, monitor);
}

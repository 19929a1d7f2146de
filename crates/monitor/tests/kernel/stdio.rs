//! Streams and clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use onggi_monitor::protocol::{StdinMode, ToMonitor};

use crate::Test;
use crate::fixture::{Monitor, wait_for};

pub(crate) const TESTS: &[Test] = &[
    ("a_million_lines", a_million_lines),
    ("both_streams", both_streams),
    ("stdin_once", stdin_once),
    ("stdin_open", stdin_open),
    ("stdin_before_start", stdin_before_start),
    ("stdin_that_is_not_read", stdin_that_is_not_read),
    ("terminal", terminal),
    (
        "terminal_that_is_closed_for_a_while",
        terminal_that_is_closed_for_a_while,
    ),
    ("slow_reader_loses_nothing", slow_reader_loses_nothing),
    (
        "stuck_reader_does_not_stop_the_end",
        stuck_reader_does_not_stop_the_end,
    ),
];

fn numbers(count: u32) -> Vec<u8> {
    (1..=count)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect()
}

fn a_million_lines() {
    let monitor = Monitor::start();
    let mut control = monitor.create(monitor.launch(&["seq", "1000000"]));
    let mut first = monitor.attach(false);
    let mut second = monitor.attach(true);
    control.start();
    let other = std::thread::spawn(move || {
        second.read_to_end();
        second.stdout
    });
    first.read_to_end();
    let wanted = numbers(1_000_000);
    assert!(first.stdout == wanted && other.join().unwrap() == wanted);
    assert!(first.stderr.is_empty());
    assert_eq!(control.finish().code, 0);
    assert!(monitor.logged() == wanted);
    monitor.gone();
}

fn both_streams() {
    let monitor = Monitor::start();
    let command = [
        "sh",
        "-c",
        "echo out; echo err >&2; printf 'no newline'; exit 1",
    ];
    let mut control = monitor.create(monitor.launch(&command));
    let mut client = monitor.attach(false);
    control.start();
    client.read_to_end();
    assert_eq!(
        (&*client.stdout, &*client.stderr),
        (&b"out\nno newline"[..], &b"err\n"[..])
    );
    assert_eq!(control.finish().code, 1);
    let log = std::fs::read_to_string(monitor.log().path).unwrap();
    let rows: Vec<&str> = log
        .lines()
        .map(|row| row.split(",\"time\":").next().unwrap())
        .collect();
    for row in [
        r#"{"log":"out\n","stream":"stdout""#,
        r#"{"log":"err\n","stream":"stderr""#,
        r#"{"log":"no newline","stream":"stdout""#,
    ] {
        assert!(rows.contains(&row), "{log}");
    }
    assert_eq!(rows.len(), 3);
    monitor.gone();
}

fn stdin_once() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["cat"]);
    launch.stdin = StdinMode::Once;
    let mut control = monitor.create(launch);
    let mut client = monitor.attach(true);
    control.start();
    client.write(b"one\n");
    client.expect("one\n");
    // A client that vanishes, as of a daemon that is killed, is not the end of stdin.
    drop(client);
    let mut client = monitor.attach(true);
    client.write(b"two\n");
    client.expect("two\n");
    let big = numbers(200_000);
    let mut writer = client.socket.try_clone().unwrap();
    let copy = big.clone();
    let writing = std::thread::spawn(move || {
        std::io::Write::write_all(&mut writer, &copy).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    client.stdout.clear();
    client.read_to_end();
    writing.join().unwrap();
    assert!(client.stdout == big);
    assert_eq!(control.finish().code, 0);
    monitor.gone();

    // And the daemon can say that a client is gone for good.
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["cat"]);
    launch.stdin = StdinMode::Once;
    let mut control = monitor.run(launch);
    drop(monitor.attach(true));
    control.say(&ToMonitor::CloseStdin);
    assert_eq!(control.finish().code, 0);
    monitor.gone();
}

fn stdin_open() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["cat"]);
    launch.stdin = StdinMode::Open;
    let mut control = monitor.run(launch);
    for text in ["one\n", "two\n", "three\n"] {
        let mut client = monitor.attach(true);
        client.write(text.as_bytes());
        client.end_input();
        client.expect(text);
    }
    control.say(&ToMonitor::Signal { signal: 9 });
    assert_eq!(control.finish().code, 137);
    assert_eq!(monitor.logged(), b"one\ntwo\nthree\n");
    monitor.gone();
}

/// What a client sends before there is a container waits for it.
fn stdin_before_start() {
    let monitor = Monitor::start();
    let (mut control, _) = monitor.control();
    let mut client = monitor.attach(true);
    client.write(b"early\n");
    client.end_input();
    let mut launch = monitor.launch(&["cat"]);
    launch.stdin = StdinMode::Once;
    control.say(&ToMonitor::Create(Box::new(launch)));
    control.hear();
    control.start();
    client.read_to_end();
    assert_eq!(client.stdout, b"early\n");
    assert_eq!(control.finish().code, 0);
    monitor.gone();
}

fn stdin_that_is_not_read() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["sh", "-c", "exec <&-; echo closed; sleep 0.2"]);
    launch.stdin = StdinMode::Open;
    let mut control = monitor.create(launch);
    let mut client = monitor.attach(true);
    control.start();
    client.expect("closed");
    client.write(&vec![b'x'; 1 << 20]); // taken and forgotten
    client.read_to_end();
    control.finish();
    monitor.gone();
}

fn terminal() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["sh"]);
    (launch.tty, launch.stdin, launch.console_size) = (true, StdinMode::Open, Some((31, 97)));
    launch.spec.process.as_mut().unwrap().terminal = true;
    let mut control = monitor.create(launch);
    let mut client = monitor.attach(true);
    control.start();
    client.write(b"stty size\n");
    client.expect_raw("31 97\r\n");
    control.say(&ToMonitor::Resize {
        rows: 50,
        cols: 120,
    });
    // The shell asks after it has been told: both go through the monitor, on two connections.
    wait_for("the terminal has its size", || {
        client.write(b"stty size | cat\n");
        let mut text = String::new();
        while !text.contains(" 97\r\n") && !text.contains(" 120\r\n") {
            let mut buffer = [0; 4096];
            let count = std::io::Read::read(&mut client.socket, &mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text.contains("50 120\r\n")
    });
    client.write(b"echo err >&2; exit 5\n");
    assert!(client.raw_to_end().contains("\r\nerr\r\n"));
    assert_eq!(control.finish().code, 5);
    monitor.gone();
}

fn terminal_that_is_closed_for_a_while() {
    let monitor = Monitor::start();
    let command = "exec <&- >&- 2>&-; sleep 0.1; echo again > /dev/console; sleep 0.1; echo end > /dev/console";
    let mut launch = monitor.launch(&["sh", "-c", command]);
    (launch.tty, launch.stdin) = (true, StdinMode::Open);
    launch.spec.process.as_mut().unwrap().terminal = true;
    let mut control = monitor.create(launch);
    let mut client = monitor.attach(true);
    control.start();
    assert_eq!(client.raw_to_end(), "again\r\nend\r\n");
    assert_eq!(control.finish().code, 0);
    monitor.gone();
}

fn slow_reader_loses_nothing() {
    const SIZE: usize = 30_000_000;
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["sh", "-c", "yes | head -c 30000000; echo end >&2"]);
    launch.log.driver = onggi_logs::Driver::None;
    let mut control = monitor.create(launch);
    let mut slow = monitor.attach(false);
    let mut fast = monitor.attach(false);
    control.start();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let fast = std::thread::spawn(move || {
        while fast.read() {
            count.store(fast.stdout.len(), Ordering::Relaxed);
        }
        fast.stdout.len()
    });
    // The slow one reads nothing at all: soon the other gets nothing either, because the container is held up.
    let (mut last, mut since) = (0, Instant::now());
    wait_for("the container is held up", || {
        let now = seen.load(Ordering::Relaxed);
        if now != last || now == 0 {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(300)
    });
    assert!(last < SIZE / 10, "{last}");
    let memory = monitor.memory("Private_Dirty");
    assert!(memory < 6 * 1024, "{memory} KiB");
    slow.read_to_end();
    assert_eq!((slow.stdout.len(), &*slow.stderr), (SIZE, &b"end\n"[..]));
    assert_eq!(fast.join().unwrap(), SIZE);
    assert_eq!(control.finish().code, 0);
    monitor.gone();
}

/// A client that does not read gets all of it in the end, but neither log nor exit wait for it.
fn stuck_reader_does_not_stop_the_end() {
    let monitor = Monitor::start();
    let mut control = monitor.create(monitor.launch(&["sh", "-c", "seq 30000; exit 6"]));
    let mut stuck = monitor.attach(false);
    control.start();
    assert_eq!(control.finish().code, 6);
    let wanted = numbers(30_000);
    assert!(monitor.logged() == wanted);
    stuck.read_to_end();
    assert!(stuck.stdout == wanted);
    monitor.gone();
}

//! Measurements, not checks: run with `--ignored`, and with `ONGGI_TEST_MONITOR_PROGRAM` naming the static build.

use std::io::Write;
use std::time::{Duration, Instant};

use onggi_logs::Driver;
use onggi_monitor::protocol::ToMonitor;

use crate::Test;
use crate::fixture::Monitor;

pub(crate) const TESTS: &[Test] = &[
    ("memory_of_thirty", memory_of_thirty),
    ("throughput", throughput),
    ("latency", latency),
];

fn say(text: &str) {
    std::io::stdout()
        .write_all(format!("{text}\n").as_bytes())
        .unwrap();
}

fn memory_of_thirty() {
    let mut all: Vec<_> = (0..30)
        .map(|_| {
            let monitor = Monitor::start();
            let control = monitor.run(monitor.launch(&["sh", "-c", "seq 10000; sleep 1000"]));
            (monitor, control)
        })
        .collect();
    // Buffers are given back after a second without output.
    std::thread::sleep(Duration::from_millis(2500));
    for field in ["Pss:", "Pss_Anon:", "Private_Dirty:", "Rss:"] {
        let sum: u64 = all.iter().map(|(monitor, _)| monitor.memory(field)).sum();
        say(&format!("  {field} mean {} KiB", sum / all.len() as u64));
    }
    for (_, control) in &mut all {
        control.say(&ToMonitor::Signal { signal: 9 });
    }
    for (monitor, control) in all {
        control.finish();
        monitor.gone();
    }
}

fn throughput() {
    for (driver, attached) in [
        (Driver::None, false),
        (Driver::JsonFile, false),
        (Driver::Local, false),
        (Driver::None, true),
        (Driver::JsonFile, true),
    ] {
        let monitor = Monitor::start();
        let line = "the quick brown fox jumps over the lazy dog and goes on and on, a hundred bytes a line\n";
        let file = crate::fixture::rootfs().join("tmp/lines");
        std::fs::write(file, line.repeat(200_000_000 / line.len())).unwrap();
        let mut launch = monitor.launch(&["cat", "/tmp/lines"]);
        launch.log.driver = driver;
        launch.log.max_size = (driver == Driver::Local).then_some(u64::MAX);
        let mut control = monitor.create(launch);
        let client = attached.then(|| monitor.attach(false));
        let began = Instant::now();
        control.start();
        if let Some(mut client) = client {
            let mut all = 0;
            let mut buffer = vec![0; 1 << 18];
            loop {
                let count = std::io::Read::read(&mut client.socket, &mut buffer).unwrap();
                all += count;
                if count == 0 {
                    break;
                }
            }
            assert!(all > 199_000_000);
        }
        control.exited();
        say(&format!(
            "  {driver:?} attached={attached}: {:?}",
            began.elapsed()
        ));
        control.say(&ToMonitor::Acknowledge);
        monitor.gone();
    }
}

/// From create to exited, of a container that does nothing.
fn latency() {
    let mut times = [Duration::ZERO; 3];
    for _ in 0..50 {
        let monitor = Monitor::start();
        let (mut control, _) = monitor.control();
        let began = Instant::now();
        control.say(&ToMonitor::Create(Box::new(monitor.launch(&["true"]))));
        control.hear();
        let created = Instant::now();
        control.start();
        let started = Instant::now();
        control.exited();
        let exited = Instant::now();
        for (sum, time) in
            times
                .iter_mut()
                .zip([created - began, started - created, exited - started])
        {
            *sum += time / 50;
        }
        control.say(&ToMonitor::Acknowledge);
        monitor.gone();
    }
    say(&format!(
        "  create {:?}, start {:?}, exit {:?}",
        times[0], times[1], times[2]
    ));
}

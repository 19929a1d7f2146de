//! The log on disk.

use std::path::Path;
use std::process::Command;

use onggi_logs::{Driver, Options, Reader};
use onggi_monitor::protocol::FromMonitor;

use crate::Test;
use crate::fixture::Monitor;

pub(crate) const TESTS: &[Test] = &[
    ("rotation", rotation),
    ("log_that_cannot_be_opened", log_that_cannot_be_opened),
    ("disk_full", disk_full),
];

fn rotation() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let monitor = Monitor::start();
        let mut launch = monitor.launch(&["seq", "100000"]);
        (launch.log.driver, launch.log.max_size, launch.log.max_file) =
            (driver, Some(100_000), Some(4));
        let spec = launch.log.clone();
        assert_eq!(monitor.run(launch).finish().code, 0);
        let numbers: Vec<u32> = Reader::open(&spec, Options::default())
            .unwrap()
            .map(|record| {
                std::str::from_utf8(&record.bytes)
                    .unwrap()
                    .trim()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(numbers.last(), Some(&100_000));
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert!(numbers.len() > 3000);
        monitor.gone();
    }
}

fn log_that_cannot_be_opened() {
    let monitor = Monitor::start();
    let mut launch = monitor.launch(&["true"]);
    launch.log.path = "/nowhere/container.log".into();
    let (mut control, _) = monitor.control();
    control.say(&onggi_monitor::protocol::ToMonitor::Create(Box::new(
        launch,
    )));
    let FromMonitor::Failed { message, .. } = control.hear() else {
        panic!()
    };
    assert!(
        message
            .starts_with("failed to initialize logging driver: open log /nowhere/container.log: "),
        "{message}"
    );
    drop(control);
    monitor.gone();
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: a monitor may have its log open still.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// The container does not notice; a person is told once; the file ends with a whole row.
fn disk_full() {
    let monitor = Monitor::start();
    let folder = monitor.folder.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&folder)
        .status()
        .unwrap();
    assert!(status.success());
    let mounted = Mounted(&folder);
    let mut launch = monitor.launch(&["sh", "-c", "seq 100000; exit 11"]);
    launch.log.path = folder.join("container.log");
    let spec = launch.log.clone();
    let mut control = monitor.create(launch);
    let mut client = monitor.attach(false);
    control.start();
    client.read_to_end();
    assert!(client.stdout.ends_with(b"\n100000\n"));
    let mut warnings = Vec::new();
    let exit = loop {
        match control.hear() {
            FromMonitor::Warning { message } => warnings.push(message),
            FromMonitor::Exited(exit) => break exit,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(exit.code, 11);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].starts_with("records are lost: write log "),
        "{warnings:?}"
    );
    assert!(
        warnings[0].contains("no space left on device"),
        "{warnings:?}"
    );
    let kept = Reader::open(&spec, Options::default()).unwrap().count();
    assert_eq!(
        warnings[1],
        format!("the log lost {} records", 100_000 - kept)
    );
    assert!(kept > 1000);
    assert!(std::fs::read(&spec.path).unwrap().ends_with(b"\n"));
    control.say(&onggi_monitor::protocol::ToMonitor::Acknowledge);
    drop(mounted);
    monitor.gone();
}

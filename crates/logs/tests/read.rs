//! Reading what was written: tail, times, rotation, follow while the writer runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use onggi_logs::{Driver, LogSpec, Options, Reader, Record, Stream, Wait, Writer};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("onggi-logs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn spec(&self, driver: Driver) -> LogSpec {
        LogSpec {
            driver,
            path: self.0.join(driver.name()),
            ..LogSpec::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const BOTH: [Driver; 2] = [Driver::JsonFile, Driver::Local];

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_700_000_000 + second, 5_000).unwrap()
}

fn number(record: &Record) -> u64 {
    std::str::from_utf8(&record.bytes)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn write(spec: &LogSpec, numbers: std::ops::Range<i64>) -> Writer {
    let mut writer = Writer::open(spec).unwrap();
    for n in numbers {
        writer
            .write(Stream::Stdout, at(n), format!("{n}\n").as_bytes())
            .unwrap();
    }
    writer.flush().unwrap();
    writer
}

fn numbers(spec: &LogSpec, options: Options) -> Vec<u64> {
    Reader::open(spec, options)
        .unwrap()
        .map(|record| number(&record))
        .collect()
}

#[test]
fn tail_since_until_over_rotated_files() {
    let folder = Folder::new("tail");
    for driver in BOTH {
        let mut spec = folder.spec(driver);
        (spec.max_size, spec.max_file) = (Some(1000), Some(4));
        drop(write(&spec, 0..45));
        let all = numbers(&spec, Options::default());
        assert_eq!(*all.last().unwrap(), 44);
        assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
        for tail in [
            0,
            1,
            2,
            5,
            11,
            12,
            13,
            30,
            all.len() - 1,
            all.len(),
            all.len() + 1,
        ] {
            let found = numbers(
                &spec,
                Options {
                    tail: Some(tail),
                    ..Options::default()
                },
            );
            assert_eq!(
                found,
                all[all.len().saturating_sub(tail)..],
                "{driver:?} {tail}"
            );
        }
        let (since, until) = (Some(at(20)), Some(at(30)));
        let found = numbers(
            &spec,
            Options {
                since,
                until,
                ..Options::default()
            },
        );
        assert_eq!(found, (20..=30).collect::<Vec<_>>());
        let found = numbers(
            &spec,
            Options {
                since,
                until,
                tail: Some(20),
                ..Options::default()
            },
        );
        assert_eq!(found, (25..=30).collect::<Vec<_>>());
    }
}

#[test]
fn a_torn_or_foreign_row_is_stepped_over() {
    use std::io::Write;
    let folder = Folder::new("foreign");
    let spec = folder.spec(Driver::JsonFile);
    drop(write(&spec, 0..2));
    let mut file = std::fs::File::options()
        .append(true)
        .open(&spec.path)
        .unwrap();
    file.write_all(b"{\"log\":\"tor{\"log\":\"2\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}\n")
        .unwrap();
    // Another encoder's order and escapes.
    file.write_all(
        b"{\"stream\":\"stderr\", \"log\":\"\\u0033\\n\",\"time\":\"2024-01-01T00:00:00+01:00\"}\n",
    )
    .unwrap();
    file.write_all(b"{\"log\":\"4\\n\",\"stream\":\"std")
        .unwrap();
    assert_eq!(numbers(&spec, Options::default()), [0, 1, 3]);
    assert_eq!(
        numbers(
            &spec,
            Options {
                tail: Some(1),
                ..Options::default()
            }
        ),
        [3]
    );

    let spec = folder.spec(Driver::Local);
    drop(write(&spec, 0..5));
    let size = std::fs::metadata(&spec.path).unwrap().len();
    std::fs::File::options()
        .write(true)
        .open(&spec.path)
        .unwrap()
        .set_len(size - 3)
        .unwrap();
    assert_eq!(numbers(&spec, Options::default()), [0, 1, 2, 3]);
    assert_eq!(
        numbers(
            &spec,
            Options {
                tail: Some(2),
                ..Options::default()
            }
        ),
        [2, 3]
    );
    assert_eq!(
        numbers(
            &spec,
            Options {
                tail: Some(0),
                ..Options::default()
            }
        ),
        [0_u64; 0]
    );
}

#[test]
fn follow_sees_every_record_once_across_rotations() {
    const COUNT: i64 = 60_000;
    let folder = Folder::new("follow");
    for driver in BOTH {
        let mut spec = folder.spec(driver);
        // So many files that none is lost before the reader comes: what rotates away is gone for everyone.
        (spec.max_size, spec.max_file) = (Some(20_000), Some(1000));
        let running = Arc::new(AtomicBool::new(true));
        let options = |tail| {
            let running = Arc::clone(&running);
            let wait = Wait::new(move || running.load(Ordering::Acquire));
            Options {
                tail,
                follow: Some(wait),
                ..Options::default()
            }
        };
        // One from before the file is there, one that begins in the middle.
        let first = Reader::open(&spec, options(None)).unwrap();
        let first =
            std::thread::spawn(move || first.map(|record| number(&record)).collect::<Vec<_>>());
        let mut writer = write(&spec, 0..100);
        let second = Reader::open(&spec, options(Some(10))).unwrap();
        let second =
            std::thread::spawn(move || second.map(|record| number(&record)).collect::<Vec<_>>());
        for n in 100..COUNT {
            writer
                .write(Stream::Stdout, at(n), format!("{n}\n").as_bytes())
                .unwrap();
            if n % 37 == 0 {
                writer.flush().unwrap();
            }
        }
        writer.finish(at(0)).unwrap();
        running.store(false, Ordering::Release);
        assert!(
            first.join().unwrap().into_iter().eq(0..COUNT as u64),
            "{driver:?}"
        );
        assert!(
            second.join().unwrap().into_iter().eq(90..COUNT as u64),
            "{driver:?}"
        );
    }
}

#[test]
fn a_follower_sleeps_wakes_and_is_cancelled() {
    let folder = Folder::new("wake");
    let spec = folder.spec(Driver::JsonFile);
    let mut writer = write(&spec, 0..1);
    let wait = Wait::new(|| true);
    let waker = wait.waker();
    let mut reader = Reader::open(
        &spec,
        Options {
            follow: Some(wait),
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!(number(&reader.next().unwrap()), 0);
    assert!(reader.try_next().is_none());
    let waiting = std::thread::spawn(move || {
        let record = reader.next();
        (record, Instant::now(), reader)
    });
    while !waiting.is_finished() {
        writer.write(Stream::Stdout, at(1), b"1\n").unwrap();
        writer.flush().unwrap();
        std::thread::yield_now();
    }
    let (record, _, mut reader) = waiting.join().unwrap();
    assert_eq!(number(&record.unwrap()), 1);
    let began = Instant::now();
    let draining = std::thread::spawn(move || reader.by_ref().count());
    waker.cancel();
    draining.join().unwrap();
    assert!(began.elapsed() < Duration::from_millis(900));
}

#[test]
fn the_driver_none_has_nothing_to_read() {
    let spec = LogSpec {
        driver: Driver::None,
        ..LogSpec::default()
    };
    let mut writer = Writer::open(&spec).unwrap();
    writer.write(Stream::Stdout, at(0), b"x\n").unwrap();
    writer.finish(at(0)).unwrap();
    let error = Reader::open(&spec, Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configured logging driver does not support reading"
    );
}

#[test]
#[ignore = "a measurement, not a check; run it in release"]
fn throughput() {
    let folder = Folder::new("throughput");
    let line = "the quick brown fox jumps over the lazy dog, again and again and again and again, \u{e9}!\n";
    let block = line.repeat(64 * 1024 / line.len());
    for driver in BOTH {
        let mut spec = folder.spec(driver);
        spec.max_size = Some(u64::MAX);
        let began = Instant::now();
        let mut writer = Writer::open(&spec).unwrap();
        let mut bytes = 0;
        while bytes < 200_000_000 {
            writer
                .write(Stream::Stdout, Timestamp::now(), block.as_bytes())
                .unwrap();
            writer.flush().unwrap();
            bytes += block.len();
        }
        let written = began.elapsed();
        let began = Instant::now();
        let read: usize = Reader::open(&spec, Options::default())
            .unwrap()
            .map(|record| record.bytes.len())
            .sum();
        assert_eq!(read, bytes);
        let report = format!(
            "{driver:?}: 200 MB written in {written:?}, read in {:?}\n",
            began.elapsed()
        );
        std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes()).unwrap();
    }
}

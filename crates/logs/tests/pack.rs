//! Compressed rotated files, and readers that go on where another one was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use onggi_logs::{Driver, LogSpec, Options, Place, Reader, Record, Stream, Wait, Writer};

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("onggi-logs-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    path
}

fn spec(folder: &Path, driver: Driver) -> LogSpec {
    LogSpec {
        driver,
        path: folder.join("x.log"),
        max_size: Some(2000),
        max_file: Some(4),
        compress: true,
        ..LogSpec::default()
    }
}

fn write(writer: &mut Writer, numbers: std::ops::Range<i64>) {
    for n in numbers {
        let time = Timestamp::new(1_700_000_000 + n, 0).unwrap();
        let line = format!("line number {n:06}\n");
        writer.write(Stream::Stdout, time, line.as_bytes()).unwrap();
        writer.flush().unwrap();
    }
}

fn number(record: &Record) -> i64 {
    let text = str::from_utf8(&record.bytes).unwrap().trim();
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

fn numbers(spec: &LogSpec, options: Options) -> Vec<i64> {
    let reader = Reader::open(spec, options).unwrap();
    reader.map(|record| number(&record)).collect()
}

#[test]
fn rotated_files_are_compressed_and_read() {
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = folder(&format!("pack-{}", driver.name()));
        let spec = spec(&folder, driver);
        let mut writer = Writer::open(&spec).unwrap();
        write(&mut writer, 0..300);
        writer.finish(Timestamp::now()).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1.gz", "x.log.2.gz", "x.log.3.gz"]);
        let all = numbers(&spec, Options::default());
        assert_eq!(*all.last().unwrap(), 299);
        assert!(all.len() > 60, "{}", all.len());
        assert!(all.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{all:?}");
        let tail = Options {
            tail: Some(all.len() - 3),
            ..Options::default()
        };
        assert_eq!(numbers(&spec, tail), all[3..]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn a_reader_in_the_middle_of_a_file_that_is_compressed_loses_and_doubles_nothing() {
    let folder = folder("pack-follow");
    let mut spec = spec(&folder, Driver::Local);
    spec.max_file = Some(50);
    let mut writer = Writer::open(&spec).unwrap();
    write(&mut writer, 0..10);
    let options = Options {
        follow: Some(Wait::new(|| false)),
        ..Options::default()
    };
    let mut reader = Reader::open(&spec, options).unwrap();
    let mut seen: Vec<_> = (0..5)
        .map(|_| number(&reader.try_next().unwrap()))
        .collect();
    // The file it has open is rotated, compressed and moved on several times.
    write(&mut writer, 10..500);
    writer.finish(Timestamp::now()).unwrap();
    seen.extend(reader.map(|record| number(&record)));
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn another_reader_goes_on_behind_any_record() {
    let folder = folder("pack-place");
    let mut spec = spec(&folder, Driver::Local);
    spec.max_file = Some(20);
    let mut writer = Writer::open(&spec).unwrap();
    write(&mut writer, 0..200);
    let mut places: Vec<Place> = Vec::new();
    let mut reader = Reader::open(&spec, Options::default()).unwrap();
    while let Some(record) = reader.try_next() {
        places.push(reader.place(&record).unwrap());
    }
    assert_eq!(places.len(), 200);
    let behind = |place: Place| {
        let options = Options {
            from: Some(place),
            ..Options::default()
        };
        numbers(&spec, options)
    };
    for (n, place) in places.iter().enumerate().step_by(7) {
        let text = serde_json::to_string(place).unwrap();
        let place: Place = serde_json::from_str(&text).unwrap();
        assert_eq!(behind(place), (n as i64 + 1..200).collect::<Vec<_>>());
    }
    // After rotation and compression, too.
    write(&mut writer, 200..300);
    writer.finish(Timestamp::now()).unwrap();
    for (n, place) in places.iter().enumerate().skip(50).step_by(13) {
        assert_eq!(behind(*place), (n as i64 + 1..300).collect::<Vec<_>>());
    }
    // What was rotated away is missed; what is there comes.
    write(&mut writer, 300..3000);
    writer.finish(Timestamp::now()).unwrap();
    let left = numbers(&spec, Options::default());
    assert_eq!(behind(places[3]), left);
    std::fs::remove_dir_all(folder).unwrap();
}

//! 200 MB in lines of 200 bytes, in and out. `cargo bench -p onggi-logs`; ONGGI_BENCH_MB for another size.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark for the terminal"
)]

use std::time::Instant;

use jiff::Timestamp;
use onggi_logs::{Driver, LogSpec, Options, Reader, Stream, Writer};

/// What a monitor reads from a pipe at once.
const READ: usize = 64 * 1024;

fn main() {
    let megabytes = std::env::var("ONGGI_BENCH_MB").ok();
    let megabytes: usize = megabytes.and_then(|text| text.parse().ok()).unwrap_or(200);
    let line = "0123456789".repeat(19) + "012345678\n";
    let input = line.repeat(READ / line.len() + 2);
    for driver in [Driver::JsonFile, Driver::Local] {
        let folder = std::env::temp_dir().join(format!("onggi-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let spec = LogSpec {
            driver,
            path: folder.join("x.log"),
            max_size: Some(u64::MAX),
            ..LogSpec::default()
        };
        let begin = Instant::now();
        let mut writer = Writer::open(&spec).unwrap();
        let mut offset = 0;
        for _ in 0..megabytes * 1_000_000 / READ {
            let piece = &input[offset..offset + READ];
            offset = (offset + READ) % line.len();
            writer
                .write(Stream::Stdout, Timestamp::now(), piece.as_bytes())
                .unwrap();
            writer.flush().unwrap();
        }
        writer.finish(Timestamp::now()).unwrap();
        let written = begin.elapsed();
        let begin = Instant::now();
        let mut lines = 0_u64;
        for record in Reader::open(&spec, Options::default()).unwrap() {
            lines += u64::from(record.bytes.len() == line.len());
        }
        let read = begin.elapsed();
        let rate = |time: std::time::Duration| megabytes as f64 / time.as_secs_f64();
        println!(
            "{:10} write {:5.0} MB/s ({written:.2?})  read {:5.0} MB/s ({read:.2?})  {lines} lines",
            driver.name(),
            rate(written),
            rate(read)
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}

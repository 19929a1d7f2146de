//! From bytes to file: cuts lines, encodes rows, writes many at once, rotates.
//!
//! Kept true: the file always ends with a whole row. Where the disk takes only a part, the rest of that row is cut off
//! again and its rows are lost and counted; what comes later is tried anew.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::behind::Written;
use crate::files::{self, failed};
use crate::pack::Packer;
use crate::record::Stream;
use crate::spec::{Driver, LogSpec};
use crate::{Error, json, local, scan};

/// Docker's: a line that is longer is kept in pieces.
const LONGEST_LINE: usize = 16 * 1024;
/// Compressed at each flush, while there is something to compress.
const PIECE: u64 = 512 * 1024;
/// Written at the latest when this much has come together.
const BATCH: usize = 128 * 1024;

/// The one writer of a log.
#[derive(Debug)]
pub struct Writer {
    driver: Driver,
    path: PathBuf,
    limit: u64,
    files: u32,
    /// The rotated file that is being compressed, a piece at each flush.
    packing: Option<Packer>,
    compress: bool,
    /// `None`: the driver keeps nothing, or a rotation went wrong half-way and is tried again.
    file: Option<File>,
    /// Bytes in the file, those in `batch` not counted.
    size: u64,
    batch: Vec<u8>,
    stdout: Line,
    stderr: Line,
    lost: u64,
    /// For whom the container may have to wait.
    written: Option<Written>,
}

/// What is kept per stream.
#[derive(Debug)]
struct Line {
    /// The begin of a line whose end has not come.
    begin: Vec<u8>,
    /// What stands between text and time in its rows.
    middle: Vec<u8>,
}

impl Writer {
    /// Opens or makes the log's current file. A torn last row, left by a power cut, is cut off.
    ///
    /// # Errors
    /// The file cannot be opened or mended.
    pub fn open(spec: &LogSpec) -> Result<Self, Error> {
        let line = |stream| Line {
            begin: Vec::new(),
            middle: json::middle(stream, &spec.attributes),
        };
        let mut writer = Self {
            driver: spec.driver,
            path: spec.path.clone(),
            limit: spec.limit(),
            files: spec.files(),
            packing: None,
            compress: spec.compress && spec.files() > 1,
            file: None,
            size: 0,
            batch: Vec::new(),
            stdout: line(Stream::Stdout),
            stderr: line(Stream::Stderr),
            lost: 0,
            written: spec
                .behind
                .clone()
                .map(|behind| Written::new(behind, spec.files())),
        };
        if spec.driver != Driver::None {
            let file = files::open_current(&spec.path)?;
            writer.size = mend(spec.driver, &file).map_err(failed("mend log", &spec.path))?;
            writer.opened(&file, Timestamp::MIN);
            writer.file = Some(file);
        }
        Ok(writer)
    }

    /// Takes what was read from a stream at `time`. Whole lines become records; they are on their way to the file at the next
    /// [`Writer::flush`] at the latest.
    ///
    /// # Errors
    /// As `flush`.
    pub fn write(&mut self, stream: Stream, time: Timestamp, bytes: &[u8]) -> Result<(), Error> {
        if self.driver == Driver::None {
            return Ok(());
        }
        let stamp = Stamp::new(time);
        let mut rest = bytes;
        let mut result = Ok(());
        while !rest.is_empty() {
            let begun = self.line(stream).begin.len();
            let end = scan::find(rest, b'\n');
            if begun + end.unwrap_or(rest.len()) >= LONGEST_LINE {
                let piece = LONGEST_LINE - begun;
                let begin = &mut self.line(stream).begin;
                begin.extend_from_slice(&rest[..piece]);
                rest = &rest[piece..];
                // Docker cuts through characters here and loses them.
                let cut = begin.split_off(whole_characters(begin));
                result = result.and(self.push(stream, &stamp, &[], false));
                self.line(stream).begin = cut;
            } else if let Some(end) = end {
                result = result.and(self.push(stream, &stamp, &rest[..end], true));
                rest = &rest[end + 1..];
            } else {
                self.line(stream).begin.extend_from_slice(rest);
                break;
            }
        }
        result
    }

    /// Makes records of lines that have begun, now that nothing follows, and writes all there is.
    ///
    /// # Errors
    /// As `flush`.
    pub fn finish(&mut self, time: Timestamp) -> Result<(), Error> {
        let stamp = Stamp::new(time);
        let mut result = Ok(());
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.line(stream).begin.is_empty() {
                result = result.and(self.push(stream, &stamp, &[], false));
            }
        }
        result.and(self.flush()).and(self.pack(u64::MAX))
    }

    /// Hands what has come together to the kernel, with one `write` where no rotation is due.
    ///
    /// # Errors
    /// The file cannot be written: its records are lost and counted in [`Writer::lost`], the file ends with a whole one, and
    /// the next call tries again.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let result = self.write_batch();
        self.batch.clear();
        result.and(self.pack(PIECE))
    }

    /// Puts the file on the disk.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.flush()?;
        match &self.file {
            Some(file) => file.sync_data().map_err(failed("sync log", &self.path)),
            None => Ok(()),
        }
    }

    /// How many records could not be written so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether somebody who takes the log on is too far behind, and nothing more should be written for now.
    pub fn is_ahead(&mut self) -> bool {
        self.written.as_mut().is_some_and(Written::is_too_far)
    }

    /// Goes on in this file, whose first record is no older than `since`.
    fn opened(&mut self, file: &File, since: Timestamp) {
        if let Some(written) = &mut self.written
            && let Ok(meta) = file.metadata()
        {
            written.opened((meta.dev(), meta.ino()), self.size, since);
        }
    }

    /// Gives the memory back that a busy time took.
    pub fn shrink(&mut self) {
        self.batch.shrink_to_fit();
        self.stdout.begin.shrink_to_fit();
        self.stderr.begin.shrink_to_fit();
    }

    fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// One record: what the line has begun with, then `rest`.
    fn push(
        &mut self,
        stream: Stream,
        stamp: &Stamp,
        rest: &[u8],
        newline: bool,
    ) -> Result<(), Error> {
        let mut result = Ok(());
        if self.batch.len() >= BATCH {
            result = self.flush();
        }
        if self.size + self.batch.len() as u64 >= self.limit {
            result = result
                .and(self.flush())
                .and_then(|()| self.rotate(stamp.nanos));
        }
        let line = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let text = if line.begin.is_empty() {
            rest
        } else {
            line.begin.extend_from_slice(rest);
            &line.begin
        };
        match self.driver {
            Driver::JsonFile => {
                json::push_row(&mut self.batch, text, newline, &line.middle, &stamp.text);
            }
            Driver::Local => {
                local::push_frame(&mut self.batch, text, newline, stream, stamp.nanos);
            }
            Driver::None => {}
        }
        line.begin.clear();
        result
    }

    fn rotate(&mut self, now: i64) -> Result<(), Error> {
        // What was begun is finished under the name it has.
        let packed = self.pack(u64::MAX);
        self.file = None;
        files::rotate(&self.path, self.files)?;
        let file = files::open_current(&self.path)?;
        self.size = 0;
        self.opened(
            &file,
            Timestamp::from_nanosecond(now.into()).unwrap_or(Timestamp::MIN),
        );
        self.file = Some(file);
        if self.compress {
            self.packing = Some(Packer::begin(&files::numbered(&self.path, 1))?);
        }
        packed
    }

    /// Compresses up to `most` bytes: whoever writes a log must not stop for a whole file.
    fn pack(&mut self, most: u64) -> Result<(), Error> {
        let Some(mut packer) = self.packing.take() else {
            return Ok(());
        };
        if packer.go_on(most)? {
            packer.finish()
        } else {
            self.packing = Some(packer);
            Ok(())
        }
    }

    fn write_batch(&mut self) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => match files::open_current(&self.path) {
                Ok(file) => {
                    self.size = file.metadata().map(|meta| meta.len()).unwrap_or(0);
                    empty.insert(file)
                }
                Err(error) => {
                    self.lost += records(self.driver, &self.batch);
                    return Err(error);
                }
            },
        };
        let mut written = 0;
        let error = loop {
            match file.write(&self.batch[written..]) {
                Ok(0) => break io::ErrorKind::WriteZero.into(),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
            if written == self.batch.len() {
                self.size += written as u64;
                if let Some(written) = &mut self.written {
                    written.wrote(self.size);
                }
                return Ok(());
            }
        };
        let whole = whole(self.driver, &self.batch[..written]);
        self.lost += records(self.driver, &self.batch[whole..]);
        self.size += whole as u64;
        if whole < written {
            file.set_len(self.size)
                .map_err(failed("mend log", &self.path))?;
        }
        Err(failed("write log", &self.path)(error))
    }
}

/// A time in both formats, made once for all lines of a read.
struct Stamp {
    text: String,
    nanos: i64,
}

impl Stamp {
    fn new(time: Timestamp) -> Self {
        let nanos = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        Self {
            text: time.to_string(),
            nanos,
        }
    }
}

/// Where to cut a long line so that no character is cut: at its end, or up to three bytes before.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let Some(start) = bytes[tail..].iter().rposition(|byte| *byte >= 0xc0) else {
        return bytes.len();
    };
    let start = tail + start;
    let wanted = match bytes[start] {
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if start + wanted > bytes.len() {
        start
    } else {
        bytes.len()
    }
}

/// How many bytes of these are whole rows.
fn whole(driver: Driver, bytes: &[u8]) -> usize {
    match driver {
        Driver::Local => {
            let mut at = 0;
            while let Ok(Some(size)) = local::frame(&bytes[at..]) {
                at += size;
            }
            at
        }
        Driver::JsonFile | Driver::None => bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    }
}

/// How many records begin in these bytes (the last of which may be cut).
fn records(driver: Driver, mut bytes: &[u8]) -> u64 {
    match driver {
        Driver::Local => {
            let mut count = 0;
            while let Ok(Some(size)) = local::frame(bytes) {
                bytes = &bytes[size..];
                count += 1;
            }
            count + u64::from(!bytes.is_empty())
        }
        Driver::JsonFile | Driver::None => {
            let rows = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            rows + u64::from(bytes.last().is_some_and(|byte| *byte != b'\n'))
        }
    }
}

/// Cuts off what a crash has left behind the last whole row; the size that remains.
fn mend(driver: Driver, file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let whole = match driver {
        Driver::Local => whole_frames(file, size)?,
        Driver::JsonFile | Driver::None => whole_rows(file, size)?,
    };
    if whole < size {
        file.set_len(whole)?;
    }
    Ok(whole)
}

fn whole_rows(file: &File, size: u64) -> io::Result<u64> {
    let mut last = [0];
    if size == 0 || (file.read_exact_at(&mut last, size - 1).is_ok() && last == *b"\n") {
        return Ok(size);
    }
    let mut buffer = vec![0; 16 * 1024];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let chunk = &mut buffer[..(end - start) as usize];
        file.read_exact_at(chunk, start)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn whole_frames(file: &File, size: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 2 * local::MAX_BODY];
    let (mut at, mut filled) = (0, 0);
    loop {
        let got = file.read_at(&mut buffer[filled..], at + filled as u64)?;
        filled += got;
        let whole = whole(Driver::Local, &buffer[..filled]);
        at += whole as u64;
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        if whole == 0 && got == 0 || at == size {
            return Ok(at);
        }
        if whole == 0 && filled == buffer.len() {
            return Ok(at); // no frame at all
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::{Options, Reader};

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("onggi-logs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn time() -> Timestamp {
        "2026-01-02T03:04:05.5Z".parse().unwrap()
    }

    fn row(text: &str, stream: &str) -> String {
        format!(
            "{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"2026-01-02T03:04:05.5Z\"}}\n"
        )
    }

    #[test]
    fn lines_streams_and_pieces() {
        let folder = folder("lines");
        let spec = LogSpec {
            path: folder.join("x.log"),
            ..LogSpec::default()
        };
        let mut writer = Writer::open(&spec).unwrap();
        writer.write(Stream::Stdout, time(), b"one\ntw").unwrap();
        writer.write(Stream::Stderr, time(), b"err\n\n").unwrap();
        writer.write(Stream::Stdout, time(), b"o\nend").unwrap();
        writer.finish(time()).unwrap();
        let wanted = row("one\\n", "stdout")
            + &row("err\\n", "stderr")
            + &row("\\n", "stderr")
            + &row("two\\n", "stdout")
            + &row("end", "stdout");
        assert_eq!(std::fs::read_to_string(&spec.path).unwrap(), wanted);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn long_lines_are_cut_where_docker_cuts_them() {
        let folder = folder("long");
        let spec = LogSpec {
            path: folder.join("x.log"),
            ..LogSpec::default()
        };
        // Whatever the pieces they come in.
        for step in [7, 4096, 16_384, 1 << 20] {
            let _ = std::fs::remove_file(&spec.path);
            let mut writer = Writer::open(&spec).unwrap();
            let mut input = "x".repeat(16_384) + "\n" + &"y".repeat(40_000) + "\n";
            input += &("z".repeat(16_383) + "\u{e9}\n");
            for piece in input.as_bytes().chunks(step) {
                writer.write(Stream::Stdout, time(), piece).unwrap();
            }
            writer.finish(time()).unwrap();
            let wanted = row(&"x".repeat(16_384), "stdout")
                + &row("\\n", "stdout")
                + &row(&"y".repeat(16_384), "stdout")
                + &row(&"y".repeat(16_384), "stdout")
                + &row(&("y".repeat(40_000 - 32_768) + "\\n"), "stdout")
                + &row(&"z".repeat(16_383), "stdout")
                + &row("\u{e9}\\n", "stdout");
            assert!(
                std::fs::read_to_string(&spec.path).unwrap() == wanted,
                "step {step}"
            );
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn rotation_keeps_max_file_files() {
        let folder = folder("rotate");
        let spec = LogSpec {
            path: folder.join("x.log"),
            max_size: Some(200),
            max_file: Some(3),
            ..LogSpec::default()
        };
        let mut writer = Writer::open(&spec).unwrap();
        for n in 0..30 {
            writer
                .write(Stream::Stdout, time(), format!("line {n:02}\n").as_bytes())
                .unwrap();
        }
        writer.finish(time()).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2"]);
        // As Docker: the row that reaches the limit stays, the next begins a new file.
        let rows = |name| {
            std::fs::read_to_string(folder.join(name))
                .unwrap()
                .lines()
                .count()
        };
        assert_eq!((rows("x.log.2"), rows("x.log.1"), rows("x.log")), (3, 3, 3));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_torn_row_is_cut_off() {
        let folder = folder("torn");
        for driver in [Driver::JsonFile, Driver::Local] {
            let spec = LogSpec {
                driver,
                path: folder.join(driver.name()),
                ..LogSpec::default()
            };
            let begin = || {
                let _ = std::fs::remove_file(&spec.path);
                let mut writer = Writer::open(&spec).unwrap();
                writer
                    .write(Stream::Stdout, time(), b"first\nsecond\n")
                    .unwrap();
                writer.flush().unwrap();
                std::fs::metadata(&spec.path).unwrap().len()
            };
            let size = begin();
            for left in 0..=size {
                begin();
                File::options()
                    .write(true)
                    .open(&spec.path)
                    .unwrap()
                    .set_len(left)
                    .unwrap();
                let mut writer = Writer::open(&spec).unwrap();
                writer.write(Stream::Stdout, time(), b"third\n").unwrap();
                writer.flush().unwrap();
                let texts: Vec<_> = Reader::open(&spec, Options::default())
                    .unwrap()
                    .map(|record| record.bytes)
                    .collect();
                let whole = if left == size {
                    2
                } else {
                    usize::from(left >= size / 2)
                };
                let wanted = [&b"first\n"[..], b"second\n", b"third\n"];
                assert_eq!(texts.len(), whole + 1, "{driver:?} {left}");
                assert_eq!(texts[..whole], wanted[..whole]);
                assert_eq!(texts[whole], wanted[2]);
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}

//! Docker's json-file rows, byte for byte: `{"log":"..","stream":"stdout","attrs":{..},"time":".."}` and a newline.
//!
//! The escapes are those of Docker's own encoder: `\n`, `\r`, `\"`, `\\` short, every other control byte and `<`, `>`, `&`
//! as `\u00XX`, U+2028 and U+2029 as `\u202X`, and `\ufffd` for each byte that is not UTF-8.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::record::{Record, Stream};
use crate::scan;

/// Whether a byte does not stand for itself inside a string.
fn is_special(byte: u8) -> bool {
    // Without branches: this is asked of every byte of every log.
    !(0x20..0x80).contains(&byte)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'&')
}
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The part of a row between the text and the time; the same for all rows of a stream.
pub(crate) fn middle(stream: Stream, attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(b"\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.push(b'"');
    if !attributes.is_empty() {
        out.extend_from_slice(b",\"attrs\":{");
        for (index, (key, value)) in attributes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            push_string(&mut out, key);
            out.push(b':');
            push_string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"time\":\"");
    out
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text.as_bytes());
    out.push(b'"');
}

/// Appends a row. `middle` as made by [`middle`], `time` as RFC 3339 text.
pub(crate) fn push_row(out: &mut Vec<u8>, line: &[u8], newline: bool, middle: &[u8], time: &str) {
    // Docker leaves an empty text out.
    out.push(b'{');
    if !line.is_empty() || newline {
        out.extend_from_slice(b"\"log\":\"");
        escape(out, line);
        out.extend_from_slice(if newline { b"\\n\"," } else { b"\"," });
    }
    out.extend_from_slice(middle);
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

fn escape(out: &mut Vec<u8>, mut rest: &[u8]) {
    while !rest.is_empty() {
        let plain = scan::first(rest, is_special);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&byte) = rest.first() else { return };
        if byte >= 0x80 {
            let end = rest.iter().position(u8::is_ascii).unwrap_or(rest.len());
            escape_unicode(out, &rest[..end]);
            rest = &rest[end..];
            continue;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        rest = &rest[1..];
    }
}

/// A run without ASCII bytes.
fn escape_unicode(out: &mut Vec<u8>, run: &[u8]) {
    for chunk in run.utf8_chunks() {
        let mut valid = chunk.valid();
        while let Some(at) = valid.find(['\u{2028}', '\u{2029}']) {
            out.extend_from_slice(&valid.as_bytes()[..at]);
            let last = if valid[at..].starts_with('\u{2028}') {
                b'8'
            } else {
                b'9'
            };
            out.extend_from_slice(&[b'\\', b'u', b'2', b'0', b'2', last]);
            valid = &valid[at + 3..];
        }
        out.extend_from_slice(valid.as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// The time of a row without looking at the rest; `None` where the row has another shape than ours.
pub(crate) fn time(row: &[u8]) -> Option<Timestamp> {
    let body = row.strip_suffix(b"\"}")?;
    let start = body[body.len().saturating_sub(40)..]
        .iter()
        .rposition(|byte| *byte == b'"')?;
    let start = body.len().saturating_sub(40) + start;
    if !body[..start].ends_with(b",\"time\":") {
        return None;
    }
    timestamp(&body[start + 1..])
}

fn timestamp(text: &[u8]) -> Option<Timestamp> {
    static PARSER: jiff::fmt::temporal::DateTimeParser = jiff::fmt::temporal::DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

/// Reads times; rows that were written together have the same.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    text: Vec<u8>,
    time: Timestamp,
}

impl Clock {
    fn read(&mut self, text: &[u8]) -> Option<Timestamp> {
        if self.text != text {
            self.time = timestamp(text)?;
            self.text.clear();
            self.text.extend_from_slice(text);
        }
        Some(self.time)
    }
}

/// The record in a row (without its newline); `None` for anything that is none: a torn row, someone's edit.
pub(crate) fn parse(row: &[u8], clock: &mut Clock) -> Option<Record> {
    parse_ours(row, clock).or_else(|| parse_any(row))
}

/// Rows exactly as this module and Docker write them, without attributes.
fn parse_ours(row: &[u8], clock: &mut Clock) -> Option<Record> {
    let body = row.strip_prefix(b"{\"log\":\"")?;
    let mut bytes = Vec::with_capacity(body.len().saturating_sub(58).max(16));
    let rest = unescape(body, &mut bytes)?;
    let rest = rest.strip_prefix(b",\"stream\":\"std")?;
    let (stream, rest) = if let Some(rest) = rest.strip_prefix(b"out\",\"time\":\"") {
        (Stream::Stdout, rest)
    } else {
        (Stream::Stderr, rest.strip_prefix(b"err\",\"time\":\"")?)
    };
    let time = clock.read(rest.strip_suffix(b"\"}")?)?;
    let partial = bytes.last() != Some(&b'\n');
    Some(Record {
        time,
        stream,
        bytes,
        partial,
        attributes: BTreeMap::new(),
    })
}

/// Appends the string that begins at `text` (behind its quote); returns what is behind the closing quote.
fn unescape<'a>(mut text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let plain = scan::first(text, |byte| (byte == b'"') | (byte == b'\\'));
        out.extend_from_slice(&text[..plain]);
        text = &text[plain..];
        if *text.first()? == b'"' {
            return Some(&text[1..]);
        }
        let byte = match text.get(1)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'"' => b'"',
            b'\\' => b'\\',
            b'u' => {
                let digits = str::from_utf8(text.get(2..6)?).ok()?;
                let number = u32::from_str_radix(digits, 16).ok()?;
                // Surrogates are left to the general parser.
                let char = char::from_u32(number)?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                text = &text[6..];
                continue;
            }
            _ => return None,
        };
        out.push(byte);
        text = &text[2..];
    }
}

fn parse_any(row: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        log: String,
        #[serde(default)]
        stream: String,
        time: Timestamp,
        #[serde(default)]
        attrs: BTreeMap<String, String>,
    }
    let row: Row = serde_json::from_slice(row).ok()?;
    Some(Record {
        time: row.time,
        stream: if row.stream == "stderr" {
            Stream::Stderr
        } else {
            Stream::Stdout
        },
        partial: !row.log.ends_with('\n'),
        bytes: row.log.into_bytes(),
        attributes: row.attrs,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn row(line: &[u8], newline: bool) -> String {
        let mut out = Vec::new();
        let middle = middle(Stream::Stdout, &BTreeMap::new());
        push_row(
            &mut out,
            line,
            newline,
            &middle,
            "2026-01-02T03:04:05.123456789Z",
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_are_dockers() {
        assert_eq!(
            row(b"hello", true),
            "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.123456789Z\"}\n"
        );
        assert_eq!(
            row(b"", true),
            "{\"log\":\"\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.123456789Z\"}\n"
        );
        let text = "a\tb\r\"\\<>&\u{2028}\u{2029}\u{1b}[0m\u{7f}\u{fc}\u{1f980}";
        assert!(row(text.as_bytes(), false).starts_with(
            "{\"log\":\"a\\u0009b\\r\\\"\\\\\\u003c\\u003e\\u0026\\u2028\\u2029\\u001b[0m\u{7f}\u{fc}\u{1f980}\",\"stream\""
        ));
        // One replacement for each byte, as Go decodes.
        assert!(
            row(b"x\xe2\x82y\xff\xc3\xa4", false)
                .starts_with("{\"log\":\"x\\ufffd\\ufffdy\\ufffd\u{e4}\",\"stream\"")
        );
    }

    #[test]
    fn attributes_stand_between_stream_and_time() {
        let attributes = BTreeMap::from([
            ("tag".to_owned(), "a&b".to_owned()),
            ("label".to_owned(), "x".to_owned()),
        ]);
        let mut out = Vec::new();
        push_row(
            &mut out,
            b"x",
            true,
            &middle(Stream::Stderr, &attributes),
            "2026-01-02T03:04:05Z",
        );
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"attrs\":{\"label\":\"x\",\"tag\":\"a\\u0026b\"},\"time\":\"2026-01-02T03:04:05Z\"}\n"
        );
        let record = parse(&out[..out.len() - 1], &mut Clock::default()).unwrap();
        assert_eq!(record.attributes, attributes);
        assert_eq!(record.stream, Stream::Stderr);
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "",
            "plain",
            "q\"\\\t\u{0}\u{1f}<&>\u{2028}\u{e9}\u{1f980}\r",
        ] {
            for newline in [true, false] {
                if text.is_empty() && !newline {
                    continue;
                }
                let row = row(text.as_bytes(), newline);
                let record = parse(row.trim_end().as_bytes(), &mut Clock::default()).unwrap();
                let mut wanted = text.as_bytes().to_vec();
                if newline {
                    wanted.push(b'\n');
                }
                assert_eq!(record.bytes, wanted);
                assert_eq!(record.partial, !newline);
                assert_eq!(time(row.trim_end().as_bytes()), Some(record.time));
                assert_eq!(parse_any(row.trim_end().as_bytes()).unwrap(), record);
            }
        }
    }

    #[test]
    fn what_is_no_row_is_none() {
        for row in [
            "",
            "{",
            "{\"log\":\"half",
            "{\"log\":\"x\",\"stream\":\"stdout\",\"time\":\"yest",
            "[]",
        ] {
            assert_eq!(parse(row.as_bytes(), &mut Clock::default()), None, "{row}");
        }
    }
}

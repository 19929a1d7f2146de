//! The `local` driver's frames: `u32` length of the body, body, the length again.
//! Body: `i64` nanoseconds since 1970, `u8` stream (1, 2), `u8` flags (1: no newline follows), then the text. Little endian.
//!
//! The length behind the body lets `--tail` walk from the end; a frame whose two lengths differ is torn.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::record::{Record, Stream};

const HEAD: usize = 10;
const PARTIAL: u8 = 1;
/// No body is larger: lines are cut at 16 KiB. A file that says more is damaged.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// What a frame has beside its body.
pub(crate) const OVERHEAD: usize = 8;

/// Appends a frame.
pub(crate) fn push_frame(
    out: &mut Vec<u8>,
    line: &[u8],
    newline: bool,
    stream: Stream,
    nanos: i64,
) {
    let length = ((HEAD + line.len()) as u32).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&nanos.to_le_bytes());
    out.push(stream.number());
    out.push(if newline { 0 } else { PARTIAL });
    out.extend_from_slice(line);
    out.extend_from_slice(&length);
}

/// The first frame's size in bytes; `None`: more bytes are needed.
///
/// # Errors
/// This is no frame.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<usize>, Damaged> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let body = u32::from_le_bytes(*length) as usize;
    if !(HEAD..=MAX_BODY).contains(&body) {
        return Err(Damaged);
    }
    let Some(behind) = rest.get(body..body + 4) else {
        return Ok(None);
    };
    if behind != length {
        return Err(Damaged);
    }
    Ok(Some(body + OVERHEAD))
}

/// Not what this module writes.
#[derive(Debug)]
pub(crate) struct Damaged;

/// The record in a whole frame.
pub(crate) fn parse(frame: &[u8]) -> Option<Record> {
    let body = frame.get(4..frame.len().checked_sub(4)?)?;
    let (nanos, rest) = body.split_first_chunk::<8>()?;
    let ([stream, flags], text) = rest.split_first_chunk::<2>()?;
    let partial = flags & PARTIAL != 0;
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text);
    if !partial {
        bytes.push(b'\n');
    }
    Some(Record {
        time: Timestamp::from_nanosecond(i128::from(i64::from_le_bytes(*nanos))).ok()?,
        stream: if *stream == 2 {
            Stream::Stderr
        } else {
            Stream::Stdout
        },
        bytes,
        partial,
        attributes: BTreeMap::new(),
    })
}

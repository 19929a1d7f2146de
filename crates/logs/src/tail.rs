//! Where the last n records begin, found from the end.

use std::io;
use std::os::unix::fs::FileExt;

use crate::files::Part;
use crate::local;
use crate::spec::Driver;

/// A place in a set of files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Index of the file to begin with.
    pub(crate) part: usize,
    /// Byte in that file.
    pub(crate) offset: u64,
}

/// Finds the begin of the last `count` records. `parts`: oldest first.
pub(crate) fn find(driver: Driver, parts: &mut [Part], count: usize) -> io::Result<Start> {
    let mut left = count;
    for (index, part) in parts.iter_mut().enumerate().rev() {
        part.unpack()?;
        let (found, offset) = match driver {
            Driver::Local => frames(part, left)?,
            Driver::JsonFile | Driver::None => rows(part, left)?,
        };
        left -= found;
        if left == 0 {
            return Ok(Start {
                part: index,
                offset,
            });
        }
    }
    Ok(Start { part: 0, offset: 0 })
}

/// How many of the last `count` rows the file has, and where the first of them begins.
fn rows(part: &Part, count: usize) -> io::Result<(usize, u64)> {
    let mut end = part.file.metadata()?.len();
    let mut buffer = vec![0; 64 * 1024];
    // Of n rows from the end, n+1 newlines are looked for; what is behind the last one is no row.
    let mut newlines = 0;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let chunk = &mut buffer[..(end - start) as usize];
        part.file.read_exact_at(chunk, start)?;
        for (at, byte) in chunk.iter().enumerate().rev() {
            if *byte == b'\n' {
                if newlines == count {
                    return Ok((count, start + at as u64 + 1));
                }
                newlines += 1;
            }
        }
        end = start;
    }
    Ok((newlines, 0))
}

fn frames(part: &Part, count: usize) -> io::Result<(usize, u64)> {
    let size = part.file.metadata()?.len();
    let mut end = size;
    for found in 0..count {
        if end == 0 {
            return Ok((found, 0));
        }
        match begin_of_last(part, end) {
            Some(begin) => end = begin,
            None if found == 0 => return frames_from_the_front(part, size, count),
            None => return Ok((found, end)),
        }
    }
    if count == 0 && begin_of_last(part, end).is_none() {
        return frames_from_the_front(part, size, 0);
    }
    Ok((count, end))
}

/// Where the frame begins that ends here.
pub(crate) fn begin_of_last(part: &Part, end: u64) -> Option<u64> {
    let length_at = |at| {
        let mut bytes = [0; 4];
        part.file.read_exact_at(&mut bytes, at).ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let length = length_at(end.checked_sub(4)?)?;
    if length as usize > local::MAX_BODY {
        return None;
    }
    let begin = end.checked_sub(u64::from(length) + local::OVERHEAD as u64)?;
    (length_at(begin)? == length).then_some(begin)
}

/// For a file with a torn end.
fn frames_from_the_front(part: &Part, size: u64, count: usize) -> io::Result<(usize, u64)> {
    let mut begins = std::collections::VecDeque::new();
    let mut at = 0;
    let mut head = [0; 4];
    while at + local::OVERHEAD as u64 <= size {
        part.file.read_exact_at(&mut head, at)?;
        let next = at + u64::from(u32::from_le_bytes(head)) + local::OVERHEAD as u64;
        if next > size || begin_of_last(part, next) != Some(at) {
            break;
        }
        begins.push_back(at);
        if begins.len() > count {
            begins.pop_front();
        }
        at = next;
    }
    Ok((begins.len(), begins.front().copied().unwrap_or(at)))
}

//! PAX extended headers: `length key=value\n` records, read with suspicion and written in a fixed order.

use std::collections::HashSet;

use crate::Error;
use crate::header::{Time, Xattrs};

/// Key prefix of extended attributes, as GNU tar, Go and libarchive write them.
const XATTR: &str = "SCHILY.xattr.";

/// The records that matter here, of one extended header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<Time>,
    pub(crate) xattrs: Xattrs,
    /// What GNU's sparse formats say.
    pub(crate) sparse: Option<Sparse>,
}

/// GNU's records about a file with holes: format 0.1 has the map here, 1.0 in front of the data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse {
    pub(crate) major: u64,
    pub(crate) name: Option<Vec<u8>>,
    /// Size with the holes.
    pub(crate) size: Option<u64>,
    /// Offset and length of each piece.
    pub(crate) map: Option<Vec<(u64, u64)>>,
    /// A record of another format.
    pub(crate) unknown: bool,
}

impl Records {
    /// Reads the payload of an extended header. Of records with one key the last counts.
    pub(crate) fn parse(mut payload: &[u8]) -> Result<Records, Error> {
        let mut records = Records::default();
        while !payload.is_empty() {
            let (record, rest) = next(payload)?;
            payload = rest;
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else {
                return Err(Error::invalid("PAX record without \"=\""));
            };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            records.set(key, value)?;
        }
        // The last of each name, in order.
        let mut names = HashSet::new();
        records.xattrs.reverse();
        records
            .xattrs
            .retain(|(name, _)| names.insert(name.clone()));
        records.xattrs.reverse();
        Ok(records)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        // An empty value takes an earlier one back.
        let given = !value.is_empty();
        match key {
            b"path" => self.path = given.then(|| text(value)).transpose()?,
            b"linkpath" => self.link = given.then(|| text(value)).transpose()?,
            b"size" => self.size = given.then(|| decimal(value)).transpose()?,
            b"uid" => self.uid = given.then(|| decimal(value)).transpose()?,
            b"gid" => self.gid = given.then(|| decimal(value)).transpose()?,
            b"mtime" => self.mtime = given.then(|| time(value)).transpose()?,
            key if key.starts_with(b"GNU.sparse.") => {
                let sparse = self.sparse.get_or_insert_default();
                match &key[b"GNU.sparse.".len()..] {
                    b"major" => sparse.major = decimal(value)?,
                    b"name" => sparse.name = given.then(|| text(value)).transpose()?,
                    b"size" | b"realsize" => sparse.size = Some(decimal(value)?),
                    b"map" => sparse.map = Some(pairs(value)?),
                    b"minor" | b"numblocks" => {}
                    _ => sparse.unknown = true,
                }
            }
            key => {
                if let Some(name) = key.strip_prefix(XATTR.as_bytes())
                    && !name.is_empty()
                    && !name.contains(&0)
                {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// `offset,length,offset,length`
fn pairs(value: &[u8]) -> Result<Vec<(u64, u64)>, Error> {
    let numbers: Vec<u64> = value
        .split(|byte| *byte == b',')
        .map(decimal)
        .collect::<Result<_, _>>()?;
    match numbers.len() % 2 {
        0 => Ok(numbers
            .chunks_exact(2)
            .map(|pair| (pair[0], pair[1]))
            .collect()),
        _ => Err(Error::invalid("broken map of a sparse file")),
    }
}

/// The first record without its length and newline, and what follows it.
fn next(payload: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let broken = || Error::invalid("broken PAX record");
    let blank = payload
        .iter()
        .take(20)
        .position(|byte| *byte == b' ')
        .ok_or_else(broken)?;
    let length = usize::try_from(decimal(&payload[..blank])?).map_err(|_| broken())?;
    if length <= blank + 1 || length > payload.len() || payload[length - 1] != b'\n' {
        return Err(broken());
    }
    Ok((&payload[blank + 1..length - 1], &payload[length..]))
}

fn text(value: &[u8]) -> Result<Vec<u8>, Error> {
    match value.contains(&0) {
        true => Err(Error::invalid("NUL in a PAX record")),
        false => Ok(value.to_vec()),
    }
}

fn decimal(value: &[u8]) -> Result<u64, Error> {
    let broken = || Error::invalid("broken number in a PAX record");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(broken());
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(broken)
}

/// Decimal seconds, perhaps negative, perhaps with a fraction; digits below the nanosecond are cut off.
fn time(value: &[u8]) -> Result<Time, Error> {
    let broken = || Error::invalid("broken time in a PAX record");
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let point = digits
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(digits.len());
    let seconds = i64::try_from(decimal(&digits[..point])?).map_err(|_| broken())?;
    let fraction = digits.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(broken());
    }
    let mut nanoseconds = 0;
    for place in 0..9 {
        let digit = fraction
            .get(place)
            .map_or(0, |digit| u32::from(digit - b'0'));
        nanoseconds = nanoseconds * 10 + digit;
    }
    Ok(match (negative, nanoseconds) {
        (false, nanoseconds) => Time {
            seconds,
            nanoseconds,
        },
        (true, 0) => Time {
            seconds: -seconds,
            nanoseconds: 0,
        },
        (true, below) => Time {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - below,
        },
    })
}

/// Collects records to write.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    payload: Vec<u8>,
}

impl Writer {
    pub(crate) fn record(&mut self, key: &[u8], value: &[u8]) {
        // The length counts its own digits.
        let rest = 1 + key.len() + 1 + value.len() + 1;
        let mut length = rest + 1;
        while length.to_string().len() + rest != length {
            length = length.to_string().len() + rest;
        }
        self.payload
            .extend_from_slice(format!("{length} ").as_bytes());
        self.payload.extend_from_slice(key);
        self.payload.push(b'=');
        self.payload.extend_from_slice(value);
        self.payload.push(b'\n');
    }

    pub(crate) fn xattr(&mut self, name: &[u8], value: &[u8]) {
        self.record(&[XATTR.as_bytes(), name].concat(), value);
    }

    pub(crate) fn time(&mut self, key: &[u8], time: Time) {
        let text = match (time.seconds < 0, time.nanoseconds) {
            (_, 0) => time.seconds.to_string(),
            (false, nanoseconds) => {
                let text = format!("{}.{nanoseconds:09}", time.seconds);
                text.trim_end_matches('0').to_owned()
            }
            (true, nanoseconds) => {
                // -1.25 is one and a quarter seconds before: seconds -2, nanoseconds 750,000,000.
                let whole = -(time.seconds + 1);
                let text = format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds);
                text.trim_end_matches('0').to_owned()
            }
        };
        self.record(key, text.as_bytes());
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn records_read_back() {
        let mut writer = Writer::default();
        writer.record(b"path", &b"x".repeat(90));
        writer.record(b"path", &b"y".repeat(95));
        writer.record(b"size", b"12");
        writer.xattr(b"user.a=b", b"\0\n binary");
        for time in [
            (0, 0),
            (5, 1),
            (-1, 0),
            (-2, 750_000_000),
            (1_700_000_000, 120_000_000),
        ] {
            let mut writer = Writer::default();
            let time = Time {
                seconds: time.0,
                nanoseconds: time.1,
            };
            writer.time(b"mtime", time);
            assert_eq!(Records::parse(writer.payload()).unwrap().mtime, Some(time));
        }
        let records = Records::parse(writer.payload()).unwrap();
        assert_eq!(records.path, Some(b"y".repeat(95)));
        assert_eq!(records.size, Some(12));
        // A key may not contain "=", so the name ends at the first one: as every other reader sees it.
        assert_eq!(
            records.xattrs,
            [(b"user.a".to_vec(), b"b=\0\n binary".to_vec())]
        );
    }

    #[test]
    fn broken_records_are_refused() {
        for payload in [
            &b"5 a=b"[..],
            b"6 a=bc",
            b"99 a=b\n",
            b"0 a=b\n",
            b"2 \n",
            b"x a=b\n",
            b"-6 a=b\n",
            b"6 abc\n",
            b"99999999999999999999999 a=b\n",
            b"11 size=-1\n\n",
            b"12 path=a\0b\n",
            b"12 mtime=1e9\n",
            b"12 mtime=1.x\n",
        ] {
            assert!(
                Records::parse(payload).is_err(),
                "{:?}",
                String::from_utf8_lossy(payload)
            );
        }
        assert!(Records::parse(b"8 path=\n").unwrap().path.is_none());
    }
}

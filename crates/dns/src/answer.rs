//! What an upstream answered.

use crate::query::Rcode;
use crate::wire::{self, HEADER};

/// The start of authority: how long a name is known not to be.
const SOA: u16 = 6;

/// An answer, read as far as it concerns who passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    bytes: Vec<u8>,
    /// Where the times to live are.
    ttls: Vec<usize>,
    /// How long it may be kept, in seconds.
    lifetime: u32,
    question_end: usize,
}

impl Answer {
    /// Reads `bytes` as the answer to the message `asked`; `None` where they are something else.
    #[must_use]
    pub fn parse(bytes: Vec<u8>, asked: &[u8]) -> Option<Self> {
        let flags = wire::u16_at(&bytes, 2)?;
        let same_id = bytes.get(..2)? == asked.get(..2)?;
        if flags & wire::RESPONSE == 0 || !same_id || wire::count(asked, 0)? != 1 {
            return None;
        }
        let end = wire::skip_name(asked, HEADER)? + 4;
        let question = asked.get(HEADER..end)?;
        // Who cannot read the question may leave it out.
        let question_end = match wire::count(&bytes, 0)? {
            0 if matches!(flags & wire::RCODE, 1 | 2 | 4 | 5) => HEADER,
            1 if bytes.get(HEADER..end)?.eq_ignore_ascii_case(question) => end,
            _ => return None,
        };
        let (ttls, lifetime) = read_ttls(&bytes, question_end).or_else(|| {
            // Cut off in the middle of a record: good enough to be told to come by TCP.
            (flags & wire::TRUNCATED != 0).then_some((Vec::new(), 0))
        })?;
        Some(Self {
            bytes,
            ttls,
            lifetime,
            question_end,
        })
    }

    /// As it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// There is more, by TCP.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.bytes[2] & (wire::TRUNCATED >> 8) as u8 != 0
    }

    /// Whether it settles the question. Another upstream may know better than who failed or refused.
    #[must_use]
    pub fn settles(&self) -> bool {
        let rcode = u16::from(self.bytes[3]) & wire::RCODE;
        rcode == Rcode::NoError as u16 || rcode == Rcode::NxDomain as u16
    }

    /// How long it may be kept, in seconds; nothing where it may not.
    #[must_use]
    pub fn lifetime(&self) -> Option<u32> {
        let keeps = self.settles() && !self.is_truncated() && self.lifetime > 0;
        keeps.then_some(self.lifetime)
    }

    /// For the asker with this number, who wrote the question so, after `age` seconds.
    #[must_use]
    pub fn told(&self, id: u16, question: &[u8], age: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        if self.question_end - HEADER == question.len() {
            bytes[HEADER..self.question_end].copy_from_slice(question);
        }
        for at in self.ttls.iter().filter(|_| age > 0) {
            let ttl = wire::u32_at(&bytes, *at).unwrap_or(0).saturating_sub(age);
            bytes[*at..at + 4].copy_from_slice(&ttl.to_be_bytes());
        }
        bytes
    }
}

/// Where the times to live are, and how long the whole may be kept: what is not there, as RFC 2308 section 5 says.
fn read_ttls(bytes: &[u8], mut at: usize) -> Option<(Vec<usize>, u32)> {
    let mut ttls = Vec::new();
    let (mut shortest, mut denied) = (u32::MAX, None);
    for section in 1..=3 {
        for _ in 0..wire::count(bytes, section)? {
            let record = wire::read_record(bytes, at)?;
            at = record.end();
            if record.kind == wire::OPT {
                continue;
            }
            ttls.push(record.ttl);
            // A time with its highest bit set means zero (RFC 2181 section 8).
            let ttl = wire::u32_at(bytes, record.ttl).filter(|ttl| ttl >> 31 == 0);
            let ttl = ttl.unwrap_or(0);
            shortest = shortest.min(ttl);
            if record.kind == SOA && section == 2 && record.length >= 20 {
                denied = wire::u32_at(bytes, record.end() - 4).map(|least| least.min(ttl));
            }
        }
    }
    let has_answers = wire::count(bytes, 1)? > 0;
    let is_there = u16::from(*bytes.get(3)?) & wire::RCODE == Rcode::NoError as u16;
    let lifetime = match (has_answers && is_there, denied) {
        (true, _) => shortest,
        (false, Some(least)) => least.min(shortest),
        (false, None) => 0,
    };
    Some((ttls, lifetime))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const ASKED: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";

    fn said(flags: &[u8; 2], counts: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let [questions, answers, authorities, others] = counts;
        let header = [
            0x12,
            0x34,
            flags[0],
            flags[1],
            0,
            questions,
            0,
            answers,
            0,
            authorities,
            0,
            others,
        ];
        [&header[..], &ASKED[12..], rest].concat()
    }

    #[test]
    fn times_to_live_run_down() {
        let records = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\0\0\x02\0\0\x29\x04\xd0\0\0\x80\0\0\0";
        let answer = Answer::parse(said(b"\x81\x80", [1, 2, 0, 1], records), ASKED).unwrap();
        assert_eq!(answer.lifetime(), Some(30));
        let told = answer.told(7, b"\x01A\0\0\x01\0\x01", 10);
        assert_eq!((&told[..2], &told[13..14]), (&[0, 7][..], &b"A"[..]));
        let again = Answer::parse(told, &[&[0, 7], &ASKED[2..]].concat()).unwrap();
        assert_eq!(again.lifetime(), Some(20));
        // What OPT has in the place of a time to live stays.
        assert_eq!(&again.bytes()[again.bytes().len() - 6..], b"\0\0\x80\0\0\0");
    }

    #[test]
    fn what_is_not_there_is_kept_as_its_zone_says() {
        let soa = |ttl: u8, least: u8| {
            let mut record = vec![0, 0, 6, 0, 1, 0, 0, 0, ttl, 0, 22, 0, 0];
            record.extend([0; 19]);
            record.push(least);
            record
        };
        let lifetime = |flags: &[u8; 2], counts, rest: &[u8]| {
            let answer = Answer::parse(said(flags, counts, rest), ASKED).unwrap();
            answer.lifetime()
        };
        assert_eq!(lifetime(b"\x81\x83", [1, 0, 1, 0], &soa(60, 10)), Some(10));
        assert_eq!(lifetime(b"\x81\x80", [1, 0, 1, 0], &soa(5, 10)), Some(5));
        assert_eq!(lifetime(b"\x81\x83", [1, 0, 0, 0], b""), None);
        assert_eq!(lifetime(b"\x81\x82", [1, 0, 1, 0], &soa(60, 10)), None);
        assert_eq!(lifetime(b"\x83\x80", [1, 0, 1, 0], &soa(60, 10)), None);
    }

    #[test]
    fn what_answers_something_else_is_none() {
        let good = said(b"\x81\x80", [1, 0, 0, 0], b"");
        assert!(Answer::parse(good.clone(), ASKED).unwrap().settles());
        for (at, byte) in [(0, 1), (2, 1), (13, b'b'), (16, 2), (5, 2), (7, 1)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(Answer::parse(bad, ASKED), None, "{at}");
        }
        let refused = b"\x12\x34\x81\x85\0\0\0\0\0\0\0\0".to_vec();
        let refused = Answer::parse(refused, ASKED).unwrap();
        assert!(!refused.settles());
        assert_eq!(refused.told(1, &ASKED[12..], 0).len(), 12);
        // Cut off in the middle.
        assert!(
            Answer::parse(said(b"\x83\x80", [1, 1, 0, 0], b"\xc0"), ASKED)
                .unwrap()
                .is_truncated()
        );
    }
}

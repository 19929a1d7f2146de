//! What a container asked, and our replies.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::wire::{self, HEADER};

/// The largest message (RFC 1035 section 4.2.2).
pub const LARGEST: usize = u16::MAX as usize;
/// What everybody takes by UDP (RFC 1035 section 2.3.4).
const SMALLEST_LIMIT: u16 = 512;
/// What we say that we take, where the question says it (the size that passes everywhere, by the DNS flag day of 2020).
const OWN_LIMIT: u16 = 1232;
/// Docker's, in seconds.
const TTL: u32 = 600;
/// The internet.
const CLASS: u16 = 1;
/// Points to the name of the question.
const POINTER: [u8; 2] = [0xc0, HEADER as u8];

/// Types of questions that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// A name for an address.
    Ptr,
    /// Where mail goes.
    Mx,
    /// All there is.
    Any,
    /// A whole zone, in many messages.
    Transfer,
    /// Another one.
    Other(u16),
}

impl Kind {
    fn new(number: u16) -> Self {
        match number {
            1 => Self::A,
            12 => Self::Ptr,
            15 => Self::Mx,
            28 => Self::Aaaa,
            251 | 252 => Self::Transfer,
            255 => Self::Any,
            other => Self::Other(other),
        }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Rcode {
    /// It is answered, if only by nothing.
    NoError = 0,
    /// The question is malformed.
    FormErr = 1,
    /// Nobody could answer.
    ServFail = 2,
    /// The name is not there.
    NxDomain = 3,
    /// Not a question that is answered here.
    NotImp = 4,
    /// Not now, not to you.
    Refused = 5,
}

/// An answer of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An address.
    A(Ipv4Addr),
    /// An address.
    Aaaa(Ipv6Addr),
    /// A name, without the last dot.
    Ptr(String),
}

/// Why there is no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It deserves no reply.
    Silence,
    /// This is the reply.
    Reply(Vec<u8>),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    id: u16,
    flags: u16,
    name: Option<String>,
    kind: Kind,
    class: u16,
    /// The question section as it came.
    question: Vec<u8>,
    /// What the asker takes by UDP, where it says so.
    limit: Option<u16>,
}

impl Query {
    /// Reads a message.
    ///
    /// # Errors
    /// It is no question that could be answered.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let (Some(id), Some(flags), true) = (
            wire::u16_at(bytes, 0),
            wire::u16_at(bytes, 2),
            bytes.len() >= HEADER,
        ) else {
            return Err(Refusal::Silence);
        };
        if flags & wire::RESPONSE != 0 {
            return Err(Refusal::Silence);
        }
        let refuse = |rcode| {
            let mut reply = header(id, flags, rcode, 0, 0, 0);
            reply.truncate(HEADER);
            Refusal::Reply(reply)
        };
        if flags & wire::OPCODE != 0 {
            return Err(refuse(Rcode::NotImp));
        }
        Self::read(bytes, id, flags).ok_or_else(|| refuse(Rcode::FormErr))
    }

    fn read(bytes: &[u8], id: u16, flags: u16) -> Option<Self> {
        if wire::count(bytes, 0)? != 1 {
            return None;
        }
        let (name, at) = wire::read_name(bytes, HEADER)?;
        let (kind, class) = (wire::u16_at(bytes, at)?, wire::u16_at(bytes, at + 2)?);
        let question = bytes[HEADER..at + 4].to_vec();
        let mut limit = None;
        let mut at = at + 4;
        for section in 1..=3 {
            for _ in 0..wire::count(bytes, section)? {
                let record = wire::read_record(bytes, at)?;
                if record.kind == wire::OPT {
                    limit = Some(record.class.max(SMALLEST_LIMIT));
                }
                at = record.end();
            }
        }
        Some(Self {
            id,
            flags,
            name,
            kind: Kind::new(kind),
            class,
            question,
            limit,
        })
    }

    /// The asker's number for it.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The name asked for, in small letters without the last dot; `None` where text cannot say it.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What is asked about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is about the internet, as nearly all are.
    #[must_use]
    pub fn is_internet(&self) -> bool {
        matches!(self.class, CLASS | 255)
    }

    /// The largest reply that the asker takes by UDP.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(SMALLEST_LIMIT).into()
    }

    /// The question section as it came, for an answer that is given to more than one asker.
    #[must_use]
    pub fn question(&self) -> &[u8] {
        &self.question
    }

    /// A reply of at most `limit` bytes. Records that do not fit are left out, and the reply says so.
    #[must_use]
    pub fn reply(&self, rcode: Rcode, records: &[Record], limit: usize) -> Vec<u8> {
        let mut reply = header(self.id, self.flags, rcode, 1, 0, 0);
        reply.extend_from_slice(&self.question);
        let others = if self.limit.is_some() { 11 } else { 0 };
        let mut count: u16 = 0;
        for record in records {
            let begin = reply.len();
            if put_record(&mut reply, record).is_none() {
                reply.truncate(begin);
                continue;
            }
            if reply.len() + others > limit {
                reply.truncate(begin);
                set_truncated(&mut reply);
                break;
            }
            count += 1;
        }
        reply[6..8].copy_from_slice(&count.to_be_bytes());
        if self.limit.is_some() {
            reply[10..12].copy_from_slice(&1_u16.to_be_bytes());
            reply.push(0);
            for word in [wire::OPT, OWN_LIMIT, 0, 0, 0] {
                reply.extend_from_slice(&word.to_be_bytes());
            }
        }
        reply
    }

    /// A reply without records.
    #[must_use]
    pub fn bare(&self, rcode: Rcode) -> Vec<u8> {
        self.reply(rcode, &[], LARGEST)
    }

    /// The reply that tells the asker to come by TCP.
    #[must_use]
    pub fn come_by_tcp(&self) -> Vec<u8> {
        let mut reply = self.bare(Rcode::NoError);
        set_truncated(&mut reply);
        reply
    }
}

fn set_truncated(reply: &mut [u8]) {
    if let Some(byte) = reply.get_mut(2) {
        *byte |= (wire::TRUNCATED >> 8) as u8;
    }
}

fn header(id: u16, flags: u16, rcode: Rcode, questions: u16, answers: u16, others: u16) -> Vec<u8> {
    let kept = flags & (wire::OPCODE | wire::RECURSION_DESIRED | wire::CHECKING_DISABLED);
    let flags = wire::RESPONSE | wire::RECURSION_AVAILABLE | kept | rcode as u16;
    let mut bytes = Vec::with_capacity(128);
    for word in [id, flags, questions, answers, 0, others] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// Appends a record about the name of the question.
fn put_record(reply: &mut Vec<u8>, record: &Record) -> Option<()> {
    let (kind, data) = match record {
        Record::A(address) => (1_u16, address.octets().to_vec()),
        Record::Aaaa(address) => (28, address.octets().to_vec()),
        Record::Ptr(name) => {
            let mut data = Vec::new();
            wire::put_name(&mut data, name)?;
            (12, data)
        }
    };
    reply.extend_from_slice(&POINTER);
    reply.extend_from_slice(&kind.to_be_bytes());
    reply.extend_from_slice(&CLASS.to_be_bytes());
    reply.extend_from_slice(&TTL.to_be_bytes());
    reply.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
    reply.extend_from_slice(&data);
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// `db. A`, recursion desired, as libc asks.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x02Db\0\0\x01\0\x01";
    const EDNS: &[u8] =
        b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x02db\0\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";

    #[test]
    fn questions_are_read() {
        let query = Query::parse(QUERY).unwrap();
        assert_eq!((query.id(), query.name()), (0x1234, Some("db")));
        assert_eq!((query.kind(), query.limit()), (Kind::A, 512));
        assert!(query.is_internet());
        let query = Query::parse(EDNS).unwrap();
        assert_eq!((query.kind(), query.limit()), (Kind::Aaaa, 1232));
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let with = |at: usize, byte: u8| {
            let mut bytes = QUERY.to_vec();
            bytes[at] = byte;
            Query::parse(&bytes)
        };
        let refused = |found: Result<Query, Refusal>| match found {
            Err(Refusal::Reply(reply)) => {
                assert_eq!(
                    (reply.len(), &reply[..2], reply[2] & 0x80),
                    (12, &QUERY[..2], 0x80)
                );
                u16::from(reply[3]) & wire::RCODE
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(Query::parse(&QUERY[..11]), Err(Refusal::Silence));
        assert_eq!(with(2, 0x81), Err(Refusal::Silence)); // a response
        assert_eq!(refused(with(2, 0x29)), Rcode::NotImp as u16); // an update
        assert_eq!(refused(with(5, 2)), Rcode::FormErr as u16); // two questions
        assert_eq!(refused(with(11, 1)), Rcode::FormErr as u16); // a record that is not there
        assert_eq!(refused(with(12, 0xc0)), Rcode::FormErr as u16); // a pointer as question
        assert_eq!(refused(with(12, 0x50)), Rcode::FormErr as u16); // no such label
        assert_eq!(refused(Query::parse(&QUERY[..18])), Rcode::FormErr as u16); // cut off
        let long = [&QUERY[..12], &[[63; 64]; 4].concat(), &QUERY[15..]].concat();
        assert_eq!(refused(Query::parse(&long)), Rcode::FormErr as u16);
    }

    #[test]
    fn names_that_text_cannot_say_have_none() {
        for label in [b"a.", b"\xff\xfe", b"a ", b"a\0"] {
            let bytes = [&QUERY[..13], label, &QUERY[15..]].concat();
            assert_eq!(Query::parse(&bytes).unwrap().name(), None, "{label:?}");
        }
        let root = [&QUERY[..12], &QUERY[15..]].concat();
        assert_eq!(Query::parse(&root).unwrap().name(), Some(""));
    }

    #[test]
    fn replies_are_as_libc_expects_them() {
        let query = Query::parse(QUERY).unwrap();
        let records = [Record::A(Ipv4Addr::new(172, 18, 0, 2))];
        let expected = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x02Db\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\x02\x58\0\x04\xac\x12\0\x02";
        assert_eq!(query.reply(Rcode::NoError, &records, 512), expected);
        let query = Query::parse(EDNS).unwrap();
        let reply = query.reply(Rcode::NxDomain, &[], 512);
        assert_eq!(&reply[..12], b"\x12\x34\x81\x83\0\x01\0\0\0\0\0\x01");
        assert_eq!(&reply[reply.len() - 11..], b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let query = Query::parse(QUERY).unwrap();
        let records = vec![Record::A(Ipv4Addr::LOCALHOST); 100];
        let reply = query.reply(Rcode::NoError, &records, 512);
        assert_eq!(
            (reply.len(), reply[2] & 2, reply[7]),
            (12 + 8 + 30 * 16, 2, 30)
        );
        assert_eq!(query.reply(Rcode::NoError, &records, LARGEST)[7], 100);
        assert_eq!(query.come_by_tcp()[2] & 2, 2);
        let long = Record::Ptr(format!("{}.a", "b".repeat(64)));
        assert_eq!(query.reply(Rcode::NoError, &[long], 512)[7], 0);
    }
}

//! The few shapes that messages are made of (RFC 1035 section 4). Reading never panics and never follows pointers: what
//! we need of a message is found without.

/// Bytes of the header.
pub(crate) const HEADER: usize = 12;
/// The longest name, with its lengths (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 255;

/// Numbers of the header's second word.
pub(crate) const RESPONSE: u16 = 1 << 15;
pub(crate) const OPCODE: u16 = 0xf << 11;
pub(crate) const TRUNCATED: u16 = 1 << 9;
pub(crate) const RECURSION_DESIRED: u16 = 1 << 8;
pub(crate) const RECURSION_AVAILABLE: u16 = 1 << 7;
pub(crate) const CHECKING_DISABLED: u16 = 1 << 4;
pub(crate) const RCODE: u16 = 0xf;

/// The pseudo record of EDNS (RFC 6891).
pub(crate) const OPT: u16 = 41;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk::<2>()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

/// The number of records of a section: 0 questions, 1 answers, 2 authorities, 3 others.
pub(crate) fn count(bytes: &[u8], section: usize) -> Option<u16> {
    u16_at(bytes, 4 + 2 * section)
}

/// The place behind the name at `at`.
pub(crate) fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    let begin = at;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            // A pointer ends the name; where it points to is nobody's concern here.
            0xc0.. => return (at + 2 <= bytes.len()).then_some(at + 2),
            _ => return None,
        }
        if at - begin > LONGEST_NAME {
            return None;
        }
    }
}

/// The name at `at`, which must be written out: its text in small letters without the last dot (`None` where text
/// cannot say it), and the place behind it.
pub(crate) fn read_name(bytes: &[u8], mut at: usize) -> Option<(Option<String>, usize)> {
    let begin = at;
    let mut text = Some(String::new());
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = bytes.get(at..at + length).filter(|_| length <= 63)?;
        at += length;
        if at - begin >= LONGEST_NAME {
            return None;
        }
        let plain = std::str::from_utf8(label)
            .ok()
            .filter(|label| !label.contains(['.', '\0', ' ', '\n', '\t', '\r']));
        text = text.zip(plain).map(|(mut text, label)| {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&label.to_ascii_lowercase());
            text
        });
    }
    Some((text, at))
}

/// Appends a name; `None` if it is none.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &str) -> Option<()> {
    let begin = out.len();
    for label in name.split('.').filter(|_| !name.is_empty()) {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|n| (1..=63).contains(n))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    (out.len() - begin <= LONGEST_NAME).then_some(())
}

/// A record of an answer: where its parts are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// Where its time to live is.
    pub(crate) ttl: usize,
    pub(crate) data: usize,
    pub(crate) length: usize,
}

impl Place {
    pub(crate) fn end(&self) -> usize {
        self.data + self.length
    }
}

/// The record at `at`.
pub(crate) fn read_record(bytes: &[u8], at: usize) -> Option<Place> {
    let at = skip_name(bytes, at)?;
    let place = Place {
        kind: u16_at(bytes, at)?,
        class: u16_at(bytes, at + 2)?,
        ttl: at + 4,
        data: at + 10,
        length: usize::from(u16_at(bytes, at + 8)?),
    };
    (place.end() <= bytes.len()).then_some(place)
}

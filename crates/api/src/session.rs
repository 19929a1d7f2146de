//! The session of a build: what `onggi build` and the daemon tell each other on the connection that `POST /build` becomes
//! when it asks for an upgrade to [`PROTOCOL`]. Frames go both ways at the same time; see docs/BUILD.md for who says what.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// What the connection becomes.
pub const PROTOCOL: &str = "onggi.build.v1";
/// The longest payload of a frame.
pub const MOST: usize = 1 << 20;
/// Numbers from here on are streams to agents; those below are entries.
pub const AGENTS: u32 = 1 << 31;

const HEADER: usize = 9;

/// Why what came is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken session of a build: {0}")]
pub struct Broken(&'static str);

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Client: what this context is known by from build to build, so that the daemon finds what it has of it.
    Key = 1,
    /// Client: a context begins, with this name; the main one has none.
    Context = 2,
    /// Client: entries of the context that began last, one after the other. They are numbered through all contexts.
    Entries = 3,
    /// Client: bytes of a tar that is the context that began last; without any, its end.
    Archive = 4,
    /// Client: a secret: its name and its bytes, as a [`pair`].
    Secret = 5,
    /// Client: the name of an agent that RUN may ask.
    Agent = 6,
    /// Client: all has been told.
    Ready = 7,
    /// Both: bytes of an entry's file, or of a stream to an agent.
    Data = 8,
    /// Both: no more of that comes; of a file with why it cannot be had, where it cannot.
    End = 9,
    /// Daemon: a message, as `POST /build` answers with.
    Message = 10,
    /// Daemon: numbers of entries whose bytes it needs, four bytes each.
    Want = 11,
    /// Daemon: a stream to the agent of this name.
    Open = 12,
    /// Client: the files of a cache begin, which the flags know by this directory; its entries follow.
    Cache = 13,
    /// Daemon: a stream that is a file of a cache: the directory and the digest of a blob, as a [`pair`]; without a
    /// digest what `index.json` is to say. The client ends it when it has the file, or with why it has not.
    Keep = 14,
}

/// Two things in one payload: the first one behind its length in two bytes, and the rest.
#[must_use]
pub fn pair(first: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), first, rest].concat()
}

/// What a [`pair`] was made of; its first one is text.
#[must_use]
pub fn unpair(payload: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = payload.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let (first, rest) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(first).ok()?, rest))
}

impl Word {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Key,
            2 => Self::Context,
            3 => Self::Entries,
            4 => Self::Archive,
            5 => Self::Secret,
            6 => Self::Agent,
            7 => Self::Ready,
            8 => Self::Data,
            9 => Self::End,
            10 => Self::Message,
            11 => Self::Want,
            12 => Self::Open,
            13 => Self::Cache,
            14 => Self::Keep,
            _ => return None,
        })
    }
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub word: Word,
    /// Of which entry or stream; else 0.
    pub number: u32,
    /// The rest.
    pub payload: Bytes,
}

impl Frame {
    /// Says something.
    pub fn new(word: Word, number: u32, payload: impl Into<Bytes>) -> Self {
        let payload = payload.into();
        Self {
            word,
            number,
            payload,
        }
    }

    /// What comes before the payload: the word, the number and the length of the payload, big-endian.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[0] = self.word as u8;
        header[1..5].copy_from_slice(&self.number.to_be_bytes());
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        header[5..].copy_from_slice(&length.to_be_bytes());
        header
    }
}

/// Frames of bytes as they come.
#[derive(Debug, Default)]
pub struct Frames(BytesMut);

impl Frames {
    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next one, if it is whole.
    ///
    /// # Errors
    /// Words that do not exist, and payloads beyond [`MOST`].
    #[expect(
        clippy::should_implement_trait,
        reason = "the end of what came is not the end"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, Broken> {
        if self.0.len() < HEADER {
            return Ok(None);
        }
        let word = Word::of(self.0[0]).ok_or(Broken("an unknown word"))?;
        let mut rest = &self.0[1..HEADER];
        let (number, length) = (rest.get_u32(), rest.get_u32() as usize);
        if length > MOST {
            return Err(Broken("a frame that is too long"));
        }
        if self.0.len() < HEADER + length {
            return Ok(None);
        }
        self.0.advance(HEADER);
        let payload = self.0.split_to(length).freeze();
        Ok(Some(Frame {
            word,
            number,
            payload,
        }))
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A file: its size, and the SHA-256 of its bytes.
    File(u64, [u8; 32]),
    /// A symbolic link, and what it says.
    Symlink(Vec<u8>),
    /// Another name for this file.
    HardLink(Vec<u8>),
    /// A pipe with a name.
    Fifo,
    /// A character device, major and minor.
    Character(u32, u32),
    /// A block device.
    Block(u32, u32),
}

/// A file of a context, without its bytes. It is root's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is below the context.
    pub path: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// When it was changed, in seconds since the epoch.
    pub time: i64,
    /// What it is.
    pub what: What,
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Writes it behind what is there.
    pub fn write(&self, to: &mut Vec<u8>) {
        let kind = match &self.what {
            What::Directory => b'd',
            What::File(..) => b'f',
            What::Symlink(_) => b'l',
            What::HardLink(_) => b'h',
            What::Fifo => b'p',
            What::Character(..) => b'c',
            What::Block(..) => b'b',
        };
        to.put_u8(kind);
        to.put_u32(self.mode);
        to.put_i64(self.time);
        words(to, &self.path);
        match &self.what {
            What::Directory | What::Fifo => {}
            What::File(size, digest) => {
                to.put_u64(*size);
                to.put_slice(digest);
            }
            What::Symlink(target) | What::HardLink(target) => words(to, target),
            What::Character(major, minor) | What::Block(major, minor) => {
                to.put_u32(*major);
                to.put_u32(*minor);
            }
        }
        to.put_u16(u16::try_from(self.xattrs.len()).unwrap_or(u16::MAX));
        for (name, value) in self.xattrs.iter().take(usize::from(u16::MAX)) {
            words(to, name);
            words(to, value);
        }
    }

    /// Reads one, and leaves what is behind it.
    ///
    /// # Errors
    /// What is none.
    pub fn read(from: &mut &[u8]) -> Result<Self, Broken> {
        let cut = |_| Broken("an entry that is cut off");
        let kind = from.try_get_u8().map_err(cut)?;
        let mode = from.try_get_u32().map_err(cut)?;
        let time = from.try_get_i64().map_err(cut)?;
        let path = read_words(from)?;
        let what = match kind {
            b'd' => What::Directory,
            b'p' => What::Fifo,
            b'l' => What::Symlink(read_words(from)?),
            b'h' => What::HardLink(read_words(from)?),
            b'f' => {
                let size = from.try_get_u64().map_err(cut)?;
                let mut digest = [0; 32];
                from.try_copy_to_slice(&mut digest).map_err(cut)?;
                What::File(size, digest)
            }
            b'c' | b'b' => {
                let major = from.try_get_u32().map_err(cut)?;
                let minor = from.try_get_u32().map_err(cut)?;
                match kind {
                    b'c' => What::Character(major, minor),
                    _ => What::Block(major, minor),
                }
            }
            _ => return Err(Broken("an entry of an unknown kind")),
        };
        let count = from.try_get_u16().map_err(cut)?;
        let mut xattrs = Vec::new();
        for _ in 0..count {
            xattrs.push((read_words(from)?, read_words(from)?));
        }
        Ok(Self {
            path,
            mode,
            time,
            what,
            xattrs,
        })
    }
}

/// Bytes behind their length.
fn words(to: &mut Vec<u8>, words: &[u8]) {
    to.put_u32(u32::try_from(words.len()).unwrap_or(u32::MAX));
    to.put_slice(words);
}

fn read_words(from: &mut &[u8]) -> Result<Vec<u8>, Broken> {
    let cut = Broken("an entry that is cut off");
    let length = from.try_get_u32().map_err(|_| cut.clone())?;
    let words = from.get(..length as usize).ok_or(cut)?.to_vec();
    from.advance(words.len());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let whats = [
            What::Directory,
            What::File(7, [3; 32]),
            What::Symlink(b"/x".to_vec()),
            What::HardLink(b"a\n\xff".to_vec()),
            What::Fifo,
            What::Character(1, 3),
            What::Block(8, 0),
        ];
        whats
            .into_iter()
            .map(|what| Entry {
                path: b"d/\xff\n".to_vec(),
                mode: 0o4755,
                time: -1,
                what,
                xattrs: vec![(b"user.a".to_vec(), vec![0, 1])],
            })
            .collect()
    }

    #[test]
    fn pairs_are_taken_apart_again() {
        assert_eq!(unpair(&pair(b"a", b"bc")), Some(("a", &b"bc"[..])));
        assert_eq!(unpair(&pair(b"", b"")), Some(("", &b""[..])));
        for broken in [&b""[..], b"\0", b"\0\x02a", b"\0\x01\xff"] {
            assert_eq!(unpair(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn entries_come_as_they_went() {
        let mut bytes = Vec::new();
        for entry in entries() {
            entry.write(&mut bytes);
        }
        let mut rest = bytes.as_slice();
        for entry in entries() {
            assert_eq!(Entry::read(&mut rest), Ok(entry));
        }
        assert!(rest.is_empty());
        // Nothing that is cut off or bent is anything else than refused, or another entry.
        for at in 0..bytes.len() {
            let mut cut = &bytes[..at];
            while !cut.is_empty() && Entry::read(&mut cut).is_ok() {}
            let mut bent = bytes.clone();
            bent[at] ^= 0x55;
            let mut bent = bent.as_slice();
            while !bent.is_empty() && Entry::read(&mut bent).is_ok() {}
        }
    }

    #[test]
    fn frames_come_in_pieces() {
        let frame = Frame::new(Word::Data, AGENTS + 1, b"bytes".as_slice());
        let all = [&frame.header()[..], &frame.payload].concat();
        let mut frames = Frames::default();
        for byte in &all[..all.len() - 1] {
            frames.push(&[*byte]);
            assert_eq!(frames.next(), Ok(None));
        }
        frames.push(&all[all.len() - 1..]);
        assert_eq!(frames.next(), Ok(Some(frame)));
        assert_eq!(frames.next(), Ok(None));
        frames.push(&[99; HEADER]);
        assert!(frames.next().is_err());
        let mut frames = Frames::default();
        frames.push(&[8, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(frames.next(), Err(Broken("a frame that is too long")));
    }
}

//! One tar header: a block of 512 bytes, read and written, in the ustar, GNU and old V7 shapes.
//!
//! What spans several blocks (PAX records, GNU's long names) is `reader.rs` and `pax.rs`.

use crate::Error;

/// Size of a block.
pub(crate) const BLOCK: usize = 512;

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds after them, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with data.
    File,
    /// Another name of an earlier entry.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// Extended attributes: names and values.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// One entry of a tar, without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name as it is in the archive, not cleaned.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Target of a hard or symbolic link.
    pub link: Vec<u8>,
    /// Permissions with set-user-id, set-group-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of data that follow; 0 for everything but files.
    pub size: u64,
    /// Time of last change.
    pub mtime: Time,
    /// Numbers of a device, major and minor.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Entry {
    /// An entry of root's from 1970 without data.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32) -> Entry {
        Entry {
            path: path.into(),
            kind,
            link: Vec::new(),
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Time::default(),
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }
}

/// Type flags beyond those of plain entries.
pub(crate) mod flag {
    pub(crate) const PAX: u8 = b'x';
    pub(crate) const PAX_GLOBAL: u8 = b'g';
    pub(crate) const GNU_LONG_NAME: u8 = b'L';
    pub(crate) const GNU_LONG_LINK: u8 = b'K';
    pub(crate) const GNU_SPARSE: u8 = b'S';
}

/// The fields of one block.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) flag: u8,
    pub(crate) mode: i64,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    pub(crate) size: i64,
    pub(crate) mtime: i64,
    pub(crate) device: (i64, i64),
    /// What GNU's old format says about a file with holes.
    pub(crate) sparse: Option<OldSparse>,
}

/// A file with holes in GNU's old format.
#[derive(Clone, Debug, Default)]
pub(crate) struct OldSparse {
    /// Offset and length of each piece.
    pub(crate) map: Vec<(u64, u64)>,
    /// A block with more of them follows.
    pub(crate) more: bool,
    /// Size with the holes.
    pub(crate) size: u64,
}

impl OldSparse {
    fn header(block: &[u8; BLOCK]) -> Result<OldSparse, Error> {
        let mut sparse = OldSparse {
            size: unsigned(&block[483..495])?,
            more: block[482] != 0,
            ..OldSparse::default()
        };
        sparse.pieces(&block[386..482])?;
        Ok(sparse)
    }

    /// Adds what an extension block has.
    pub(crate) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<(), Error> {
        self.more = block[504] != 0;
        self.pieces(&block[..504])
    }

    fn pieces(&mut self, entries: &[u8]) -> Result<(), Error> {
        for entry in entries.chunks_exact(24) {
            // The first empty one is the end.
            if entry[0] == 0 {
                break;
            }
            self.map
                .push((unsigned(&entry[..12])?, unsigned(&entry[12..])?));
        }
        Ok(())
    }
}

fn unsigned(field: &[u8]) -> Result<u64, Error> {
    number(field)
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| Error::invalid("broken map of a sparse file"))
}

impl Raw {
    /// Reads a block; `None` when it is all zero.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Option<Raw>, Error> {
        let stated = number(&block[148..156]).ok_or_else(|| Error::invalid("broken checksum"))?;
        let (mut unsigned, mut signed) = (0_i64, 0_i64);
        for (index, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&index) {
                b' '
            } else {
                *byte
            };
            unsigned += i64::from(byte);
            // Old tars summed signed characters.
            signed += i64::from(byte.cast_signed());
        }
        if stated == 0 && block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if stated != unsigned && stated != signed {
            return Err(Error::invalid("header checksum does not match"));
        }
        let field = |range: std::ops::Range<usize>, what: &str| {
            number(&block[range]).ok_or_else(|| Error::invalid(format!("broken {what} field")))
        };
        let mut path = text(&block[0..100]).to_vec();
        let flag = block[156];
        // "ustar\0" is POSIX's, "ustar  " GNU's, which keeps times where POSIX has a prefix.
        let posix = &block[257..263] == b"ustar\0";
        let gnu = &block[257..265] == b"ustar  \0";
        if posix {
            let prefix = text(&block[345..500]);
            if !prefix.is_empty() {
                path = [prefix, b"/", &path].concat();
            }
        }
        let device = match flag {
            b'3' | b'4' if posix || gnu => (field(329..337, "device")?, field(337..345, "device")?),
            _ => (0, 0),
        };
        Ok(Some(Raw {
            path,
            link: text(&block[157..257]).to_vec(),
            flag,
            mode: field(100..108, "mode")?,
            uid: field(108..116, "owner")?,
            gid: field(116..124, "group")?,
            size: field(124..136, "size")?,
            mtime: field(136..148, "time")?,
            device,
            sparse: match flag {
                self::flag::GNU_SPARSE => Some(OldSparse::header(block)?),
                _ => None,
            },
        }))
    }
}

/// The bytes of a field up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    &field[..end]
}

/// A number in octal digits with blanks or NULs around, or in GNU's base 256; `None` when it is neither.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement, big-endian, the top bit being the mark.
        let negative = first & 0x40 != 0;
        let mut value = i128::from(first & 0x7f);
        if negative {
            value -= 0x80;
        }
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(i128::from(*byte))?;
        }
        return i64::try_from(value).ok();
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(blank).unwrap_or(digits.len());
    if !digits[end..].iter().all(blank) {
        return None;
    }
    let mut value = 0_i64;
    for digit in &digits[..end] {
        if !(b'0'..=b'7').contains(digit) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(digit - b'0'))?;
    }
    Some(value)
}

/// A ustar block for the fields; `false` beside it when something did not fit and must go into PAX records.
pub(crate) fn block(entry: &Entry, flag: u8) -> ([u8; BLOCK], Unfit) {
    let mut block = [0; BLOCK];
    let mut unfit = Unfit::default();
    match split(&entry.path) {
        Some((prefix, name)) => {
            block[..name.len()].copy_from_slice(name);
            block[345..345 + prefix.len()].copy_from_slice(prefix);
        }
        None => {
            unfit.path = true;
            let name = &entry.path[..entry.path.len().min(100)];
            block[..name.len()].copy_from_slice(name);
        }
    }
    let link = &entry.link[..entry.link.len().min(100)];
    unfit.link = entry.link.len() > 100;
    block[157..157 + link.len()].copy_from_slice(link);
    octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
    unfit.uid = !octal(&mut block[108..116], u64::from(entry.uid));
    unfit.gid = !octal(&mut block[116..124], u64::from(entry.gid));
    unfit.size = !octal(&mut block[124..136], entry.size);
    let seconds = u64::try_from(entry.mtime.seconds);
    unfit.mtime = match seconds {
        Ok(seconds) => !octal(&mut block[136..148], seconds) || entry.mtime.nanoseconds != 0,
        Err(_) => {
            octal(&mut block[136..148], 0);
            true
        }
    };
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let (major, minor) = entry.device;
    // Numbers beyond seven octal digits (2 M) do not exist: the kernel has 12 and 20 bits.
    octal(&mut block[329..337], u64::from(major));
    octal(&mut block[337..345], u64::from(minor));
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block[155] = b' ';
    (block, unfit)
}

/// Which fields of an entry a ustar block cannot hold.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per field")]
pub(crate) struct Unfit {
    pub(crate) path: bool,
    pub(crate) link: bool,
    pub(crate) uid: bool,
    pub(crate) gid: bool,
    pub(crate) size: bool,
    pub(crate) mtime: bool,
}

/// Prefix and name of a path, as ustar splits it at a slash.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The last slash of a directory's name stays with the name.
    let limit = path.len().min(156);
    let end = path[..limit].iter().rposition(|byte| *byte == b'/')?;
    let end = if end == path.len() - 1 {
        path[..end].iter().rposition(|byte| *byte == b'/')?
    } else {
        end
    };
    let (prefix, name) = (&path[..end], &path[end + 1..]);
    (!prefix.is_empty() && prefix.len() <= 155 && !name.is_empty() && name.len() <= 100)
        .then_some((prefix, name))
}

/// Writes octal digits and a NUL; `false`, with zeros written, when they do not fit.
fn octal(field: &mut [u8], mut value: u64) -> bool {
    let digits = field.len() - 1;
    let fits = value < 1 << (3 * digits);
    if !fits {
        value = 0;
    }
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
    fits
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"  644 \0 "), Some(0o644));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"77777777"), Some(0o7777_7777));
        assert_eq!(number(b"12 34\0"), None);
        assert_eq!(number(b"-1\0\0"), None);
        assert_eq!(number(b"0000008\0"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(
            number(&[
                0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0
            ]),
            None
        );
    }

    #[test]
    fn a_block_reads_back() {
        let mut entry = Entry::new("a/b", Kind::File, 0o4755);
        (entry.uid, entry.gid, entry.size) = (1000, 100, 12345);
        entry.mtime.seconds = 1_700_000_000;
        let (bytes, unfit) = block(&entry, b'0');
        assert!(!unfit.path && !unfit.uid && !unfit.size && !unfit.mtime);
        let raw = Raw::parse(&bytes).unwrap().unwrap();
        assert_eq!(raw.path, b"a/b");
        assert_eq!(
            (raw.mode, raw.uid, raw.gid, raw.size),
            (0o4755, 1000, 100, 12345)
        );
        assert_eq!(raw.mtime, 1_700_000_000);
        let mut broken = bytes;
        broken[0] ^= 1;
        assert!(matches!(Raw::parse(&broken), Err(Error::Invalid(_))));
        assert!(Raw::parse(&[0; BLOCK]).unwrap().is_none());
    }

    #[test]
    fn long_names_are_split_at_a_slash_or_not_at_all() {
        let path = [&b"p".repeat(100)[..], b"/", &b"n".repeat(100)].concat();
        let (bytes, unfit) = block(&Entry::new(path.clone(), Kind::File, 0), b'0');
        assert!(!unfit.path);
        assert_eq!(Raw::parse(&bytes).unwrap().unwrap().path, path);
        let path = [&b"p".repeat(100)[..], b"/", &b"n".repeat(99), b"/"].concat();
        let (bytes, unfit) = block(&Entry::new(path.clone(), Kind::Directory, 0), b'5');
        assert!(!unfit.path);
        assert_eq!(Raw::parse(&bytes).unwrap().unwrap().path, path);
        for path in [b"n".repeat(101), [&b"p/"[..], &b"n".repeat(101)].concat()] {
            assert!(block(&Entry::new(path, Kind::File, 0), b'0').1.path);
        }
    }
}

//! Archives byte by byte: what no tool would write.

#![allow(dead_code, reason = "two tests use it, not all of it each")]

/// Bytes of a block.
pub(crate) const BLOCK: usize = 512;
/// What a set-user-id root shell would have.
pub(crate) const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A tar being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar::default()
    }

    /// A header with its name, link and size as they are; `change` has the last word before the checksum.
    pub(crate) fn header(
        mut self,
        flag: u8,
        name: &[u8],
        link: &[u8],
        size: u64,
        change: impl FnOnce(&mut [u8; BLOCK]),
    ) -> Tar {
        let mut block = [0; BLOCK];
        block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        block[157..157 + link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        let mode = if flag == b'5' { 0o755 } else { 0o644 };
        number(&mut block[100..108], mode);
        number(&mut block[108..116], 0);
        number(&mut block[116..124], 0);
        number(&mut block[124..136], size);
        number(&mut block[136..148], 1_700_000_000);
        block[156] = flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        change(&mut block);
        self.0.extend_from_slice(&summed(block));
        self
    }

    /// Bytes, filled up to the next block.
    pub(crate) fn data(mut self, data: &[u8]) -> Tar {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn file(self, name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Tar {
        let (name, data) = (name.as_ref(), data.as_ref());
        self.named(name)
            .header(b'0', name, b"", data.len() as u64, |_| {})
            .data(data)
    }

    pub(crate) fn directory(self, name: impl AsRef<[u8]>) -> Tar {
        let name = name.as_ref();
        self.named(name).header(b'5', name, b"", 0, |_| {})
    }

    pub(crate) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Tar {
        self.link(b'2', name.as_ref(), target.as_ref())
    }

    pub(crate) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Tar {
        self.link(b'1', name.as_ref(), target.as_ref())
    }

    fn link(self, flag: u8, name: &[u8], target: &[u8]) -> Tar {
        let this = self.named(name);
        let this = match target.len() > 100 {
            true => this.gnu(b'K', target),
            false => this,
        };
        this.header(flag, name, target, 0, |_| {})
    }

    /// Names that are too long for a header go in front of it, as GNU does.
    fn named(self, name: &[u8]) -> Tar {
        match name.len() > 100 {
            true => self.gnu(b'L', name),
            false => self,
        }
    }

    /// A device (`3`, `4`) or pipe (`6`).
    pub(crate) fn node(self, flag: u8, name: &str, major: u64, minor: u64) -> Tar {
        self.header(flag, name.as_bytes(), b"", 0, |block| {
            number(&mut block[329..337], major);
            number(&mut block[337..345], minor);
        })
    }

    /// A mode for the entry `header` makes.
    pub(crate) fn file_of(self, name: &str, mode: u64, data: &str) -> Tar {
        self.header(b'0', name.as_bytes(), b"", data.len() as u64, |block| {
            number(&mut block[100..108], mode);
        })
        .data(data.as_bytes())
    }

    /// Records in front of the next entry.
    pub(crate) fn pax(self, records: &[(&[u8], &[u8])]) -> Tar {
        let payload: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value))
            .collect();
        self.pax_raw(&payload)
    }

    /// What is not even records.
    pub(crate) fn pax_raw(self, payload: &[u8]) -> Tar {
        self.header(b'x', b"PaxHeaders/x", b"", payload.len() as u64, |_| {})
            .data(payload)
    }

    /// GNU's long name (`L`) or link (`K`) of the next entry.
    pub(crate) fn gnu(self, flag: u8, name: &[u8]) -> Tar {
        let payload = [name, b"\0"].concat();
        self.header(flag, b"././@LongLink", b"", payload.len() as u64, |_| {})
            .data(&payload)
    }

    /// The archive without its end.
    pub(crate) fn open(self) -> Vec<u8> {
        self.0
    }

    /// The archive.
    pub(crate) fn end(self) -> Vec<u8> {
        let mut bytes = self.0;
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }
}

/// `length key=value\n`
pub(crate) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

/// In octal digits; in base 256 what these cannot hold.
pub(crate) fn number(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let text = format!("{value:0width$o}");
    field.fill(0);
    if text.len() <= width {
        field[..width].copy_from_slice(text.as_bytes());
    } else {
        let bytes = value.to_be_bytes();
        let wide = field.len();
        if wide > bytes.len() {
            field[wide - bytes.len()..].copy_from_slice(&bytes);
        } else {
            field.copy_from_slice(&bytes[bytes.len() - wide..]);
        }
        field[0] |= 0x80;
    }
}

/// With the checksum that belongs to it.
pub(crate) fn summed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

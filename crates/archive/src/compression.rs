//! Compression by its first bytes, in this process: no helper program is ever looked up (CVE-2026-41567).

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// Compressed bytes read at a time.
const BUFFER: usize = 128 << 10;
/// Bytes that tell all compressions apart.
const MAGIC: usize = 6;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// By the first bytes of a file; too few bytes are not compressed.
    ///
    /// # Errors
    /// [`Error::Compression`] for bzip2 and xz, which layers may not have.
    pub fn detect(start: &[u8]) -> Result<Compression, Error> {
        const GZIP: &[u8] = &[0x1f, 0x8b];
        const BZIP2: &[u8] = b"BZh";
        const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
        match start {
            _ if start.starts_with(GZIP) => Ok(Compression::Gzip),
            // 28b52ffd, or a skippable frame 50..5f2a4d18 in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Ok(Compression::Zstd)
            }
            _ if start.starts_with(BZIP2) && start.get(3).is_some_and(u8::is_ascii_digit) => {
                Err(Error::Compression("bzip2"))
            }
            _ if start.starts_with(XZ) => Err(Error::Compression("xz")),
            _ => Ok(Compression::None),
        }
    }
}

/// The bytes of `source` decompressed, by its first bytes. Reads a little at once.
///
/// # Errors
/// [`Error::Read`], [`Error::Compression`].
pub fn decompress<'a>(
    source: impl Read + Send + 'a,
) -> Result<(Compression, Box<dyn Read + Send + 'a>), Error> {
    let mut source = source;
    // A source may hand out its first bytes one by one.
    let mut start = Vec::with_capacity(MAGIC);
    source
        .by_ref()
        .take(MAGIC as u64)
        .read_to_end(&mut start)
        .map_err(Error::Read)?;
    let compression = Compression::detect(&start)?;
    let source = BufReader::with_capacity(BUFFER, std::io::Cursor::new(start).chain(source));
    Ok((
        compression,
        match compression {
            Compression::None => Box::new(source),
            Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(source).map_err(Error::Read)?)
            }
        },
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(bytes)
            .unwrap()
            .1
            .read_to_end(&mut out)
            .map(|_| out)
    }

    #[test]
    fn every_compression_is_known_by_its_first_bytes() {
        assert_eq!(read(b"plain").unwrap(), b"plain");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&gzip(b"squeezed")).unwrap(), b"squeezed");
        assert_eq!(
            read(&zstd::encode_all(&b"squeezed"[..], 3).unwrap()).unwrap(),
            b"squeezed"
        );
        assert!(matches!(
            decompress(&b"BZh91AY"[..]),
            Err(Error::Compression("bzip2"))
        ));
        assert!(matches!(
            decompress(&b"\xfd7zXZ\0"[..]),
            Err(Error::Compression("xz"))
        ));
    }

    #[test]
    fn several_members_are_one_stream() {
        let bytes = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(read(&bytes).unwrap(), b"one two");
        let frames = [
            zstd::encode_all(&b"one "[..], 1).unwrap(),
            zstd::encode_all(&b"two"[..], 1).unwrap(),
        ];
        assert_eq!(read(&frames.concat()).unwrap(), b"one two");
        let skippable = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &frames[0]].concat();
        assert_eq!(read(&skippable).unwrap(), b"one ");
    }

    #[test]
    fn broken_streams_fail() {
        let whole = gzip(&b"data ".repeat(1000));
        assert!(read(&whole[..whole.len() - 9]).is_err());
        let mut wrong = whole.clone();
        let checksum = wrong.len() - 8;
        wrong[checksum] ^= 1;
        assert!(read(&wrong).is_err());
        let frame = zstd::encode_all(&b"data ".repeat(1000)[..], 1).unwrap();
        assert!(read(&frame[..frame.len() - 3]).is_err());
    }

    #[test]
    fn a_source_that_trickles_is_known_too() {
        struct Trickle(std::io::Cursor<Vec<u8>>);
        impl Read for Trickle {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let end = buffer.len().min(1);
                self.0.read(&mut buffer[..end])
            }
        }
        let source = Trickle(std::io::Cursor::new(gzip(b"drop by drop")));
        let (compression, mut reader) = decompress(source).unwrap();
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        assert_eq!(
            (compression, out.as_str()),
            (Compression::Gzip, "drop by drop")
        );
    }
}

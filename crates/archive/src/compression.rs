//! Compression, known by its first bytes, in this process: no helper program is ever looked up (CVE-2026-41567).

use std::io::{BufReader, Read, Write};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use lzma_rust2::XzReader;

use crate::Error;

/// Compressed bytes read at a time.
const BUFFER: usize = 128 << 10;
/// Bytes compressed by one thread at a time.
const MEMBER: u64 = 1 << 20;
/// Bytes that tell all compressions apart.
const MAGIC: usize = 6;
/// KiB that unpacking xz may take: `xz -9` needs 65 MiB, headers may ask for gigabytes.
const XZ_MEMORY: u32 = 192 << 10;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2, of one stream or several. Archives come so, layers in registries do not.
    Bzip2,
    /// xz, of one stream or several; as bzip2.
    Xz,
}

impl Compression {
    /// By the first bytes of a file; too few bytes are not compressed.
    #[must_use]
    pub fn detect(start: &[u8]) -> Compression {
        const GZIP: &[u8] = &[0x1f, 0x8b];
        const BZIP2: &[u8] = b"BZh";
        const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
        match start {
            _ if start.starts_with(GZIP) => Compression::Gzip,
            // 28b52ffd, or a skippable frame 50..5f2a4d18 in front of it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ if start.starts_with(BZIP2) && start.get(3).is_some_and(u8::is_ascii_digit) => {
                Compression::Bzip2
            }
            _ if start.starts_with(XZ) => Compression::Xz,
            _ => Compression::None,
        }
    }

    /// Whether a layer in a registry may be compressed so.
    #[must_use]
    pub fn is_of_layers(self) -> bool {
        match self {
            Compression::None | Compression::Gzip | Compression::Zstd => true,
            Compression::Bzip2 | Compression::Xz => false,
        }
    }
}

/// The bytes of `source` decompressed, by its first bytes. Reads a little at once.
///
/// # Errors
/// [`Error::Read`].
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
    let compression = Compression::detect(&start);
    let source = BufReader::with_capacity(BUFFER, std::io::Cursor::new(start).chain(source));
    Ok((
        compression,
        match compression {
            Compression::None => Box::new(source),
            Compression::Gzip => Box::new(MultiGzDecoder::new(source)),
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(source).map_err(Error::Read)?)
            }
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(source)),
            Compression::Xz => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY)),
        },
    ))
}

/// Compresses `source` as gzip into `sink`, on all cores: in members of [`MEMBER`] bytes, which every reader of gzip
/// takes for one stream (RFC 1952, 2.2). The same bytes always give the same result.
///
/// # Errors
/// [`Error::Read`], [`Error::Write`].
pub fn gzip(mut source: impl Read, mut sink: impl Write) -> Result<(), Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for first in (0..).map(|round| round == 0) {
        let mut members = Vec::with_capacity(cores);
        while members.len() < cores {
            let mut member = Vec::new();
            let part = &mut source.by_ref().take(MEMBER);
            part.read_to_end(&mut member).map_err(Error::Read)?;
            let last = (member.len() as u64) < MEMBER;
            // Nothing at all is a member, too.
            if !member.is_empty() || (first && members.is_empty()) {
                members.push(member);
            }
            if last {
                break;
            }
        }
        let ended = members
            .last()
            .is_none_or(|member| (member.len() as u64) < MEMBER);
        let packed: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = members
                .iter()
                .map(|member| scope.spawn(move || squeeze(member)))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, std::io::Result<Vec<u8>>>| {
                let panicked = |_| std::io::Error::other("the thread that compresses panicked");
                thread.join().map_err(panicked)?
            };
            running.into_iter().map(join).collect()
        });
        for member in packed {
            sink.write_all(&member.map_err(Error::Write)?)
                .map_err(Error::Write)?;
        }
        if ended {
            break;
        }
    }
    Ok(())
}

/// Compresses `source` as Zstandard into `sink`. The same bytes always give the same result.
///
/// # Errors
/// [`Error::Read`], [`Error::Write`].
pub fn zstd(mut source: impl Read, sink: impl Write) -> Result<(), Error> {
    let mut encoder = zstd::stream::write::Encoder::new(sink, zstd::DEFAULT_COMPRESSION_LEVEL)
        .map_err(Error::Write)?;
    let mut block = vec![0; BUFFER];
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(count) => encoder.write_all(&block[..count]).map_err(Error::Write)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
    encoder.finish().map(drop).map_err(Error::Write)
}

fn squeeze(member: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(member)?;
    encoder.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// `echo squeezed | bzip2`
    const BZIP2: &[u8] = b"BZh91AY&SY\x9f\x07\x99\x95\x00\x00\x03A\x80\x00\x10\x06\x00*\x10 \x00\x22\x0c\x9bB\x18\x0e@\x88:.\xe4\x8ap\xa1!>\x0f3*";
    /// `echo squeezed | xz -C crc32`
    const XZ: &[u8] = b"\xfd7zXZ\x00\x00\x01i\x22\xde6\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\x08squeezed\x0a\x00\x00\x00\x00f\xed\xbcS\x00\x01\x1d\x09\x93a6\xa6\x90B\x99\x0d\x01\x00\x00\x00\x00\x01YZ";

    #[test]
    fn zstandard_is_read_again() {
        let bytes = b"squeezed ".repeat(100_000);
        let mut packed = Vec::new();
        zstd(bytes.as_slice(), &mut packed).unwrap();
        assert!(packed.len() < bytes.len() / 100);
        let (kind, mut plain) = decompress(packed.as_slice()).unwrap();
        let mut found = Vec::new();
        plain.read_to_end(&mut found).unwrap();
        assert_eq!((kind, found), (Compression::Zstd, bytes));
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        super::gzip(bytes, &mut packed).unwrap();
        packed
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
    fn members_are_one_stream_and_always_the_same() {
        let noise = |length: u64| -> Vec<u8> {
            let mut state = 1_u32;
            let byte = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 27) as u8
            };
            (0..length).map(byte).collect()
        };
        for length in [
            0,
            1,
            MEMBER - 1,
            MEMBER,
            MEMBER + 1,
            5 * MEMBER,
            5 * MEMBER + 7,
        ] {
            let bytes = noise(length);
            let packed = gzip(&bytes);
            assert_eq!(packed, gzip(&bytes), "{length}");
            assert!(read(&packed).unwrap() == bytes, "{length}");
        }
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
        assert_eq!(read(BZIP2).unwrap(), b"squeezed\n");
        assert_eq!(read(XZ).unwrap(), b"squeezed\n");
        // Two bytes and a digit that is none are no bzip2.
        assert_eq!(read(b"BZh-").unwrap(), b"BZh-");
    }

    #[test]
    fn seldom_compressions_fail_where_they_are_broken() {
        let twice = |bytes: &[u8]| read(&bytes.repeat(2)).unwrap();
        assert_eq!(twice(BZIP2), b"squeezed\nsqueezed\n");
        assert_eq!(twice(XZ), b"squeezed\nsqueezed\n");
        for whole in [BZIP2, XZ] {
            assert!(read(&whole[..whole.len() - 3]).is_err());
            let mut wrong = whole.to_vec();
            wrong[whole.len() / 2] ^= 1;
            assert!(read(&wrong).is_err());
        }
        // A dictionary of 4 GiB - 1, with the checksum that belongs to such a header.
        let mut greedy = XZ.to_vec();
        greedy[16] = 40;
        let crc = crc32(&greedy[12..20]).to_le_bytes();
        greedy[20..24].copy_from_slice(&crc);
        let error = read(&greedy).unwrap_err().to_string();
        assert!(error.contains("mem"), "{error}");
    }

    /// As RFC 1952 has it.
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| match crc & 1 {
            1 => crc >> 1 ^ 0xedb8_8320,
            _ => crc >> 1,
        };
        let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
        !bytes.iter().fold(!0, byte)
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

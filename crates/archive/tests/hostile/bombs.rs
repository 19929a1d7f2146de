//! Little that becomes much.

use std::io::{Cursor, Read, Write as _};

use crate::build::{BLOCK, Tar, number, record};
use crate::{Case, case, stream};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// These bytes again and again, without end.
struct Again {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at = (self.at + count) % self.bytes.len();
        Ok(count)
    }
}

fn again(bytes: Vec<u8>) -> Box<dyn Read + Send> {
    Box::new(Again { bytes, at: 0 })
}

/// A file of `megabytes` zeros, as gzip.
fn zeros(megabytes: u64) -> Box<dyn Read + Send> {
    let start = Tar::new()
        .header(b'0', b"zeros", b"", megabytes << 20, |_| {})
        .open();
    let plain = Cursor::new(start).chain(std::io::repeat(0).take(megabytes << 20));
    Box::new(flate2::read::GzEncoder::new(
        plain,
        flate2::Compression::fast(),
    ))
}

pub(crate) fn cases() -> Vec<Case> {
    let many = |count: u64| (0..count).fold(Tar::new(), |tar, at| tar.file(format!("f{at}"), ""));
    let records = |count: u32| -> Vec<u8> {
        (0..count)
            .flat_map(|at| record(format!("SCHILY.xattr.n{at}").as_bytes(), b""))
            .collect()
    };
    vec![
        stream("two terabytes of zeros in one file", || zeros(2 << 20))
            .refused("more than 1099511627776 bytes"),
        stream("more bytes than allowed, in one file", || zeros(16))
            .limits(10, 15 << 20)
            .refused("archive has more than 15728640 bytes"),
        case(
            "more bytes than allowed, in many files",
            gzip(
                &(0..64)
                    .fold(Tar::new(), |tar, at| {
                        tar.file(format!("f{at}"), [0; 64 << 10])
                    })
                    .end(),
            ),
        )
        .limits(100, 2 << 20)
        .refused("archive has more than 2097152 bytes"),
        case("more entries than allowed", gzip(&many(301).end()))
            .limits(300, 1 << 20)
            .refused("archive has more than 300 entries"),
        stream("entries without end", || {
            again(Tar::new().file("f", "").open())
        })
        .limits(500, 1 << 20)
        .refused("archive has more than 500 entries"),
        stream("directories without end", || {
            again(Tar::new().directory("d/e").open())
        })
        .limits(500, 1 << 20)
        .refused("archive has more than 500 entries"),
        stream("PAX records without end", || {
            again(Tar::new().pax(&[(b"path", b"x")]).open())
        })
        .refused("headers in front of an entry"),
        stream("global PAX records without end", || {
            let global = record(b"comment", &[b'x'; 4000]);
            again(
                Tar::new()
                    .header(b'g', b"g", b"", global.len() as u64, |_| {})
                    .data(&global)
                    .open(),
            )
        })
        .refused("headers in front of an entry"),
        stream("long names without end", || {
            again(Tar::new().gnu(b'L', &[b'x'; 9000]).open())
        })
        .refused("headers in front of an entry"),
        stream("zeros without end", || {
            Box::new(flate2::read::GzEncoder::new(
                std::io::repeat(0),
                flate2::Compression::fast(),
            ))
        })
        .refused("bytes after its end"),
        case("gzip in gzip", gzip(&gzip(&Tar::new().file("f", "").end())))
            .refused("archive is truncated"),
        case(
            "a header of a gigabyte",
            Tar::new().header(b'x', b"x", b"", 1 << 30, |_| {}).open(),
        )
        .refused("bytes in a header"),
        case(
            "a long name of a gigabyte",
            Tar::new().header(b'L', b"x", b"", 1 << 30, |_| {}).open(),
        )
        .refused("bytes in a header"),
        case(
            "a header of a megabyte of attributes",
            Tar::new().pax_raw(&records(30_000)).file("f", "").end(),
        ),
        case("one attribute in a thousand versions", {
            let one: Vec<u8> = record(b"SCHILY.xattr.user.x", &[b'v'; 900]).repeat(1000);
            Tar::new().pax_raw(&one).file("f", "").end()
        }),
        case(
            "a sparse file beyond all",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.size", b"9223372036854775807"),
                    (b"GNU.sparse.map", b"0,1"),
                ])
                .file("f", "x")
                .end(),
        )
        .refused("archive has more than"),
        case(
            "many sparse files that sum up",
            (0..40)
                .fold(Tar::new(), |tar, at| {
                    tar.pax(&[
                        (b"GNU.sparse.size", b"1073741824"),
                        (b"GNU.sparse.map", b"0,1"),
                    ])
                    .file(format!("f{at}"), "x")
                })
                .end(),
        )
        .limits(100, 1 << 34)
        .refused("archive has more than 17179869184 bytes"),
        case(
            "a sparse file of a hundred gigabytes",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.size", b"107374182400"),
                    (b"GNU.sparse.map", b"107374182399,1"),
                ])
                .file("f", "x")
                .end(),
        )
        .then(|root| {
            use std::os::unix::fs::MetadataExt as _;
            let status = root.join("f").metadata().unwrap();
            assert!(status.size() == 107_374_182_400 && status.blocks() < 100);
        }),
        case(
            "a sparse file of more pieces than there are",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.major", b"1"),
                    (b"GNU.sparse.minor", b"0"),
                    (b"GNU.sparse.realsize", b"9"),
                ])
                .file(
                    "f",
                    b"99999999999\n0\n1\n"
                        .iter()
                        .copied()
                        .chain([b'0'; BLOCK])
                        .collect::<Vec<u8>>(),
                )
                .end(),
        )
        .refused("broken map"),
        stream("pieces of a sparse file without end", || {
            let header = Tar::new().header(b'S', b"f", b"", 0, |block| {
                number(&mut block[386..398], 0);
                number(&mut block[398..410], 0);
                block[482] = 1;
                number(&mut block[483..495], 1);
            });
            let mut more = [0; BLOCK];
            for piece in more[..504].chunks_exact_mut(12) {
                number(piece, 0);
            }
            more[504] = 1;
            Box::new(Cursor::new(header.open()).chain(again(more.to_vec())))
        })
        .refused("broken map"),
        case(
            "zstd that wants a window of gigabytes",
            // A frame header of RFC 8878: no checksum, window descriptor 2^31.
            [&b"\x28\xb5\x2f\xfd\x00\xa8"[..], &[0; 600]].concat(),
        )
        .refused("read archive"),
        case(
            "zstd that skips four gigabytes",
            [&b"\x50\x2a\x4d\x18\xff\xff\xff\xff"[..], &[0; 600]].concat(),
        )
        .refused("archive"),
    ]
}

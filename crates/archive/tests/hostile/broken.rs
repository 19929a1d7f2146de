//! Archives that end early, lie about themselves, or are none.

use std::io::Write as _;

use crate::build::{BLOCK, Tar};
use crate::{Case, case};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn cases() -> Vec<Case> {
    let whole = Tar::new()
        .directory("d")
        .file("d/f", "x".repeat(2000))
        .end();
    let cut = |length: usize| whole[..length].to_vec();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        bytes
    };
    let packed = gzip(&whole);
    let mut wrong = packed.clone();
    let end = wrong.len() - 8;
    wrong[end] ^= 1;
    vec![
        case("cut in a header", cut(BLOCK + 100)).refused("truncated"),
        case("cut in a file", cut(3 * BLOCK)).refused("truncated"),
        case("cut in the padding of a file", cut(2 * BLOCK + 2001)).refused("truncated"),
        case(
            "cut in a PAX header",
            Tar::new().header(b'x', b"x", b"", 900, |_| {}).open(),
        )
        .refused("truncated"),
        case("a name that was changed", changed(0)).refused("checksum"),
        case("a checksum that was changed", changed(149)).refused("checksum"),
        case("a second header that was changed", changed(BLOCK + 20)).refused("checksum"),
        case("an entry after the end", [&[0; BLOCK][..], &whole].concat()).refused("after the end"),
        case(
            "an archive after an archive",
            [
                whole.clone(),
                Tar::new().file("../../canary/new", "x").end(),
            ]
            .concat(),
        )
        .then(|root| assert!(root.join("d/f").is_file())),
        case("a page of the web", b"<!DOCTYPE html><html>".repeat(60))
            .refused("invalid tar archive"),
        case(
            "noise",
            (0..4096_u32)
                .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect(),
        )
        .refused("invalid tar archive"),
        case(
            "another volume's continuation",
            Tar::new().header(b'M', b"f", b"", 0, |_| {}).end(),
        )
        .refused("entry type 'M'"),
        case(
            "a directory's dump",
            Tar::new().header(b'D', b"d", b"", 0, |_| {}).end(),
        )
        .refused("entry type 'D'"),
        case(
            "a socket",
            Tar::new().header(b's', b"s", b"", 0, |_| {}).end(),
        )
        .refused("entry type 's'"),
        case(
            "a type beyond ASCII",
            Tar::new().header(0xff, b"x", b"", 0, |_| {}).end(),
        )
        .refused("entry type"),
        case("gzip that ends early", packed[..packed.len() / 2].to_vec()).refused("trunc"),
        case("gzip with a wrong checksum", wrong).refused("read archive"),
        case("gzip of nothing", b"\x1f\x8b".to_vec()).refused("trunc"),
        case(
            "a number with letters",
            Tar::new()
                .header(b'0', b"f", b"", 0, |block| {
                    block[124..128].copy_from_slice(b"12zz")
                })
                .end(),
        )
        .refused("broken size field"),
    ]
}

//! Tars: whatever is in them, nothing is written beside the folder they are unpacked into, and nothing there changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "hostile/build.rs"]
mod build;
#[path = "hostile/canary.rs"]
mod canary;

use build::{BLOCK, CAPABILITY, Tar};
use canary::Place;
use onggi_archive::{ApplyOptions, Conflicts, Limits, Owner, apply_at, decompress};
use onggi_testkit::Fuzz;
use rand::Rng;
use std::path::Path;

/// Bytes on the disk that an input may take: some header in it may say that much more follows, never more than it has.
const DISK: u64 = 16 << 20;

#[test]
fn fuzz_archives() {
    let seeds = [small(), links(), long(), removals(), strange(), ways_out()];
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    let fuzz = Fuzz {
        seeds: &seeds,
        words: &[
            "../",
            "/",
            "..",
            "./",
            "canary",
            "secret",
            "SCHILY.xattr.trusted.overlay.opaque=",
            "path=",
            "linkpath=",
            "size=",
            "GNU.sparse.map=",
            "a/b",
            ".wh.",
            ".wh..wh..opq",
            "SCHILY.xattr.user.x=",
            "\0",
        ],
    };
    let mend = |rng: &mut rand::rngs::StdRng, mut input: Vec<u8>| {
        if rng.random_range(0..5) > 0 {
            mend_checksums(&mut input);
        }
        input
    };
    fuzz.run_bent(mend, |input| {
        let place = Place::new();
        let replace = ApplyOptions::copy(Conflicts::Replace, Owner::Archive);
        let refuse = ApplyOptions::copy(Conflicts::Refuse, Owner::Process);
        unpack(input, &place, &place.root(), &ApplyOptions::layer());
        unpack(input, &place, &place.root(), &replace);
        unpack(input, &place, &place.root_in_use(), &replace);
        unpack(input, &place, &place.root_in_use(), &refuse);
    });
}

#[test]
fn fuzz_compressed_streams() {
    let tar = small();
    let gzip = {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut writer, &tar).expect("memory");
        writer.finish().expect("memory")
    };
    let fuzz = Fuzz {
        seeds: &[
            &gzip,
            &tar,
            b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00",
            b"BZh9",
            b"\xfd7zXZ\0",
        ],
        words: &["\u{1f}"],
    };
    fuzz.run(|input| {
        let Ok((_, mut reader)) = decompress(input) else {
            return;
        };
        // An error is fine; a panic or no end is not.
        let _ = std::io::copy(
            &mut std::io::Read::take(&mut reader, 64 << 20),
            &mut std::io::sink(),
        );
    });
}

/// Unpacks into `root`, beside which lives a tree that nobody may touch.
fn unpack(tar: &[u8], place: &Place, root: &Path, options: &ApplyOptions) {
    let limits = Limits {
        entries: 10_000,
        bytes: 1 << 40,
    };
    let options = ApplyOptions { limits, ..*options };
    let _ = apply_at(tar, root, &options);
    place.assert_untouched("an input", DISK);
}

/// Each block that looks like a header gets the checksum it needs.
fn mend_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn header(kind: tar::EntryType, size: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.set_mtime(1);
    header
}

fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    fill(&mut builder).expect("memory");
    builder.into_inner().expect("memory")
}

fn small() -> Vec<u8> {
    archive(|tar| {
        tar.append_data(&mut header(tar::EntryType::Directory, 0), "a", &[][..])?;
        tar.append_data(
            &mut header(tar::EntryType::Regular, 5),
            "a/b",
            &b"hello"[..],
        )?;
        tar.append_data(&mut header(tar::EntryType::Fifo, 0), "a/pipe", &[][..])
    })
}

fn links() -> Vec<u8> {
    archive(|tar| {
        let symbolic = tar::EntryType::Symlink;
        tar.append_link(&mut header(symbolic, 0), "up", "..")?;
        tar.append_link(&mut header(symbolic, 0), "victim", "/canary")?;
        tar.append_data(&mut header(tar::EntryType::Regular, 1), "up/x", &b"x"[..])?;
        tar.append_link(&mut header(tar::EntryType::Link, 0), "hard", "up/x")?;
        tar.append_data(&mut header(tar::EntryType::Regular, 2), "hard", &b"yy"[..])
    })
}

fn long() -> Vec<u8> {
    let name = "d".repeat(120) + "/" + &"f".repeat(120);
    archive(|tar| {
        let mut gnu = tar::Header::new_gnu();
        gnu.set_size(3);
        gnu.set_mode(0o600);
        tar.append_data(&mut gnu, &name, &b"abc"[..])?;
        tar.append_pax_extensions([
            ("path", b"p/a/x".as_slice()),
            ("size", b"2"),
            ("mtime", b"1.5"),
            ("SCHILY.xattr.user.note", b"v"),
        ])?;
        tar.append_data(&mut header(tar::EntryType::Regular, 2), "short", &b"ab"[..])
    })
}

fn removals() -> Vec<u8> {
    archive(|tar| {
        for name in ["a/.wh.b", "a/.wh..wh..opq", ".wh.c"] {
            tar.append_data(
                &mut header(tar::EntryType::Regular, 0),
                Path::new(name),
                &[][..],
            )?;
        }
        Ok(())
    })
}

/// Kinds and attributes that are seldom.
fn strange() -> Vec<u8> {
    Tar::new()
        .directory("d")
        .node(b'3', "d/null", 1, 3)
        .node(b'4', "d/disk", 7, 0)
        .node(b'6', "d/pipe", 0, 0)
        .pax(&[
            (b"SCHILY.xattr.user.x", b"1"),
            (b"SCHILY.xattr.security.capability", CAPABILITY),
        ])
        .file_of("d/f", 0o6755, "#!")
        .pax(&[
            (b"GNU.sparse.size", b"4096"),
            (b"GNU.sparse.map", b"0,1,4000,2"),
        ])
        .file("d/s", "abc")
        .hard_link("d/h", "d/s")
        .end()
}

/// Links that lead out of the root, and names that go through them.
fn ways_out() -> Vec<u8> {
    Tar::new()
        .symlink("s", "../../canary")
        .file("s/new", "x")
        .hard_link("x", "s/secret")
        .file("s/.wh.secret", "")
        .directory("a")
        .symlink("a", "s")
        .file("a/.wh..wh..opq", "")
        .gnu(b'L', b"../../canary/link")
        .file("x", "")
        .pax(&[(b"linkpath", b"../../canary/secret"), (b"path", b"d/y")])
        .hard_link("y", "x")
        .end()
}

//! Headers that contradict themselves and each other: PAX records, GNU's long names, numbers.

use crate::build::{Tar, number, record};
use crate::{Case, case};

pub(crate) fn cases(outer: &str) -> Vec<Case> {
    let secret = format!("{outer}/canary/secret");
    let long = format!("{}../../canary/new", "a/../".repeat(30));
    vec![
        case(
            "PAX: a path that leads out",
            Tar::new()
                .pax(&[(b"path", b"../../canary/new")])
                .file("fine", "x")
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: the last path counts",
            Tar::new()
                .pax(&[(b"path", b"fine"), (b"path", b"../../canary/new")])
                .file("fine", "x")
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: an empty path gives the header's back",
            Tar::new()
                .pax(&[(b"path", b"../../canary/new"), (b"path", b"")])
                .file("fine", "x")
                .end(),
        )
        .then(|root| assert!(root.join("fine").is_file())),
        case(
            "PAX: a link target that leads out",
            Tar::new()
                .pax(&[(b"linkpath", b"../../canary/secret")])
                .hard_link("x", "fine")
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: an absolute link target",
            Tar::new()
                .pax(&[(b"linkpath", secret.as_bytes())])
                .hard_link("x", "fine")
                .end(),
        )
        .refused("no such file"),
        case(
            "PAX: a path with a NUL",
            Tar::new()
                .pax(&[(b"path", b"fine\0/../../../canary/new")])
                .file("fine", "x")
                .end(),
        )
        .refused("NUL in a PAX record"),
        case(
            "PAX: a size that swallows the next entry",
            Tar::new()
                .pax(&[(b"size", b"512")])
                .header(b'0', b"f", b"", 0, |_| {})
                .file("../../canary/new", "")
                .end(),
        )
        .then(|root| assert_eq!(root.join("f").metadata().unwrap().len(), 512)),
        case(
            "PAX: a size of nothing uncovers what data hid",
            Tar::new()
                .pax(&[(b"size", b"0")])
                .header(b'0', b"f", b"", 512, |_| {})
                .file("../../canary/new", "")
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: a size beyond all",
            Tar::new()
                .pax(&[(b"size", b"9223372036854775807")])
                .file("f", "")
                .end(),
        )
        .refused("impossible size"),
        case(
            "PAX: a size of more digits than numbers have",
            Tar::new()
                .pax(&[(b"size", b"99999999999999999999999")])
                .file("f", "")
                .end(),
        )
        .refused("broken number"),
        case(
            "PAX: a negative size",
            Tar::new().pax(&[(b"size", b"-1")]).file("f", "").end(),
        )
        .refused("broken number"),
        case(
            "PAX: a directory with data",
            Tar::new()
                .pax(&[(b"size", b"512")])
                .directory("d")
                .file("../../canary/new", "")
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: a record longer than its header",
            Tar::new().pax_raw(b"999 path=x\n").file("f", "").end(),
        )
        .refused("broken PAX record"),
        case(
            "PAX: a record of no length",
            Tar::new().pax_raw(b"0 path=x\n").file("f", "").end(),
        )
        .refused("broken PAX record"),
        case(
            "PAX: a record without a newline",
            Tar::new().pax_raw(b"8 path=x").file("f", "").end(),
        )
        .refused("broken PAX record"),
        case(
            "PAX: a record without a value",
            Tar::new().pax_raw(b"8 paths\n").file("f", "").end(),
        )
        .refused("PAX record without"),
        case(
            "PAX: a time that is none",
            Tar::new().pax(&[(b"mtime", b"1.2.3")]).file("f", "").end(),
        )
        .refused("broken time"),
        case(
            "PAX: times at both ends",
            Tar::new()
                .pax(&[(b"mtime", b"9223372036854775807")])
                .file("f", "")
                .pax(&[(b"mtime", b"-9223372036854775807.999999999")])
                .directory("d")
                .end(),
        ),
        case(
            "PAX: an owner nobody can be",
            Tar::new()
                .pax(&[(b"uid", b"4294967295")])
                .file("f", "")
                .end(),
        )
        .refused("owner"),
        case(
            "PAX: records for nothing",
            Tar::new().pax(&[(b"path", b"x")]).end(),
        )
        .refused("truncated"),
        case(
            "PAX: records for all that follow",
            Tar::new()
                .header(
                    b'g',
                    b"g",
                    b"",
                    record(b"path", b"../../canary/new").len() as u64,
                    |_| {},
                )
                .data(&record(b"path", b"../../canary/new"))
                .file("fine", "x")
                .end(),
        )
        .then(|root| assert!(root.join("fine").is_file())),
        case(
            "PAX: a sparse file's name that leads out",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.major", b"1"),
                    (b"GNU.sparse.minor", b"0"),
                    (b"GNU.sparse.name", b"../../canary/new"),
                    (b"GNU.sparse.realsize", b"3"),
                ])
                .file(
                    "fine",
                    b"1\n0\n3\n"
                        .iter()
                        .copied()
                        .chain([0; 506])
                        .chain(*b"abc")
                        .collect::<Vec<u8>>(),
                )
                .end(),
        )
        .refused("leads out"),
        case(
            "PAX: a sparse file whose pieces overlap",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.size", b"100"),
                    (b"GNU.sparse.map", b"0,10,5,10"),
                ])
                .file("f", "x".repeat(20))
                .end(),
        )
        .refused("broken map"),
        case(
            "PAX: a sparse file whose pieces wrap around",
            Tar::new()
                .pax(&[
                    (b"GNU.sparse.size", b"100"),
                    (b"GNU.sparse.map", b"18446744073709551615,2"),
                ])
                .file("f", "xx")
                .end(),
        )
        .refused("broken map"),
        case(
            "PAX: a sparse file in a format of tomorrow",
            Tar::new()
                .pax(&[(b"GNU.sparse.major", b"7"), (b"GNU.sparse.realsize", b"1")])
                .file("f", "x")
                .end(),
        )
        .refused("format of a sparse file"),
        case(
            "GNU: a long name that leads out",
            Tar::new().file(&long, "x").end(),
        )
        .refused("leads out"),
        case(
            "GNU: a long link that leads out",
            Tar::new()
                .gnu(b'K', long.as_bytes())
                .hard_link("x", "fine")
                .end(),
        )
        .refused("leads out"),
        case(
            "GNU: a long name that ends early",
            Tar::new()
                .gnu(b'L', b"fine\0../../../canary/new")
                .file("other", "x")
                .end(),
        )
        .then(|root| assert!(root.join("fine").is_file())),
        case(
            "GNU: a long name for nothing",
            Tar::new().gnu(b'L', b"x").end(),
        )
        .refused("truncated"),
        case(
            "GNU: the last of many long names",
            (0..9)
                .fold(Tar::new(), |tar, at| {
                    tar.gnu(b'L', format!("n{at}").as_bytes())
                })
                .file("x", "")
                .end(),
        )
        .then(|root| assert!(root.join("n8").is_file())),
        case(
            "GNU: PAX has the last word",
            Tar::new()
                .gnu(b'L', b"../../canary/new")
                .pax(&[(b"path", b"fine")])
                .file("x", "")
                .end(),
        )
        .then(|root| assert!(root.join("fine").is_file())),
        case(
            "a prefix that leads out",
            Tar::new()
                .header(b'0', b"canary/new", b"", 0, |block| {
                    block[345..350].copy_from_slice(b"../..")
                })
                .end(),
        )
        .refused("leads out"),
        case(
            "a size below zero",
            Tar::new()
                .header(b'0', b"f", b"", 0, |block| block[124..136].fill(0xff))
                .end(),
        )
        .refused("negative size"),
        case(
            "a size of base 256 beyond all",
            Tar::new()
                .header(b'0', b"f", b"", 0, |block| {
                    block[124..136].copy_from_slice(&[
                        0x80, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                    ]);
                })
                .end(),
        )
        .refused("broken size field"),
        case(
            "a device with numbers nobody has",
            Tar::new()
                .header(b'3', b"x", b"", 0, |block| block[329..337].fill(0xff))
                .end(),
        )
        .refused("device"),
        case(
            "a mode of all bits",
            Tar::new()
                .header(b'0', b"x", b"", 0, |block| {
                    number(&mut block[100..108], 0o7_777_777)
                })
                .end(),
        ),
        case(
            "a negative time",
            Tar::new()
                .header(b'0', b"x", b"", 0, |block| block[136..148].fill(0xff))
                .end(),
        ),
    ]
}

//! Names that lead out: by `..`, by links, by what was there a moment ago.

use std::path::Path;

use crate::build::Tar;
use crate::{Case, case};

pub(crate) fn cases(outer: &str) -> Vec<Case> {
    let canary = format!("{outer}/canary");
    let secret = format!("{canary}/secret");
    let deep = "d/".repeat(300) + "f";
    let wide = format!("{}/", "d".repeat(200));
    let chain = (0..60).fold(Tar::new().directory("end"), |tar, at| {
        let target = if at == 0 {
            "end".to_owned()
        } else {
            format!("l{}", at - 1)
        };
        tar.symlink(format!("l{at}"), target)
    });
    vec![
        case("dots", Tar::new().file("../../canary/new", "x").end()).refused("leads out"),
        case(
            "dots in the middle",
            Tar::new().file("a/../../../canary/new", "x").end(),
        )
        .refused("leads out"),
        case(
            "dots behind an absolute name",
            Tar::new().file("/../../canary/new", "x").end(),
        )
        .refused("leads out"),
        case(
            "dots of a directory",
            Tar::new().directory("../../canary/sub").end(),
        )
        .refused("leads out"),
        case(
            "dots of a link",
            Tar::new().symlink("../../canary/l", "/").end(),
        )
        .refused("leads out"),
        case(
            "dots in a hard link's target",
            Tar::new().hard_link("x", "../../canary/secret").end(),
        )
        .refused("leads out"),
        case(
            "dots in the name of a hard link",
            Tar::new()
                .file("f", "x")
                .hard_link("../../canary/new", "f")
                .end(),
        )
        .refused("leads out"),
        case(
            "dots that stay inside",
            Tar::new().file("a/../b/./c", "x").end(),
        )
        .then(|root| assert!(root.join("b/c").is_file())),
        case("an absolute name", Tar::new().file(&secret, "x").end()),
        case(
            "an absolute hard link",
            Tar::new().hard_link("x", &secret).end(),
        )
        .refused("no such file"),
        case(
            "many slashes",
            Tar::new().file(format!("////{secret}//new"), "x").end(),
        ),
        case(
            "a link to the canary, then a file in it",
            Tar::new().symlink("s", &canary).file("s/new", "x").end(),
        ),
        case(
            "a link up, then a file in it",
            Tar::new()
                .symlink("s", "../../canary")
                .file("s/new", "x")
                .end(),
        )
        .then(|root| assert!(root.join("canary/new").is_file())),
        case(
            "a link to the canary, then its name as a directory",
            Tar::new()
                .symlink("s", &canary)
                .header(b'5', b"s", b"", 0, |block| {
                    block[100..108].copy_from_slice(b"0007777\0");
                })
                .end(),
        )
        .then(|root| assert!(!root.join("s").is_symlink())),
        case(
            "a link to a file, then a file of its name",
            Tar::new().symlink("f", &secret).file("f", "x").end(),
        )
        .then(|root| assert_eq!(std::fs::read(root.join("f")).unwrap(), b"x")),
        case(
            "a hard link to a link, then a file over it",
            Tar::new()
                .symlink("f", &secret)
                .hard_link("x", "f")
                .file("x", "y")
                .end(),
        )
        .then(|root| assert!(root.join("f").is_symlink())),
        case(
            "a hard link through a link",
            Tar::new()
                .symlink("s", &canary)
                .hard_link("x", "s/secret")
                .end(),
        )
        .refused("no such file"),
        case(
            "a hard link through a link up",
            Tar::new()
                .symlink("s", "../../../../../../..")
                .hard_link("x", format!("s{secret}"))
                .end(),
        )
        .refused("no such file"),
        case(
            "a directory that becomes a link",
            Tar::new()
                .directory("d")
                .file("d/one", "1")
                .symlink("d", &canary)
                .file("d/new", "x")
                .directory("d/sub")
                .end(),
        ),
        case(
            "a directory that becomes a link, with a mode for the end",
            Tar::new()
                .header(b'5', b"d", b"", 0, |block| {
                    block[100..108].copy_from_slice(b"0006777\0");
                })
                .symlink("d", &canary)
                .end(),
        ),
        case(
            "links of links",
            Tar::new()
                .symlink("a", &canary)
                .symlink("b", "a")
                .symlink("c", "b/sub")
                .file("c/other", "x")
                .end(),
        ),
        case(
            "a link to itself",
            Tar::new().symlink("s", "s").file("s/x", "").end(),
        )
        .refused("too many levels of symbolic links"),
        case(
            "links in a ring",
            Tar::new()
                .symlink("a", "b")
                .symlink("b", "a/x")
                .file("a/y", "")
                .end(),
        )
        .refused("too many levels of symbolic links"),
        case("sixty links in a row", chain.file("l59/x", "").end())
            .refused("too many levels of symbolic links"),
        case(
            "links that double",
            (0..30)
                .fold(Tar::new().directory("z"), |tar, at| {
                    let next = if at == 0 {
                        "z".to_owned()
                    } else {
                        format!("e{}", at - 1)
                    };
                    tar.symlink(format!("e{at}"), format!("{next}/../{next}"))
                })
                .file("e29/x", "")
                .end(),
        )
        .refused("too many levels of symbolic links"),
        case(
            "a link to the processes of this machine",
            Tar::new()
                .symlink("s", "/proc/self/root")
                .file(format!("s{canary}/new"), "x")
                .end(),
        )
        .then(|root| assert!(root.join("proc/self/root").is_dir())),
        case(
            "a link to descriptors",
            Tar::new()
                .symlink("s", "/proc/self/fd/0")
                .file("s/x", "y")
                .end(),
        ),
        case(
            "a file as a directory",
            Tar::new().file("f", "").file("f/x", "").end(),
        )
        .refused("not a directory"),
        case(
            "a pipe as a directory",
            Tar::new().node(b'6', "p", 0, 0).file("p/x", "").end(),
        )
        .refused("not a directory"),
        case("a file as the root", Tar::new().file(".", "x").end())
            .refused("only a directory can be the root"),
        case("a link as the root", Tar::new().symlink(".", &canary).end())
            .refused("only a directory can be the root"),
        case(
            "a hard link to the root",
            Tar::new().hard_link("x", ".").end(),
        )
        .refused("hard link to the root"),
        case(
            "a hard link to a directory",
            Tar::new().directory("d").hard_link("x", "d").end(),
        )
        .refused("link \"x\""),
        case("a deep name", Tar::new().file(&deep, "x").end())
            .then(|root| assert!(root.join("d/".repeat(300)).is_dir())),
        case(
            "a deep name, then something else in its place",
            Tar::new().file(&deep, "x").file("d", "now a file").end(),
        )
        .then(|root| assert!(root.join("d").is_file())),
        case(
            "deeper than a name can be",
            Tar::new()
                .directory(wide.repeat(15))
                .symlink("s", wide.repeat(15))
                .file("s/".to_owned() + &wide.repeat(10) + "f", "x")
                .end(),
        )
        .refused("too long"),
        case(
            "a name too long for the kernel",
            Tar::new().file("n/".repeat(3000), "").end(),
        )
        .refused("too long"),
        case(
            "a component too long for the kernel",
            Tar::new().file("n".repeat(300), "").end(),
        )
        .refused("file name too long"),
        case(
            "a link too long for the kernel",
            Tar::new().symlink("s", "t".repeat(5000)).end(),
        )
        .refused("file name too long"),
        case(
            "names with newlines, escapes and no UTF-8",
            Tar::new()
                .file("a\nb", "")
                .file("\x1b[2J", "")
                .file(b"\xff\xfe\x80", "")
                .symlink("s\n", b"\xff/\n")
                .end(),
        )
        .then(|root| {
            use std::os::unix::ffi::OsStrExt as _;
            let name = std::ffi::OsStr::from_bytes(b"\xff\xfe\x80");
            assert!(root.join(Path::new(name)).is_file() && root.join("a\nb").is_file());
        }),
        case(
            "one name forty times",
            (0..40)
                .fold(Tar::new(), |tar, at| match at % 4 {
                    0 => tar.file("x", "f"),
                    1 => tar.symlink("x", &canary),
                    2 => tar.directory("x"),
                    _ => tar.node(b'6', "x", 0, 0),
                })
                .file("x", "last")
                .end(),
        )
        .then(|root| assert_eq!(std::fs::read(root.join("x")).unwrap(), b"last")),
    ]
}

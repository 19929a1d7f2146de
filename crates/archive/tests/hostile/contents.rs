//! Entries that are dangerous once they are there: removals, attributes, devices.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::build::{CAPABILITY, Tar};
use crate::{Case, case};

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

pub(crate) fn cases(outer: &str) -> Vec<Case> {
    let canary = format!("{outer}/canary");
    let inside = canary.trim_start_matches('/').to_owned();
    let overlay: &[(&[u8], &[u8])] = &[
        (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
        (b"SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        (b"SCHILY.xattr.trusted.overlay.metacopy", b""),
        (b"SCHILY.xattr.user.overlay.opaque", b"y"),
    ];
    vec![
        case("a removal of ..", Tar::new().file(".wh...", "").end()).refused("removes nothing"),
        case(
            "a removal of .. further in",
            Tar::new().directory("a").file("a/.wh...", "").end(),
        )
        .refused("removes nothing"),
        case("a removal of .", Tar::new().file("a/.wh..", "").end()).refused("removes nothing"),
        case("a removal of nothing", Tar::new().file("a/.wh.", "").end())
            .refused("removes nothing"),
        case(
            "a removal behind dots",
            Tar::new().file("../../canary/.wh.secret", "").end(),
        )
        .refused("leads out"),
        case(
            "a removal through a link",
            Tar::new()
                .symlink("s", &canary)
                .file("s/.wh.secret", "")
                .end(),
        ),
        case(
            "opaque through a link",
            Tar::new()
                .symlink("s", &canary)
                .file("s/.wh..wh..opq", "")
                .end(),
        )
        .then(|root| assert!(root.join("s").is_symlink())),
        case(
            "opaque through dots",
            Tar::new().file("../../canary/.wh..wh..opq", "").end(),
        )
        .refused("leads out"),
        case(
            "a removal that is a link",
            Tar::new().symlink(".wh.x", &canary).file("x/new", "").end(),
        )
        .then(|root| assert!(root.join("x/new").is_file())),
        case(
            "a removal that is a directory",
            Tar::new()
                .directory(".wh.x")
                .directory(".wh..wh..opq")
                .end(),
        )
        .then(|root| {
            assert!(
                root.join("x")
                    .symlink_metadata()
                    .unwrap()
                    .file_type()
                    .is_char_device()
            )
        }),
        case(
            "a removal of what was just made a link",
            Tar::new()
                .symlink("s", &canary)
                .file(".wh.s", "")
                .file("s/new", "x")
                .end(),
        ),
        case("files of AUFS", Tar::new().file(".wh..wh.aufs", "").end())
            .then(|root| assert_eq!(std::fs::read_dir(root).unwrap().count(), 0)),
        case(
            "attributes of overlayfs on a directory",
            Tar::new().pax(overlay).directory("d").end(),
        )
        .then(|root| {
            for name in [
                "trusted.overlay.opaque",
                "trusted.overlay.redirect",
                "user.overlay.opaque",
            ] {
                assert_eq!(attribute(&root.join("d"), name), None);
            }
        }),
        case(
            "attributes of overlayfs on a file",
            Tar::new().pax(overlay).file("f", "").end(),
        )
        .then(|root| assert_eq!(attribute(&root.join("f"), "trusted.overlay.metacopy"), None)),
        case(
            "attributes of overlayfs on the root",
            Tar::new().pax(overlay).directory("./").end(),
        )
        .then(|root| assert_eq!(attribute(root, "trusted.overlay.opaque"), None)),
        case(
            "attributes of overlayfs on a device",
            Tar::new().pax(overlay).node(b'3', "n", 1, 3).end(),
        )
        .then(|root| assert_eq!(attribute(&root.join("n"), "trusted.overlay.opaque"), None)),
        case(
            "attributes of a link",
            Tar::new()
                .pax(&[(b"SCHILY.xattr.trusted.x", b"1")])
                .symlink("s", &canary)
                .end(),
        ),
        case(
            "capabilities that are none",
            Tar::new()
                .pax(&[(b"SCHILY.xattr.security.capability", b"root please")])
                .file("f", "")
                .end(),
        )
        .refused("set attribute of"),
        case(
            "capabilities of a link",
            Tar::new()
                .pax(&[(b"SCHILY.xattr.security.capability", CAPABILITY)])
                .symlink("s", format!("{canary}/secret"))
                .end(),
        ),
        case(
            "an access list that is none",
            Tar::new()
                .pax(&[(b"SCHILY.xattr.system.posix_acl_default", b"\x02\0\0\0junk")])
                .directory("d")
                .end(),
        )
        .refused("set attribute of"),
        case(
            "an attribute that is too large",
            Tar::new()
                .pax(&[(b"SCHILY.xattr.user.x", &[b'x'; 70_000])])
                .file("f", "")
                .end(),
        )
        .refused("set attribute of"),
        case(
            "an attribute with a name that is too long",
            Tar::new()
                .pax(&[(&[b"SCHILY.xattr.user.", &[b'n'; 300][..]].concat(), b"1")])
                .file("f", "")
                .end(),
        )
        .refused("set attribute of"),
        case(
            "attributes of no kind, without a name, with a NUL",
            Tar::new()
                .pax(&[
                    (b"SCHILY.xattr.", b"1"),
                    (b"SCHILY.xattr.user.a\0b", b"1"),
                    (b"SCHILY.xattr.nobody.x", b"1"),
                ])
                .file("f", "")
                .end(),
        ),
        case(
            "set-user-id of root",
            Tar::new().file_of("su", 0o6755, "#!/bin/sh\n").end(),
        )
        .then(|root| {
            assert_eq!(
                root.join("su").metadata().unwrap().permissions().mode() & 0o7777,
                0o6755
            )
        }),
        case(
            "a disk, then a file of its name",
            Tar::new()
                .node(b'4', "disk", 254, 0)
                .file("disk", "not written to it")
                .end(),
        )
        .then(|root| assert!(root.join("disk").is_file())),
        case(
            "a disk, and a link to it that is written to",
            Tar::new()
                .node(b'4', "disk", 254, 0)
                .symlink("f", "disk")
                .file("f", "x")
                .hard_link("h", "disk")
                .file("h", "x")
                .end(),
        )
        .then(|root| assert!(root.join("h").is_file() && root.join("f").is_file())),
        case(
            "a pipe, then a file of its name",
            Tar::new()
                .node(b'6', "pipe", 0, 0)
                .file("pipe", "does not wait for a reader")
                .end(),
        )
        .then(|root| assert!(root.join("pipe").is_file())),
        case(
            "memory as a device, as a directory on the way",
            Tar::new().node(b'3', "mem", 1, 1).file("mem/x", "").end(),
        )
        .refused("not a directory"),
        case(
            "a removal as a device",
            Tar::new().node(b'3', "gone", 0, 0).end(),
        )
        .then(|root| assert_eq!(root.join("gone").symlink_metadata().unwrap().rdev(), 0)),
        case(
            "a hard link to a removal",
            Tar::new()
                .file(".wh.gone", "")
                .hard_link("x", "gone")
                .file("x", "y")
                .end(),
        )
        .then(|root| assert!(root.join("x").is_file())),
        case(
            "a place in the canary's folder as seen from inside",
            Tar::new()
                .directory(&inside)
                .symlink("s", format!("/{inside}"))
                .file("s/new", "x")
                .file("s/.wh.secret", "")
                .end(),
        ),
    ]
}

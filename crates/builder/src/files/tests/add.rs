//! ADD: archives are unpacked, and cannot do harm.

use std::io::Write as _;

use onggi_archive::{PackOptions, pack_at};

use super::*;

fn tar(words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack_at(tree_of(words).path(), &mut bytes, &PackOptions::default()).unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    onggi_archive::gzip(bytes, &mut compressed).unwrap();
    compressed
}

/// A context with one file of these bytes.
fn context_with(name: &str, bytes: &[u8]) -> TempDir {
    let from = tree_of("");
    fs::write(from.path().join(name), bytes).unwrap();
    from
}

#[test]
fn archives_are_unpacked() {
    let bytes = tar("d/@700 d/a=1@600:5:6 d/l->a");
    for (name, bytes) in [("a.tar", bytes.clone()), ("whatever", gzip(&bytes))] {
        let from = context_with(name, &bytes);
        for (line, root, expected) in [
            ("ADD {} /x", "", "x/ x/d/@700 x/d/a=1@600:5:6 x/d/l->a"),
            ("ADD {} /", "", "d/@700 d/a=1@600:5:6 d/l->a"),
            (
                "ADD {} /x/",
                "x/b=2",
                "x/ x/b=2 x/d/@700 x/d/a=1@600:5:6 x/d/l->a",
            ),
            (
                "ADD {} /l",
                "t/ l->t",
                "l->t t/ t/d/@700 t/d/a=1@600:5:6 t/d/l->a",
            ),
            (
                "ADD --chown=7:8 {} /x",
                "",
                "x/@755:7:8 x/d/@700:7:8 x/d/a=1@600:7:8 x/d/l->a@777:7:8",
            ),
            (
                "ADD {} /x",
                "x/d=file",
                "x/ x/d/@700 x/d/a=1@600:5:6 x/d/l->a",
            ),
        ] {
            let root = tree_of(root);
            run(&line.replace("{}", name), &context(&from, ""), root.path()).unwrap();
            assert_eq!(words_of(root.path()), expected, "{line} {name}");
        }
        let root = tree_of("");
        run(
            &format!("ADD --unpack=false {name} /x"),
            &context(&from, ""),
            root.path(),
        )
        .unwrap();
        assert_eq!(fs::read(root.path().join("x")).unwrap(), bytes);
        let root = tree_of("");
        run(&format!("COPY {name} /x"), &context(&from, ""), root.path()).unwrap();
        assert_eq!(fs::read(root.path().join("x")).unwrap(), bytes);
    }
}

#[test]
fn what_is_none_is_copied() {
    let empty = vec![0; 1024];
    for bytes in [
        b"text".to_vec(),
        gzip(b"no tar"),
        empty,
        Vec::new(),
        vec![0x1f, 0x8b],
    ] {
        let from = context_with("a.tar", &bytes);
        let root = tree_of("");
        run("ADD a.tar /x/", &context(&from, ""), root.path()).unwrap();
        assert_eq!(fs::read(root.path().join("x/a.tar")).unwrap(), bytes);
    }
    let root = "ADD a d <<h /x/\n3\nh";
    let got = result(root, "a=1 d/b=2", "", "").unwrap();
    assert_eq!(got, "x/ x/a=1 x/b=2 x/h=3\n");
    let error = result("ADD a b /x", "a=1 b=2", "", "").unwrap_err();
    assert!(
        error.starts_with("When using ADD with more than one"),
        "{error}"
    );
    // What is to be fetched is not here.
    assert_eq!(result("ADD http://h/a /x/", "", "", "").unwrap(), "");
}

/// One entry of a tar, by hand.
fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.write_all(content).unwrap();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[test]
fn nothing_leaves_the_root() {
    let outside = tree_of("victim=safe");
    let away = outside.path().display();
    let out = format!("{away}/victim");
    for entries in [
        vec![entry("../../../../victim", b'0', "", b"bad")],
        vec![entry(&out, b'0', "", b"bad")],
        vec![
            entry("l", b'2', &away.to_string(), b""),
            entry("l/victim", b'0', "", b"bad"),
        ],
        vec![
            entry("l", b'2', "../../../../../..", b""),
            entry(&format!("l{out}"), b'0', "", b"bad"),
        ],
        vec![entry("h", b'1', &out, b""), entry("h", b'0', "", b"bad")],
        vec![
            entry("l", b'2', &out, b""),
            entry("h", b'1', "l", b""),
            entry("h", b'0', "", b"bad"),
        ],
    ] {
        let bytes = [entries.concat(), vec![0; 1024]].concat();
        let from = context_with("a.tar", &bytes);
        let root = tree_of("");
        // Refused, or kept inside: both are well.
        let _ = run("ADD a.tar /x/", &context(&from, ""), root.path());
        assert_eq!(words_of(outside.path()), "victim=safe");
    }
}

#[test]
fn broken_archives_are_told() {
    let whole = [entry("a", b'0', "", b"1"), entry("b", b'0', "", b"2")].concat();
    let from = context_with("a.tar", &whole[..1100]);
    let root = tree_of("");
    let error = run("ADD a.tar /x/", &context(&from, ""), root.path()).unwrap_err();
    assert_eq!(error, "failed to unpack a.tar: archive is truncated");
}

//! What the body of a request has in it.

use std::io::BufReader;

use onggi_archive::decompress;

use super::*;
use crate::build::context::find;

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        ("Dockerfile", "FROM a"),
        ("x", "x"),
        (".dockerignore", "nothing"),
    ] {
        std::fs::write(place.path().join(name), text).expect("a file");
    }
    place
}

fn content(place: &str, file: &str, input: &[u8]) -> Content {
    let input = input.to_vec();
    let (source, input) = find(place, file, || Box::new(io::Cursor::new(input))).expect("a source");
    Content {
        source,
        input,
        compress: false,
    }
}

/// The bytes, and what the thread says.
fn received(content: Content) -> (Vec<u8>, Result<()>) {
    let body = content.start().expect("a body");
    let count = body.sent.clone();
    let (mut pieces, packing) = body.split();
    let mut all = Vec::new();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(_) => break,
        }
    }
    assert_eq!(count.value(), all.len() as u64);
    (all, Body::finish(packing))
}

/// Names and texts.
fn files(tar: &[u8]) -> Vec<String> {
    let (_, tar) = decompress(tar).expect("an archive");
    let mut reader = TarReader::new(BufReader::new(tar));
    let mut files = Vec::new();
    while let Some(entry) = reader.next().expect("an entry") {
        let mut text = Vec::new();
        loop {
            let bytes = reader.data().expect("data");
            if bytes.is_empty() {
                break;
            }
            text.extend_from_slice(bytes);
            let count = bytes.len();
            reader.consume(count);
        }
        let (name, text) = (
            String::from_utf8_lossy(&entry.path),
            String::from_utf8_lossy(&text),
        );
        files.push(format!("{name}={text}"));
    }
    files
}

#[test]
fn a_directory_is_a_plain_tar_and_compressed_where_asked() {
    let place = place();
    let path = place.path().display().to_string();
    let (tar, packed) = received(content(&path, "", b""));
    assert_eq!(packed, Ok(()));
    assert_eq!(
        files(&tar),
        [".dockerignore=nothing", "Dockerfile=FROM a", "x=x"]
    );
    let compressed = Content {
        compress: true,
        ..content(&path, "", b"")
    };
    let (zipped, packed) = received(compressed);
    assert_eq!(packed, Ok(()));
    assert!(zipped.len() < tar.len() && zipped.starts_with(&[0x1f, 0x8b]));
    assert_eq!(files(&zipped), files(&tar));
}

#[test]
fn a_dockerfile_from_elsewhere_is_told_as_one_to_leave_out() {
    let place = place();
    let path = place.path().display().to_string();
    let (tar, _) = received(content(&path, "-", b"FROM b"));
    let name = ".dockerfile.7a3e1b2c";
    let files = files(&tar);
    let sent = files[0].split('=').next().expect("a name").to_owned();
    assert_eq!(sent.len(), name.len() + 12);
    assert_eq!(
        files,
        [
            format!("{sent}=FROM b"),
            format!(".dockerignore=nothing\n{sent}\n"),
            "Dockerfile=FROM a".to_owned(),
            "x=x".to_owned()
        ]
    );
}

#[test]
fn a_lone_dockerfile_is_a_context_of_its_own() {
    let (tar, _) = received(content("-", "", b"FROM b"));
    assert_eq!(files(&tar), ["Dockerfile=FROM b"]);
}

#[test]
fn what_the_daemon_fetches_needs_no_body() {
    assert!(
        content("https://example.com/x.git", "", b"")
            .start()
            .is_none()
    );
}

#[test]
fn a_context_that_cannot_be_read_breaks_the_request() {
    let place = place();
    let path = place.path().display().to_string();
    let content = content(&path, "", b"");
    std::fs::remove_file(place.path().join("x")).expect("removed");
    // A directory that is there when it is listed and cannot be read is refused even to root.
    std::fs::remove_dir_all(place.path()).expect("removed");
    std::fs::write(place.path(), "").expect("a file in its place");
    let (_, packed) = received(content);
    assert!(packed.is_err());
    std::fs::remove_file(place.path()).expect("removed");
}

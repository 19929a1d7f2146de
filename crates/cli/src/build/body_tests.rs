//! What the body of a request has in it.

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
        secrets: Vec::new(),
        contexts: Vec::new(),
        compress: false,
    }
}

/// The media type, the bytes, and what the thread says.
fn received(content: Content) -> (&'static str, Vec<u8>, Result<()>) {
    let body = content.start().expect("a body");
    let (media_type, count) = (body.media_type, body.sent.clone());
    let (mut pieces, packing) = body.split();
    let mut all = Vec::new();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(_) => break,
        }
    }
    assert_eq!(count.value(), all.len() as u64);
    (media_type, all, Body::finish(packing))
}

/// Names and texts.
fn files(tar: &[u8]) -> Vec<String> {
    let (_, tar) = decompress(tar).expect("an archive");
    let mut reader = TarReader::new(BufReader::new(tar));
    let mut files = Vec::new();
    while let Some(entry) = reader.next().expect("an entry") {
        let mut text = String::new();
        Data(&mut reader).read_to_string(&mut text).expect("text");
        files.push(format!("{}={text}", String::from_utf8_lossy(&entry.path)));
    }
    files
}

#[test]
fn a_directory_is_a_plain_tar_and_compressed_where_asked() {
    let place = place();
    let path = place.path().display().to_string();
    let (media_type, tar, packed) = received(content(&path, "", b""));
    assert_eq!((media_type, packed), (PLAIN, Ok(())));
    assert_eq!(
        files(&tar),
        [".dockerignore=nothing", "Dockerfile=FROM a", "x=x"]
    );
    let compressed = Content {
        compress: true,
        ..content(&path, "", b"")
    };
    let (_, zipped, packed) = received(compressed);
    assert_eq!(packed, Ok(()));
    assert!(zipped.len() < tar.len() && zipped.starts_with(&[0x1f, 0x8b]));
    assert_eq!(files(&zipped), files(&tar));
}

#[test]
fn a_dockerfile_from_elsewhere_is_told_as_one_to_leave_out() {
    let place = place();
    let path = place.path().display().to_string();
    let (_, tar, _) = received(content(&path, "-", b"FROM b"));
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
    let (_, tar, _) = received(content("-", "", b"FROM b"));
    assert_eq!(files(&tar), ["Dockerfile=FROM b"]);
}

#[test]
fn secrets_and_contexts_go_beside_the_context() {
    let place = place();
    let path = place.path().display().to_string();
    let further = tempfile::tempdir().expect("a directory");
    for (name, text) in [("y", "y"), ("z", "z"), (".dockerignore", "z")] {
        std::fs::write(further.path().join(name), text).expect("a file");
    }
    let more = |content: Content| Content {
        secrets: vec![secret::Named {
            id: "token".to_owned(),
            value: onggi_model::Secret::new(b"s3cret".to_vec()),
        }],
        contexts: vec![Named {
            name: "more".to_owned(),
            place: Place::Local(further.path().to_owned()),
        }],
        ..content
    };
    let beside = [
        "secrets/token=s3cret",
        "contexts/more/.dockerignore=z",
        "contexts/more/y=y",
    ];
    let own = [
        "context/.dockerignore=nothing",
        "context/Dockerfile=FROM a",
        "context/x=x",
    ];
    let (media_type, tar, packed) = received(more(content(&path, "", b"")));
    assert_eq!((media_type, packed), (OURS, Ok(())));
    let wanted: Vec<&str> = beside.iter().chain(&own).copied().collect();
    assert_eq!(files(&tar), wanted);
    // An archive is taken apart and put together again.
    let (_, archive, _) = received(content(&path, "", b""));
    let (_, tar, _) = received(more(content("-", "", &archive)));
    assert_eq!(files(&tar), wanted);
    let (_, tar, _) = received(more(content("https://example.com/x.git", "", b"")));
    assert_eq!(files(&tar), beside);
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
    let (_, _, packed) = received(content);
    assert!(packed.is_err());
    std::fs::remove_file(place.path()).expect("removed");
}

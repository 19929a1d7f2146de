//! What a context may be, with the texts for those that are none.

use std::io::Cursor;

use super::*;

fn stdin(bytes: &[u8]) -> impl FnOnce() -> Box<dyn Read + Send> {
    let bytes = bytes.to_vec();
    || Box::new(Cursor::new(bytes))
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(place.path().join("context")).expect("a directory");
    place
}

fn write(place: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

fn directory_of(place: &tempfile::TempDir, file: &str, input: &[u8]) -> Result<Directory> {
    let context = place.path().join("context").display().to_string();
    match find(&context, file, stdin(input))? {
        (Source::Directory(directory), None) => Ok(directory),
        other => panic!("{other:?}"),
    }
}

#[test]
fn standard_input_is_an_archive_or_a_dockerfile() {
    let mut tar = onggi_archive::TarWriter::new(Vec::new());
    let entry = onggi_archive::Entry::new("a", onggi_archive::Kind::File, 0o644);
    tar.header(&entry).expect("a header");
    let tar = tar.finish().expect("a tar");
    let mut zipped = Vec::new();
    onggi_archive::gzip(&tar[..], &mut zipped).expect("gzip");
    for archive in [&tar, &zipped] {
        let (source, input) = find("-", "sub/D", stdin(archive)).expect("a source");
        assert!(matches!(source, Source::Archive { dockerfile } if dockerfile == "sub/D"));
        let mut whole = Vec::new();
        input.expect("input").read_to_end(&mut whole).expect("all");
        assert_eq!(&whole, archive);
    }
    for text in ["FROM scratch\n", "", &"# long\n".repeat(200)] {
        let (source, input) = find("-", "", stdin(text.as_bytes())).expect("a source");
        assert!(input.is_none());
        assert!(matches!(source, Source::Dockerfile(found) if found == text.as_bytes()));
    }
    let refused = find("-", "other", stdin(b"FROM scratch")).expect_err("ambiguous");
    assert_eq!(
        refused.message,
        "unable to prepare context: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
    );
    let refused = find("-", "-", stdin(b"")).expect_err("twice");
    assert_eq!(
        refused.message,
        "invalid argument: can't use stdin for both build context and dockerfile"
    );
}

#[test]
fn urls_are_for_the_daemon() {
    for url in [
        "https://example.com/x.tar",
        "http://example.com/Dockerfile",
        "https://example.com/a/b.git#main:dir",
        "git@example.com:a/b.git",
        "git://example.com/a/b",
        "ssh://git@example.com/a",
        "github.com/a/b",
    ] {
        let (source, _) = find(url, "D", stdin(b"")).expect("a source");
        let is_right = matches!(&source, Source::Remote { url: found, dockerfile } if found == url && dockerfile == "D");
        assert!(is_right, "{source:?}");
    }
    let refused = find("nope", "", stdin(b"")).expect_err("nothing there");
    assert_eq!(
        refused.message,
        "unable to prepare context: path \"nope\" not found"
    );
}

#[test]
fn the_dockerfile_is_found_in_the_context_or_sent_beside_it() {
    let place = place();
    let missing = directory_of(&place, "", b"").expect_err("no Dockerfile");
    let root = std::fs::canonicalize(place.path()).expect("a path");
    assert_eq!(
        missing.message,
        format!(
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {}/context/Dockerfile: no such file or directory",
            root.display()
        )
    );
    write(&place, "context/dockerfile", "FROM a");
    let found = directory_of(&place, "", b"").expect("the small one");
    assert_eq!(
        (found.dockerfile.name.as_str(), found.dockerfile.text),
        ("dockerfile", None)
    );
    write(&place, "context/Dockerfile", "FROM b");
    let found = directory_of(&place, "", b"").expect("the usual one");
    assert_eq!(found.dockerfile.name, "Dockerfile");
    std::os::unix::fs::symlink("Dockerfile", place.path().join("context/link")).expect("a link");
    let link = place.path().join("context/link").display().to_string();
    let found = directory_of(&place, &link, b"").expect("a link to it");
    assert_eq!(found.dockerfile.name, "Dockerfile");
    let outside = write(&place, "outside", "FROM c");
    let first = directory_of(&place, &outside, b"").expect("one outside");
    let second = directory_of(&place, "-", b"FROM c").expect("standard input");
    assert_eq!(first.dockerfile.name, second.dockerfile.name);
    assert!(first.dockerfile.name.starts_with(".dockerfile."));
    assert_eq!(first.dockerfile.text.as_deref(), Some(&b"FROM c"[..]));
    let file = write(&place, "file", "");
    let refused = find(&file, "", stdin(b"")).expect_err("a file");
    assert!(
        refused.message.contains("context must be a directory: "),
        "{}",
        refused.message
    );
}

#[test]
fn rules_of_a_dockerfile_come_before_those_of_all() {
    let place = place();
    let other = write(&place, "context/other", "FROM a");
    write(&place, "context/Dockerfile", "FROM a");
    write(&place, "context/.dockerignore", "all");
    write(&place, "context/other.dockerignore", "own\nother");
    let found = directory_of(&place, "", b"").expect("a context");
    assert!(found.ignore.ignores("all") && !found.ignore.ignores("own"));
    let found = directory_of(&place, &other, b"").expect("a context");
    assert!(found.ignore.ignores("own") && !found.ignore.ignores("all"));
    // Its rules leave it out, which the daemon would not know.
    assert!(found.dockerfile.text.is_some());
    write(&place, "context/.dockerignore", "!");
    let refused = directory_of(&place, "", b"").expect_err("a bad rule");
    assert!(
        refused.message.contains("illegal exclusion pattern"),
        "{}",
        refused.message
    );
}

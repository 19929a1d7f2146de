//! Which files a tree sends, and as what.

use std::os::unix::fs::PermissionsExt as _;

use onggi_archive::TarReader;

use super::*;

fn tree_of(files: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = place.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(path, file).expect("a file");
    }
    place
}

fn pack(tree: &Tree) -> Result<Vec<u8>> {
    let mut tar = TarWriter::new(Vec::new());
    tree.write(&mut tar)?;
    tar.finish().map_err(sent)
}

fn entries(tar: &[u8]) -> Vec<Entry> {
    let mut reader = TarReader::new(tar);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().expect("an entry") {
        entries.push(entry);
    }
    entries
}

fn names(tree: &Tree) -> String {
    let tar = pack(tree).expect("a tar");
    let names = entries(&tar)
        .into_iter()
        .map(|entry| String::from_utf8_lossy(&entry.path).into_owned());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_ignored_stays() {
    let place = tree_of(&[
        "Dockerfile",
        "a/b/c",
        "a/b/d",
        "a/e",
        "f.md",
        "g/README.md",
        "g/h.md",
    ]);
    for (rules, wanted) in [
        (
            "",
            "Dockerfile a/ a/b/ a/b/c a/b/d a/e f.md g/ g/README.md g/h.md",
        ),
        ("a", "Dockerfile f.md g/ g/README.md g/h.md"),
        ("a/b", "Dockerfile a/ a/e f.md g/ g/README.md g/h.md"),
        ("a/*", "Dockerfile a/ f.md g/ g/README.md g/h.md"),
        (
            "*.md",
            "Dockerfile a/ a/b/ a/b/c a/b/d a/e g/ g/README.md g/h.md",
        ),
        ("**/*.md", "Dockerfile a/ a/b/ a/b/c a/b/d a/e g/"),
        (
            "**/*.md\n!g/README.md",
            "Dockerfile a/ a/b/ a/b/c a/b/d a/e g/ g/README.md",
        ),
        ("*\n!a/b/c", "Dockerfile a/ a/b/ a/b/c"),
        ("*\n!a/b", "Dockerfile a/ a/b/ a/b/c a/b/d"),
        ("*\n!a\na/b", "Dockerfile a/ a/e"),
        ("*\n!**/h.md", "Dockerfile g/ g/h.md"),
        ("**\n!f.md", "Dockerfile f.md"),
        ("/a/\n./g", "Dockerfile f.md"),
        (
            "Dockerfile",
            "Dockerfile a/ a/b/ a/b/c a/b/d a/e f.md g/ g/README.md g/h.md",
        ),
    ] {
        let tree = Tree {
            root: place.path().to_owned(),
            ignore: Ignore::parse(rules).expect("rules"),
            keep: vec!["Dockerfile".to_owned()],
            ..Tree::default()
        };
        assert_eq!(names(&tree), wanted, "{rules:?}");
    }
}

#[test]
fn a_file_that_is_kept_is_found_in_what_is_ignored() {
    let place = tree_of(&["deep/down/D", "deep/down/x", "y"]);
    let tree = Tree {
        root: place.path().to_owned(),
        ignore: Ignore::parse("deep").expect("rules"),
        keep: vec!["deep/down/D".to_owned()],
        ..Tree::default()
    };
    assert_eq!(names(&tree), "deep/ deep/down/ deep/down/D y");
}

#[test]
fn what_is_ignored_as_a_whole_is_not_looked_into() {
    let place = tree_of(&["a", "closed/b/c/d", "half/b/c", "half/d/e", "open/f"]);
    for (rules, wanted) in [
        ("", 8),
        ("closed\nhalf", 2),
        ("closed\nhalf\n!half/b/c", 4),
        ("*\n!half/d", 3),
        ("*\n!**/nothing", 8),
    ] {
        let tree = Tree {
            root: place.path().to_owned(),
            ignore: Ignore::parse(rules).expect("rules"),
            ..Tree::default()
        };
        let listed = tree.write(&mut TarWriter::new(Vec::new()));
        assert_eq!(listed, Ok(wanted), "{rules:?}");
    }
}

#[test]
fn entries_are_roots_sorted_and_always_the_same() {
    let place = tree_of(&["b", "a/z", "a-b"]);
    let root = place.path();
    std::fs::hard_link(root.join("b"), root.join("c")).expect("a link");
    std::os::unix::fs::symlink("b", root.join("d")).expect("a link");
    std::fs::set_permissions(root.join("b"), std::fs::Permissions::from_mode(0o4751))
        .expect("a mode");
    let socket = std::os::unix::net::UnixListener::bind(root.join("e")).expect("a socket");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("f"), 0o640.into()).expect("a pipe");
    let tree = Tree {
        root: root.to_owned(),
        ..Tree::default()
    };
    let tar = pack(&tree).expect("a tar");
    assert_eq!(tar, pack(&tree).expect("a tar"));
    drop(socket);
    let all = entries(&tar);
    let told: Vec<String> = all
        .iter()
        .map(|entry| {
            assert_eq!((entry.uid, entry.gid, entry.mtime.nanoseconds), (0, 0, 0));
            let name = String::from_utf8_lossy(&entry.path);
            let link = String::from_utf8_lossy(&entry.link);
            format!("{name} {:?} {link}", entry.kind)
        })
        .collect();
    assert_eq!(
        told,
        [
            "a/ Directory ",
            "a/z File ",
            "a-b File ",
            "b File ",
            "c HardLink b",
            "d Symlink b",
            "f Fifo "
        ]
    );
    assert_eq!(all[3].mode, 0o4751);
}

#[test]
fn texts_go_instead_of_files() {
    let place = tree_of(&[".dockerignore", "a"]);
    let tree = Tree {
        root: place.path().to_owned(),
        ignore: Ignore::parse("a").expect("rules"),
        instead: vec![
            (".dockerfile.1".to_owned(), b"FROM a".to_vec()),
            (".dockerignore".to_owned(), b"a\n.dockerfile.1\n".to_vec()),
        ],
        ..Tree::default()
    };
    assert_eq!(names(&tree), ".dockerfile.1 .dockerignore");
}

#[test]
fn a_file_that_grows_while_it_is_read_is_an_error() {
    /// Adds to a file when its header goes by.
    struct Meddler(PathBuf);
    impl Write for Meddler {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut file = File::options().append(true).open(&self.0)?;
            file.write_all(b"more")?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let place = tree_of(&["busy"]);
    let tree = Tree {
        root: place.path().to_owned(),
        ..Tree::default()
    };
    let mut tar = TarWriter::new(Meddler(place.path().join("busy")));
    let error = tree.write(&mut tar).expect_err("a change");
    assert!(
        error.message.contains("busy changed while it was sent"),
        "{}",
        error.message
    );
}

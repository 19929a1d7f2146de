//! Trees in memory are what an archive makes of a directory: found, known and copied the same.

use std::sync::Arc;

use onggi_archive::{Entry, Kind, TarWriter, apply_at};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// `a/` a directory, `a=text` a file, `a->b` a link, `a>>b` another name, `a|` a fifo; behind it `@755:1:2`.
fn entry(word: &str) -> (Entry, Vec<u8>) {
    let (word, mode) = word.split_once('@').unwrap_or((word, ""));
    let mut mode = mode.split(':');
    let octal = mode.next().filter(|mode| !mode.is_empty());
    let mut number = || mode.next().map_or(0, |text| text.parse().unwrap());
    let (kind, name, rest) = if let Some((name, link)) = word.split_once(">>") {
        (Kind::HardLink, name, link)
    } else if let Some((name, link)) = word.split_once("->") {
        (Kind::Symlink, name, link)
    } else if let Some((name, text)) = word.split_once('=') {
        (Kind::File, name, text)
    } else if let Some(name) = word.strip_suffix('|') {
        (Kind::Fifo, name, "")
    } else {
        (Kind::Directory, word, "")
    };
    let usual = if kind == Kind::Directory {
        0o755
    } else {
        0o644
    };
    let octal = octal.map_or(usual, |mode| u32::from_str_radix(mode, 8).unwrap());
    let mut entry = Entry::new(name, kind, octal);
    (entry.uid, entry.gid) = (number(), number());
    let mut text = Vec::new();
    match kind {
        Kind::File => text = rest.as_bytes().to_vec(),
        _ => entry.link = rest.as_bytes().to_vec(),
    }
    entry.size = text.len() as u64;
    (entry, text)
}

fn tar(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, text) in entries {
        match text.is_empty() {
            true => tar.header(entry).unwrap(),
            false => drop(tar.file(entry, text.as_slice()).unwrap()),
        }
    }
    tar.finish().unwrap()
}

fn tar_of(words: &str) -> Vec<u8> {
    let entries: Vec<_> = words.split_whitespace().map(entry).collect();
    tar(&entries)
}

fn index(tar: &[u8], bounds: Bounds) -> Result<Index, onggi_archive::Error> {
    receive(tar, tempfile::tempfile().unwrap(), bounds)
}

fn listed(tar: &[u8]) -> Result<Tree, onggi_archive::Error> {
    let index = index(tar, Bounds::default())?;
    Ok(Tree::listed(Arc::new(index), "", "context").unwrap())
}

/// What an archive makes of a directory, as contexts were unpacked.
fn applied(tar: &[u8]) -> Result<TempDir, onggi_archive::Error> {
    let into = tree_of("");
    let options = ApplyOptions {
        shared: false,
        ..ApplyOptions::copy(Conflicts::Replace, Owner::Archive)
    };
    apply_at(tar, into.path(), &options)?;
    Ok(into)
}

/// The archive as index and as directory are one: what they are known by, and what is made of them.
fn compare(tar: &[u8], what: &str) {
    let (listed, applied) = match (listed(tar), applied(tar)) {
        (Ok(listed), Ok(applied)) => (listed, applied),
        (Err(_), Err(_)) => return,
        (listed, applied) => panic!(
            "{what}: {:?} {:?}",
            listed.err().map(|error| onggi_model::chain(&error)),
            applied.err().map(|error| onggi_model::chain(&error))
        ),
    };
    let directory = context(&applied, "");
    let of = |tree: &Tree, path: &str| digest_of(tree, path).map_err(|error| error.to_string());
    for path in ["", "a", "b", "a/b", "l", "l/a", "a/../b", "c/c"] {
        assert_eq!(of(&listed, path), of(&directory, path), "{what}: {path}");
    }
    for line in [
        "COPY . /x",
        "COPY --from=x a* b /x/",
        "COPY --parents */b /",
    ] {
        let copy = copy_of(line);
        let known = |tree: &Tree| {
            let known = Selection::of(tree, &copy).and_then(|selection| selection.digest());
            known.map_err(|error| error.to_string())
        };
        assert_eq!(known(&listed), known(&directory), "{what}: {line}");
        let (one, other) = (tree_of(""), tree_of(""));
        let placed = (
            run(line, &listed, one.path()).is_ok(),
            run(line, &directory, other.path()).is_ok(),
        );
        assert_eq!(placed.0, placed.1, "{what}: {line}");
        if placed.0 {
            assert_eq!(
                words_of(one.path()),
                words_of(other.path()),
                "{what}: {line}"
            );
        }
    }
    let made = tree_of("");
    unfold(&listed, "", File::open(made.path()).unwrap().as_fd(), "all").unwrap();
    assert_eq!(
        words_of(&made.path().join("all")),
        words_of(applied.path()),
        "{what}"
    );
}

#[test]
fn an_index_is_what_an_archive_makes() {
    for words in [
        "",
        "a/@700 a/b=1@600:1:2 l->a l/c=2",
        "l/a=1 b->l c->b/a",
        "a=1 a=2@755",
        "a/b/c=1 a=2",
        "a=1 a/ a/b=2",
        "a/b=1 a->b",
        "a->b a/ a/c=1",
        "a=1 b>>a a=2",
        "a=1 b>>a c>>b b=2",
        "a=1 b>>./a a/",
        "a->x b>>a",
        "b->a a/b>>b",
        "./@711:3:4 ./a=1",
        "a| b|@600:1:1 a=1",
        "a/b=1 l->/a/b m->../../a n->l",
        "a/x=1 c>>a/x a=2 c=3",
        "a/x=1 a>>a/x",
        "a/ b>>a",
        "b>>a",
        "a=1 a>>a",
        "l->l l/a=1",
        "a=1 a/b=2",
        "../a=1",
        "a/../../b=1",
        "l->../.. l/a=1",
        "a/@1777 a/b/@2755 a/b/c=1",
        "a/@755 a/b=1 a/@700",
    ] {
        compare(&tar_of(words), words);
    }
}

#[test]
fn so_it_is_of_archives_by_chance() {
    let names = [
        "a", "b", "l", "a/b", "b/a", "l/a", "a/b/c", "l/b/l", "./b/../c", "c/c",
    ];
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut words = String::new();
        for _ in 0..random.random_range(1..12) {
            let name = names[random.random_range(0..names.len())];
            let other = names[random.random_range(0..names.len())];
            words += &match random.random_range(0..12) {
                0..=2 => format!("{name}/ "),
                3..=6 => format!("{name}={other} "),
                7 => format!("{name}={other}@4751:3:4 "),
                8 => format!("{name}->{other} "),
                9 => format!("{name}->/{other} "),
                10 => format!("{name}>>{other} "),
                _ => format!("{name}| "),
            };
        }
        compare(&tar_of(&words), &words);
    }
}

#[test]
fn odd_names_holes_and_attributes() {
    let mut entries = vec![entry("d/"), entry("d/plain=text")];
    let mut odd = entry("x=1");
    odd.0.path = b"d/\xff\n'\"".to_vec();
    odd.0.xattrs = vec![
        (b"user.b".to_vec(), b"2".to_vec()),
        (b"user.a".to_vec(), b"\x00".to_vec()),
        (b"user.overlay.origin".to_vec(), b"x".to_vec()),
    ];
    entries.push(odd);
    let mut long = entry("x=1");
    long.0.path = [b"d/".as_slice(), &b"n".repeat(255)].concat();
    entries.push(long);
    compare(&tar(&entries), "odd names");
    for (name, why) in [(b"n".repeat(256), "long"), (b"a\x00b".to_vec(), "nul")] {
        let mut wrong = entry("x=1");
        wrong.0.path = name;
        compare(&tar(&[wrong]), why);
    }
    let mut capable = entry("c=1");
    let value = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    capable.0.xattrs = vec![(b"security.capability".to_vec(), value)];
    let index = index(&tar(&[capable]), Bounds::default()).unwrap();
    assert!(index.needs_files());
    // What a file system with holes has, the spool has, too.
    let from = tree_of("");
    let holes = File::create(from.path().join("holes")).unwrap();
    std::os::unix::fs::FileExt::write_at(&holes, b"end", 1 << 20).unwrap();
    holes.set_len(3 << 20).unwrap();
    let packed = std::process::Command::new("tar")
        .args(["-S", "-C"])
        .arg(from.path())
        .args(["-cf", "-", "holes"])
        .output()
        .unwrap();
    let (listed, into) = (listed(&packed.stdout).unwrap(), tree_of(""));
    assert_eq!(
        digest_of(&listed, "holes").unwrap(),
        digest_of(&context(&from, ""), "holes").unwrap()
    );
    run("COPY holes /", &listed, into.path()).unwrap();
    let (made, was) = (into.path().join("holes"), from.path().join("holes"));
    assert_eq!(fs::read(&made).unwrap(), fs::read(&was).unwrap());
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
    assert!(blocks(&made) <= blocks(&was) + 8, "{}", blocks(&made));
}

#[test]
fn broken_and_boundless_archives_are_refused() {
    let whole = tar_of("a=1234 b=5");
    assert!(matches!(
        index(&whole[..514], Bounds::default()),
        Err(onggi_archive::Error::Truncated)
    ));
    let few = Bounds {
        entries: 3,
        ..Bounds::default()
    };
    assert!(index(&tar_of("a=1 b=2"), few).is_ok());
    let refused = index(&tar_of("a=1 b=2 c=3"), few).unwrap_err();
    assert_eq!(refused.to_string(), "archive has more than 3 entries");
    let short = Bounds {
        words: 4,
        ..Bounds::default()
    };
    assert!(index(&tar_of("aa=1 b->b"), short).is_ok());
    let refused = index(&tar_of("aa=1 b->bb"), short).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "archive has more than 4 bytes of names"
    );
}

#[test]
fn what_is_read_of_an_index() {
    let tree = listed(&tar_of(
        "Dockerfile=FROM d/ d/l->../Dockerfile d/up->/d d/x=1",
    ))
    .unwrap();
    let read = |path: &str| tree.read(path, 4).unwrap().map(|text| text.len());
    assert_eq!(read("Dockerfile"), Some(4));
    assert_eq!(read("d/l"), Some(4));
    assert_eq!(read("d/up/up/../d/l"), Some(4));
    assert_eq!(read("nothing"), None);
    assert_eq!(read("d/x/y"), None);
    assert!(tree.read("d", 4).is_err() && tree.read("Dockerfile", 3).is_err());
    let missing = run("COPY Dockerfle /", &tree, tree_of("").path()).unwrap_err();
    assert!(
        missing.ends_with("(did you mean /Dockerfile?)"),
        "{missing}"
    );
}

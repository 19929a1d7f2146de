//! What changes a digest, and what does not.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn digest(line: &str, from: &TempDir) -> String {
    let tree = context(from, "");
    let copy = copy_of(line);
    Selection::of(&tree, &copy).unwrap().digest().unwrap()
}

fn digest_of_words(line: &str, words: &str) -> String {
    digest(line, &tree_of(words))
}

#[test]
fn what_changes_it() {
    let base = "d/a=1 d/e/b=2 d/l->a";
    let of = |line: &str, words: &str| digest_of_words(line, words);
    let line = "COPY d /x";
    let first = of(line, base);
    for words in [
        "d/a=2 d/e/b=2 d/l->a",
        "d/a=1 d/e/c=2 d/l->a",
        "d/a=1@755 d/e/b=2 d/l->a",
        "d/a=1 d/e/@700 d/e/b=2 d/l->a",
        "d/a=1 d/e/b=2 d/l->b",
        "d/a=1 d/e/b=2",
        "d/a=1 d/e/b=2 d/l->a d/f/",
        "d/a=1 d/b=2 d/e/ d/l->a",
        "d/a=1 d/e/b=2 d/l=a",
    ] {
        assert_ne!(of(line, words), first, "{words}");
    }
    for (line, words) in [
        // The order in which files were made.
        (line, "d/l->a d/e/b=2 d/a=1"),
        // What is not taken.
        (line, "d/a=1 d/e/b=2 d/l->a z=1"),
        // What a directory that is only its content was.
        (line, "d/@700:1:1 d/a=1 d/e/b=2 d/l->a"),
        // To whom files of a context belong.
        (line, "d/a=1@644:5:6 d/e/b=2 d/l->a"),
        ("COPY --exclude=z d /x", "d/a=1 d/e/b=2 d/l->a d/z=1"),
    ] {
        assert_eq!(of(line, words), first, "{words}");
    }
    let stage = "COPY --from=x d /x";
    assert_ne!(of(stage, "d/a=1@644:5:6"), of(stage, "d/a=1"));
    let owned = "COPY --from=x --chown=1 d /x";
    assert_eq!(of(owned, "d/a=1@644:5:6"), of(owned, "d/a=1"));
    let modes = "COPY --chmod=644 d /x";
    assert_eq!(of(modes, "d/a=1@755"), of(modes, "d/a=1"));
    let document = |text: &str| of(&format!("COPY <<a /b\n{text}\na"), "");
    assert_ne!(document("1"), document("2"));
}

#[test]
fn times_and_links() {
    let from = tree_of("d/a=1 d/b=1");
    let first = digest("COPY d /x", &from);
    let time = UNIX_EPOCH + Duration::from_secs(1);
    for path in ["d/a", "d"] {
        let file = File::open(from.path().join(path)).unwrap();
        file.set_modified(time).unwrap();
    }
    assert_eq!(digest("COPY d /x", &from), first);
    // One file of two names is not two files.
    fs::remove_file(from.path().join("d/b")).unwrap();
    fs::hard_link(from.path().join("d/a"), from.path().join("d/b")).unwrap();
    assert_ne!(digest("COPY d /x", &from), first);
    let flags = rustix::fs::XattrFlags::empty();
    let before = digest("COPY d/a /x", &from);
    rustix::fs::setxattr(from.path().join("d/a"), "user.a", b"1", flags).unwrap();
    assert_ne!(digest("COPY d/a /x", &from), before);
}

/// What was copied is known by the same digest, and so is a copy of the copy.
#[test]
fn a_copy_is_what_it_was() {
    let from = tree_of(
        "d/a=1@4755:1:2 d/e/b=2@600 d/e/f/g/@1777:3:4 d/l->a d/p|@600 d/e/empty= d/z.txt=long",
    );
    fs::hard_link(from.path().join("d/a"), from.path().join("d/e/again")).unwrap();
    let root = tree_of("");
    run("COPY --from=x d /d", &context(&from, ""), root.path()).unwrap();
    let line = "COPY --from=x d /x";
    assert_eq!(digest(line, &root), digest(line, &from));
    let of = |tree: &TempDir, path: &str| digest_of(&context(tree, ""), path).unwrap();
    assert_eq!(of(&root, "d"), of(&from, "/d/"));
    assert_eq!(of(&root, "d/l"), of(&from, "d/a"));
    assert_ne!(of(&root, "d/e"), of(&from, "d"));
    assert!(digest_of(&context(&root, ""), "nothing").is_err());
}

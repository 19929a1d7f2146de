//! What stands in ADD and COPY bent by chance: whatever it names, nothing panics and nothing leaves the root.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use onggi_builder::files::{Selection, Tree};
use onggi_builder::{AddOptions, CopyFiles, Input, fetch, files};
use onggi_testkit::Fuzz;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

/// Sources, destination, mode, what is excluded, checksum: a line each.
const SEEDS: &[&[u8]] = &[
    b"a d/*/c\n/x/y/\nu=rwX,go=rX\n**/*.c\n",
    b"d/./e ../../a l\nl/./z\n0755\n!d/e\n",
    b"[a-d]? *\n../..\n+t\nd\n",
    b"https://h/a.git?ref=b&subdir=c##ref=d,commit=0123456 git@h:a.git#b:c\n/\n\n\nsha256:0\n",
    b"http://me:secret@h/a%2Fb?c#d\n/x\n\n\nsha512:00\n",
];

fn copy(bytes: &[u8]) -> CopyFiles {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n').map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let sources = line();
    CopyFiles {
        input: match bytes.len() % 2 {
            0 => Input::Step(0),
            _ => Input::Context(None),
        },
        sources: sources.split(' ').map(str::to_owned).collect(),
        files: vec![(sources.replace(' ', ""), text.clone().into_owned())],
        destination: format!("/{}", line()),
        chmod: some(line()),
        exclude: some(line()).into_iter().collect(),
        chown: None,
        parents: bytes.len().is_multiple_of(3),
        link: false,
        add: bytes.len().is_multiple_of(5).then(|| AddOptions {
            checksum: some(line()),
            keep_git_dir: false,
            unpack: None,
        }),
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("mkdir");
    fs::write(path, text).expect("write");
}

fn tree(root: &TempDir) -> Tree {
    Tree::new(File::open(root.path()).expect("open").into(), "context")
}

#[test]
fn fuzz_sources() {
    let from = TempDir::new().expect("a directory");
    for path in ["a", "ab", "d/e/c", "d/e/x.c", "d/c", "z"] {
        write(from.path(), path, path);
    }
    std::os::unix::fs::symlink("d", from.path().join("l")).expect("a link");
    let outside = TempDir::new().expect("a directory");
    write(outside.path(), "root/l2/f", "1");
    let root = outside.path().join("root");
    std::os::unix::fs::symlink("../../../..", root.join("l")).expect("a link");
    let from = tree(&from);
    Fuzz {
        seeds: SEEDS,
        words: &[
            " ", "\n", "/", "..", "*", "[", "]", "\\", "!", "./", "l", ".git", "#", "?", "@", ":",
            "=", "é",
        ],
    }
    .run(|bytes| {
        let copy = copy(bytes);
        drop(fetch::check(&copy));
        let is_right = files::check(&copy).is_ok();
        let Ok(selection) = Selection::of(&from, &copy) else {
            return;
        };
        assert!(is_right);
        selection.digest().expect("what was found can be read");
        drop(selection.place(File::open(&root).expect("open").as_fd()));
        let beside = fs::read_dir(outside.path()).expect("list").count();
        assert_eq!(beside, 1);
    });
}

/// A copy of any tree is known by what the tree is known by; the order in which it was made and times say nothing.
#[test]
fn a_copy_of_any_tree_is_known_by_what_the_tree_is() {
    let all = |input| CopyFiles {
        input,
        sources: vec!["/".to_owned()],
        files: Vec::new(),
        destination: "/".to_owned(),
        chown: None,
        chmod: None,
        exclude: Vec::new(),
        parents: false,
        link: false,
        add: None,
    };
    let digest = |of: &TempDir| {
        let (tree, copy) = (tree(of), all(Input::Step(0)));
        let selection = Selection::of(&tree, &copy).expect("the root is there");
        selection.digest().expect("it can be read")
    };
    for seed in 0..40 {
        let bytes: [u8; 16] = StdRng::seed_from_u64(seed).random();
        let mut made: Vec<(u8, u8)> = Vec::new();
        for pair in bytes.chunks(2) {
            let entry = (pair[0], pair[1]);
            if made.iter().all(|(name, _)| name % 16 != entry.0 % 16) {
                made.push(entry);
            }
        }
        let make = |entries: &mut dyn Iterator<Item = &(u8, u8)>, seconds: u64| {
            let root = TempDir::new().expect("a directory");
            for (name, what) in entries {
                let path = format!("{}/{}", name % 3, name % 16);
                let text = what.to_string();
                match what % 4 {
                    0 => fs::create_dir_all(root.path().join(path)).expect("mkdir"),
                    1 => {
                        write(root.path(), &format!("{path}.d/x"), &text);
                        let link = root.path().join(path);
                        std::os::unix::fs::symlink(text, link).expect("a link");
                    }
                    _ => {
                        write(root.path(), &path, &text);
                        let file = File::open(root.path().join(path)).expect("open");
                        let time = UNIX_EPOCH + Duration::from_secs(seconds + u64::from(*what));
                        file.set_modified(time).expect("set the time");
                    }
                }
            }
            root
        };
        let one = make(&mut made.iter(), 1);
        let other = make(&mut made.iter().rev(), 1_000_000);
        let expected = digest(&one);
        assert_eq!(digest(&other), expected, "{seed}");
        let copied = TempDir::new().expect("a directory");
        let (from, copy) = (tree(&one), all(Input::Step(0)));
        let selection = Selection::of(&from, &copy).expect("the root is there");
        let root = File::open(copied.path()).expect("open");
        selection.place(root.as_fd()).expect("it can be copied");
        assert_eq!(digest(&copied), expected, "{seed}");
    }
}

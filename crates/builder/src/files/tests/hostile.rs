//! Whoever swaps directories for links while files are copied gets no file in or out.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Swaps `name` for a link to `target` and back, over and over, while `work` is done `rounds` times.
fn while_swapping(
    directory: &Path,
    name: &str,
    target: &Path,
    rounds: usize,
    mut work: impl FnMut(),
) {
    let link = directory.join("swap.link");
    std::os::unix::fs::symlink(target, &link).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let place = directory.join(name);
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            while !stop.load(Ordering::Relaxed) {
                let cwd = rustix::fs::CWD;
                rustix::fs::renameat_with(cwd, &place, cwd, &link, flags).unwrap();
            }
        });
        for _ in 0..rounds {
            work();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_written_outside() {
    let outside = tree_of("");
    let root = tree_of("x/y/z/");
    let from = tree_of("d/y/z/a=1 d/y/b=2");
    let tree = context(&from, "");
    while_swapping(&root.path().join("x"), "y", outside.path(), 60, || {
        // An error is as well as success.
        let _ = run("COPY d /x", &tree, root.path());
        let _ = run("COPY d/y/b /x/y/new/", &tree, root.path());
        let _ = run("COPY d/y/b /x/y/c", &tree, root.path());
        let directory = Directory {
            path: "/x/y/made/deep".to_owned(),
            user: None,
        };
        let _ = make_directory(File::open(root.path()).unwrap().as_fd(), &directory);
    });
    assert_eq!(words_of(outside.path()), "");
}

#[test]
fn nothing_is_read_outside() {
    let outside = tree_of("secret=hidden z/secret=hidden");
    let from = tree_of("d/y/secret=own d/y/z/secret=own");
    let tree = context(&from, "");
    let check = |line: &str| {
        let root = tree_of("");
        let _ = run(line, &tree, root.path());
        let words = words_of(root.path());
        assert!(!words.contains("hidden"), "{words}");
    };
    while_swapping(&from.path().join("d"), "y", outside.path(), 25, || {
        check("COPY d /x");
        check("COPY d/y /x");
        check("COPY d/*/secret /x/");
        check("COPY --parents d/y/secret /x/");
    });
}

//! COPY, row by row.

use super::*;

const PASSWD: &str = "etc/passwd=app:x:12:34::/:/x etc/group=staff:x:50:";

/// Context, root, line and what is in the root then; errors begin with `!`.
const ROWS: &[(&str, &str, &str, &str)] = &[
    // Files.
    ("a=1", "", "COPY a /b", "b=1"),
    ("a=1", "", "COPY a /", "a=1"),
    ("a=1", "", "COPY a /d/", "d/ d/a=1"),
    ("a=1", "", "COPY a /d/e/f", "d/ d/e/ d/e/f=1"),
    ("a=1", "d/", "COPY a /d", "d/ d/a=1"),
    ("a=1", "d/", "COPY a /d/.", "d/ d/a=1"),
    ("a=1", "", "COPY a .", "w/ w/a=1"),
    ("a=1", "", "COPY a x", "w/ w/x=1"),
    ("a=1", "", "COPY a ./x/", "w/ w/x/ w/x/a=1"),
    ("a=1", "", "COPY a ../x", "x=1"),
    ("a=1", "", "COPY ./a /b", "b=1"),
    ("a=1", "", "COPY /a /b", "b=1"),
    ("a=1", "", "COPY ../../a /b", "b=1"),
    ("d/a=1", "", "COPY d/../d/./a /", "a=1"),
    ("a=new", "b=old", "COPY a /b", "b=new"),
    ("a=1@600", "", "COPY a /b", "b=1@600"),
    ("a=1@4755", "", "COPY a /b", "b=1@4755"),
    ("a=1@644:5:6", "", "COPY a /b", "b=1"),
    ("a=1@644:5:6", "", "COPY --from=x a /b", "b=1@644:5:6"),
    (
        "a=1",
        "d/a=x",
        "COPY a /d/a/",
        "!mkdir /d/a: not a directory",
    ),
    ("a=1", "d=x", "COPY a /d/a", "!mkdir /d: not a directory"),
    (
        "a=1",
        "d/a/b=x",
        "COPY a /d/",
        "!cannot replace to directory /d/a with file",
    ),
    ("ö=1", "", "COPY ö /", "ö=1"),
    // Directories.
    ("d/a=1 d/e/b=2", "", "COPY d /x", "x/ x/a=1 x/e/ x/e/b=2"),
    ("d/a=1", "", "COPY d /x/", "x/ x/a=1"),
    ("d/a=1", "x/", "COPY d /x", "x/ x/a=1"),
    ("d/a=1", "x/b=2", "COPY d /x", "x/ x/a=1 x/b=2"),
    ("d/a=1", "", "COPY d /", "a=1"),
    ("a=1 d/b=2", "", "COPY . /x", "x/ x/a=1 x/d/ x/d/b=2"),
    (
        "d/@700 d/e/@711 d/e/a=1",
        "",
        "COPY d /x",
        "x/ x/e/@711 x/e/a=1",
    ),
    (
        "d/e/@711",
        "x/@750 x/e/@700",
        "COPY d /x",
        "x/@750 x/e/@711",
    ),
    (
        "d/@755:1:1 d/e/@755:2:2",
        "x/@755:7:7",
        "COPY --from=x d /x",
        "x/@755:7:7 x/e/@755:2:2",
    ),
    ("d/", "", "COPY d /x", "x/"),
    (
        "d/a=1",
        "x=1",
        "COPY d /x",
        "!cannot copy to non-directory: /x",
    ),
    (
        "d/a/b=1",
        "x/a=1",
        "COPY d /x",
        "!cannot copy to non-directory: /x/a",
    ),
    (
        "d/a=1",
        "x/a/",
        "COPY d /x",
        "!cannot replace to directory /x/a with file",
    ),
    (
        "lib/a=1",
        "usr/lib/ lib->usr/lib",
        "COPY . /",
        "!cannot copy to non-directory: /lib",
    ),
    (
        "lib/a=1",
        "usr/lib/ lib->usr/lib",
        "COPY lib /lib",
        "lib->usr/lib usr/ usr/lib/ usr/lib/a=1",
    ),
    // Several.
    ("a=1 b=2", "", "COPY a b /d/", "d/ d/a=1 d/b=2"),
    ("a=1 b=2", "d/", "COPY a b /d", "d/ d/a=1 d/b=2"),
    ("a=1 b=2", "", "COPY a b .", "w/ w/a=1 w/b=2"),
    (
        "a=1 b=2",
        "",
        "COPY a b /d",
        "!When using COPY with more than one source file, the destination must be a directory and end with a /",
    ),
    ("d/a=1 e/a=2", "", "COPY d e /x", "x/ x/a=2"),
    ("d/a=1 b=2", "", "COPY d b /x", "x/ x/a=1 x/b=2"),
    // Wildcards.
    (
        "a.txt=1 b.txt=2 c=3",
        "",
        "COPY *.txt /d/",
        "d/ d/a.txt=1 d/b.txt=2",
    ),
    ("a.txt=1", "", "COPY *.txt /x", "x=1"),
    (
        "a.txt=1 b.txt=2",
        "",
        "COPY *.txt /x",
        "!When using COPY with more than one source file, the destination must be a directory and end with a /",
    ),
    ("a=1", "", "COPY a b* /d/", "d/ d/a=1"),
    ("d/a/x=1 d/b/x=2 d/c=3", "", "COPY d/*/x /d/", "d/ d/x=2"),
    ("d/a/x=1 e/y=2", "", "COPY * /x/", "x/ x/a/ x/a/x=1 x/y=2"),
    ("ab=1 ac=2 b=3", "", "COPY a[bd] a? /x/", "x/ x/ab=1 x/ac=2"),
    (
        "a[0].txt=1 a0.txt=2",
        "",
        "COPY a[[]0].txt /x/",
        "x/ x/a[0].txt=1",
    ),
    (".a=1", "", "COPY * /x/", "x/ x/.a=1"),
    (
        "a=1",
        "",
        "COPY [a /x/",
        "!failed to match \"[a\": syntax error in pattern",
    ),
    ("d/a=1 l->d", "", "COPY l*/a /x/", ""),
    // Links in sources.
    ("a=1 l->a", "", "COPY l /x", "x=1"),
    ("a=1 l->a", "", "COPY l /x/", "x/ x/l=1"),
    ("d/a=1 l->d", "", "COPY l /x", "x/ x/a=1"),
    ("d/a=1 l->/d", "", "COPY l/a /x", "x=1"),
    ("a=1 l->../../../a", "", "COPY l /x", "x=1"),
    (
        "d/a=1 d/l->a d/m->/nowhere",
        "",
        "COPY d /x",
        "x/ x/a=1 x/l->a x/m->/nowhere",
    ),
    ("a=1 l->a", "", "COPY l* /x/", "x/ x/l=1"),
    // Links in destinations.
    ("a=1", "t/ l->t", "COPY a /l/", "l->t t/ t/a=1"),
    ("a=1", "t/ l->/t", "COPY a /l", "l->/t t/ t/a=1"),
    ("a=1", "l->../../t", "COPY a /l/", "l->../../t t/ t/a=1"),
    ("a=1", "l->/t/u", "COPY a /l", "l->/t/u t/ t/u=1"),
    ("a=1", "f=2 l->f", "COPY a /l", "f=1 l->f"),
    ("a=1", "d/a->/f f=2", "COPY a /d/", "d/ d/a=1 f=2"),
    ("d/a=1", "l->t", "COPY d /l", "l->t t/ t/a=1"),
    // Owners.
    ("a=1", PASSWD, "COPY --chown=app a /b", "b=1@644:12:34"),
    (
        "a=1",
        PASSWD,
        "COPY --chown=app:staff a /b",
        "b=1@644:12:50",
    ),
    (
        "a=1",
        "",
        "COPY --chown=5 a /d/b",
        "d/@755:5:5 d/b=1@644:5:5",
    ),
    ("a=1", "", "COPY --chown=5:6 a /b", "b=1@644:5:6"),
    ("d/a=1", "x/", "COPY --chown=5 d /x", "x/ x/a=1@644:5:5"),
    ("d/e/", "", "COPY --chown=5 d /x", "x/@755:5:5 x/e/@755:5:5"),
    (
        "a=1",
        "",
        "COPY --chown=who a /b",
        "!unable to convert uid/gid chown string to host mapping: can't find uid for user who: no such user: who",
    ),
    (
        "d/l->a",
        "",
        "COPY --chown=5:6 d /x",
        "x/@755:5:6 x/l->a@777:5:6",
    ),
    // Modes.
    ("a=1", "", "COPY --chmod=755 a /b", "b=1@755"),
    (
        "d/e/a=1",
        "",
        "COPY --chmod=700 d /x",
        "x/ x/e/@700 x/e/a=1@700",
    ),
    (
        "d/e/@700 d/a=1@600 d/b=1@700",
        "",
        "COPY --chmod=u=rwX,go=rX d /x",
        "x/ x/a=1 x/b=1@755 x/e/",
    ),
    // --exclude
    (
        "d/a.txt=1 d/b=2 d/e/c.txt=3",
        "",
        "COPY --exclude=*.txt d /x",
        "x/ x/b=2 x/e/ x/e/c.txt=3",
    ),
    (
        "d/a.txt=1 d/b=2 d/e/c.txt=3",
        "",
        "COPY --exclude=**/*.txt d /x",
        "x/ x/b=2 x/e/",
    ),
    (
        "d/e/a=1 d/e/b=2 d/c=3",
        "",
        "COPY --exclude=e --exclude=!e/a d /x",
        "x/ x/c=3 x/e/ x/e/a=1",
    ),
    (
        "home.txt=1 home.md=2 homely=3",
        "",
        "COPY --exclude=*.txt --exclude=*.md hom* /x/",
        "x/ x/homely=3",
    ),
    ("d/a=1", "", "COPY --exclude=a d /x", "x/"),
    // --parents
    (
        "x/a.txt=1 y/a.txt=2",
        "",
        "COPY --parents x/a.txt y/a.txt /d/",
        "d/ d/x/ d/x/a.txt=1 d/y/ d/y/a.txt=2",
    ),
    (
        "x/@700 x/y/@711 x/y/a=1",
        "",
        "COPY --parents x/y/a /d/",
        "d/ d/x/@700 d/x/y/@711 d/x/y/a=1",
    ),
    (
        "x/y/a=1 x/z=2",
        "",
        "COPY --parents ./x/./y/a /d/",
        "d/ d/y/ d/y/a=1",
    ),
    (
        "x/y/a=1 x/z/a=2 x/z/b=3",
        "",
        "COPY --parents x/*/a /d/",
        "d/ d/x/ d/x/y/ d/x/y/a=1 d/x/z/ d/x/z/a=2",
    ),
    (
        "x/y/a.c=1 z/a.c=2 z/b=3",
        "",
        "COPY --parents **/*.c /d/",
        "d/ d/x/ d/x/y/ d/x/y/a.c=1 d/z/ d/z/a.c=2",
    ),
    (
        "x/y/a=1 x/y/b=2",
        "",
        "COPY --parents x/y /d/",
        "d/ d/x/ d/x/y/ d/x/y/a=1 d/x/y/b=2",
    ),
    (
        "x/y/a=1 x/y/b=2",
        "",
        "COPY --parents --exclude=**/b x/y /d/",
        "d/ d/x/ d/x/y/ d/x/y/a=1",
    ),
    (
        "d/a=1 l->d",
        "",
        "COPY --parents l/a /x/",
        "!failed to compute cache key: failed to calculate checksum of context: \"/l/a\": not found",
    ),
    ("l->nowhere", "", "COPY --parents l /x/", "x/ x/l->nowhere"),
    // Here-documents.
    ("", "", "COPY <<a /b\ntext\na", "b=text\n"),
    ("", "", "COPY <<a <<b /d/\n1\na\n2\nb", "d/ d/a=1\n d/b=2\n"),
    (
        "",
        "",
        "COPY --chmod=700 --chown=5 <<a /b\nx\na",
        "b=x\n@700:5:5",
    ),
    ("a=1", "", "COPY a <<b /d/\n2\nb", "d/ d/a=1 d/b=2\n"),
    // Other kinds.
    ("d/p|@600", "", "COPY d /x", "x/ x/p|@600"),
];

#[test]
fn what_comes_out() {
    for (from, root, line, expected) in ROWS {
        let got = match result(line, from, "", root) {
            Ok(words) => words,
            Err(error) => format!("!{error}"),
        };
        // What was there and has nothing to do with it.
        let got = got.replace(
            "etc/ etc/group=staff:x:50: etc/passwd=app:x:12:34::/:/x",
            "",
        );
        assert_eq!(got.trim(), expected.trim(), "{line}\nof {from}\nto {root}");
    }
    assert!(ROWS.len() > 60);
}

#[test]
fn what_is_ignored_stays_behind() {
    for (from, ignore, line, expected) in [
        ("a=1 b=2", "b", "COPY . /x", "x/ x/a=1"),
        (
            "a.log=1 d/b.log=2 d/c=3",
            "**/*.log",
            "COPY . /x",
            "x/ x/d/ x/d/c=3",
        ),
        ("d/a=1 d/b=2", "d\n!d/a", "COPY . /x", "x/ x/d/ x/d/a=1"),
        ("d/a=1 d/b=2", "d\n!d/a", "COPY d /x", "x/ x/a=1"),
        ("d/a=1 d/b=2", "*\n!d/a", "COPY d/* /x/", "x/ x/a=1"),
        ("a=1 b=2", "a", "COPY * /x/", "x/ x/b=2"),
        ("d/a=1 l->d", "d", "COPY . /x", "x/ x/l->d"),
    ] {
        let got = result(line, from, ignore, "").unwrap();
        assert_eq!(got, expected, "{line} of {from}");
    }
}

/// Modes of nobody's directories do not depend on the umask, links stay links inside one source, times stay.
#[test]
fn links_and_times() {
    let from = tree_of("d/a=1 d/e/b=2");
    let at = |path: &str| from.path().join(path);
    fs::hard_link(at("d/a"), at("d/e/c")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for path in ["d/a", "d/e"] {
        File::open(at(path)).unwrap().set_modified(time).unwrap();
    }
    let root = tree_of("x/");
    File::open(root.path().join("x"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    run("COPY d d/a /x/", &context(&from, ""), root.path()).unwrap();
    let status = |path: &str| fs::metadata(root.path().join(path)).unwrap();
    assert_eq!(status("x/e/c").nlink(), 1);
    assert_eq!(status("x/e").modified().unwrap(), time);
    assert_eq!(status("x/a").modified().unwrap(), time);

    let root = tree_of("x/");
    File::open(root.path().join("x"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    run("COPY d /x/", &context(&from, ""), root.path()).unwrap();
    let status = |path: &str| fs::metadata(root.path().join(path)).unwrap();
    assert_eq!(status("x/e/c").ino(), status("x/a").ino());
    assert_eq!(status("x").modified().unwrap(), time);
}

/// Holes stay holes; what attributes a file has, it keeps.
#[test]
fn holes_and_attributes() {
    let from = tree_of("d/big=head d/small=1");
    let big = File::options()
        .write(true)
        .open(from.path().join("d/big"))
        .unwrap();
    big.set_len(64 << 20).unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let flags = rustix::fs::XattrFlags::empty();
    let small = from.path().join("d/small");
    rustix::fs::setxattr(&small, "security.capability", &capability, flags).unwrap();
    rustix::fs::setxattr(&small, "user.word", b"kept", flags).unwrap();
    let root = tree_of("");
    run("COPY d /x", &context(&from, ""), root.path()).unwrap();
    let copied = fs::metadata(root.path().join("x/big")).unwrap();
    assert_eq!(copied.len(), 64 << 20);
    assert!(copied.blocks() < 1 << 11, "{}", copied.blocks());
    let bytes = fs::read(root.path().join("x/big")).unwrap();
    assert!(bytes.starts_with(b"head\0") && bytes[5..].iter().all(|byte| *byte == 0));
    let mut value = [0; 64];
    let small = root.path().join("x/small");
    let length = rustix::fs::getxattr(&small, "security.capability", &mut value[..]).unwrap();
    assert_eq!(value[..length], capability);
    let length = rustix::fs::getxattr(&small, "user.word", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"kept");
}

#[test]
fn sockets_and_devices_of_stages() {
    let from = tree_of("d/");
    let socket = std::os::unix::net::UnixListener::bind(from.path().join("d/s")).unwrap();
    let node = from.path().join("d/null");
    let device = rustix::fs::makedev(1, 3);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &node,
        FileType::CharacterDevice,
        mode,
        device,
    )
    .unwrap();
    let root = tree_of("");
    run("COPY --from=x d /x", &context(&from, ""), root.path()).unwrap();
    drop(socket);
    let status = |path: &str| fs::metadata(root.path().join(path)).unwrap();
    assert_eq!(status("x/null").rdev(), device);
    assert!(status("x/s").is_file() && status("x/s").len() == 0);
}

#[test]
fn working_directories() {
    for (root, path, user, expected) in [
        ("", "/a/b", None, "a/ a/b/"),
        ("a/", "/a/b/", Some("5"), "a/ a/b/@755:5:5"),
        (
            PASSWD,
            "/a/b",
            Some("app:staff"),
            "a/@755:12:50 a/b/@755:12:50",
        ),
        ("", "/a", Some("nobody"), "a/"),
        ("a/@700", "/a", Some("5"), "a/@700"),
        ("t/ l->t", "/l/a", None, "l->t t/ t/a/"),
        ("l->/../t", "/l", None, "l->/../t t/"),
        ("a=1", "/a", None, "!mkdir /a: not a directory"),
        ("a=1", "/a/b", None, "!mkdir /a: not a directory"),
        ("", "/", None, ""),
    ] {
        let root = tree_of(root);
        let directory = Directory {
            path: path.to_owned(),
            user: user.map(str::to_owned),
        };
        let got = match make_directory(File::open(root.path()).unwrap().as_fd(), &directory) {
            Ok(()) => words_of(root.path()),
            Err(error) => format!("!{error}"),
        };
        let got = got.replace(
            " etc/ etc/group=staff:x:50: etc/passwd=app:x:12:34::/:/x",
            "",
        );
        assert_eq!(got, expected, "{path}");
    }
}

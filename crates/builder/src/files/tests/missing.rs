//! What is said of sources that are not there.

use super::*;

#[test]
fn what_is_near_is_said() {
    for (from, ignore, line, expected) in [
        (
            "main.c=1",
            "",
            "COPY main.h /",
            "\"/main.h\": not found (did you mean /main.c?)",
        ),
        ("main.c=1", "", "COPY other /", "\"/other\": not found"),
        (
            "src/main.c=1",
            "",
            "COPY src/mian.c /",
            "\"/src/mian.c\": not found (did you mean /src/main.c?)",
        ),
        (
            "src/main.c=1",
            "",
            "COPY scr/main.c /",
            "\"/scr/main.c\": not found (did you mean /src?)",
        ),
        (
            "a.log=1",
            "# logs\n\n*.log\n",
            "COPY a.log /",
            "\"/a.log\": not found (excluded by .dockerignore line 3: *.log)",
        ),
        (
            "d/a=1",
            "d",
            "COPY d/a /",
            "\"/d/a\": not found (excluded by .dockerignore line 1: d)",
        ),
        (
            "d/a=1",
            "d",
            "COPY d /",
            "\"/d\": not found (excluded by .dockerignore line 1: d)",
        ),
        (
            "d/a=1",
            "d",
            "COPY d/* /",
            "\"/d\": not found (excluded by .dockerignore line 1: d)",
        ),
        ("a=1", "", "COPY d/* /", "\"/d\": not found"),
        (
            "a=1",
            "",
            "COPY ../../etc/passwd /",
            "\"/etc/passwd\": not found",
        ),
        ("a=1", "", "COPY a/b /", "\"/a/b\": not found"),
        ("l->/nowhere", "", "COPY l /", "\"/l\": not found"),
        ("l->m m->l", "", "COPY l /", "\"/l\": too many links"),
        (
            "secret=1 sacred=2",
            "secret",
            "COPY secrets /",
            "\"/secrets\": not found",
        ),
        (
            "x/one=1",
            "",
            "COPY --parents x/oen /d/",
            "\"/x/oen\": not found (did you mean /x/one?)",
        ),
        (
            "x/one=1",
            "",
            "COPY --parents y/./a /d/",
            "\"/y\": not found",
        ),
    ] {
        let error = result(line, from, ignore, "").unwrap_err();
        let expected = match expected.contains("links") {
            true => format!("failed to calculate checksum of context: {expected}"),
            false => format!(
                "failed to compute cache key: failed to calculate checksum of context: {expected}"
            ),
        };
        assert_eq!(error, expected, "{line}");
    }
}

#[test]
fn what_has_to_be_fetched() {
    for source in [
        "http://h/a",
        "https://h/a.git#v1",
        "git@github.com:a/b.git",
        "me@h:a.git",
        "ssh://git@h/a",
        "git://h/a",
    ] {
        assert!(is_remote(source), "{source}");
    }
    for source in ["a", "./http://x", "a@b", "github.com/a/b", "a@1.0/b:c"] {
        assert!(!is_remote(source), "{source}");
    }
}

#[test]
fn files_that_say_what_to_build() {
    let from = tree_of("Dockerfile=FROM d/ l->Dockerfile out->/../../etc/passwd");
    let tree = context(&from, "*");
    let read = |path: &str, limit| tree.read(path, limit).map_err(|error| error.to_string());
    assert_eq!(read("Dockerfile", 10), Ok(Some(b"FROM".to_vec())));
    assert_eq!(read("l", 4), Ok(Some(b"FROM".to_vec())));
    assert_eq!(read("../Dockerfile", 10), Ok(Some(b"FROM".to_vec())));
    assert_eq!(read("nothing", 10), Ok(None));
    assert_eq!(read("Dockerfile/x", 10), Ok(None));
    assert_eq!(read("out", 10), Ok(None));
    assert_eq!(
        read("Dockerfile", 3),
        Err("Dockerfile is larger than 3 bytes".to_owned())
    );
    assert_eq!(read("d", 3), Err("d is not a file".to_owned()));
}

//! What is in the context.

use super::Change::{Directory, File, Gone, HardLink, Link, Mode, Moved, Note, Owner, Text, Time};
use super::{Row, Scene};

const FROM_ONE: &[&str] = &[
    "COPY one.txt",
    "COPY dir",
    "COPY *.md",
    "COPY link",
    "RUN new end",
];
const FROM_DIRECTORY: &[&str] = &["COPY dir", "COPY *.md", "COPY link", "RUN new end"];
const FROM_GLOB: &[&str] = &["COPY *.md", "COPY link", "RUN new end"];

pub(super) const SCENE: Scene = Scene {
    name: "files",
    dockerfile: "FROM base\nCOPY one.txt /one\nCOPY dir /dir\nCOPY *.md /docs/\nCOPY link /followed\nRUN new end\n",
    context: &[
        File("one.txt", "one"),
        Directory("dir", 0o755),
        File("dir/a", "a"),
        Directory("dir/sub", 0o755),
        File("dir/sub/b", "b"),
        Link("dir/to", "a"),
        File("dir/twin", "a"),
        File("x.md", "x"),
        File("y.md", "y"),
        Link("link", "target.txt"),
        File("target.txt", "target"),
        File("same.txt", "target"),
        File("other.txt", "other"),
    ],
    rows: &[
        Row("a file", &[File("one.txt", "changed")], FROM_ONE),
        Row("its mode", &[Mode("one.txt", 0o755)], FROM_ONE),
        Row("its time", &[Time("one.txt", 1_700_000_000)], &[]),
        Row("its owner: it will be root's", &[Owner("one.txt", 5)], &[]),
        Row(
            "its extended attributes",
            &[Note("one.txt", "note")],
            FROM_ONE,
        ),
        Row(
            "a link in its place, to the same",
            &[Moved("one.txt", "first.txt"), Link("one.txt", "first.txt")],
            &[],
        ),
        Row(
            "a file of another kind",
            &[Directory("one.txt", 0o755)],
            FROM_ONE,
        ),
        Row(
            "a file that nobody copies",
            &[File("other.txt", "changed")],
            &[],
        ),
        Row("a new file", &[File("new.txt", "new")], &[]),
        Row("a file less", &[Gone("other.txt")], &[]),
        Row(
            "a file in a directory",
            &[File("dir/sub/b", "changed")],
            FROM_DIRECTORY,
        ),
        Row(
            "a new file in a directory",
            &[File("dir/c", "c")],
            FROM_DIRECTORY,
        ),
        Row(
            "a file less in a directory",
            &[Gone("dir/a")],
            FROM_DIRECTORY,
        ),
        Row(
            "another name of a file in a directory",
            &[Moved("dir/sub/b", "dir/sub/c")],
            FROM_DIRECTORY,
        ),
        Row(
            "another place of a file in a directory",
            &[Moved("dir/sub/b", "dir/b")],
            FROM_DIRECTORY,
        ),
        Row(
            "an empty directory in a directory",
            &[Directory("dir/empty", 0o755)],
            FROM_DIRECTORY,
        ),
        Row(
            "the mode of a directory in a directory",
            &[Mode("dir/sub", 0o700)],
            FROM_DIRECTORY,
        ),
        Row(
            "the mode of a directory of which the content is copied",
            &[Mode("dir", 0o700)],
            &[],
        ),
        Row(
            "the times of directories and links",
            &[
                Time("dir", 1_700_000_000),
                Time("dir/sub", 1_700_000_000),
                Time("dir/to", 1_700_000_000),
            ],
            &[],
        ),
        Row(
            "where a link in a directory leads",
            &[Link("dir/to", "twin")],
            FROM_DIRECTORY,
        ),
        Row(
            "a link that becomes what it led to",
            &[File("dir/to", "a")],
            FROM_DIRECTORY,
        ),
        Row(
            "two files that become one with two names",
            &[HardLink("dir/twin", "dir/a")],
            FROM_DIRECTORY,
        ),
        Row("one more that fits", &[File("z.md", "z")], FROM_GLOB),
        Row("one less that fits", &[Gone("y.md")], FROM_GLOB),
        Row(
            "another name of one that fits",
            &[Moved("y.md", "z.md")],
            FROM_GLOB,
        ),
        Row("one more that does not fit", &[File("z.txt", "z")], &[]),
        Row(
            "a link that leads to the same elsewhere",
            &[Link("link", "same.txt")],
            &[],
        ),
        Row(
            "a link that leads to another file",
            &[Link("link", "other.txt")],
            &["COPY link", "RUN new end"],
        ),
        Row(
            "the file that a link leads to",
            &[File("target.txt", "changed")],
            &["COPY link", "RUN new end"],
        ),
        Row(
            "a link that becomes the file",
            &[File("link", "target")],
            &[],
        ),
        Row(
            "a list of what is ignored, of none that is copied",
            &[File(".dockerignore", "other.txt\n")],
            &[],
        ),
        Row(
            "a list of what is ignored, of some",
            &[File(".dockerignore", "# some\n**/sub\n")],
            FROM_DIRECTORY,
        ),
        Row(
            "the list of this very Dockerfile",
            &[
                File(".dockerignore", "**/b\n"),
                File("Dockerfile.dockerignore", "x.md\n"),
            ],
            FROM_GLOB,
        ),
    ],
};

pub(super) const WHOLE: Scene = Scene {
    name: "whole",
    dockerfile: "FROM base\nCOPY . /all\nRUN new end\nRUN new last\n",
    context: &[
        File(".dockerignore", "*.log\nDockerfile\n.dockerignore\n"),
        File("a.txt", "a"),
        File("a.log", "log"),
    ],
    rows: &[
        Row("an ignored file", &[File("a.log", "changed")], &[]),
        Row("another ignored file", &[File("b.log", "b")], &[]),
        Row(
            "the Dockerfile, which is ignored",
            &[Text("FROM", "# hello\nFROM")],
            &[],
        ),
        Row(
            "the list of what is ignored, which is ignored",
            &[File(
                ".dockerignore",
                "# hello\n*.log\nDockerfile\n.dockerignore\nnothing\n",
            )],
            &[],
        ),
        Row(
            "a file that is no more ignored",
            &[File(".dockerignore", "Dockerfile\n.dockerignore\n")],
            &["COPY .", "RUN new end", "RUN new last"],
        ),
        Row(
            "a file that is ignored now",
            &[File(".dockerignore", "a.*\nDockerfile\n.dockerignore\n")],
            &["COPY .", "RUN new end", "RUN new last"],
        ),
        Row(
            "the list, which is not ignored any more",
            &[File(".dockerignore", "*.log\nDockerfile\n")],
            &["COPY .", "RUN new end", "RUN new last"],
        ),
        Row(
            "the Dockerfile, which is not ignored any more",
            &[File(".dockerignore", "*.log\n.dockerignore\n")],
            &["COPY .", "RUN new end", "RUN new last"],
        ),
        Row(
            "a file",
            &[File("a.txt", "changed")],
            &["COPY .", "RUN new end", "RUN new last"],
        ),
    ],
};

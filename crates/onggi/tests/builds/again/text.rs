//! The Dockerfile's text.

use super::Change::{File, Set, Text};
use super::{Row, Scene};

const ALL: &[&str] = &[
    "WORKDIR",
    "COPY a.txt",
    "RUN new one",
    "RUN <<END",
    "COPY <<END",
    "RUN new last",
];

pub(super) const SCENE: Scene = Scene {
    name: "text",
    dockerfile: "FROM base\nLABEL l=1\nWORKDIR /w\nCOPY a.txt ./\nRUN new one && \\\n    new two\nRUN <<END\nnew here\nEND\nCOPY <<END made\ntext\nEND\nRUN new last\nCMD [\"sh\"]\n",
    context: &[File("a.txt", "a")],
    rows: &[
        Row("nothing", &[], &[]),
        Row("the image's name", &[Set("t", "other:1")], &[]),
        Row("--label", &[Set("labels", r#"{"l":"1"}"#)], &[]),
        Row("a comment", &[Text("LABEL", "# hello\nLABEL")], &[]),
        Row(
            "the syntax",
            &[Text("FROM base", "# syntax=docker/dockerfile:1\nFROM base")],
            &[],
        ),
        Row("blank lines", &[Text("RUN", "\n\nRUN")], &[]),
        Row(
            "a comment in a command",
            &[Text("    new two", "# why\n    new two")],
            &[],
        ),
        Row(
            "a blank line in a command",
            &[Text("    new two", "\n    new two")],
            &[],
        ),
        Row(
            "blanks in front of a command",
            &[Text("RUN new one", "RUN    new one")],
            &[],
        ),
        Row(
            "blanks behind a command",
            &[Text("new two", "new two   ")],
            &[],
        ),
        Row(
            "blanks inside a command",
            &[Text("RUN new one", "RUN new  one")],
            &["RUN new  one", "RUN <<END", "COPY <<END", "RUN new last"],
        ),
        Row(
            "how far a line of a command is indented",
            &[Text("    new two", "  new two")],
            &["RUN new one", "RUN <<END", "COPY <<END", "RUN new last"],
        ),
        Row(
            "the case of keywords",
            &[Text("RUN", "run"), Text("COPY", "Copy")],
            &[],
        ),
        Row(
            "a here-document",
            &[Text("new here", "new here again")],
            &["RUN <<END", "COPY <<END", "RUN new last"],
        ),
        Row(
            "where a here-document ends",
            &[Text("RUN <<END\nnew here\nEND", "RUN <<EOF\nnew here\nEOF")],
            &[],
        ),
        Row(
            "a here-document that becomes a file",
            &[Text("text\n", "other\n")],
            &["COPY <<END", "RUN new last"],
        ),
        Row(
            "what such a file is called",
            &[Text("COPY <<END made\ntext\nEND", "COPY <<X ./\ntext\nX")],
            &["COPY <<X", "RUN new last"],
        ),
        Row(
            "a command as a list, of the same words",
            &[Text("RUN new last", r#"RUN ["/bin/sh", "-c", "new last"]"#)],
            &[],
        ),
        Row(
            "a command as a list, without a shell",
            &[Text("RUN new last", r#"RUN ["new", "last"]"#)],
            &["RUN [\"new\", \"last\"]"],
        ),
        Row(
            "a command",
            &[Text("new last", "new end")],
            &["RUN new end"],
        ),
        Row(
            "a command that changes no file, between others",
            &[Text("COPY <<END", "RUN true\nCOPY <<END")],
            &["RUN true"],
        ),
        Row(
            "two steps in another order",
            &[
                Text("RUN new last\n", ""),
                Text("COPY <<END", "RUN new last\nCOPY <<END"),
            ],
            &["RUN new last", "COPY <<END"],
        ),
        Row(
            "a step less",
            &[Text("RUN <<END\nnew here\nEND\n", "")],
            &["COPY <<END", "RUN new last"],
        ),
        Row("a label", &[Text("l=1", "l=2")], &[]),
        Row("a label more", &[Text("CMD", "LABEL m=1\nCMD")], &[]),
        Row("CMD", &[Text("[\"sh\"]", "[\"ls\"]")], &[]),
        Row(
            "ENTRYPOINT",
            &[Text("WORKDIR", "ENTRYPOINT [\"x\"]\nWORKDIR")],
            &[],
        ),
        Row("EXPOSE", &[Text("WORKDIR", "EXPOSE 80\nWORKDIR")], &[]),
        Row("VOLUME", &[Text("CMD", "VOLUME /data\nCMD")], &[]),
        Row(
            "HEALTHCHECK",
            &[Text("WORKDIR", "HEALTHCHECK CMD true\nWORKDIR")],
            &[],
        ),
        Row(
            "STOPSIGNAL",
            &[Text("WORKDIR", "STOPSIGNAL INT\nWORKDIR")],
            &[],
        ),
        Row(
            "MAINTAINER",
            &[Text("WORKDIR", "MAINTAINER me\nWORKDIR")],
            &[],
        ),
        Row(
            "ONBUILD",
            &[Text("WORKDIR", "ONBUILD RUN new it\nWORKDIR")],
            &[],
        ),
        Row("USER below all steps", &[Text("CMD", "USER 5\nCMD")], &[]),
        Row(
            "USER above a command",
            &[Text("RUN new last", "USER root\nRUN new last")],
            &["RUN new last"],
        ),
        Row(
            "USER above a directory",
            &[Text("WORKDIR /w", "USER 5\nWORKDIR /w\nUSER root")],
            ALL,
        ),
        Row(
            "SHELL",
            &[Text(
                "RUN <<END",
                "SHELL [\"/bin/busybox\", \"sh\", \"-c\"]\nRUN <<END",
            )],
            &["RUN <<END", "COPY <<END", "RUN new last"],
        ),
        Row("WORKDIR", &[Text("/w", "/x")], ALL),
        Row(
            "WORKDIR once more",
            &[Text("WORKDIR /w", "WORKDIR /w\nWORKDIR /w")],
            &["WORKDIR /w"],
        ),
        Row(
            "WORKDIR with a slash more",
            &[Text("WORKDIR /w", "WORKDIR /w/")],
            &[],
        ),
        Row(
            "WORKDIR / makes no step",
            &[Text("WORKDIR /w", "WORKDIR /\nWORKDIR w")],
            &[],
        ),
    ],
};

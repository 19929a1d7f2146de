//! ARG and ENV, and what they are given.

use super::Change::{File, Image, Set, Text};
use super::{Row, Scene};

pub(super) const SCENE: Scene = Scene {
    name: "variables",
    dockerfile: "ARG TAG=latest\nFROM base:$TAG\nARG USED=1\nARG UNUSED=1\nENV E=1 F=f\nCOPY $F.txt /copied\nRUN new one $USED\nARG LATER=1\nRUN new two\n",
    context: &[File("f.txt", "f"), File("g.txt", "f")],
    rows: &[
        Row(
            "an argument",
            &[Set("buildargs", r#"{"USED":"2"}"#)],
            &["RUN new one", "RUN new two"],
        ),
        Row(
            "an argument that is declared and not used",
            &[Set("buildargs", r#"{"UNUSED":"2"}"#)],
            &["RUN new one", "RUN new two"],
        ),
        Row(
            "an argument that is declared below",
            &[Set("buildargs", r#"{"LATER":"2"}"#)],
            &["RUN new two"],
        ),
        Row(
            "an argument that nobody declares",
            &[Set("buildargs", r#"{"NOBODY":"2"}"#)],
            &[],
        ),
        Row(
            "an argument that is given what it is anyway",
            &[Set("buildargs", r#"{"USED":"1"}"#)],
            &[],
        ),
        Row(
            "an argument that is given without a value",
            &[Set("buildargs", r#"{"USED":null}"#)],
            &[],
        ),
        Row(
            "an argument that is given nothing",
            &[Set("buildargs", r#"{"LATER":""}"#)],
            &["RUN new two"],
        ),
        Row(
            "what an argument is unless it is given",
            &[Text("UNUSED=1", "UNUSED=3")],
            &["RUN new one", "RUN new two"],
        ),
        Row(
            "an argument more, without a value",
            &[Text("ARG LATER=1", "ARG LATER=1\nARG NOTHING")],
            &[],
        ),
        Row(
            "an argument more, below all steps",
            &[Text("RUN new two\n", "RUN new two\nARG MORE=1\n")],
            &[],
        ),
        Row(
            "an argument above FROM that nobody uses",
            &[Text("ARG TAG", "ARG NOTHING=1\nARG TAG")],
            &[],
        ),
        Row(
            "an argument in FROM: another image",
            &[
                Image("base:other", "FROM base\nRUN echo other > /other\n"),
                Set("buildargs", r#"{"TAG":"other"}"#),
            ],
            &["COPY", "RUN new one", "RUN new two"],
        ),
        Row(
            "an argument in FROM: another name of the image",
            &[
                Image("base:same", "FROM base\n"),
                Set("buildargs", r#"{"TAG":"same"}"#),
            ],
            &[],
        ),
        Row(
            "HTTP_PROXY",
            &[Set("buildargs", r#"{"HTTP_PROXY":"http://127.0.0.1:1"}"#)],
            &[],
        ),
        Row(
            "no_proxy and all_proxy",
            &[Set("buildargs", r#"{"no_proxy":"a","ALL_PROXY":"b"}"#)],
            &[],
        ),
        Row(
            "a proxy that is declared",
            &[
                Text("ARG LATER", "ARG HTTP_PROXY\nARG LATER"),
                Set("buildargs", r#"{"HTTP_PROXY":"http://127.0.0.1:1"}"#),
            ],
            &["RUN new two"],
        ),
        Row(
            "a platform that is declared",
            &[Text("ARG LATER", "ARG TARGETOS\nARG LATER")],
            &["RUN new two"],
        ),
        Row(
            "the platform that it is anyway",
            &[Set("platform", "linux/amd64")],
            &[],
        ),
        Row(
            "a variable: files do not see it",
            &[Text("E=1", "E=2")],
            &["RUN new one", "RUN new two"],
        ),
        Row(
            "a variable in the name of a file",
            &[Text("F=f", "F=g")],
            &["COPY", "RUN new one", "RUN new two"],
        ),
        Row(
            "a variable below all steps",
            &[Text("RUN new two\n", "RUN new two\nENV G=1\n")],
            &[],
        ),
        Row(
            "a variable's value in other words",
            &[Text("E=1", "E=\"1\"")],
            &[],
        ),
        Row(
            "a variable that is not the image's",
            &[Set("buildargs", r#"{"E":"5"}"#)],
            &[],
        ),
        Row(
            "how steps keep what is known",
            &[Set("buildargs", r#"{"BUILDKIT_INLINE_CACHE":"1"}"#)],
            &[],
        ),
        Row(
            "the time of all files",
            &[Set("buildargs", r#"{"SOURCE_DATE_EPOCH":"1700000000"}"#)],
            &["COPY", "RUN new one", "RUN new two"],
        ),
    ],
};

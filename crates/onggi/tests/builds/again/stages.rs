//! Several stages, and the one that is wanted.

use super::Change::{File, Set, Text};
use super::{Row, Scene};

pub(super) const SCENE: Scene = Scene {
    name: "stages",
    dockerfile: "FROM base AS one\nRUN new one\nRUN echo fixed > /fixed\nFROM base AS two\nCOPY a.txt /\nRUN new two\nFROM base AS three\nRUN new three\nFROM base\nCOPY --from=one /fixed /f\nCOPY --from=two /a.txt /a\nRUN --mount=from=one,source=/fixed,target=/x new end\n",
    context: &[File("a.txt", "a")],
    rows: &[
        Row(
            "another name of a stage",
            &[Text("AS one", "AS uno"), Text("from=one", "from=uno")],
            &[],
        ),
        Row("a stage by its number", &[Text("from=one", "from=0")], &[]),
        Row(
            "the case of a stage's name",
            &[Text("from=one", "from=ONE")],
            &[],
        ),
        Row(
            "a stage more that nobody needs",
            &[Text(
                "FROM base AS three",
                "FROM base AS four\nRUN new four\nFROM base AS three",
            )],
            &[],
        ),
        Row(
            "a stage that nobody needs",
            &[Text("new three", "new three 3")],
            &[],
        ),
        Row(
            "a stage less that nobody needs",
            &[Text("FROM base AS three\nRUN new three\n", "")],
            &[],
        ),
        Row(
            "stages in another order",
            &[
                Text(
                    "FROM base AS one\nRUN new one\nRUN echo fixed > /fixed\n",
                    "",
                ),
                Text(
                    "FROM base AS three",
                    "FROM base AS one\nRUN new one\nRUN echo fixed > /fixed\nFROM base AS three",
                ),
            ],
            &[],
        ),
        Row(
            "a stage of which the same comes out",
            &[Text("RUN new one", "RUN new one again")],
            &["RUN new one again", "RUN echo fixed"],
        ),
        Row(
            "a stage of which nobody takes what changes",
            &[Text("RUN new two", "RUN new two again")],
            &["RUN new two again"],
        ),
        Row(
            "a stage of which something else comes out",
            &[Text("echo fixed", "echo other")],
            &[
                "RUN echo other",
                "COPY --from=one",
                "COPY --from=two",
                "RUN --mount",
            ],
        ),
        Row(
            "a file that a stage passes on",
            &[File("a.txt", "changed")],
            &[
                "COPY a.txt",
                "RUN new two",
                "COPY --from=two",
                "RUN --mount",
            ],
        ),
        Row(
            "what is taken of a stage",
            &[Text("--from=two /a.txt /a", "--from=two /two /a")],
            &["COPY --from=two", "RUN --mount"],
        ),
        Row(
            "a stage built upon another one",
            &[Text("FROM base AS two", "FROM one AS two")],
            &["COPY a.txt", "RUN new two"],
        ),
        Row(
            "--target: a stage that was done",
            &[Set("target", "two")],
            &[],
        ),
        Row(
            "--target: a stage that was not",
            &[Set("target", "three")],
            &["RUN new three"],
        ),
        Row(
            "--no-cache-filter: the same comes out",
            &[Set("nocachefilter", r#"["one"]"#)],
            &["RUN new one", "RUN echo fixed"],
        ),
        Row(
            "--no-cache-filter: a stage that nobody needs",
            &[Set("nocachefilter", r#"["three"]"#)],
            &[],
        ),
        Row(
            "--no-cache",
            &[Set("nocache", "1")],
            &[
                "RUN new one",
                "RUN echo fixed",
                "COPY a.txt",
                "RUN new two",
                "COPY --from=one",
                "COPY --from=two",
                "RUN --mount",
            ],
        ),
    ],
};

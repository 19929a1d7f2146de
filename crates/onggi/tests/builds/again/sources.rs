//! What a build has from elsewhere: images, contexts with names, the web.

use super::Change::{File, Image, Moved, Set, Text, Web};
use super::{Row, Scene};

pub(super) const BASES: Scene = Scene {
    name: "bases",
    dockerfile: "FROM named\nCOPY a.txt /\nRUN new end\n",
    context: &[
        File("a.txt", "a"),
        Image("named", "FROM base\nRUN echo 1 > /n\n"),
    ],
    rows: &[
        Row("the name of the stage", &[Text("named", "named AS x")], &[]),
        Row(
            "the base's label",
            &[Image("named", "FROM base\nRUN echo 1 > /n\nLABEL x=1\n")],
            &[],
        ),
        Row(
            "the base's command",
            &[Image("named", "FROM base\nRUN echo 1 > /n\nCMD x\n")],
            &[],
        ),
        Row(
            "the base's variable",
            &[Image("named", "FROM base\nRUN echo 1 > /n\nENV X=1\n")],
            &["RUN new end"],
        ),
        Row(
            "the base's user",
            &[Image("named", "FROM base\nRUN echo 1 > /n\nUSER root\n")],
            &["RUN new end"],
        ),
        Row(
            "the base's shell",
            &[Image(
                "named",
                "FROM base\nRUN echo 1 > /n\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n",
            )],
            &["RUN new end"],
        ),
        Row(
            "what the base has builds do",
            &[Image(
                "named",
                "FROM base\nRUN echo 1 > /n\nONBUILD RUN new trigger\n",
            )],
            &["RUN new trigger", "COPY a.txt", "RUN new end"],
        ),
        Row(
            "the base's files",
            &[Image("named", "FROM base\nRUN echo 2 > /n\n")],
            &["COPY a.txt", "RUN new end"],
        ),
        Row(
            "--build-context: an image of the same files",
            &[
                Image("other", "FROM base\nRUN echo 1 > /n\nLABEL x=2\n"),
                Set("buildcontexts", r#"{"named":"docker-image://other"}"#),
            ],
            &[],
        ),
        Row(
            "--build-context: an image of others",
            &[
                Image("other", "FROM base\nRUN echo 3 > /n\n"),
                Set("buildcontexts", r#"{"named":"docker-image://other"}"#),
            ],
            &["COPY a.txt", "RUN new end"],
        ),
    ],
};

pub(super) const CONTEXTS: Scene = Scene {
    name: "contexts",
    dockerfile: "FROM base\nCOPY --from=more f /f\nRUN new end\n",
    context: &[
        Set("buildcontexts", r#"{"more":"local"}"#),
        File("contexts/more/f", "f"),
        File("f", "not this one"),
    ],
    rows: &[
        Row(
            "a file of a context with a name",
            &[File("contexts/more/f", "changed")],
            &["COPY --from=more", "RUN new end"],
        ),
        Row("another file of it", &[File("contexts/more/g", "g")], &[]),
        Row("a file of the main context", &[File("f", "changed")], &[]),
        Row(
            "the name of the context",
            &[
                Text("from=more", "from=less"),
                Moved("contexts/more/f", "contexts/less/f"),
                Set("buildcontexts", r#"{"less":"local"}"#),
            ],
            &[],
        ),
    ],
};

pub(super) const WEB: Scene = Scene {
    name: "web",
    dockerfile: "FROM base\nADD http://127.0.0.1:8000/f /f\nRUN new end\n",
    context: &[Web("/f", "", "f")],
    rows: &[
        Row("nothing", &[], &[]),
        Row(
            "when it was changed",
            &[Web(
                "/f",
                "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
                "f",
            )],
            &[],
        ),
        Row(
            "its address",
            &[
                Text("8000/f", "8000/elsewhere/f"),
                Web("/elsewhere/f", "", "f"),
            ],
            &[],
        ),
        Row(
            "what it must be",
            &[Text(
                "ADD",
                "ADD --checksum=sha256:252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111",
            )],
            &[],
        ),
        Row(
            "what it is called",
            &[Text("8000/f /f", "8000/g /"), Web("/g", "", "f")],
            &["ADD", "RUN new end"],
        ),
        Row(
            "what is there",
            &[Web("/f", "", "changed")],
            &["ADD", "RUN new end"],
        ),
    ],
};

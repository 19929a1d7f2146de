//! COPY and ADD, as they are written.

use super::Change::{File, Gone, Mode, Text};
use super::{Row, Scene};

pub(super) const SCENE: Scene = Scene {
    name: "copies",
    dockerfile: "FROM base\nCOPY --exclude=*.log --chmod=640 dir /dir\nCOPY --parents deep/er/f /p/\nCOPY a.txt /a\nRUN new end\n",
    context: &[
        File("dir/f", "f"),
        File("dir/f.log", "log"),
        File("deep/er/f", "f"),
        File("deep/er/g", "g"),
        File("a.txt", "a"),
        File("b.txt", "a"),
        File("sub/a.txt", "a"),
    ],
    rows: &[
        Row(
            "a path from here",
            &[Text("COPY a.txt /a", "COPY ./a.txt /a")],
            &[],
        ),
        Row(
            "a path from the root",
            &[Text("COPY a.txt /a", "COPY /a.txt /a")],
            &[],
        ),
        Row(
            "paths as a list",
            &[Text("COPY a.txt /a", "COPY [\"a.txt\", \"/a\"]")],
            &[],
        ),
        Row(
            "the same file in another directory",
            &[Text("COPY a.txt /a", "COPY sub/a.txt /a"), Gone("a.txt")],
            &[],
        ),
        Row(
            "a file of another name, with the same in it",
            &[Text("COPY a.txt /a", "COPY b.txt /a")],
            &["COPY b.txt"],
        ),
        Row(
            "where to",
            &[Text("COPY a.txt /a", "COPY a.txt /b")],
            &["COPY a.txt /b", "RUN new end"],
        ),
        Row(
            "--chmod",
            &[Text("COPY a.txt", "COPY --chmod=600 a.txt")],
            &["COPY --chmod=600 a.txt", "RUN new end"],
        ),
        Row(
            "--chmod to what it is anyway",
            &[Text("COPY a.txt", "COPY --chmod=644 a.txt")],
            &["COPY --chmod=644 a.txt"],
        ),
        Row(
            "--chown",
            &[Text("COPY a.txt", "COPY --chown=1:2 a.txt")],
            &["COPY --chown=1:2 a.txt", "RUN new end"],
        ),
        Row(
            "--chown to whom it belongs anyway",
            &[Text("COPY a.txt", "COPY --chown=0:0 a.txt")],
            &["COPY --chown=0:0 a.txt"],
        ),
        Row(
            "--link, with the same coming out",
            &[Text("COPY a.txt", "COPY --link a.txt")],
            &["COPY --link a.txt"],
        ),
        Row(
            "ADD instead, with the same coming out",
            &[Text("COPY a.txt", "ADD a.txt")],
            &["ADD a.txt"],
        ),
        Row(
            "a file more",
            &[Text("COPY a.txt /a", "COPY a.txt b.txt /a/")],
            &["COPY a.txt b.txt", "RUN new end"],
        ),
        Row(
            "two of them in another order",
            &[Text(
                "COPY --parents deep/er/f /p/\nCOPY a.txt /a\n",
                "COPY a.txt /a\nCOPY --parents deep/er/f /p/\n",
            )],
            &["COPY a.txt", "COPY --parents", "RUN new end"],
        ),
        Row(
            "a file that --exclude leaves out",
            &[File("dir/f.log", "changed")],
            &[],
        ),
        Row(
            "what --exclude leaves out",
            &[Text("*.log", "f")],
            &[
                "COPY --exclude=f",
                "COPY --parents",
                "COPY a.txt",
                "RUN new end",
            ],
        ),
        Row(
            "without --exclude",
            &[Text("--exclude=*.log ", "")],
            &[
                "COPY --chmod=640 dir",
                "COPY --parents",
                "COPY a.txt",
                "RUN new end",
            ],
        ),
        Row(
            "a mode that --chmod changes anyway",
            &[Mode("dir/f", 0o755)],
            &[],
        ),
        Row(
            "a file beside one of --parents",
            &[File("deep/er/g", "changed")],
            &[],
        ),
        Row(
            "a file of --parents",
            &[File("deep/er/f", "changed")],
            &["COPY --parents", "COPY a.txt", "RUN new end"],
        ),
        Row(
            "where --parents begin",
            &[Text("deep/er/f", "deep/./er/f")],
            &["COPY --parents", "COPY a.txt", "RUN new end"],
        ),
    ],
};

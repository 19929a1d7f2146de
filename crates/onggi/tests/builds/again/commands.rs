//! RUN: what it is given, and where it runs.

use super::Change::{File, Image, Mode, Moved, NoSecret, Secret, Set, Text, Time};
use super::{Row, Scene};

const ALL: &[&str] = &[
    "RUN --mount=target=/ctx",
    "RUN --mount=type=cache",
    "RUN --mount=type=secret",
    "RUN --mount=type=tmpfs",
    "RUN new last",
];
const FROM_CACHE: &[&str] = &[
    "RUN --mount=type=cache",
    "RUN --mount=type=secret",
    "RUN --mount=type=tmpfs",
    "RUN new last",
];
const FROM_SECRET: &[&str] = &[
    "RUN --mount=type=secret",
    "RUN --mount=type=tmpfs",
    "RUN new last",
];

pub(super) const SCENE: Scene = Scene {
    name: "commands",
    dockerfile: "FROM base\nRUN --mount=target=/ctx,source=dir new bind\nRUN --mount=type=cache,target=/c,id=one new cache\nRUN --mount=type=secret,id=s new secret\nRUN --mount=type=tmpfs,target=/t new memory\nRUN new last\n",
    context: &[
        File("dir/f", "f"),
        File("other", "o"),
        Secret("s", "secret"),
        Set("extrahosts", "h:192.0.2.1"),
    ],
    rows: &[
        Row("a file that is bound", &[File("dir/f", "changed")], ALL),
        Row("its mode", &[Mode("dir/f", 0o600)], ALL),
        Row("its time", &[Time("dir/f", 1_700_000_000)], &[]),
        Row(
            "a file beside what is bound",
            &[File("other", "changed")],
            &[],
        ),
        Row(
            "the same, bound from elsewhere",
            &[Moved("dir/f", "dir2/f"), Text("source=dir", "source=dir2")],
            &[],
        ),
        Row(
            "where it is bound to",
            &[Text("target=/ctx", "target=/ctx2")],
            ALL,
        ),
        Row(
            "that it may be written to",
            &[Text("source=dir", "source=dir,rw")],
            ALL,
        ),
        Row("which cache it is", &[Text("id=one", "id=two")], &[]),
        Row(
            "how a cache is shared",
            &[Text("id=one", "id=one,sharing=locked")],
            &[],
        ),
        Row(
            "what is in a cache",
            &[Image(
                "writer",
                "FROM base\nRUN --mount=type=cache,target=/c,id=one echo more > /c/more\n",
            )],
            &[],
        ),
        Row(
            "where a cache is",
            &[Text("target=/c,", "target=/d,")],
            FROM_CACHE,
        ),
        Row("a secret", &[Secret("s", "changed")], &[]),
        Row("a secret less", &[NoSecret("s")], &[]),
        Row("a secret more", &[Secret("more", "more")], &[]),
        Row("which secret it is", &[Text("id=s", "id=t")], FROM_SECRET),
        Row(
            "whose secret it is",
            &[Text("id=s", "id=s,uid=5")],
            FROM_SECRET,
        ),
        Row(
            "that there must be a secret",
            &[Text("id=s", "id=s,required=true")],
            FROM_SECRET,
        ),
        Row(
            "how large a directory in memory may be",
            &[Text("target=/t", "target=/t,size=1m")],
            &["RUN --mount=type=tmpfs", "RUN new last"],
        ),
        Row(
            "RUN --network",
            &[Text("RUN new last", "RUN --network=none new last")],
            &["RUN --network=none new last"],
        ),
        Row(
            "RUN --network=default",
            &[Text("RUN new last", "RUN --network=default new last")],
            &[],
        ),
        Row("--network", &[Set("networkmode", "none")], ALL),
        Row("--network=default", &[Set("networkmode", "default")], &[]),
        Row(
            "--add-host: the address of a name",
            &[Set("extrahosts", "h:192.0.2.2")],
            &[],
        ),
        Row(
            "--add-host: a name",
            &[Set("extrahosts", "i:192.0.2.1")],
            ALL,
        ),
        Row("--shm-size", &[Set("shmsize", "33554432")], ALL),
        Row(
            "--ulimit",
            &[Set(
                "ulimits",
                r#"[{"Name":"nofile","Soft":99,"Hard":100}]"#,
            )],
            ALL,
        ),
        Row(
            "--memory and --cpu-shares",
            &[Set("memory", "67108864"), Set("cpushares", "100")],
            &[],
        ),
    ],
};

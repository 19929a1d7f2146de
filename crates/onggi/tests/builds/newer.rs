//! What the Dockerfile language has learned since Docker's first builder: beside what its reference says of it.

use super::scene::{Build, inspect, tree};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Daemon, Entry};
use serde_json::json;

/// A Dockerfile behind `FROM busybox`, and files of the image: `kind mode content`, or nothing where there is none.
struct Row(&'static str, &'static [(&'static str, &'static str)]);

const ROWS: &[Row] = &[
    Row(
        "RUN <<END\necho one > /f\necho \"$HOME\" >> /f\nEND",
        &[("f", "f 644 one\n/root\n")],
    ),
    Row(
        "RUN <<-END\n\techo one > /f\n\tEND\nRUN <<'A' cat > /g\n$HOME\nA",
        &[("f", "f 644 one\n"), ("g", "f 644 $HOME\n")],
    ),
    Row(
        "RUN <<END\n#!/bin/awk -f\nBEGIN { print \"awk\" > \"/f\" }\nEND",
        &[("f", "f 644 awk\n")],
    ),
    Row(
        "RUN cat <<ONE > /f && cat <<TWO >> /f\n1\nONE\n2\nTWO",
        &[("f", "f 644 1\n2\n")],
    ),
    Row(
        "ENV A=value\nCOPY <<ONE <<\"TWO\" /made/\n$A ${A}s\nONE\n$A\nTWO",
        &[
            ("made/ONE", "f 644 value values\n"),
            ("made/TWO", "f 644 $A\n"),
        ],
    ),
    Row(
        "COPY --chmod=755 --chown=5:6 <<END /bin/made\n#!/bin/sh\necho made\nEND\nRUN made > /f",
        &[
            ("f", "f 644 made\n"),
            ("bin/made", "f 755 #!/bin/sh\necho made\n"),
        ],
    ),
    Row(
        "COPY --chmod=600 a.txt /a\nCOPY --chmod=u=rwx,go= dir /d\nCOPY --chmod=0711 dir/sub /s",
        &[
            ("a", "f 600 a\n"),
            ("d/c", "f 700 c\n"),
            ("s/d", "f 711 d\n"),
        ],
    ),
    Row(
        "RUN ln -s /real /link && mkdir /real\nCOPY --link a.txt /plain/a",
        &[("plain/a", "f 644 a\n")],
    ),
    Row(
        "COPY --parents dir/sub/d /p/\nCOPY --parents ./dir/./sub/d /q/\nCOPY --parents */c /r/",
        &[
            ("p/dir/sub/d", "f 644 d\n"),
            ("q/sub/d", "f 644 d\n"),
            ("r/dir/c", "f 644 c\n"),
        ],
    ),
    Row(
        "COPY --exclude=*.txt --exclude=dir/sub . /x/",
        &[
            ("x/dir/c", "f 644 c\n"),
            ("x/dir/sub", ""),
            ("x/a.txt", ""),
            ("x/Dockerfile", "f 644 *"),
        ],
    ),
    Row(
        "ENV V=a.b.c E=\"\"\nENV A=${V#*.} B=${V##*.} C=${V%.*} D=${V%%.*} F=${V/./-} G=${V//./-} H=${E-unset} I=${N-unset} J=${E+set}\n\
         RUN echo \"$A $B $C $D $F $G [$H] $I $J\" > /f",
        &[("f", "f 644 b.c c a.b a a-b.c a-b-c [] unset set\n")],
    ),
    Row(
        "ARG TARGETPLATFORM TARGETOS TARGETARCH BUILDPLATFORM BUILDOS BUILDARCH\n\
         RUN test \"$TARGETPLATFORM\" = \"$TARGETOS/$TARGETARCH\" && test \"$BUILDPLATFORM\" = \"$BUILDOS/$BUILDARCH\" && echo $TARGETOS > /f",
        &[("f", "f 644 linux\n")],
    ),
    Row("RUN echo \"[$TARGETOS]\" > /f", &[("f", "f 644 []\n")]),
    Row(
        "RUN --mount=type=tmpfs,target=/t touch /t/x && echo kept > /f\nRUN test ! -e /t/x",
        &[("f", "f 644 kept\n"), ("t/x", "")],
    ),
    Row(
        "RUN --mount=target=/src cat /src/a.txt > /f\nRUN --mount=type=bind,source=dir,target=/src,rw touch /src/new",
        &[("f", "f 644 a\n"), ("src/new", "")],
    ),
    Row(
        "RUN --network=none ip link | grep -c ^[0-9] > /f",
        &[("f", "f 644 1\n")],
    ),
    Row(
        "ADD --unpack=true arch.tar /u/\nADD --unpack=false arch.tar /n/",
        &[("u/in/file", "f 640 in\n"), ("n/arch.tar", "f 644 *")],
    ),
    Row(
        "ADD --chmod=640 a.txt /a\nADD --exclude=c dir /d",
        &[("a", "f 640 a\n"), ("d/c", ""), ("d/sub/d", "f 644 d\n")],
    ),
    Row(
        "ENV A=1 A=2\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN <<END\necho $A > /f\nfalse || true\nEND",
        &[("f", "f 644 2\n")],
    ),
    Row(
        "COPY --from=busybox --chmod=700 /bin/busybox /b/busybox\nRUN /b/busybox true && echo runs > /f",
        &[("f", "f 644 runs\n")],
    ),
];

fn context(dockerfile: &str) -> Result<Build> {
    let inner = [Entry::File("in/file".into(), 0o640, b"in\n".to_vec())];
    let archive = onggi_testkit::Layer::new(&inner)?.tar().to_vec();
    Ok(Build::of(&format!("FROM busybox\n{dockerfile}\n"))
        .file("a.txt", "a\n")
        .file("dir/c", "c\n")
        .file("dir/sub/d", "d\n")
        .entry(Entry::File("arch.tar".into(), 0o644, archive)))
}

#[test]
fn newer_instructions_do_what_the_reference_says() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let mut different = Vec::new();
    for Row(dockerfile, expected) in ROWS {
        let built = context(dockerfile)?.image(&daemon);
        let files = match built {
            Ok(id) => tree(&daemon, &id)?,
            Err(error) => {
                different.push(format!("{dockerfile}\n  {error:#}"));
                continue;
            }
        };
        for (path, wanted) in *expected {
            let found = files.get(*path).map_or_else(String::new, |seen| {
                let content = String::from_utf8_lossy(&seen.content);
                format!("{} {:o} {content}", seen.kind, seen.mode)
            });
            let is_same = match wanted.strip_suffix('*') {
                Some(start) => found.starts_with(start),
                None => found == *wanted,
            };
            if !is_same {
                different.push(format!(
                    "{dockerfile}\n  {path}: {found:?} instead of {wanted:?}"
                ));
            }
        }
    }
    ensure!(different.is_empty(), "{}", different.join("\n"));
    Ok(())
}

#[test]
fn settings_that_came_later_are_kept() -> Result<()> {
    let daemon = Daemon::start()?;
    daemon.load_busybox()?;
    let id =
        context("HEALTHCHECK --start-period=10s --start-interval=2s CMD true")?.image(&daemon)?;
    let health = &inspect(&daemon, &id)?["Config"]["Healthcheck"];
    let interval = health["StartInterval"].as_u64().context("an interval")?;
    ensure!(interval == 2_000_000_000, "{health}");
    // A base of scratch has where programs are, as BuildKit gives it.
    let id = Build::of("FROM scratch\nCMD [\"/x\"]\n").image(&daemon)?;
    let config = &inspect(&daemon, &id)?["Config"];
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    ensure!(config["Env"] == json!([path]), "{config}");
    Ok(())
}

//! S17, S18: Dockerfiles of users, unchanged, and every instruction. What fetches packages needs their registries: only
//! with `ONGGI_FULL`, see `builds/packages.rs`.

pub(crate) mod packages; // S17 with npm, pip, apt and apk

use crate::as_typed;
use crate::scene::{Scene, folder, words};
use anyhow::{Context, Result, ensure};
use onggi_testkit::{Entry, Layer, Output, Process};
use std::fs;
use std::path::Path;

as_typed!(
    from_scratch,
    from_several_stages,
    every_instruction_has_its_effect,
    what_starts_later_is_set,
    triggers_wait_for_the_next_build,
    files_that_stay_behind,
    builds_that_fail_say_why,
);

/// Types a build, the way of Docker's first builder.
fn build(scene: &Scene, line: &str) -> Result<Output> {
    let words = words(&format!("build {line}"))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = scene.daemon.cli_command(&words)?;
    command.env("DOCKER_BUILDKIT", "0");
    let mut process = Process::start(scene.daemon.namespace(), &mut command)?;
    process.close_stdin();
    process.wait()
}

/// Types a build that has to succeed.
fn built(scene: &Scene, line: &str) -> Result<()> {
    let output = build(scene, line)?;
    output.ok().map(drop).with_context(|| line.to_owned())
}

/// Writes files into a folder.
fn write(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn from_scratch(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    fs::copy("/bin/busybox", here.join("busybox"))?;
    let dockerfile =
        "FROM scratch\nCOPY busybox /\nCMD [\"/busybox\", \"echo\", \"from nothing\"]\n";
    write(&here, &[("Dockerfile", dockerfile)])?;
    built(scene, &format!("-t hello {}", here.display()))?;
    scene.says("run --rm hello", "from nothing")
}

fn from_several_stages(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let dockerfile = "FROM busybox as build\n\nWORKDIR /app\n\nCOPY package.json .\n\nRUN cat package.json\n\n\
        COPY . .\n\nRUN mkdir build && cp src/*.html build\n\nFROM busybox\n\n\
        COPY --from=build /app/build /usr/share/html\n\nEXPOSE 80\n\nCMD [\"cat\", \"/usr/share/html/index.html\"]\n";
    write(
        &here,
        &[
            ("dockerfile.prod", dockerfile),
            ("package.json", "{}\n"),
            ("src/index.html", "a page\n"),
        ],
    )?;
    let at = here.display();
    built(scene, &format!("-f {at}/dockerfile.prod -t web {at}"))?;
    scene.says("run --rm web", "a page")?;
    scene.fails("run --rm web ls /app", 1, "No such file")?;
    // The stage before, by its name.
    built(
        scene,
        &format!("-f {at}/dockerfile.prod --target build -t first {at}"),
    )?;
    scene.says(
        "run --rm first ls",
        "build\ndockerfile.prod\npackage.json\nsrc",
    )?;
    // The context and the Dockerfile in other ways: standard input is tested with the flags of build.
    scene.says(
        "inspect -f '{{json .Config.ExposedPorts}}' web",
        "{\"80/tcp\":{}}",
    )
}

/// Every instruction that has something to show at once.
const EVERYTHING: &str = "\
# escape=`
ARG BASE=busybox
FROM ${BASE}:latest AS base
MAINTAINER A Developer <dev@example.com>
ARG GREETING=hello
ENV GREETING=${GREETING} PLACE=\"the world\"
LABEL org.example.version=\"1.0\" `
      org.example.kind=test
WORKDIR /app
RUN echo \"$GREETING\" > greeting
RUN [\"/bin/sh\", \"-c\", \"echo $PLACE > place\"]
COPY files/ ./files/
COPY --chown=65534:65534 one.txt two.txt /copied/
ADD archive.tar.gz /unpacked/
VOLUME [\"/data\", \"/more\"]
EXPOSE 8080 53/udp
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=5s --start-period=1s --retries=4 `
    CMD test -e /app/place
RUN <<END
echo first > /heredoc
echo second >> /heredoc
END
COPY <<TEXT /written
from $GREETING
TEXT
SHELL [\"/bin/sh\", \"-e\", \"-c\"]
RUN echo shell > /shell
USER nobody
ENTRYPOINT [\"cat\"]
CMD [\"/app/greeting\"]
";

fn every_instruction_has_its_effect(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    write(
        &here,
        &[
            ("Dockerfile", EVERYTHING),
            ("one.txt", "1\n"),
            ("two.txt", "2\n"),
            ("files/deep/file", "deep\n"),
        ],
    )?;
    let inner = Layer::new(&[Entry::File("in/file".into(), 0o640, b"unpacked\n".to_vec())])?;
    fs::write(here.join("archive.tar.gz"), inner.gzip()?)?;
    let at = here.display();
    built(
        scene,
        &format!("--build-arg GREETING=welcome -t everything:v1 {at}"),
    )?;
    scene.says("run --rm everything:v1", "welcome")?;
    for (path, text) in [
        ("/app/place", "the world"),
        ("/app/files/deep/file", "deep"),
        ("/copied/one.txt", "1"),
        ("/unpacked/in/file", "unpacked"),
        ("/heredoc", "first\nsecond"),
        ("/written", "from welcome"),
        ("/shell", "shell"),
    ] {
        scene.says(&format!("run --rm -u 0 everything:v1 {path}"), text)?;
    }
    let line = "run --rm --entrypoint stat everything:v1 -c %u:%g /copied/two.txt";
    scene.says(line, "65534:65534")?;
    for (format, text) in [
        ("{{.Author}}", "A Developer <dev@example.com>"),
        (
            "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}}",
            "nobody /app SIGINT",
        ),
        (
            "{{json .Config.Entrypoint}}{{json .Config.Cmd}}",
            "[\"cat\"][\"/app/greeting\"]",
        ),
        ("{{json .Config.Volumes}}", "{\"/data\":{},\"/more\":{}}"),
        (
            "{{json .Config.ExposedPorts}}",
            "{\"53/udp\":{},\"8080/tcp\":{}}",
        ),
        ("{{index .Config.Labels \"org.example.version\"}}", "1.0"),
        (
            "{{json .Config.Healthcheck.Test}}",
            "[\"CMD-SHELL\",\"test -e /app/place\"]",
        ),
        ("{{.Config.Healthcheck.Retries}}", "4"),
        ("{{json .Config.Shell}}", "[\"/bin/sh\",\"-e\",\"-c\"]"),
    ] {
        scene.says(&format!("image inspect -f '{format}' everything:v1"), text)?;
    }
    let history = scene.ok("history --no-trunc --format '{{.CreatedBy}}' everything:v1")?;
    for word in [
        "CMD",
        "ENTRYPOINT",
        "USER",
        "SHELL",
        "HEALTHCHECK",
        "EXPOSE",
        "VOLUME",
        "LABEL",
        "MAINTAINER",
    ] {
        ensure!(history.contains(word), "{word}: {history}");
    }
    // Again, and all is known; another argument, and what stands behind is not.
    let again = build(scene, &format!("--build-arg GREETING=welcome -q {at}"))?;
    let id = scene.ok("image inspect -f {{.Id}} everything:v1")?;
    ensure!(again.ok()? == id, "{again:?} instead of {id}");
    built(scene, &format!("-t everything:v2 {at}"))?;
    scene.says("run --rm everything:v2", "hello")
}

fn what_starts_later_is_set(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    for (dockerfile, arguments, text) in [
        ("CMD echo $HOME", "", "/root"),
        ("CMD [\"echo\", \"$HOME\"]", "", "$HOME"),
        ("CMD [\"echo\", \"one\"]", "echo two", "two"),
        ("ENTRYPOINT [\"echo\", \"a\"]\nCMD [\"b\"]", "", "a b"),
        ("ENTRYPOINT [\"echo\", \"a\"]\nCMD [\"b\"]", "c d", "a c d"),
        ("ENTRYPOINT echo shell", "nobody hears", "shell"),
        (
            "ENV A=1\nENTRYPOINT [\"sh\", \"-c\", \"echo $A $0\"]\nCMD [\"zero\"]",
            "",
            "1 zero",
        ),
        ("WORKDIR /a\nWORKDIR b\nCMD pwd", "", "/a/b"),
        ("USER 1000:50\nCMD id -u; id -g", "", "1000\n50"),
    ] {
        write(
            &here,
            &[("Dockerfile", &format!("FROM busybox\n{dockerfile}\n"))],
        )?;
        built(scene, &format!("-t later {at}"))?;
        scene.says(format!("run --rm later {arguments}").trim_end(), text)?;
    }
    Ok(())
}

fn triggers_wait_for_the_next_build(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    let base = "FROM busybox\nONBUILD COPY app /app\nONBUILD RUN cat /app > /seen\n";
    write(&here, &[("Dockerfile", base), ("app", "mine\n")])?;
    built(scene, &format!("-t base {at}"))?;
    scene.fails("run --rm base cat /seen", 1, "No such file")?;
    write(&here, &[("Dockerfile", "FROM base\nCMD cat /seen\n")])?;
    built(scene, &format!("-t next {at}"))?;
    scene.says("run --rm next", "mine")?;
    scene.says("image inspect -f '{{len .Config.OnBuild}}' next", "0")
}

fn files_that_stay_behind(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    // As the scenario's own `.dockerignore`, and more.
    write(
        &here,
        &[
            (
                "Dockerfile",
                "FROM busybox\nCOPY . /app\nCMD find /app -type f | sort\n",
            ),
            (
                ".dockerignore",
                "node_modules\nnpm-debug.log\n**/*.tmp\n!keep.tmp\nDockerfile\n.dockerignore\n",
            ),
            ("index.js", "x"),
            ("npm-debug.log", "x"),
            ("node_modules/left/index.js", "x"),
            ("src/a.tmp", "x"),
            ("src/a.js", "x"),
            ("keep.tmp", "x"),
        ],
    )?;
    built(scene, &format!("-t kept {at}"))?;
    scene.says(
        "run --rm kept",
        "/app/index.js\n/app/keep.tmp\n/app/src/a.js",
    )
}

fn builds_that_fail_say_why(scene: &Scene) -> Result<()> {
    let here = folder(scene, "here")?;
    let at = here.display();
    for (dockerfile, code, text) in [
        (
            "FROM busybox\nRUN exit 7\n",
            7,
            "returned a non-zero code: 7",
        ),
        ("FROM busybox\nCOPY nothing /\n", 1, "nothing"),
        ("FROM busybox\nRUNN true\n", 1, "unknown instruction: RUNN"),
        ("FROM nobody.invalid/has:this\n", 1, "nobody.invalid"),
    ] {
        write(&here, &[("Dockerfile", dockerfile)])?;
        let output = build(scene, &format!("-t failed {at}"))?;
        ensure!(
            output.code == code && format!("{}{}", output.stdout, output.stderr).contains(text),
            "{dockerfile}: {output:?}"
        );
    }
    scene.fails("image inspect failed", 1, "failed")
}

use crate::{Dockerfile, Stages};

fn parse(text: &str) -> Result<Stages, String> {
    let file = Dockerfile::parse(text).map_err(|error| error.to_string())?;
    Stages::parse(&file).map_err(|error| error.to_string())
}

/// The JSON of the only instruction behind a FROM.
fn json(line: &str) -> serde_json::Value {
    let stages = parse(&format!("FROM scratch\n{line}\n")).expect(line);
    serde_json::to_value(&stages.stages[0].steps[0].instruction).unwrap()
}

#[test]
fn instructions_and_what_they_mean() {
    use serde_json::json;
    for (line, expected) in [
        (
            "ADD --chown=1:2 --chmod=644 --checksum=sha256:x --keep-git-dir --link --exclude=a --exclude=b u /d/",
            json!({"instruction": "ADD", "sources": ["u"], "destination": "/d/", "chown": "1:2", "chmod": "644",
                "checksum": "sha256:x", "exclude": ["a", "b"], "link": true, "keep_git_dir": true}),
        ),
        (
            "ARG a b=1 c=",
            json!({"instruction": "ARG", "arguments": [
            {"name": "a"}, {"name": "b", "default": "1"}, {"name": "c", "default": ""}]}),
        ),
        (
            "CMD [\"a\", \"b c\"]",
            json!({"instruction": "CMD", "command": ["a", "b c"], "form": "exec"}),
        ),
        (
            "cmd a b",
            json!({"instruction": "CMD", "command": ["a b"], "form": "shell"}),
        ),
        (
            "CMD",
            json!({"instruction": "CMD", "command": [], "form": "shell"}),
        ),
        (
            "COPY --from=b --parents [\"a b\", \"c\", \"/d\"]",
            json!({"instruction": "COPY", "from": "b",
            "sources": ["a b", "c"], "destination": "/d", "link": false, "parents": true}),
        ),
        (
            "COPY <<-A <<'B' c /d/\n\tone\n\tA\ntwo\nB",
            json!({"instruction": "COPY", "sources": ["c"],
            "files": [{"name": "A", "content": "one\n", "expand": true}, {"name": "B", "content": "two\n", "expand": false}],
            "destination": "/d/", "link": false, "parents": false}),
        ),
        (
            "ENTRYPOINT a",
            json!({"instruction": "ENTRYPOINT", "command": ["a"], "form": "shell"}),
        ),
        (
            "ENV a=\"b c\" d=e",
            json!({"instruction": "ENV", "variables": [
            {"name": "a", "value": "\"b c\"", "is_legacy": false}, {"name": "d", "value": "e", "is_legacy": false}]}),
        ),
        (
            "ENV a b c",
            json!({"instruction": "ENV", "variables": [{"name": "a", "value": "b c", "is_legacy": true}]}),
        ),
        (
            "EXPOSE 90/udp 80",
            json!({"instruction": "EXPOSE", "ports": ["80", "90/udp"]}),
        ),
        (
            "HEALTHCHECK NONE",
            json!({"instruction": "HEALTHCHECK", "probe": null}),
        ),
        (
            "HEALTHCHECK --interval=1m --timeout=2s --start-period=3s --start-interval=500ms --retries=4 CMD true",
            json!({"instruction": "HEALTHCHECK", "probe": {"test": ["CMD-SHELL", "true"],
                "interval": {"secs": 60, "nanos": 0}, "timeout": {"secs": 2, "nanos": 0},
                "start_period": {"secs": 3, "nanos": 0}, "start_interval": {"secs": 0, "nanos": 500_000_000}, "retries": 4}}),
        ),
        (
            "LABEL a.b=c",
            json!({"instruction": "LABEL", "labels": [{"name": "a.b", "value": "c", "is_legacy": false}]}),
        ),
        (
            "MAINTAINER A <a@b>",
            json!({"instruction": "MAINTAINER", "maintainer": "A <a@b>"}),
        ),
        (
            "ONBUILD  RUN a  b",
            json!({"instruction": "ONBUILD", "expression": "RUN a  b"}),
        ),
        (
            "ONBUILD COPY <<A /x\n1\nA",
            json!({"instruction": "ONBUILD", "expression": "COPY <<A /x\n1\nA"}),
        ),
        (
            "RUN --mount=type=cache,target=/c --network=none --security=insecure a",
            json!({"instruction": "RUN",
            "command": ["a"], "form": "shell", "mounts": ["type=cache,target=/c"], "network": "none", "security": "insecure"}),
        ),
        (
            "RUN <<-A\n\techo\n\tA",
            json!({"instruction": "RUN", "command": ["<<-A"], "form": "shell",
            "scripts": [{"name": "A", "content": "\techo\n", "chomp": true}], "network": "default", "security": "sandbox"}),
        ),
        (
            "SHELL [\"/bin/bash\", \"-c\"]",
            json!({"instruction": "SHELL", "shell": ["/bin/bash", "-c"]}),
        ),
        (
            "STOPSIGNAL SIGQUIT",
            json!({"instruction": "STOPSIGNAL", "signal": "SIGQUIT"}),
        ),
        ("USER a:b", json!({"instruction": "USER", "user": "a:b"})),
        (
            "VOLUME /a /b",
            json!({"instruction": "VOLUME", "volumes": ["/a", "/b"]}),
        ),
        (
            "VOLUME [\"/a b\"]",
            json!({"instruction": "VOLUME", "volumes": ["/a b"]}),
        ),
        (
            "WORKDIR /a b",
            json!({"instruction": "WORKDIR", "path": "/a b"}),
        ),
    ] {
        assert_eq!(json(line), expected, "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_in_the_words_of_buildkit() {
    for (line, expected) in [
        ("RNU a", "unknown instruction: RNU (did you mean RUN?)"),
        ("copi a b", "unknown instruction: copi (did you mean copy?)"),
        ("&& a", "unknown instruction: &&"),
        (
            "COPY a",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        (
            "ADD",
            "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        (
            "COPY --form=a b c",
            "unknown flag: --form (did you mean from?)",
        ),
        ("COPY --exclude a b", "missing a value on flag: --exclude"),
        (
            "COPY --link=1 a b",
            "expecting boolean value for flag --link, not: 1",
        ),
        ("COPY --link= a b", "missing a value on flag: --link"),
        (
            "COPY --from=a --from=b c d",
            "duplicate flag specified: --from",
        ),
        (
            "COPY a <<B\nB",
            "COPY cannot accept a heredoc as a destination",
        ),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =a", "ARG names can not be blank"),
        ("ENV =a", "ENV names can not be blank"),
        ("ENV", "ENV requires at least one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            "invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
        ),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE a", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD"),
        (
            "HEALTHCHECK curl a",
            "unknown type \"CURL\" in HEALTHCHECK (try CMD)",
        ),
        (
            "HEALTHCHECK --interval=1us CMD a",
            "Interval \"interval\" cannot be less than 1ms",
        ),
        (
            "HEALTHCHECK --timeout=-1s CMD a",
            "Interval \"timeout\" cannot be less than 1ms",
        ),
        (
            "HEALTHCHECK --timeout=a CMD a",
            "time: invalid duration \"a\"",
        ),
        (
            "HEALTHCHECK --retries=-1 CMD a",
            "--retries cannot be negative (-1)",
        ),
        (
            "HEALTHCHECK --retries=a CMD a",
            "strconv.ParseInt: parsing \"a\": invalid syntax",
        ),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        (
            "ONBUILD ONBUILD RUN a",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
        ("RUN --network=a b", "unsupported network mode \"a\""),
        ("RUN --security=a b", "security \"a\" is not valid"),
        ("RUN --mount=type=x a", "unsupported mount type \"x\""),
        (
            "SHELL a -c",
            "SHELL requires the arguments to be in JSON form",
        ),
        ("SHELL []", "SHELL requires at least one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("USER", "USER requires exactly one argument"),
        ("VOLUME", "VOLUME requires at least one argument"),
        (
            "VOLUME [\" \"]",
            "VOLUME specified can not be an empty string",
        ),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
    ] {
        let said = parse(&format!("FROM scratch\n{line}\n")).unwrap_err();
        assert_eq!(
            said,
            format!("dockerfile parse error on line 2: {expected}"),
            "{line}"
        );
    }
}

#[test]
fn stages() {
    let stages = parse(
        "ARG V=1\nFROM --platform=linux/arm64 a:$V As Build\nRUN x\n# what\n# follows\nFROM build\nFROM b AS build\n",
    )
    .unwrap();
    assert_eq!(stages.arguments.len(), 1);
    let from = &stages.stages[0].from;
    assert_eq!(from.instruction.base, "a:$V");
    assert_eq!(from.instruction.platform.as_deref(), Some("linux/arm64"));
    assert_eq!((from.keyword.as_str(), from.lines.first), ("FROM", 2));
    assert_eq!(stages.stages[1].from.comments, ["what", "follows"]);
    assert_eq!(stages.find("BUILD"), Some(2));
    assert_eq!(stages.find("other"), None);
    assert_eq!(
        parse("RUN a\n").unwrap_err(),
        "no build stage in current context"
    );
    assert_eq!(
        parse("ARG a\n").unwrap_err(),
        "dockerfile contains no stages to build"
    );
}

use super::*;
use onggi_model::Platform;

fn plan(text: &str, change: impl FnOnce(&mut Request)) -> Result<Plan, String> {
    let file = Dockerfile::parse(text).unwrap();
    let mut request = Request {
        platform: Platform::parse("linux/amd64").unwrap(),
        build_platform: Platform::parse("linux/amd64").unwrap(),
        ..Request::default()
    };
    change(&mut request);
    let outline = Outline::of(&file, &request).map_err(|error| error.to_string())?;
    let mut base = BaseImage::default();
    base.config.env = vec!["PATH=/bin".to_owned(), "HOME=/root".to_owned()];
    base.config.cmd = Some(vec!["sh".to_owned()]);
    let mut trigger = base.clone();
    trigger.config.on_build = vec!["COPY . /app".to_owned(), "RUN make".to_owned()];
    let images = outline.images().into_iter().map(|key| {
        let image = if key.0 == "trigger" {
            trigger.clone()
        } else {
            base.clone()
        };
        (key, image)
    });
    let images = images.collect();
    outline
        .plan(&request, &images)
        .map_err(|error| error.to_string())
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

fn exec(plan: &Plan, step: usize) -> &Exec {
    match &plan.steps[step].op {
        Op::Run(exec) => exec,
        other => panic!("{other:?}"),
    }
}

#[test]
fn steps_stand_on_each_other() {
    let plan = plan(
        "FROM a AS build\nWORKDIR /src\nCOPY . .\nRUN make\nFROM b\nENV X=1\nCOPY --from=build /src/out /out\nCMD [\"/out\"]\n",
        |_| {},
    )
    .unwrap();
    assert_eq!(
        names(&plan),
        [
            "FROM a",
            "[build 2/4] WORKDIR /src",
            "[build 3/4] COPY . .",
            "[build 4/4] RUN make",
            "FROM b",
            "[stage-1 2/2] COPY --from=build /src/out /out"
        ]
    );
    let below: Vec<_> = plan.steps.iter().map(|step| step.below).collect();
    assert_eq!(below, [None, Some(0), Some(1), Some(2), None, Some(4)]);
    assert_eq!(plan.steps[5].op.inputs(), [3]);
    assert_eq!(exec(&plan, 3).directory, "/src");
    let Op::Copy(copy) = &plan.steps[2].op else {
        panic!()
    };
    assert_eq!(copy.destination, "/src/");
    assert_eq!(plan.image.files, Some(5));
    assert_eq!(plan.image.config.env, ["PATH=/bin", "HOME=/root", "X=1"]);
    assert_eq!(
        plan.image.config.cmd.as_deref(),
        Some(["/out".to_owned()].as_slice())
    );
}

#[test]
fn values_are_those_of_the_place() {
    let plan = plan(
        "ARG V=1\nARG W=global\nFROM a\nARG V\nARG D=${V}x\nENV E=$V\nRUN one\nARG V=2\nENV D=image\nRUN two\nRUN --mount=type=cache,target=/c/$D,id=$W three\n",
        |request| {
            request.arguments.insert("D".to_owned(), Some("given".to_owned()));
            request.arguments.insert("http_proxy".to_owned(), Some("http://p".to_owned()));
            request.arguments.insert("NOBODY".to_owned(), Some("1".to_owned()));
        },
    )
    .unwrap();
    let one = exec(&plan, 1);
    assert_eq!(
        one.environment,
        ["PATH=/bin", "HOME=/root", "E=1", "D=given", "V=1"]
    );
    assert_eq!(one.proxies, ["http_proxy=http://p"]);
    let two = exec(&plan, 2);
    assert_eq!(
        two.environment,
        ["PATH=/bin", "HOME=/root", "E=1", "D=image", "V=2"]
    );
    let mount = &exec(&plan, 3).mounts[0].mount;
    assert_eq!(
        (mount.target.as_deref(), mount.id.as_deref()),
        (Some("/c/image"), Some(""))
    );
    assert_eq!(plan.unused_arguments, ["NOBODY"]);
    let by: Vec<_> = plan
        .image
        .history
        .iter()
        .filter_map(|it| it.created_by.as_deref())
        .collect();
    assert_eq!(
        by,
        [
            "ARG V=1",
            "ARG D=given",
            "ENV E=1",
            "RUN |2 D=given V=1 /bin/sh -c one # buildkit",
            "ARG V=2",
            "ENV D=image",
            "RUN |1 V=2 /bin/sh -c two # buildkit",
            "RUN |1 V=2 /bin/sh -c three # buildkit",
        ]
    );
}

#[test]
fn what_runs_a_command() {
    for (line, arguments) in [
        ("RUN a b", vec!["/bin/sh", "-c", "a b"]),
        ("RUN [\"a\", \"b c\"]", vec!["a", "b c"]),
        ("SHELL [\"bash\", \"-ec\"]\nRUN a", vec!["bash", "-ec", "a"]),
        ("RUN <<A\nx\n y\nA", vec!["/bin/sh", "-c", "x\n y\n"]),
        ("RUN <<-A\n\tx\n\tA", vec!["/bin/sh", "-c", "x\n"]),
        ("RUN <<A\n#!/bin/python\nA", vec!["/dev/pipes/A"]),
        (
            "RUN cat <<A > /x\n1\nA",
            vec!["/bin/sh", "-c", "cat <<A > /x\n1\nA"],
        ),
    ] {
        let plan = plan(&format!("FROM scratch\n{line}\n"), |_| {}).unwrap();
        assert_eq!(exec(&plan, 0).arguments, arguments, "{line}");
    }
}

#[test]
fn a_base_may_have_more_to_do() {
    let plan = plan("FROM trigger\nENTRYPOINT [\"x\"]\n", |_| {}).unwrap();
    assert_eq!(plan.steps.len(), 3);
    assert!(matches!(&plan.steps[1].op, Op::Copy(copy) if copy.destination == "/app"));
    assert_eq!(exec(&plan, 2).arguments, ["/bin/sh", "-c", "make"]);
    // An entrypoint of one's own takes no command of the base.
    assert_eq!(plan.image.config.cmd, None);
    assert!(plan.image.config.on_build.is_empty());
}

#[test]
fn the_text_of_a_step_says_what_it_does() {
    let text = |line: &str, proxy: &str| {
        let plan = plan(
            &format!("FROM a AS x\nFROM b AS y\nFROM c\n{line}\n"),
            |request| {
                request
                    .arguments
                    .insert("HTTP_PROXY".to_owned(), Some(proxy.to_owned()));
            },
        )
        .unwrap();
        plan.steps.last().unwrap().op.text()
    };
    assert_eq!(text("RUN a", "1"), text("RUN a", "2"));
    assert_ne!(text("RUN a", ""), text("RUN b", ""));
    assert_ne!(text("ENV X=1\nRUN a", ""), text("RUN a", ""));
    assert_ne!(text("RUN --network=none a", ""), text("RUN a", ""));
    // Which stage it is says nothing: what is in it does.
    assert_eq!(
        text("COPY --from=x /1 /2", ""),
        text("COPY --from=y /1 /2", "")
    );
    assert_ne!(
        text("COPY --from=x /1 /2", ""),
        text("COPY --from=x --chown=1 /1 /2", "")
    );
}

#[test]
fn where_content_comes_from_is_none_of_the_deed() {
    let deed = |line: &str| {
        let plan = plan(&format!("FROM a AS x\nFROM b\n{line}\n"), |_| {}).unwrap();
        plan.steps.last().unwrap().op.deed()
    };
    for (one, other) in [
        ("COPY f /2", "COPY /dir/f /2"),
        ("COPY d /2", "COPY ./d/ /2"),
        (
            "ADD http://a/f /2",
            "ADD --checksum=sha256:252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111 http://b/f /2",
        ),
        (
            "RUN --mount=target=/t,source=one make",
            "RUN --mount=target=/t,source=two make",
        ),
        (
            "RUN --mount=target=/t make",
            "RUN --mount=target=/t,from=x make",
        ),
        (
            "RUN --mount=type=cache,target=/t make",
            "RUN --mount=type=cache,target=/t,id=x,sharing=locked make",
        ),
    ] {
        assert_eq!(deed(one), deed(other), "{one} {other}");
    }
    for (one, other) in [
        ("COPY f /2", "COPY g /2"),
        ("COPY f /2", "COPY --from=x f /2"),
        ("COPY --parents f /2", "COPY --parents d/f /2"),
        ("ADD f /2", "ADD http://a/f /2"),
        (
            "RUN --mount=target=/t make",
            "RUN --mount=target=/t,rw make",
        ),
        (
            "RUN --mount=type=secret,id=a make",
            "RUN --mount=type=secret,id=b make",
        ),
    ] {
        assert_ne!(deed(one), deed(other), "{one} {other}");
    }
}

#[test]
fn the_root_is_there_already() {
    let plan = plan("FROM a\nWORKDIR /\nWORKDIR b\nWORKDIR ..\n", |_| {}).unwrap();
    // The image, and /b.
    assert_eq!(plan.steps.len(), 2);
    assert_eq!(plan.image.config.working_dir, "/");
    let history = plan.image.history.iter().map(|entry| entry.empty_layer);
    assert_eq!(history.collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn what_is_wrong_has_its_line() {
    for (line, expected) in [
        ("EXPOSE 99999", "invalid containerPort: 99999"),
        ("STOPSIGNAL NO", "invalid signal: NO"),
        (
            "COPY --chmod=9 a b",
            "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777",
        ),
        ("COPY http://h/a b", "source can't be a URL for COPY"),
        (
            "ADD --checksum=sha256:1 http://h/a b",
            "invalid checksum digest length: sha256:1",
        ),
        ("USER ${X:?who}", "failed to process \"${X:?who}\": X: who"),
        (
            "ARG K=nope\nRUN --mount=type=$K,target=/x a",
            "unsupported mount type \"nope\"",
        ),
    ] {
        assert_eq!(
            plan(&format!("FROM a\n{line}\n"), |_| {}).unwrap_err(),
            expected,
            "{line}"
        );
    }
}

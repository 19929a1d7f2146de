use super::*;

fn outline(text: &str, change: impl FnOnce(&mut Request)) -> Result<Outline, String> {
    let file = Dockerfile::parse(text).unwrap();
    let mut request = Request {
        platform: Platform::parse("linux/arm/v7").unwrap(),
        build_platform: Platform::parse("linux/amd64").unwrap(),
        ..Request::default()
    };
    change(&mut request);
    Outline::of(&file, &request).map_err(|error| error.to_string())
}

fn image(name: &str) -> Source {
    Source::Image(name.to_owned())
}

#[test]
fn stages_that_are_needed_in_their_order() {
    for (text, target, order) in [
        ("FROM a\nFROM b\n", None, vec![1]),
        ("FROM a\nFROM b\n", Some("0"), vec![0]),
        ("FROM a AS x\nFROM b AS y\nFROM x\n", None, vec![0, 2]),
        (
            "FROM a AS x\nFROM b\nCOPY --from=x /1 /2\n",
            None,
            vec![0, 1],
        ),
        ("FROM a\nFROM b\nCOPY --from=0 /1 /2\n", None, vec![0, 1]),
        (
            "FROM a AS x\nFROM b AS y\nRUN --mount=from=x,target=/m c\n",
            Some("Y"),
            vec![0, 1],
        ),
        (
            "FROM a AS x\nFROM b AS y\nRUN --mount=type=cache,target=/m c\n",
            None,
            vec![1],
        ),
        (
            "FROM a\nCOPY --from=later /1 /2\nFROM b AS later\n",
            Some("0"),
            vec![1, 0],
        ),
        ("FROM a AS x\nFROM x AS x\nFROM x\n", None, vec![0, 1, 2]),
        (
            "FROM a AS x\nFROM x AS y\nCOPY --from=x /1 /2\nFROM y\nCOPY --from=x /1 /2\n",
            None,
            vec![0, 1, 2],
        ),
    ] {
        let outline = outline(text, |request| request.target = target.map(str::to_owned)).unwrap();
        assert_eq!(outline.order, order, "{text}");
    }
}

#[test]
fn where_files_come_from() {
    let outline = outline(
        "ARG V=1\nARG W=$V.2\nFROM --platform=$BUILDPLATFORM a:${W} AS x\nADD u /\nCOPY c /\nFROM scratch\n\
         COPY --from=d:e /1 /2\nRUN --mount=target=/m --mount=type=secret,id=s --mount=type=cache,from=X,target=/c f\n",
        |request| drop(request.arguments.insert("V".to_owned(), Some("7".to_owned()))),
    )
    .unwrap();
    assert_eq!(outline.bases[0].source, image("a:7.2"));
    assert_eq!(
        outline.bases[0].platform,
        Some(Platform::parse("linux/amd64").unwrap())
    );
    assert_eq!(
        outline.bases[1],
        Base {
            source: Source::Nothing,
            platform: None
        }
    );
    let sources = |stage: usize| -> Vec<_> {
        outline.uses[stage]
            .iter()
            .map(|used| (used.step, used.source.clone()))
            .collect()
    };
    assert_eq!(sources(0), [(0, Source::Context), (1, Source::Context)]);
    assert_eq!(
        sources(1),
        [
            (0, image("d:e")),
            (1, Source::Context),
            (1, Source::Stage(0))
        ]
    );
    let images: Vec<_> = outline.images().into_iter().collect();
    assert_eq!(
        images,
        [
            ("a:7.2".to_owned(), Some("linux/amd64".to_owned())),
            ("d:e".to_owned(), None)
        ]
    );
}

#[test]
fn contexts_with_names_come_before_stages_and_images() {
    let outline = outline("FROM a AS x\nFROM base\nCOPY --from=x /1 /2\n", |request| {
        request
            .contexts
            .insert("base".to_owned(), "docker-image://b".to_owned());
        request.contexts.insert("x".to_owned(), "/dir".to_owned());
    })
    .unwrap();
    assert_eq!(outline.bases[1].source, image("b"));
    assert_eq!(outline.uses[1][0].source, Source::Named("x".to_owned()));
    assert_eq!(outline.order, [1]);
}

#[test]
fn platforms_are_arguments_of_every_from() {
    let outline = outline(
        "FROM a:$TARGETOS-$TARGETARCH-$TARGETVARIANT-$BUILDARCH\n",
        |_| {},
    )
    .unwrap();
    assert_eq!(outline.bases[0].source, image("a:linux-arm-v7-amd64"));
}

#[test]
fn what_cannot_be_built() {
    for (text, target, expected) in [
        ("FROM $NO\n", None, "base name ($NO) should not be blank"),
        (
            "FROM --platform=$NO a\n",
            None,
            "empty platform value from expression $NO",
        ),
        (
            "FROM a\n",
            Some("b"),
            "target stage \"b\" could not be found",
        ),
        (
            "FROM a\n",
            Some("7"),
            "target stage \"7\" could not be found",
        ),
        (
            "FROM a\nCOPY --from=3 /1 /2\n",
            None,
            "invalid stage index 3",
        ),
        (
            "FROM a\nCOPY --from=0 /1 /2\n",
            None,
            "circular dependency detected on stage: 0",
        ),
        (
            "FROM a AS x\nCOPY --from=y /1 /2\nFROM x AS y\n",
            None,
            "circular dependency detected on stage: y",
        ),
        (
            "FROM a\nCOPY --from=$X /1 /2\n",
            None,
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        ),
    ] {
        let said = outline(text, |request| request.target = target.map(str::to_owned)).unwrap_err();
        assert_eq!(said, expected, "{text}");
    }
}

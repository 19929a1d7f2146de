use super::*;

fn expressions(text: &str) -> String {
    Dockerfile::parse(text).unwrap().expressions()
}

#[test]
fn statements_as_expressions() {
    for (text, expected) in [
        ("FROM a\n", "(from \"a\")\n"),
        ("  from   a  as  b  \r\n", "(from \"a\" \"as\" \"b\")\n"),
        ("\u{feff}FROM a", "(from \"a\")\n"),
        (
            "# c\n\nFROM a\n # c\nRUN b\n",
            "(from \"a\")\n(run \"b\")\n",
        ),
        (
            "RUN a \\\n  b \\\n# no\n  c\nRUN d",
            "(run \"a   b   c\")\n(run \"d\")\n",
        ),
        ("RUN a \\  \nb", "(run \"a b\")\n"),
        ("RUN a \\\\\nRUN b", "(run \"a \\\\\\\\\")\n(run \"b\")\n"),
        ("RUN a\\\n\\\nb", "(run \"ab\")\n"),
        ("RUN a \\", "(run \"a\")\n"),
        (
            "# escape=`\nRUN a `\n b \\\nRUN c",
            "(run \"a  b \\\\\")\n(run \"c\")\n",
        ),
        ("RUN [\"a\", \"b\\tc\"]", "(run \"a\" \"b\\tc\")\n"),
        (
            "COPY --from=x --chown=\"a b\" c d",
            "(copy [\"--from=x\" \"--chown=a b\"] \"c\" \"d\")\n",
        ),
        (
            "ENV a=b c=\"d e\"",
            "(env \"a\" \"b\" \"=\" \"c\" \"\\\"d e\\\"\" \"=\")\n",
        ),
        ("ENV a b", "(env \"a\" \"b\" \"\")\n"),
        (
            "ONBUILD ADD --link . /app",
            "(onbuild (add [\"--link\"] \".\" \"/app\"))\n",
        ),
        (
            "HEALTHCHECK --retries=1 CMD a b",
            "(healthcheck [\"--retries=1\"] \"CMD\" \"a b\")\n",
        ),
        ("CMD", "(cmd)\n"),
        ("CMD []", "(cmd)\n"),
        ("nonsense a b", "(nonsense \"\")\n"),
    ] {
        assert_eq!(expressions(text), expected, "{text:?}");
    }
}

#[test]
fn documents_belong_to_their_statement() {
    let file = Dockerfile::parse(
        "RUN cat <<A 3<<-B\n# one\n$x \\\nA\n\ttwo\n\tB\nCMD [\"<<C\"]\nRUN <<'D' sh\r\nD\r\n",
    )
    .unwrap();
    let run = &file.statements[0];
    assert_eq!(run.lines, Lines { first: 1, last: 6 });
    let contents: Vec<_> = run
        .heredocs
        .iter()
        .map(|document| document.content.as_str())
        .collect();
    assert_eq!(contents, ["# one\n$x \\\n", "\ttwo\n"]);
    assert_eq!(run.heredocs[1].text(), "two\n");
    assert_eq!(run.heredocs[1].file_descriptor, 3);
    assert!(file.statements[1].heredocs.is_empty());
    assert_eq!(
        (
            file.statements[2].heredocs[0].expand,
            file.statements[2].lines.last
        ),
        (false, 9)
    );
}

#[test]
fn directives_stand_at_the_top() {
    let of = |text: &str| Dockerfile::parse(text).unwrap().directives;
    let found = of("# syntax = docker/dockerfile:1 \n#ESCAPE=`\n# check=skip=all\nFROM a");
    assert_eq!(found.syntax.as_deref(), Some("docker/dockerfile:1"));
    assert_eq!(found.check.as_deref(), Some("skip=all"));
    assert_eq!(found.escape, Escape::Backtick);
    assert_eq!(of("# a\n# escape=`\nFROM a").escape, Escape::Backslash);
    assert_eq!(of("\n# escape=`\nFROM a").escape, Escape::Backslash);
    assert_eq!(of("# other=1\n# syntax=x\nFROM a").syntax, None);
}

#[test]
fn comments_and_empty_continuations_are_kept_for_the_lint() {
    let file = Dockerfile::parse("# gone\n\n# one\n# two\nFROM a\nRUN b \\\n\n  c\n").unwrap();
    assert_eq!(file.statements[0].comments, ["one", "two"]);
    assert_eq!(file.empty_continuations.len(), 1);
    assert_eq!(file.empty_continuations[0].lines.first, 8);
}

#[test]
fn what_cannot_be_read() {
    for (text, expected, lines) in [
        ("", "file with no instructions", None),
        ("# only\n", "file with no instructions", None),
        (
            "# escape=x\nFROM a",
            "invalid escape token 'x' does not match ` or \\",
            Some((1, 1)),
        ),
        (
            "# syntax=a\n# syntax=b\nFROM a",
            "only one syntax parser directive can be used",
            Some((2, 2)),
        ),
        (
            "FROM a\nENV b\n",
            "ENV must have two arguments",
            Some((2, 2)),
        ),
        ("FROM a\nRUN <<A\nb\n", "unterminated heredoc", Some((2, 3))),
        (
            "FROM a\nCMD [\\\n1]\n",
            "when using JSON array syntax, arrays must be comprised of strings only",
            Some((2, 3)),
        ),
    ] {
        let error = Dockerfile::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text:?}");
        assert_eq!(
            error.lines(),
            lines.map(|(first, last)| Lines { first, last }),
            "{text:?}"
        );
    }
}

use super::*;

fn ignores(rules: &str, path: &str) -> bool {
    Ignore::parse(rules).unwrap().ignores(path)
}

/// One pattern, what it ignores, and what it does not.
#[test]
fn patterns() {
    for (pattern, ignored, kept) in [
        ("a", vec!["a", "a/b", "a/b/c"], vec!["b", "ab", "b/a"]),
        ("/a", vec!["a", "a/b"], vec!["b/a"]),
        ("./a/", vec!["a"], vec!["b"]),
        ("a/../b", vec!["b"], vec!["a"]),
        ("a//b", vec!["a/b"], vec!["a"]),
        ("*", vec!["a", "a/b", ".a"], vec![]),
        (
            "*.log",
            vec!["a.log", ".log", "x.log/y"],
            vec!["a/b.log", "a.logs"],
        ),
        ("a/*.log", vec!["a/b.log"], vec!["a/b/c.log", "b.log"]),
        ("*/b", vec!["a/b", "a/b/c"], vec!["b", "a/c/b"]),
        ("a?", vec!["ab", "a."], vec!["a", "abc", "a/"]),
        ("**", vec!["a", "a/b"], vec![]),
        (
            "**/a",
            vec!["a", "b/a", "b/c/a", "b/a/x"],
            vec!["ba", "b/ca"],
        ),
        ("**/*.go", vec!["a.go", "b/c/a.go"], vec!["a.gox"]),
        ("**a", vec!["a", "ba", "b/ca"], vec!["ab"]),
        ("a/**", vec!["a/b", "a/b/c"], vec!["a", "b/a"]),
        ("a/**/b", vec!["a/b", "a/x/b", "a/x/y/b"], vec!["a/xb", "a"]),
        ("a/**/*.x", vec!["a/b.x", "a/c/b.x"], vec!["b.x"]),
        ("a**b", vec!["ab", "ax/b"], vec!["axb"]),
        ("a[b-d]", vec!["ab", "ad"], vec!["aa", "ae", "a-"]),
        ("a[^b-d]", vec!["aa", "ae"], vec!["ab"]),
        ("[\\]]", vec!["]"], vec!["\\"]),
        ("a\\*", vec!["a*"], vec!["ab"]),
        ("a.b", vec!["a.b"], vec!["axb"]),
        ("a$b", vec!["a$b"], vec!["a"]),
        ("(a|b)+", vec!["(a|b)+"], vec!["a"]),
        ("../a", vec!["../a"], vec!["a"]),
        (" a ", vec!["a"], vec![" a "]),
        ("ö*", vec!["öl"], vec!["o"]),
        ("/", vec![], vec!["a"]),
        (".", vec![], vec!["a"]),
    ] {
        for path in ignored {
            assert!(ignores(pattern, path), "{pattern} {path}");
        }
        for path in kept {
            assert!(!ignores(pattern, path), "{pattern} {path}");
        }
    }
}

#[test]
fn the_last_one_decides() {
    for (rules, path, expected) in [
        ("*\n!a", "a", false),
        ("*\n!a", "b", true),
        ("!a\n*", "a", true),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
        (
            "*.md\n!README*.md\nREADME-secret.md",
            "README-secret.md",
            true,
        ),
        (
            "*.md\nREADME-secret.md\n!README*.md",
            "README-secret.md",
            false,
        ),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/b/c", false),
        ("a\n!a/b", "a/c", true),
        ("a/b\n!a", "a/b", false),
        ("# a\n #b\n\n", "a", false),
        ("# a\n #b\n\n", "#b", true),
        ("! a\n", "a", false),
        ("\u{feff}a\r\nb\r\n", "a", true),
    ] {
        assert_eq!(ignores(rules, path), expected, "{rules:?} {path}");
    }
}

#[test]
fn directories_that_nobody_needs_to_look_into() {
    for (rules, directory, expected) in [
        ("a", "a", true),
        ("a", "b", false),
        ("a\n!a/b", "a", false),
        ("a\n!a/b/c", "a/b", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!b", "a", true),
        ("a\n!**/keep", "a", false),
        ("a\n!a*/keep", "a", false),
        ("a\n!b*/keep", "a", true),
        ("a\n!a/b*", "a/c", true),
        ("*\n!src", "src", false),
        ("*\n!src", "node_modules", true),
    ] {
        let ignore = Ignore::parse(rules).unwrap();
        assert_eq!(
            ignore.ignores_all_below(directory),
            expected,
            "{rules:?} {directory}"
        );
    }
}

#[test]
fn what_cannot_be_read() {
    for (rules, expected) in [
        ("!", "illegal exclusion pattern: \"!\""),
        ("[a", "syntax error in pattern: \"[a\""),
        ("a[]", "syntax error in pattern: \"a[]\""),
        ("a\\", "syntax error in pattern: \"a\\\\\""),
        ("[a-]", "syntax error in pattern: \"[a-]\""),
    ] {
        assert_eq!(
            Ignore::parse(rules).unwrap_err().to_string(),
            expected,
            "{rules}"
        );
    }
}

/// Walking down says the same as asking for each path, and knows more.
#[test]
fn a_walk_asks_less() {
    let rules = "# no\n*\n!a\na/b/*\n!a/b/c?\n**/x.log\n!**/keep\n";
    let ignore = Ignore::parse(rules).unwrap();
    for path in [
        "a/b/c/d",
        "a/b/cd/e",
        "b/keep/x.log/y",
        "a/x.log",
        "keep",
        "z",
    ] {
        let mut verdict: Option<Verdict> = None;
        let ends = path
            .char_indices()
            .filter(|(_, c)| *c == '/')
            .map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            let next = ignore.look(verdict.as_ref(), &path[..end]);
            assert_eq!(
                next.is_ignored(),
                ignore.ignores(&path[..end]),
                "{path} {end}"
            );
            let prunes = ignore.prunes(&next, &path[..end]);
            assert_eq!(prunes, ignore.ignores_all_below(&path[..end]));
            verdict = Some(next);
        }
    }
    assert_eq!(ignore.rule_of("z/y"), Some((2, "*")));
    assert_eq!(ignore.rule_of("a/b/d"), Some((4, "a/b/*")));
    assert_eq!(ignore.rule_of("a/b/cd"), None);
}

/// An exception that stands before the rule takes nothing back.
#[test]
fn only_later_exceptions_count() {
    let below =
        |rules: &str, directory: &str| Ignore::parse(rules).unwrap().ignores_all_below(directory);
    assert!(below("!a/b\na", "a"));
    assert!(!below("a\n!a/b", "a"));
    assert!(!below("a\n!**/b", "a"));
    assert!(below("!**/b\na", "a"));
    assert!(below("a\n!b*", "a"));
}

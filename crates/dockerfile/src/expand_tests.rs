use super::*;

fn variables(name: &str) -> Option<String> {
    let value = match name {
        "HI" => "hello",
        "EMPTY" => "",
        "TWO" => "one two",
        "PATH_" => "/usr/local/lib/libx.so.1.2",
        "ö" => "umlaut",
        "1" => "first",
        _ => return None,
    };
    Some(value.to_owned())
}

fn expand(text: &str) -> String {
    match Lexer::default().expand(text, &variables) {
        Ok(expanded) => expanded.text,
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn values_come_in() {
    for (text, expected) in [
        ("hello", "hello"),
        ("he'll'o", "hello"),
        ("he'$HI'o", "he$HIo"),
        ("he\"$HI\"o", "hehelloo"),
        (r#""he\"llo""#, r#"he"llo"#),
        (r#""a\b""#, r"a\b"),
        (r"a\ b", "a b"),
        (r"a\$HI", "a$HI"),
        (r"a\", "a"),
        ("a  b", "a  b"),
        ("$HI.there", "hello.there"),
        ("${HI}there", "hellothere"),
        ("$HIthere", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$.", "$."),
        ("$1$12", "first"),
        ("$$", ""),
        ("$ö", "umlaut"),
        ("${NO}x", "x"),
        ("${HI:-no}", "hello"),
        ("${NO:-no}", "no"),
        ("${NO-no}", "no"),
        ("${EMPTY:-no}", "no"),
        ("${EMPTY-no}", ""),
        ("${NO:-$HI}", "hello"),
        ("${NO:-${NO2:-deep}}", "deep"),
        ("a${NO:-b}c", "abc"),
        ("${NO:-\"a b\"}", "a b"),
        ("${HI:+yes}", "yes"),
        ("${NO:+yes}", ""),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${HI:?no}", "hello"),
        ("${EMPTY?no}", ""),
        ("${PATH_#/usr}", "/local/lib/libx.so.1.2"),
        ("${PATH_#*/}", "usr/local/lib/libx.so.1.2"),
        ("${PATH_##*/}", "libx.so.1.2"),
        ("${PATH_%.*}", "/usr/local/lib/libx.so.1"),
        ("${PATH_%%.*}", "/usr/local/lib/libx"),
        ("${PATH_%?2}", "/usr/local/lib/libx.so.1"),
        ("${HI#x}", "hello"),
        ("${HI##*}", ""),
        ("${HI/l/L}", "heLlo"),
        ("${HI//l/L}", "heLLo"),
        ("${HI/l*/y}", "hey"),
        ("${HI/l/}", "helo"),
        (r"${PATH_//\//-}", r"-usr-local-lib-libx.so.1.2"),
        ("${HI/z/L}", "hello"),
    ] {
        assert_eq!(expand(text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, expected) in [
        (
            "'a",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"a",
            "unexpected end of statement while looking for matching double-quote",
        ),
        ("${", "syntax error: missing '}'"),
        ("${HI", "syntax error: missing '}'"),
        ("${HI:", "syntax error: missing '}'"),
        ("${HI:-", "syntax error: missing '}'"),
        ("${HI/a", "syntax error: missing '/' in ${}"),
        ("${HI/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${{HI}", "syntax error: bad substitution"),
        ("${:HI}", "syntax error: bad substitution"),
        ("${HI:=x}", "unsupported modifier (:=) in substitution"),
        ("${HI:#x}", "unsupported modifier (:#) in substitution"),
        ("${HI^}", "unsupported modifier (^) in substitution"),
        ("${NO:?}", "NO: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NO:?give it}", "NO: give it"),
        (
            r"${HI#\a}",
            r"invalid pattern (\a) in substitution: invalid escape '\a'",
        ),
    ] {
        let said = expand(text);
        assert_eq!(
            said,
            format!("error: failed to process {}: {expected}", quote(text)),
            "{text}"
        );
    }
}

#[test]
fn words_are_cut_at_space_that_is_not_quoted() {
    for (text, expected) in [
        ("a b  c", vec!["a", "b", "c"]),
        (" a ", vec!["a"]),
        ("'a b' \"c d\"", vec!["a b", "c d"]),
        ("$TWO", vec!["one", "two"]),
        ("\"$TWO\"", vec!["one two"]),
        ("x$TWO", vec!["xone", "two"]),
        ("x${NO:-y z}", vec!["xy", "z"]),
        (r"a\ b c", vec!["a b", "c"]),
        ("$NO", vec![]),
    ] {
        assert_eq!(
            Lexer::default().words(text, &variables).unwrap(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn ways_to_read() {
    let plain = Lexer::default().quotes(Quotes::Plain);
    assert_eq!(
        plain.expand("it's \"$HI\"", &variables).unwrap().text,
        "it's \"hello\""
    );
    let kept = Lexer::default().quotes(Quotes::Kept);
    assert_eq!(
        kept.expand("'a' \"$HI\"", &variables).unwrap().text,
        "'a' \"hello\""
    );
    let unset = Lexer::default().keeping_unset();
    for text in [
        "$NO",
        "${NO}",
        "${NO:-a}",
        "${NO-a}",
        "${NO#a}",
        "${NO/a/b}",
    ] {
        assert_eq!(unset.expand(text, &variables).unwrap().text, text);
    }
    let backtick = Lexer::new(Escape::Backtick);
    assert_eq!(
        backtick.expand(r"C:\dir`$x", &variables).unwrap().text,
        r"C:\dir$x"
    );
}

#[test]
fn what_was_asked_for_is_known() {
    let expanded = Lexer::default()
        .expand("$HI ${NO} ${HI:-$OTHER}", &variables)
        .unwrap();
    assert_eq!(expanded.used, BTreeSet::from(["HI".to_owned()]));
    assert_eq!(
        expanded.unset,
        BTreeSet::from(["NO".to_owned(), "OTHER".to_owned()])
    );
}
